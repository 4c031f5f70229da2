"""What becomes of a signal, by the bars after it. Pure.

A bar does not tell which of its prices came first. At its open it is certain what is reached; within it the
stop counts as reached before the target, so that no result is better than what trading would have brought.
"""

from dataclasses import replace
from datetime import datetime

from trademind.domain import SignalOutcome, TrackedSignal
from trademind.domain.signals import Action, Signal
from trademind.signals.bars import BarArrays


def follow(tracked: TrackedSignal, bars: BarArrays, known_until: datetime) -> TrackedSignal:
    """The signal as it stands after bars.

    Args:
        bars: Those after the signal's own; earlier ones mean nothing.
        known_until: Every bar that begins before it and is closed is among them.
    """
    signal = tracked.signal
    if tracked.outcome.is_over:
        return tracked
    first = int(bars.time.searchsorted(int(signal.bar_time.timestamp()), side="right"))
    for place in range(first, len(bars)):
        begins = bars.moment(place)
        if signal.expires_at is not None and begins >= signal.expires_at:
            break
        if (reached := _reached(signal, bars, place)) is not None:
            outcome, price = reached
            return replace(tracked, outcome=outcome, outcome_at=begins, outcome_price=price)
    if signal.expires_at is not None and known_until >= signal.expires_at:
        return replace(tracked, outcome=SignalOutcome.EXPIRED, outcome_at=signal.expires_at)
    return tracked


def _reached(signal: Signal, bars: BarArrays, place: int) -> tuple[SignalOutcome, float] | None:
    """What a bar reaches, and at which price."""
    if signal.action not in (Action.BUY, Action.SELL):
        return None
    # Of a short position everything is the other way round.
    sign = 1.0 if signal.action is Action.BUY else -1.0
    opened = sign * float(bars.open[place])
    best, worst = float(bars.high[place]), float(bars.low[place])
    if sign < 0:
        best, worst = -worst, -best
    stop = None if signal.stop is None else sign * signal.stop
    target = None if signal.target is None else sign * signal.target
    if stop is not None and opened <= stop:
        return SignalOutcome.STOPPED, sign * opened
    if target is not None and opened >= target:
        return SignalOutcome.TARGET, sign * opened
    if stop is not None and worst <= stop:
        return SignalOutcome.STOPPED, sign * stop
    if target is not None and best >= target:
        return SignalOutcome.TARGET, sign * target
    return None
