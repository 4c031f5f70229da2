"""What the built-in strategies share: when to buy, sell or close is each one's own; stops, targets, expiry
and confidence are the same for all.

Confidence is the mean of what is known of two things beside the strategy's condition, and 0.5 where nothing
is: the trend, from 0 where the close is two average true ranges on the wrong side of its mean of
`TREND_BARS` bars to 1 where it is as far on the right one; and the volume, from 0 for none to 1 for twice
that of the last `VOLUME_BARS` bars. A close has a strength and a confidence of 1: its rule is met or not.

An exit says nothing of what is held; it is told whether or not an entry of the strategy's came before. So
it depends on the bars it is made of and on nothing else, and somebody who holds the position since before
the first of them is told, too.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from trademind.domain.signals import Action, Reason, Signal
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.conditions import Bools, share
from trademind.signals.registry import indicator
from trademind.signals.strategy import Strategy, Use, choice, number, whole

TREND_BARS: Final = 50
VOLUME_BARS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a strategy makes of each bar. An entry goes before an exit in the same bar."""

    buy: Bools
    sell: Bools
    close: Bools
    strength: Floats
    """0 to 1, read where it buys or sells."""
    why: Callable[[int, Action], Reason]


class RuleStrategy(Strategy):
    """A strategy made of rules, with stops and targets in average true ranges."""

    sides: str = choice("both", ("both", "long"), "long: only purchases; what would be a sale is a close")
    stop_atr: float = number(2.0, 0, 20, "Average true ranges from the entry to the stop; 0 for no stop")
    target_atr: float = number(3.0, 0, 50, "Average true ranges from the entry to the target; 0 for none")
    atr_period: int = whole(14, 2, 200, "Bars of the average true range")
    expiry: int = whole(3, 1, 100, "Bars after which a signal is worth nothing any more")

    @abstractmethod
    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        """What it makes of each bar; there are more bars than `warm_up`."""

    def uses(self) -> tuple[Use, ...]:
        return (Use("atr", {"period": self.atr_period}),)

    def leanings(self, bars: BarArrays) -> Floats:
        """What it says at the close of each bar: 1 for long, -1 for short, 0 for neither; nan for nothing."""
        if len(bars) <= self.warm_up:
            return np.full(len(bars), np.nan)
        rules = self.rules(bars, self._atr(bars))
        short = 0.0 if self.sides == "long" else -1.0
        said = np.where(rules.buy, 1.0, np.where(rules.sell, short, np.where(rules.close, 0.0, np.nan)))
        said[: self.warm_up] = np.nan
        return said

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        if len(bars) <= self.warm_up:
            return []
        atr = self._atr(bars)
        rules = self.rules(bars, atr)
        around = _Surroundings.of(bars, atr)
        happens = rules.buy | rules.sell | rules.close
        happens[: self.warm_up] = False
        signals: list[Signal] = []
        for i in np.flatnonzero(happens).tolist():
            action = Action.BUY if rules.buy[i] else Action.SELL if rules.sell[i] else Action.CLOSE
            reasons = [rules.why(i, action)]
            if action is Action.CLOSE or (action is Action.SELL and self.sides == "long"):
                signals.append(self.signal(bars, i, Action.CLOSE, reasons=reasons, expiry_bars=self.expiry))
                continue
            direction = 1 if action is Action.BUY else -1
            confidence, more = around.speak(i, direction)
            entry, away = float(bars.close[i]), float(atr[i])
            signals.append(
                self.signal(
                    bars,
                    i,
                    action,
                    reasons=[*reasons, *more],
                    strength=float(rules.strength[i]),
                    confidence=confidence,
                    stop=_level(entry, -direction * self.stop_atr * away),
                    target=_level(entry, direction * self.target_atr * away),
                    expiry_bars=self.expiry,
                )
            )
        return signals

    def _atr(self, bars: BarArrays) -> Floats:
        return indicator("atr").compute(bars, period=self.atr_period)["atr"]


def _level(entry: float, away: float) -> float | None:
    """A price so far away; None where that is nowhere else, or below 0 of what costs more than 0."""
    level = entry + away
    return None if level == entry or (entry > 0 >= level) else level


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What is known of each bar beside the strategy's own condition."""

    close: Floats
    mean: Floats
    trend: Floats
    """0 to 1, for a purchase; nan where not known."""
    volume: Floats
    """In that of the bars before; nan where not known."""

    @classmethod
    def of(cls, bars: BarArrays, atr: Floats) -> "_Surroundings":
        mean = indicator("sma").compute(bars, period=TREND_BARS)["sma"]
        trend = 0.5 + np.clip((bars.close - mean) / np.where(atr > 0, 4 * atr, np.nan), -0.5, 0.5)
        volume = indicator("relative_volume").compute(bars, period=VOLUME_BARS)["relative_volume"]
        return cls(bars.close, mean, trend, volume)

    def speak(self, i: int, direction: int) -> tuple[float, list[Reason]]:
        """The confidence of a purchase (1) or a sale (-1) at a bar, and what it rests on."""
        parts: list[float] = []
        reasons: list[Reason] = []
        if (trend := float(self.trend[i])) == trend:
            parts.append(trend if direction > 0 else 1 - trend)
            close, mean = float(self.close[i]), float(self.mean[i])
            side = "above" if close > mean else "below" if close < mean else "at"
            text = f"The close, {said(close)}, is {side} its mean of {TREND_BARS} bars, {said(mean)}"
            reasons.append(Reason(text, (("close", close), (f"sma_{TREND_BARS}", mean))))
        if (volume := float(self.volume[i])) == volume:
            parts.append(min(volume / 2, 1.0))
            text = f"The volume is {volume:.2f} times that of the last {VOLUME_BARS} bars"
            reasons.append(Reason(text, (("relative_volume", volume),)))
        return (sum(parts) / len(parts) if parts else 0.5), reasons


def said(price: float) -> str:
    """A price as it is written in a reason."""
    return f"{price:.6g}" if abs(price) < 1e6 else f"{price:.0f}"


def moved(values: Floats, atr: Floats, whole: float) -> Floats:
    """How far a value has moved since the bar before, either way: 1 for `whole` average true ranges."""
    return share(np.abs(np.diff(values, prepend=np.nan)), whole * atr)
