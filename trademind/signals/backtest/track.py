"""The bars of one symbol as the exchange quotes them, and the search for the next one in which something may
happen."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trademind.domain.signals import Action, Signal
from trademind.gateway.engine.model import Instrument
from trademind.signals.bars import BarArrays

Ticks = NDArray[np.int64]
_FIRST_LOOK: Final = 64
"""So many bars are searched at first; twice as many each time nothing is found."""
_LONGEST_LOOK: Final = 1 << 16
_NEVER_BELOW: Final = 0
_NEVER_ABOVE: Final = 1 << 62


class Track:
    """The bars of one symbol in whole ticks, the signals that are to be traded, and the exits that work.

    Args:
        first: The first bar that is traded; all from there on are.
    """

    def __init__(
        self, symbol: str, bars: BarArrays, instrument: Instrument, signals: Sequence[Signal], first: int
    ) -> None:
        self.symbol = symbol
        self.instrument = instrument
        self.times = bars.time
        self.count = len(bars)
        self.first = first
        tick = float(instrument.min_tick)
        # As the paper gateway's replays do: rounded to whole ticks, and never nothing.
        self.opens, self.highs, self.lows, self.closes = (
            np.maximum(1, np.rint(column / tick)).astype(np.int64)
            for column in (bars.open, bars.high, bars.low, bars.close)
        )
        self.rounding = float(np.abs(self.closes * tick / bars.close - 1)[first:].max())
        """The most that rounding has changed of a close that is traded, as a fraction of it."""
        self._signals = [each for each in signals if first <= each.index < self.count - 1]
        self.left_over = sum(each.index == self.count - 1 for each in signals)
        """Signals of the last bar, after which there is none to trade in."""
        self._next_signal = 0
        self._cursor = first
        self.sign = 0
        """Of the position, as far as it matters here: +1 long, -1 short."""
        self.stop: int | None = None
        self.target: int | None = None
        self.bar = first
        """The bar of the next event."""

    @property
    def first_open(self) -> Decimal:
        """The price at which trading begins."""
        return int(self.opens[self.first]) * self.instrument.min_tick

    @property
    def last_close(self) -> Decimal:
        return int(self.closes[-1]) * self.instrument.min_tick

    def signal_at(self, bar: int) -> Signal | None:
        """The signal that is traded in a bar, which is thereby done with."""
        if self._next_signal < len(self._signals):
            signal = self._signals[self._next_signal]
            if signal.index + 1 == bar:
                self._next_signal += 1
                return signal
        return None

    def advance(self, *, thorough: bool) -> bool:
        """Go on to the next bar in which something may happen; False when there is none."""
        if thorough:
            self.bar = self._cursor
        else:
            self.bar = self._next_event()
        self._cursor = self.bar + 1
        return self.bar < self.count

    def _next_event(self) -> int:
        signals, cursor = self._signals, self._cursor
        while True:
            has_signal = self._next_signal < len(signals)
            traded = signals[self._next_signal].index + 1 if has_signal else self.count
            if self.stop is not None or self.target is not None:
                touched = self._touched(cursor, traded)
                if touched is not None:
                    return touched
            if not has_signal or not is_idle(signals[self._next_signal], self.sign):
                return traded
            self._next_signal += 1
            cursor = max(cursor, traded)

    def _touched(self, start: int, end: int) -> int | None:
        """The first bar in [start, end) that comes to the stop or the target."""
        falls_to, rises_to = (self.stop, self.target) if self.sign > 0 else (self.target, self.stop)
        floor = _NEVER_BELOW if falls_to is None else falls_to
        ceiling = _NEVER_ABOVE if rises_to is None else rises_to
        length = _FIRST_LOOK
        while start < end:
            beyond = min(start + length, end)
            hit = (self.lows[start:beyond] <= floor) | (self.highs[start:beyond] >= ceiling)
            at = int(hit.argmax())
            if hit[at]:
                return start + at
            start, length = beyond, min(2 * length, _LONGEST_LOOK)
        return None


def is_idle(signal: Signal, sign: int) -> bool:
    """Whether a signal asks for what is held already; `sign` is that of the position."""
    match signal.action:
        case Action.BUY:
            return sign > 0
        case Action.SELL:
            return sign < 0
        case Action.CLOSE:
            return sign == 0
    return True
