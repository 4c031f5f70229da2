"""What TA-Lib has not, or answers where there is no answer: arithmetic on the columns of bars."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trademind.signals.arithmetic import SIMPLE, talib
from trademind.signals.bars import BarArrays, Floats

Columns = tuple[Floats, ...]
P = Mapping[str, Any]


def known(bars: BarArrays) -> Floats:
    """The volume; a bar whose volume is not known adds nothing, and its values are left out by `compute`."""
    return np.nan_to_num(bars.volume, nan=0.0)


def _divided(above: Floats, below: Floats) -> Floats:
    """nan where nothing can be divided by."""
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out


def where_moved(values: Floats, highest: Floats, lowest: Floats) -> Floats:
    """nan where prices have not moved: TA-Lib says 0 there, which reads like an extreme."""
    return np.where(highest > lowest, values, np.nan)


def high_low(bars: BarArrays, period: int) -> tuple[Floats, Floats]:
    return talib.MAX(bars.high, period), talib.MIN(bars.low, period)


def rsi(bars: BarArrays, p: P) -> Floats:
    # Wilder's averages never return to 0, so there is no RSI only as long as no price has moved at all.
    moved = np.maximum.accumulate(np.append(False, np.diff(bars.close) != 0))
    return np.where(moved, talib.RSI(bars.close, p["period"]), np.nan)


def stoch(bars: BarArrays, p: P) -> Columns:
    slow_k, slow_d = talib.STOCH(*hlc(bars), p["fast_k"], p["slow_k"], SIMPLE, p["slow_d"], SIMPLE)
    span = high_low(bars, p["fast_k"])
    return where_moved(slow_k, *span), where_moved(slow_d, *span)


def stochf(bars: BarArrays, p: P) -> Columns:
    fast_k, fast_d = talib.STOCHF(*hlc(bars), p["fast_k"], p["fast_d"], SIMPLE)
    span = high_low(bars, p["fast_k"])
    return where_moved(fast_k, *span), where_moved(fast_d, *span)


def stochrsi(bars: BarArrays, p: P) -> Columns:
    k, d = talib.STOCHRSI(bars.close, p["period"], p["fast_k"], p["fast_d"], SIMPLE)
    strength = talib.RSI(bars.close, p["period"])
    span = talib.MAX(strength, p["fast_k"]), talib.MIN(strength, p["fast_k"])
    return where_moved(k, *span), where_moved(d, *span)


def willr(bars: BarArrays, p: P) -> Floats:
    values = talib.WILLR(*hlc(bars), p["period"])
    return where_moved(values, *high_low(bars, p["period"]))


def mfi(bars: BarArrays, p: P) -> Floats:
    volume = known(bars)
    typical = talib.TYPPRICE(*hlc(bars))
    flowed = np.append(0.0, np.where(np.diff(typical) != 0, volume[1:], 0.0))
    flow = talib.MAX(flowed, p["period"])
    return np.where(flow > 0, talib.MFI(*hlc(bars), volume, p["period"]), np.nan)


def donchian(bars: BarArrays, p: P) -> Columns:
    upper, lower = high_low(bars, p["period"])
    return upper, (upper + lower) / 2, lower


def keltner(bars: BarArrays, p: P) -> Columns:
    away = talib.ATR(*hlc(bars), p["atr_period"]) * p["multiple"]
    middle = np.where(np.isnan(away), np.nan, talib.EMA(bars.close, p["period"]))
    return middle + away, middle, middle - away


def vwap(bars: BarArrays, p: P) -> Floats:
    volume = known(bars)
    traded, money = np.cumsum(volume), np.cumsum(talib.TYPPRICE(*hlc(bars)) * volume)
    start = _first_of_each(bars.time, p["anchor"])
    before = np.maximum(start - 1, 0)
    return _divided(
        money - np.where(start > 0, money[before], 0.0), traded - np.where(start > 0, traded[before], 0.0)
    )


def _first_of_each(time: NDArray[np.int64], anchor: str) -> NDArray[np.int64]:
    """For each bar, the place of the first bar of its day, week or month, by the date in UTC."""
    days = time // 86_400
    if anchor == "day":
        part = days
    elif anchor == "week":
        part = (days + 3) // 7  # 1970 began on a Thursday, weeks begin on Mondays
    elif anchor == "month":
        part = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    else:
        part = np.zeros_like(days)
    begins = np.append(True, np.diff(part) != 0)
    return np.asarray(np.maximum.accumulate(np.where(begins, np.arange(len(time)), 0)))


def vwma(bars: BarArrays, p: P) -> Floats:
    volume = known(bars)
    return _divided(talib.SUM(bars.close * volume, p["period"]), talib.SUM(volume, p["period"]))


def cmf(bars: BarArrays, p: P) -> Floats:
    volume = known(bars)
    span = bars.high - bars.low
    place = np.nan_to_num(_divided((bars.close - bars.low) - (bars.high - bars.close), span))
    return _divided(talib.SUM(place * volume, p["period"]), talib.SUM(volume, p["period"]))


def relative_volume(bars: BarArrays, p: P) -> Floats:
    volume = known(bars)
    return _divided(volume, np.append(np.nan, talib.SMA(volume, p["period"])[:-1]))


def hlc(bars: BarArrays) -> tuple[Floats, Floats, Floats]:
    return bars.high, bars.low, bars.close
