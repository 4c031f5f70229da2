"""Signals: what a strategy makes of the bars of an instrument, and why."""

from dataclasses import dataclass
from datetime import datetime
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
