"""Historical bars."""

from collections.abc import Callable

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.session import Session
from trademind.domain import Bar, BarRequest, Contract
from trademind.errors import Refused

_NO_DATA = "query returned no data"


async def fetch_bars(
    session: Callable[[], Session], contract: Contract, request: BarRequest
) -> tuple[Bar, ...]:
    """Bars of one request, oldest first; none where the market has none.

    Raises:
        Refused, PacingViolation, Unavailable, NoAnswer.
    """
    connection = session()
    wanted = convert.to_ib_reference(contract)
    end = request.end.strftime("%Y%m%d-%H:%M:%S") if request.end else ""
    seconds_since_epoch = 2  # the format that leaves no doubt about time zones
    try:
        bars = await connection.requests.ask(
            f"bars of {contract.symbol}",
            lambda req_id: connection.ib.client.reqHistoricalData(
                req_id,
                wanted,
                end,
                request.duration,
                request.bar_size,
                request.what_to_show,
                request.use_rth,
                seconds_since_epoch,
                False,
                [],
            ),
            contract=wanted,
        )
    except Refused as error:
        if error.ib_code == 162 and _NO_DATA in error.detail:
            return ()
        raise
    return tuple(convert.to_bar(bar) for bar in bars)
