"""A backtest as a job: what is wanted, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trademind.domain.durations import bar_seconds
from trademind.errors import Invalid
from trademind.gateway.engine.commissions import FIXED, FREE, TIERED, CommissionSchedule
from trademind.market.bars.downloads import EARLIEST, Download
from trademind.market.bars.windows import is_dated
from trademind.signals.backtest import BacktestSettings, FixedQuantity, RiskOfEquity, ShareOfEquity, Sizing
from trademind.signals.parameters import Value

MAX_SYMBOLS: Final = 50
"""Each is qualified before the request is answered."""
MAX_BARS: Final = 10_000_000
"""By the calendar, of all symbols: twenty years of a share's minutes, in some gigabytes of memory."""
_SESSIONS: Final = 6
"""Hours of the calendar to one of trading, nearly: 6.5 hours on five days of seven."""
_DATED: Final = 1.6
"""Days of the calendar to one of trading, holidays included."""
_HOLIDAYS: Final = timedelta(days=4)
"""The longest weekend that is usual."""


class BacktestStatus(StrEnum):
    """Where a backtest stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_open(self) -> bool:
        return self in (BacktestStatus.QUEUED, BacktestStatus.RUNNING)


class Stage(StrEnum):
    """What a running backtest is at."""

    BARS = "bars"
    """Bars that are missing are downloaded."""
    TURN = "turn"
    """Another one is trading: one does at a time."""
    TRADING = "trading"


class Commissions(StrEnum):
    """What trading costs, by IB's pricing."""

    FIXED = "fixed"
    TIERED = "tiered"
    FREE = "free"

    @property
    def schedule(self) -> CommissionSchedule:
        return {Commissions.FIXED: FIXED, Commissions.TIERED: TIERED, Commissions.FREE: FREE}[self]


class SizingKind(StrEnum):
    """How a signal becomes a quantity."""

    SHARE = "share"
    RISK = "risk"
    QUANTITY = "quantity"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What is to be tried: a strategy on stocks, from the first bar that begins at `start` or later.

    Raises:
        Invalid: field by field.
    """

    strategy: str
    symbols: tuple[str, ...]
    start: datetime
    end: datetime | None = None
    """Bars that begin before it; None for all until the job is made."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    bar_size: str = "1 day"
    use_rth: bool = True
    cash: Decimal = Decimal(100_000)
    sizing: SizingKind = SizingKind.SHARE
    size: Decimal = Decimal(1)
    """The share, the risk or the quantity that `sizing` speaks of."""
    allow_short: bool = True
    commissions: Commissions = Commissions.FIXED
    slippage_ticks: int = 0
    spread_ticks: int | None = None
    interest: bool = False
    risk_free: float = 0.0
    bars_per_year: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", self.download(timedelta()).symbols)
        if len(self.symbols) > MAX_SYMBOLS:
            raise Invalid([("symbols", f"give 1 to {MAX_SYMBOLS} symbols")])
        _ = self.settings

    @property
    def settings(self) -> BacktestSettings:
        """The same, as the backtest takes it."""
        return BacktestSettings(
            cash=self.cash,
            sizing=self._sizing,
            allow_short=self.allow_short,
            commissions=self.commissions.schedule,
            slippage_ticks=self.slippage_ticks,
            spread_ticks=self.spread_ticks,
            interest=self.interest,
            risk_free=self.risk_free,
            bars_per_year=self.bars_per_year,
            start=self.start,
        )

    @property
    def _sizing(self) -> Sizing:
        match self.sizing:
            case SizingKind.SHARE:
                return ShareOfEquity(self.size)
            case SizingKind.RISK:
                return RiskOfEquity(self.size)
        return FixedQuantity(self.size)

    def download(self, lead: timedelta) -> Download:
        """The bars that it takes, from `lead` before its start. Raises `Invalid`."""
        start = self.start if self.start - EARLIEST <= lead else self.start - lead
        return Download(
            symbols=self.symbols, start=start, end=self.end, bar_size=self.bar_size, use_rth=self.use_rth
        )

    def check_size(self, now: datetime) -> datetime:
        """Its end, for one that is made now.

        Raises:
            Invalid: it begins in the future, or has more than `MAX_BARS`.
        """
        until = self.download(timedelta()).until(now)
        bars = (until - self.start).total_seconds() / bar_seconds(self.bar_size) * len(self.symbols)
        if bars > MAX_BARS:
            words = f"comes to more than {MAX_BARS:,} bars; take a shorter time, larger bars or fewer symbols"
            raise Invalid([("start", words)])
        return until


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """A backtest, and how it stands."""

    id: str
    wanted: BacktestRequest
    warm_up: int
    """Bars that the strategy has to see before it can say anything."""
    until: datetime
    """Its end."""
    status: BacktestStatus
    created_at: datetime
    updated_at: datetime
    stage: Stage | None = None
    progress: float = 0.0
    """From 0 to 1."""
    waiting_for: str | None = None
    """Why its bars do not come at the moment."""
    error: str | None = None
    """Why it has failed."""
    traceback: str | None = None
    """Where, if it was a strategy that has raised."""

    @property
    def lead(self) -> timedelta:
        """How long before its start bars are wanted, so that the strategy is warm by then."""
        size = self.wanted.bar_size
        calendar = _DATED if is_dated(size) else _SESSIONS
        return self.warm_up * timedelta(seconds=bar_seconds(size)) * calendar + _HOLIDAYS
