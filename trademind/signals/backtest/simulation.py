"""A strategy's signals traded on the paper exchange, bar by bar.

The rules, in full in docs/backtests.md:

- A signal made at a bar's close becomes a market order that fills at the next bar's open. Its size is decided
  at the close, by what the account is worth then.
- A signal that asks for what is held already changes nothing. One for the other side closes first, and opens
  with a second order.
- Stop and target of the signal are orders of the engine from the entry on, one of which cancels the other.
- Within a bar the price goes from the open to the extreme that is worse for the position, to the other one,
  and to the close. So a bar that has both stop and target in it is a stop. A stop beyond which a bar opens
  fills at the open; a resting limit fills at its limit, as in the paper gateway.

Strategy: bars in which nothing can happen are not shown to the engine. Something can happen where a signal
is traded, and where a bar comes to the price of a working order, which is searched for in arrays. What is
held otherwise is shown its last price before an order is sized. A thorough run shows every price of every
bar instead; both trade the same, which a test checks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from heapq import heappop, heappush
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trademind.domain import Side
from trademind.domain.signals import Action, Signal
from trademind.gateway.engine.exchange import exchange_date
from trademind.signals.backtest.settings import BacktestSettings, quantity_of
from trademind.signals.backtest.track import Track, is_idle
from trademind.signals.backtest.venue import Fill, Refusal, Venue
from trademind.signals.bars import Floats

Progress = Callable[[int, int], None]
"""How many bars, of how many, have been traded."""

_STEPS: Final = 100
"""How often progress is told in a run."""
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a signal makes of the position at the next open."""

    action: Action
    side: Side
    quantity: Decimal
    """To open; 0 to be flat."""
    stop: int | None
    target: int | None
    """In ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run has done, as the statistics need it."""

    time: NDArray[np.int64]
    """Of all bars of all symbols, in seconds since 1970."""
    equity: Floats
    """At the close of each."""
    invested: Floats
    """The gross value of the positions then."""
    prices: Mapping[str, Floats]
    """The symbols' closes then, in whole ticks of their instruments; nan before their first bar."""
    fills: Sequence[Fill]
    refusals: Sequence[Refusal]
    expired: int
    """Signals that were worth nothing any more when there was a bar to trade in."""
    left_over: int
    """Signals of the last bar."""
    final_equity: Decimal
    """The engine's own, at the last closes."""


