"""A strategy of one's own: copy it into the folder of strategies and change it.

Its parameters are its fields, each with a default, a range and a word on what it is.
"""

import numpy as np

from trademind.signals import Action, BarArrays, Reason, Signal, Strategy, Use, indicator, number, whole


class ThreeDown(Strategy):
    name = "three_down"
    description = "Buys after so many falling closes in a row, closes at the first rising one."
    days: int = whole(3, 2, 10, "Falling closes in a row")
    stop_atr: float = number(2.0, 0.5, 10, "Average true ranges from the entry to the stop")

    def uses(self) -> tuple[Use, ...]:
        return (Use("atr", {"period": 14}),)

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        atr = indicator("atr").compute(bars, period=14)["atr"]
        signals = []
        falls = 0
        for i, change in enumerate(np.diff(bars.close, prepend=np.nan).tolist()):
            fell_before, falls = falls, falls + 1 if change < 0 else 0
            if i < self.warm_up:
                continue
            if falls == self.days:
                reason = Reason(f"The close fell {falls} times in a row", (("falls", falls),))
                stop = float(bars.close[i] - self.stop_atr * atr[i])
                signals.append(self.signal(bars, i, Action.BUY, reasons=[reason], strength=0.5, stop=stop))
            elif change > 0 and fell_before >= self.days:
                signals.append(self.signal(bars, i, Action.CLOSE, reasons=[Reason("The close rose again")]))
        return signals
