"""The strategies that come with TradeMind. Each says in its docstring what its strength is measured by."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from trademind.domain.signals import Action, Reason
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.conditions import before, crossed_above, crossed_below, share
from trademind.signals.registry import indicator
from trademind.signals.rules import Rules, RuleStrategy, moved, said
from trademind.signals.strategy import Use, choice, number, whole

_STILL: Final = 1e-6
"""What an RSI may change by where the close has not: errors of rounding, which are no turn."""


class RSIReversion(RuleStrategy):
    """Strength: how far the RSI went beyond its limit, 1 for half the way to 0 or 100.

    Wilder, New Concepts in Technical Trading Systems (1978).
    """

    name = "rsi_reversion"
    looks_back = 2  # a turn shows in three bars
    description = (
        "Buys when the RSI turns up from below a limit, sells when it turns down from above another, closes "
        "when it comes back to its middle."
    )
    period: int = whole(14, 2, 200, "Bars of the RSI")
    lower: float = number(30, 1, 50, "The RSI below which prices have fallen too far")
    upper: float = number(70, 50, 99, "The RSI above which prices have risen too far")
    middle: float = number(50, 20, 80, "The RSI at which a position is closed")

    def check(self) -> Iterable[tuple[str, str]]:
        if not self.lower < self.middle < self.upper:
            yield "middle", "must be between lower and upper"

    def uses(self) -> tuple[Use, ...]:
        return (Use("rsi", {"period": self.period}), *super().uses())

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        rsi = indicator("rsi").compute(bars, period=self.period)["rsi"]
        last, second_last = before(rsi), before(rsi, 2)
        buy = (last < self.lower) & (rsi > last + _STILL) & (second_last >= last - _STILL)
        sell = (last > self.upper) & (rsi < last - _STILL) & (second_last <= last + _STILL)

        def why(i: int, action: Action) -> Reason:
            now, then = float(rsi[i]), float(rsi[i - 1])
            label = f"RSI({self.period})"
            if action is Action.BUY:
                text = f"{label} fell to {then:.1f}, below {self.lower:g}, and turned up to {now:.1f}"
            elif action is Action.SELL:
                text = f"{label} rose to {then:.1f}, above {self.upper:g}, and turned down to {now:.1f}"
            else:
                text = f"{label} came from {then:.1f} to {now:.1f}, over its middle of {self.middle:g}"
            return Reason(text, (("rsi", now), ("rsi_before", then)))

        return Rules(
            buy=buy,
            sell=sell,
            close=crossed_above(rsi, self.middle) | crossed_below(rsi, self.middle),
            strength=np.maximum(
                share(self.lower - last, self.lower / 2), share(last - self.upper, (100 - self.upper) / 2)
            ),
            why=why,
        )


class MACrossover(RuleStrategy):
    """Strength: how far the averages moved past each other in the bar, 1 for half an average true range."""

    name = "ma_crossover"
    description = "Buys when a fast moving average crosses above a slow one, sells when it crosses below."
    average: str = choice("sma", ("sma", "ema", "wma"), "The kind of average")
    fast: int = whole(20, 2, 500, "Bars of the fast average")
    slow: int = whole(50, 3, 1000, "Bars of the slow average")

    def check(self) -> Iterable[tuple[str, str]]:
        if self.fast >= self.slow:
            yield "fast", "must be below slow"

    def uses(self) -> tuple[Use, ...]:
        averages = (Use(self.average, {"period": period}) for period in (self.fast, self.slow))
        return (*averages, *super().uses())

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        average = indicator(self.average)
        fast = average.compute(bars, period=self.fast)[self.average]
        slow = average.compute(bars, period=self.slow)[self.average]

        def why(i: int, action: Action) -> Reason:
            quick, calm = float(fast[i]), float(slow[i])
            label, side = self.average.upper(), "above" if action is Action.BUY else "below"
            text = f"{label}({self.fast}), {said(quick)}, crossed {side} {label}({self.slow}), {said(calm)}"
            return Reason(text, (("fast", quick), ("slow", calm)))

        return Rules(
            buy=crossed_above(fast, slow),
            sell=crossed_below(fast, slow),
            close=np.zeros(len(bars), dtype=np.bool_),
            strength=moved(fast - slow, atr, 0.5),
            why=why,
        )


class MACD(RuleStrategy):
    """Strength: how far the histogram moved in the bar, 1 for a quarter of an average true range.

    Appel, The Moving Average Convergence-Divergence Trading Method (1979).
    """

    name = "macd"
    description = "Buys when the MACD crosses above its signal line, sells when it crosses below."
    fast: int = whole(12, 2, 200, "Bars of the fast average")
    slow: int = whole(26, 3, 500, "Bars of the slow average")
    signal_line: int = whole(9, 2, 200, "Bars of the signal line")

    def check(self) -> Iterable[tuple[str, str]]:
        if self.fast >= self.slow:
            yield "fast", "must be below slow"

    def uses(self) -> tuple[Use, ...]:
        periods = {"fast": self.fast, "slow": self.slow, "signal": self.signal_line}
        return (Use("macd", periods), *super().uses())

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        found = indicator("macd").compute(bars, fast=self.fast, slow=self.slow, signal=self.signal_line)
        macd, line = found["macd"], found["signal"]

        def why(i: int, action: Action) -> Reason:
            value, signal = float(macd[i]), float(line[i])
            side = "above" if action is Action.BUY else "below"
            label = f"MACD({self.fast}, {self.slow}, {self.signal_line})"
            text = f"{label}, {value:.4g}, crossed {side} its signal line, {signal:.4g}"
            return Reason(text, (("macd", value), ("signal", signal)))

        return Rules(
            buy=crossed_above(macd, line),
            sell=crossed_below(macd, line),
            close=np.zeros(len(bars), dtype=np.bool_),
            strength=moved(macd - line, atr, 0.25),
            why=why,
        )


class BollingerBreakout(RuleStrategy):
    """Strength: how far the close is beyond the band, 1 for half the distance from the mean to the band.

    Bollinger, Bollinger on Bollinger Bands (2001), method I.
    """

    name = "bollinger_breakout"
    description = (
        "Buys when the close breaks out above the upper Bollinger band, sells below the lower one, closes "
        "when it comes back over the mean."
    )
    period: int = whole(20, 2, 500, "Bars of the bands")
    deviations: float = number(2.0, 0.5, 5, "Standard deviations from the mean to a band")

    def uses(self) -> tuple[Use, ...]:
        return (Use("bbands", {"period": self.period, "deviations": self.deviations}), *super().uses())

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        bands = indicator("bbands").compute(bars, period=self.period, deviations=self.deviations)
        upper, middle, lower = bands["upper"], bands["middle"], bands["lower"]
        close = bars.close

        def why(i: int, action: Action) -> Reason:
            price = float(close[i])
            if action is Action.CLOSE:
                mean = float(middle[i])
                text = (
                    f"The close, {said(price)}, came back over its mean of {self.period} bars, {said(mean)}"
                )
                return Reason(text, (("close", price), ("middle", mean)))
            name, band, side = (
                ("upper", upper, "above") if action is Action.BUY else ("lower", lower, "below")
            )
            value = float(band[i])
            text = (
                f"The close, {said(price)}, broke out {side} the {name} Bollinger band, {said(value)} "
                f"({self.period} bars, {self.deviations:g} deviations)"
            )
            return Reason(text, (("close", price), (name, value)))

        width = (upper - middle) / 2
        return Rules(
            buy=crossed_above(close, upper),
            sell=crossed_below(close, lower),
            close=crossed_above(close, middle) | crossed_below(close, middle),
            strength=np.maximum(share(close - upper, width), share(lower - close, width)),
            why=why,
        )


class DonchianBreakout(RuleStrategy):
    """Strength: how far the close is beyond the channel, 1 for one average true range.

    The exit belongs to the side of the last break-out, which must be among the bars.
    Faith, Way of the Turtle (2007): system 1, stops two average true ranges away.
    """

    name = "donchian_breakout"
    looks_back = 2  # the channel is that of the bars before, and one more shows what breaks out just now
    description = (
        "Buys when the close is above the highest high of the bars before, sells below their lowest low, "
        "closes at the opposite end of a shorter channel; stops by average true ranges."
    )
    entry_period: int = whole(20, 2, 500, "Bars of the channel that is broken out of")
    exit_period: int = whole(10, 2, 500, "Bars of the channel at whose opposite end a position is closed")
    target_atr: float = number(0.0, 0, 50, "Average true ranges from the entry to the target; 0 for none")

    def check(self) -> Iterable[tuple[str, str]]:
        if self.exit_period > self.entry_period:
            yield "exit_period", "must be at most entry_period"

    def uses(self) -> tuple[Use, ...]:
        channels = (Use("donchian", {"period": period}) for period in (self.entry_period, self.exit_period))
        return (*channels, *super().uses())

    def rules(self, bars: BarArrays, atr: Floats) -> Rules:
        donchian = indicator("donchian")
        entry = donchian.compute(bars, period=self.entry_period)
        leave = donchian.compute(bars, period=self.exit_period)
        upper, lower = before(entry["upper"]), before(entry["lower"])
        exit_upper, exit_lower = before(leave["upper"]), before(leave["lower"])
        close = bars.close
        buy, sell = crossed_above(close, upper), crossed_below(close, lower)
        places = np.arange(len(bars))
        bought = np.maximum.accumulate(np.where(buy, places, -1))
        sold = np.maximum.accumulate(np.where(sell, places, -1))

        def why(i: int, action: Action) -> Reason:
            price = float(close[i])
            if action is Action.CLOSE:
                up, period = bought[i] < sold[i], self.exit_period
                edge = float((exit_upper if up else exit_lower)[i])
            else:
                up, period = action is Action.BUY, self.entry_period
                edge = float((upper if up else lower)[i])
            side, end = ("above", "highest high") if up else ("below", "lowest low")
            text = f"The close, {said(price)}, is {side} the {end} of the {period} bars before, {said(edge)}"
            return Reason(text, (("close", price), ("upper" if up else "lower", edge)))

        return Rules(
            buy=buy,
            sell=sell,
            close=((bought > sold) & crossed_below(close, exit_lower))
            | ((sold > bought) & crossed_above(close, exit_upper)),
            strength=np.maximum(share(close - upper, atr), share(lower - close, atr)),
            why=why,
        )
