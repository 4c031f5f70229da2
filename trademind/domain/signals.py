"""Signals: what a strategy makes of the bars of an instrument, why, and what becomes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Action(StrEnum):
    BUY = "buy"
    """Be long."""
    SELL = "sell"
    """Be short."""
    CLOSE = "close"
    """Be flat."""
    HOLD = "hold"
    """Nothing is to be done; told only where somebody asks how an instrument stands now."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, in plain words, with the numbers that it rests on."""

    text: str
    values: tuple[tuple[str, float], ...] = ()
    """Name and value, as in ("rsi", 27.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a strategy would do at the close of a bar. It says nothing of what is held already."""

    strategy: str
    symbol: str
    con_id: int | None
    action: Action
    strength: float
    """0 to 1: how far the condition is met, by the strategy's own measure."""
    confidence: float
    """0 to 1: how much speaks for it beside the condition, such as the trend or the volume."""
    bar_size: str
    bar_time: datetime
    """Where the bar begins at whose close it was made."""
    index: int
    """The bar's place in the bars that it was made of."""
    reasons: tuple[Reason, ...]
    entry: float | None
    """The price it reckons with: the bar's close."""
    stop: float | None = None
    target: float | None = None
    expires_at: datetime | None = None
    """After which it is worth nothing any more."""


class SignalOutcome(StrEnum):
    """What has become of a signal that was told."""

    OPEN = "open"
    """Neither yet."""
    TARGET = "target"
    """The price has come to its target."""
    STOPPED = "stopped"
    """The price has come to its stop; in a bar that reached both, this."""
    EXPIRED = "expired"
    """Its time was over before the price came to either."""
    SUPERSEDED = "superseded"
    """The same strategy has told another one for the instrument."""

    @property
    def is_over(self) -> bool:
        return self is not SignalOutcome.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedSignal:
    """A signal that was told, and what has become of it."""

    id: str
    """The same for the same strategy with the same parameters at the same bar, so that nothing is told
    twice."""
    signal: Signal
    parameters: Mapping[str, int | float | str]
    """All of the strategy's."""
    told_at: datetime
    quantity: Decimal | None = None
    """How much to trade by the risk of a trade; None where that is not known."""
    outcome: SignalOutcome = SignalOutcome.OPEN
    outcome_at: datetime | None = None
    """Where the bar begins in which it came to that; of one that has expired, when."""
    outcome_price: float | None = None
    """The price at which it came to that."""
    order_key: str | None = None
    """The key of the order that was made of it."""
