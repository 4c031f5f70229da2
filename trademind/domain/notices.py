"""What IB says beside its answers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something IB said about an order, a quote or the session that did not change how it stands."""

    time: datetime
    ib_code: int
    message: str
