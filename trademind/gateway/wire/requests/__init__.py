"""What clients ask: by topic, a class for each request that is served, how it is read, and the table of all.

`REQUESTS` has every request of the text protocol by its message id, served or not.
"""

from collections.abc import Mapping

from trademind.gateway.wire.requests import account, contracts, history, market, orders, reference, session
from trademind.gateway.wire.requests.spec import RequestSpec, UnservedRequest

REQUESTS: Mapping[int, RequestSpec] = dict(
    sorted(
        {
            **session.REQUESTS,
            **orders.REQUESTS,
            **account.REQUESTS,
            **contracts.REQUESTS,
            **market.REQUESTS,
            **history.REQUESTS,
            **reference.REQUESTS,
        }.items()
    )
)

__all__ = ["REQUESTS", "RequestSpec", "UnservedRequest"]
