"""What IB says beside its answers."""

from typing import Any, Self

from trademind.api.schemas.base import Out, Time, time
from trademind.domain import Notice


class NoticeOut(Out):
    """Something IB said about an order, a quote or the session that did not change how it stands."""

    time: Time
    ib_code: int
    message: str

    @classmethod
    def of(cls, notice: Notice) -> Self:
        return cls(**notice_fields(notice))


def notice_fields(notice: Notice) -> dict[str, Any]:
    """The fields of a `NoticeOut`."""
    return {"time": time(notice.time), "ib_code": notice.ib_code, "message": notice.message}