class Simulation:
    """One run. `thorough` shows the engine every price, which is slow and changes nothing."""

    def __init__(
        self, tracks: Sequence[Track], settings: BacktestSettings, *, thorough: bool = False
    ) -> None:
        self._tracks = tracks
        self._settings = settings
        self._thorough = thorough
        times = [each.times[each.first :] for each in tracks]
        self._timeline = times[0] if len(times) == 1 else np.unique(np.concatenate(times))
        opened = datetime.fromtimestamp(int(self._timeline[0]), UTC)
        self._venue = Venue({each.symbol: each.instrument for each in tracks}, settings, opened)
        self._expired = 0

    def run(self, progress: Progress | None = None) -> Outcome:
        """Trade all bars."""
        queue: list[tuple[int, int]] = []
        for number, track in enumerate(self._tracks):
            if track.advance(thorough=self._thorough):
                heappush(queue, (int(track.times[track.bar]), number))
        days = self._days()
        total = len(self._timeline)
        told = 0
        while queue:
            moment = queue[0][0]
            while days and days[-1] <= moment:
                self._begin_day(days.pop())
            active: list[int] = []
            while queue and queue[0][0] == moment:
                active.append(heappop(queue)[1])
            self._trade(moment, [self._tracks[number] for number in active])
            for number in active:
                track = self._tracks[number]
                if track.advance(thorough=self._thorough):
                    heappush(queue, (int(track.times[track.bar]), number))
            if progress is not None and moment >= self._timeline[min(told * total // _STEPS, total - 1)]:
                done = int(np.searchsorted(self._timeline, moment))
                told = done * _STEPS // total + 1
                progress(done, total)
        while days:
            self._begin_day(days.pop())
        self._mark(int(self._timeline[-1]) + 1)
        if progress is not None:
            progress(total, total)
        return self._outcome()

    def _days(self) -> list[int]:
        """The first moment of each day, the last one first, where days matter: for interest."""
        if not self._settings.interest:
            return []
        hours, where = np.unique(self._timeline // _HOUR, return_inverse=True)
        dates = [exchange_date(datetime.fromtimestamp(int(each) * _HOUR, UTC)).toordinal() for each in hours]
        starts = np.flatnonzero(np.diff(np.array(dates)[where])) + 1
        return [int(each) for each in self._timeline[starts][::-1]]

    def _begin_day(self, moment: int) -> None:
        """Let interest accrue by the last prices of the day before."""
        self._mark(moment)
        self._venue.at(moment)
        self._venue.pass_time()

    def _mark(self, moment: int) -> None:
        """Value what is held at the last close before a moment."""
        for track in self._tracks:
            if self._venue.held(track.symbol):
                bar = int(np.searchsorted(track.times, moment)) - 1
                self._venue.show(track.symbol, int(track.closes[bar]), bar, again=False)

    def _trade(self, moment: int, active: Sequence[Track]) -> None:
        """All that happens in the bars of one moment."""
        venue = self._venue
        decided = [(track, signal) for track in active if (signal := track.signal_at(track.bar)) is not None]
        plans: list[tuple[Track, _Plan]] = []
        if decided:
            self._mark(moment)
            equity = venue.equity / len(self._tracks)
            plans = [(track, plan) for track, each in decided if (plan := self._plan(track, each, equity))]
        venue.at(moment)
        for track in active:
            venue.show(track.symbol, int(track.opens[track.bar]), track.bar)
        if plans:
            self._open_others(moment, active)
        for track, plan in plans:
            self._carry_out(track, plan)
        for track in active:
            self._walk(track)
            held = venue.held(track.symbol)
            track.sign = (held > 0) - (held < 0)
            if not venue.has_exits(track.symbol):
                track.stop = track.target = None

    def _open_others(self, moment: int, active: Sequence[Track]) -> None:
        """Value what else is held at its open, which margin is measured by."""
        for track in self._tracks:
            if track not in active and self._venue.held(track.symbol):
                bar = int(np.searchsorted(track.times, moment))
                if bar < track.count and track.times[bar] == moment:
                    self._venue.show(track.symbol, int(track.opens[bar]), bar, again=False)

    def _plan(self, track: Track, signal: Signal, equity: Decimal) -> _Plan | None:
        """What to do about a signal, as known at the close of its bar; None for nothing."""
        held = self._venue.held(track.symbol)
        if is_idle(signal, (held > 0) - (held < 0)):
            return None
        bar = signal.index + 1
        if signal.expires_at is not None and track.times[bar] > signal.expires_at.timestamp():
            self._expired += 1
            return None
        side = (
            Side.BUY
            if signal.action is Action.BUY or (signal.action is Action.CLOSE and held < 0)
            else Side.SELL
        )
        if signal.action is Action.CLOSE or (signal.action is Action.SELL and not self._settings.allow_short):
            return _Plan(Action.CLOSE, side, Decimal(0), None, None) if held else None
        price = int(track.closes[signal.index]) * track.instrument.min_tick
        quantity = quantity_of(self._settings.sizing, signal, track.instrument, equity=equity, price=price)
        stop, target = (self._ticks(track, each) for each in (signal.stop, signal.target))
        return _Plan(signal.action, side, quantity, stop, target)

    @staticmethod
    def _ticks(track: Track, price: float | None) -> int | None:
        """The nearest price that there is; None where there is none above zero."""
        if price is None:
            return None
        ticks = round(price / float(track.instrument.min_tick))
        return ticks if ticks > 0 else None

    def _carry_out(self, track: Track, plan: _Plan) -> None:
        """Close what is on the other side, then open."""
        venue, symbol = self._venue, track.symbol
        held = venue.held(symbol)
        if held:
            venue.withdraw(symbol)
            venue.trade(symbol, Side.SELL if held > 0 else Side.BUY, abs(held))
        track.stop = track.target = None
        if plan.action is Action.CLOSE:
            return
        if not plan.quantity:
            venue.refuse(symbol, plan.side, plan.quantity, "The size comes to nothing")
        elif venue.trade(symbol, plan.side, plan.quantity):
            track.stop, track.target = plan.stop, plan.target
            if plan.stop is not None or plan.target is not None:
                venue.protect(symbol, stop=plan.stop, target=plan.target)

    def _walk(self, track: Track) -> None:
        """From the open of a bar to its close, as far as it matters to what works."""
        venue, symbol, bar = self._venue, track.symbol, track.bar
        low, high = int(track.lows[bar]), int(track.highs[bar])
        if venue.has_exits(symbol):
            is_long = venue.held(symbol) > 0
            worse, better = (low, high) if is_long else (high, low)
            stop, target = track.stop, track.target
            # At its own price, since a stop fills where the market is when it is triggered.
            if stop is not None and (worse <= stop if is_long else worse >= stop):
                venue.show(symbol, stop, bar)
            if target is not None and venue.has_exits(symbol):
                if self._thorough:
                    venue.show(symbol, worse, bar)
                if better >= target if is_long else better <= target:
                    venue.show(symbol, better, bar)
        if self._thorough:
            for price in (low, high, int(track.closes[bar])):
                venue.show(symbol, price, bar)

    # What came of it

    def _outcome(self) -> Outcome:
        time = self._timeline
        flows = np.zeros(len(time))
        value, invested = np.zeros(len(time)), np.zeros(len(time))
        prices: dict[str, Floats] = {}
        for moment, amount in self._venue.interest:
            flows[min(int(np.searchsorted(time, moment.timestamp())), len(time) - 1)] += float(amount)
        for track in self._tracks:
            changes = np.zeros(len(time))
            unit = float(track.instrument.multiplier)
            for fill in self._venue.fills:
                if fill.symbol == track.symbol:
                    at = int(np.searchsorted(time, track.times[fill.bar]))
                    signed = fill.side.sign * float(fill.quantity)
                    changes[at] += signed
                    flows[at] -= signed * float(fill.price) * unit + float(fill.commission)
            prices[track.symbol] = _on(time, track)
            worth = changes.cumsum() * np.nan_to_num(prices[track.symbol]) * unit
            value += worth
            invested += np.abs(worth)
        return Outcome(
            time=time,
            equity=float(self._settings.cash) + flows.cumsum() + value,
            invested=invested,
            prices=prices,
            fills=self._venue.fills,
            refusals=self._venue.refusals,
            expired=self._expired,
            left_over=sum(each.left_over for each in self._tracks),
            final_equity=self._venue.equity,
        )


def _on(time: NDArray[np.int64], track: Track) -> Floats:
    """A symbol's closes at all moments; between its own bars the one before."""
    closes = np.asarray(track.closes * float(track.instrument.min_tick), dtype=np.float64)
    if len(time) == track.count - track.first:
        return closes[track.first :]
    bars = np.searchsorted(track.times, time, side="right") - 1
    return np.where(bars < track.first, np.nan, closes[np.maximum(bars, 0)])
