"""What comes of a strategy and bars: signals, or a plain word on why there are none. It never raises."""

import math
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from trademind.domain.signals import Action, Reason, Signal
from trademind.signals.bars import BarArrays
from trademind.signals.registry import indicator
from trademind.signals.strategy import Strategy, warm_up_of

LONG_GAP: Final = 5 * 86_400
"""Seconds: no market's weekend with its holidays is longer, China's and Japan's golden weeks apart."""
SILENT_BARS: Final = 5
"""So many bars without volume at the end, and the instrument may be halted."""
MAX_ERROR: Final = 1000
"""Characters of what a strategy says when it raises: it is part of every answer about an instrument."""
MAX_TRACEBACK: Final = 20_000
"""Characters of where it has raised; its beginning and its end are kept."""


class Outcome(StrEnum):
    """How it went."""

    DONE = "done"
    """The strategy has looked at every bar."""
    TOO_FEW_BARS = "too_few_bars"
    """There are fewer than its indicators need."""
    FAILED = "failed"
    """The strategy raised, or what it returned are no signals of these bars."""
    TIMED_OUT = "timed_out"
    """It did not return in time, and was ended."""
    DIED = "died"
    """It ended the process that it ran in."""
    SWITCHED_OFF = "switched_off"
    """It is broken, or has hung or died before; it was not asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a strategy made of bars."""

    strategy: str
    symbol: str
    outcome: Outcome
    bars: int
    needed: int | None = None
    """How many bars the strategy needs; None where it could not be asked."""
    signals: tuple[Signal, ...] = ()
    """Of every bar, oldest first."""
    now: Signal | None = None
    """How the instrument stands at the last bar: its signal, or hold; None where that is not known."""
    error: str | None = None
    """What went wrong, in a line."""
    traceback: str | None = None
    notes: tuple[str, ...] = ()
    """What is odd about the bars."""


def evaluate(strategy: Strategy, bars: BarArrays) -> Evaluation:
    """Let a strategy look at bars."""
    blank = Evaluation(
        strategy=strategy.name, symbol=bars.symbol, outcome=Outcome.DONE, bars=len(bars), notes=notes(bars)
    )
    try:
        blank = replace(blank, needed=(warm_up := warm_up_of(strategy)) + 1)
        if len(bars) <= warm_up:
            text = f"There are {len(bars)} bars; {strategy.name} needs {blank.needed}."
            return replace(blank, outcome=Outcome.TOO_FEW_BARS, error=text)
        signals = strategy.on_bars(bars)
        if (wrong := _fault(signals, strategy, bars)) is not None:
            return replace(blank, outcome=Outcome.FAILED, error=wrong)
        return replace(blank, signals=tuple(signals), now=_standing(strategy, bars, signals))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody's strategy may raise what it likes
        return failed(blank, error)


def failed(blank: Evaluation, error: BaseException) -> Evaluation:
    """The evaluation of what has raised; to be called where it is dealt with."""
    return replace(blank, outcome=Outcome.FAILED, error=in_a_line(error), traceback=where_raised())


def in_a_line(error: BaseException) -> str:
    """Its class and what it says, shortened."""
    words = traceback.format_exception_only(error)[-1].strip()
    return words if len(words) <= MAX_ERROR else f"{words[:MAX_ERROR]} …"


def where_raised() -> str:
    """The traceback of what is dealt with now, shortened."""
    text = traceback.format_exc()
    if len(text) <= MAX_TRACEBACK:
        return text
    # What was said is at its end and may be long: the lines that lead there come before.
    return f"{text[: MAX_TRACEBACK // 2]}\n…\n{text[-MAX_TRACEBACK // 2 :]}"


def notes(bars: BarArrays) -> tuple[str, ...]:
    """What is odd about bars. Strategies take them as they are, one after the other."""
    found: list[str] = []
    steps = np.diff(bars.time)
    if "month" not in bars.bar_size and "week" not in bars.bar_size:
        found += [
            f"No bars between {bars.moment(i):%Y-%m-%d} and {bars.moment(i + 1):%Y-%m-%d}."
            for i in np.flatnonzero(steps > LONG_GAP).tolist()[-3:]  # the latest count most
        ]
    unknown = int(np.isnan(bars.volume).sum())
    if unknown:
        found.append(f"The volume of {unknown} of {len(bars)} bars is not known.")
    traded = np.flatnonzero(bars.volume != 0)
    silent = len(bars) - 1 - int(traded[-1]) if traded.size else len(bars)
    if silent >= SILENT_BARS:
        found.append(f"The last {silent} bars have no volume: the instrument may be halted.")
    return tuple(found)


def _fault(signals: object, strategy: Strategy, bars: BarArrays) -> str | None:
    """What is wrong with what a strategy returned."""
    if not isinstance(signals, list):
        return f"on_bars returned {type(signals).__name__}, which is no list of signals."
    last = -1
    for place, signal in enumerate(signals):
        if type(signal) is not Signal:
            return f"on_bars returned a list with {type(signal).__name__} at {place}, which is no Signal."
        if type(signal.index) is not int or not 0 <= signal.index < len(bars):
            return f"Signal {place} is of bar {signal.index!r}, and there are {len(bars)} bars."
        if signal.index < last:
            return f"Signal {place} is of bar {signal.index}, which is before that of the signal before it."
        last = signal.index
        if (signal.strategy, signal.symbol) != (strategy.name, bars.symbol):
            return f"Signal {place} is of {signal.strategy} for {signal.symbol}; make it by self.signal()."
        if signal.bar_time != bars.moment(signal.index):
            return f"Signal {place} has not the time of its bar; make it by self.signal()."
        if not isinstance(signal.action, Action):
            return f"Signal {place}: {signal.action!r:.40} is no Action."
        if not all(isinstance(reason.text, str) for reason in signal.reasons):
            return f"Signal {place}: its reasons must be text."
        if not all(_between(share) for share in (signal.strength, signal.confidence)):
            return f"Signal {place}: strength and confidence must be between 0 and 1."
        prices = (signal.entry, signal.stop, signal.target)
        if not all(price is None or _finite(price) for price in prices):
            return f"Signal {place}: entry, stop and target must be finite numbers or None."
        if not all(_finite(value) for reason in signal.reasons for _, value in reason.values):
            return f"Signal {place}: the values of its reasons must be finite numbers."
    return None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _between(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _standing(strategy: Strategy, bars: BarArrays, signals: list[Signal]) -> Signal:
    last = len(bars) - 1
    if signals and signals[-1].index == last:
        return signals[-1]
    reasons = [Reason("No rule was met in the last bar"), *_readings(strategy, bars.last(_enough(strategy)))]
    hold = strategy.signal(
        bars, last, Action.HOLD, reasons=reasons, strength=0.0, confidence=0.0, expiry_bars=1
    )
    return replace(hold, entry=None)


def _enough(strategy: Strategy) -> int:
    """Bars from which on a smoothed indicator is as good as that of all bars."""
    return 10 * (strategy.warm_up + 1)


def _readings(strategy: Strategy, bars: BarArrays) -> Iterable[Reason]:
    """Where its indicators are at the last bar."""
    for use in strategy.uses():
        settings = ", ".join(
            value if isinstance(value, str) else f"{value:g}" for value in use.parameters.values()
        )
        label = f"{use.indicator.upper()}({settings})" if settings else use.indicator.upper()
        for name, column in indicator(use.indicator).compute(bars, **use.parameters).items():
            if math.isfinite(value := float(column[-1])):
                part = "" if name == use.indicator else f" {name}"
                yield Reason(f"{label}{part} is {value:.6g}", ((name, value),))
