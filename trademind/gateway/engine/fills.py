"""How friendly the market is to orders: the settings of the fill model.

All of it is off by default: an order then takes whatever a quote has on offer, at once and at its price.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FillModel:
    """What stands between an order and its fills."""

    queue_position: bool = False
    """Resting limits queue behind the size that was displayed at their price when they arrived.

    Price-time priority, first in first out (as in Harris, Trading and Exchanges, 2003, chapter 6): of the
    volume V that trades at the limit, the A ahead in the queue are served first, so max(0, V - A) is left
    for the order, and A falls by V. A trade beyond the limit has served the whole queue. Cancels ahead are
    not known, and not assumed. With this on, limits also fill without the market crossing them: by the
    trades at their price."""
    participation: Decimal | None = None
    """The largest share, 0 to 1, of the volume traded since the last quote that an instrument's orders may
    have of a quote together; None for no limit. The volume-share rule of backtesters (Zipline's
    VolumeShareSlippage has 2.5 % by default): filled <= participation * volume."""
    slippage_ticks: int = 0
    """By how many minimum ticks worse an order fills that takes from the market, up to its limit. A constant
    cost for each unit, as the fixed-slippage model of the same backtesters."""
    latency: timedelta = timedelta(0)
    """How long an order is on its way to the exchange, once it may work. It is matched with the first quote
    or command after that."""

    def __post_init__(self) -> None:
        if self.participation is not None and not 0 < self.participation <= 1:
            raise ValueError(f"participation is a share above 0 and up to 1, not {self.participation}")
        if self.slippage_ticks < 0 or self.latency < timedelta(0):
            raise ValueError("slippage and latency cannot be negative")


FRIENDLY = FillModel()
