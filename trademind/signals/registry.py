"""The indicators there are. TA-Lib does the arithmetic, and `formulas.py` what TA-Lib has not.

Names of formulas are TA-Lib's functions, whose manual tells the books they are from.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from trademind.errors import IndicatorNotFound
from trademind.signals import formulas
from trademind.signals.arithmetic import EXPONENTIAL, SIMPLE, talib
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.formulas import Columns, P, hlc
from trademind.signals.indicators import Check, Indicator
from trademind.signals.parameters import Parameter, choice, number, whole

_HLC: Final = ("high", "low", "close")
_HLCV: Final = ("high", "low", "close", "volume")
_ANCHORS: Final = ("day", "week", "month", "all")


def _period(default: int, minimum: int = 2) -> Parameter:
    return whole("period", default, minimum, description="Bars it looks back on")


def _define(
    name: str,
    title: str,
    description: str,
    source: str,
    formula: Callable[[BarArrays, P], Floats | Columns],
    leading: Callable[[P], int],
    *parameters: Parameter,
    group: str,
    inputs: tuple[str, ...] = ("close",),
    outputs: tuple[str, ...] | None = None,
    on_price: bool = False,
    smooths: bool = False,
    check: Check = lambda p: (),
) -> Indicator:
    def columns(bars: BarArrays, values: P) -> Columns:
        found = formula(bars, values)
        return found if isinstance(found, tuple) else (found,)

    return Indicator(
        name=name,
        title=title,
        description=description,
        source=source,
        group=group,
        inputs=inputs,
        outputs=outputs or (name,),
        on_price=on_price,
        smooths=smooths,
        parameters=parameters,
        formula=columns,
        leading=leading,
        check=check,
    )


def _fast_below_slow(p: P) -> Iterable[tuple[str, str]]:
    if p["fast"] >= p["slow"]:
        yield "fast", "must be below slow"


_AVERAGES: Final = (
    _define(
        "sma", "Simple moving average", "The mean of the last closes.", "SMA",
        lambda b, p: talib.SMA(b.close, p["period"]), lambda p: p["period"] - 1, _period(20),
        group="averages", on_price=True,
    ),
    _define(
        "ema", "Exponential moving average", "A mean in which each older close counts less.", "EMA",
        lambda b, p: talib.EMA(b.close, p["period"]), lambda p: p["period"] - 1, _period(20),
        group="averages", on_price=True, smooths=True,
    ),
    _define(
        "wma", "Weighted moving average", "A mean in which the latest close counts most, evenly less back.",
        "WMA", lambda b, p: talib.WMA(b.close, p["period"]), lambda p: p["period"] - 1, _period(20),
        group="averages", on_price=True,
    ),
    _define(
        "dema", "Double exponential moving average", "Two EMAs set off against each other, to lag less.",
        "DEMA", lambda b, p: talib.DEMA(b.close, p["period"]), lambda p: 2 * (p["period"] - 1), _period(20),
        group="averages", on_price=True, smooths=True,
    ),
    _define(
        "tema", "Triple exponential moving average", "Three EMAs set off against each other, to lag least.",
        "TEMA", lambda b, p: talib.TEMA(b.close, p["period"]), lambda p: 3 * (p["period"] - 1), _period(20),
        group="averages", on_price=True, smooths=True,
    ),
    _define(
        "trima", "Triangular moving average", "A mean in which the closes in the middle count most.", "TRIMA",
        lambda b, p: talib.TRIMA(b.close, p["period"]), lambda p: p["period"] - 1, _period(20),
        group="averages", on_price=True,
    ),
    _define(
        "kama", "Kaufman's adaptive moving average", "Fast while prices trend, slow while they waver.",
        "KAMA",
        lambda b, p: talib.KAMA(b.close, p["period"]), lambda p: p["period"], _period(30),
        group="averages", on_price=True, smooths=True,
    ),
    _define(
        "vwma", "Volume-weighted moving average", "The mean of the last closes, each by its volume.",
        "sum(close x volume) / sum(volume)", formulas.vwma, lambda p: p["period"] - 1, _period(20),
        group="averages", inputs=("close", "volume"), on_price=True,
    ),
    _define(
        "vwap", "Volume-weighted average price", "What was paid on average since the day or week began.",
        "sum(typical price x volume) / sum(volume)", formulas.vwap, lambda p: 0,
        choice("anchor", "day", _ANCHORS, description="Where it begins anew, by the date in UTC"),
        group="averages", inputs=_HLCV, on_price=True,
    ),
    _define(
        "linearreg", "Linear regression", "Where a straight line through the last closes ends.", "LINEARREG",
        lambda b, p: talib.LINEARREG(b.close, p["period"]), lambda p: p["period"] - 1, _period(14),
        group="averages", on_price=True,
    ),
)  # fmt: skip

_CHANNELS: Final = (
    _define(
        "bbands", "Bollinger bands", "An average, and lines so many standard deviations from it.", "BBANDS",
        lambda b, p: talib.BBANDS(b.close, p["period"], p["deviations"], p["deviations"], SIMPLE),
        lambda p: p["period"] - 1, _period(20),
        number("deviations", 2.0, 0.1, 10, description="Standard deviations from the average to a band"),
        group="channels", outputs=("upper", "middle", "lower"), on_price=True,
    ),
    _define(
        "donchian", "Donchian channel", "The highest high and the lowest low of the last bars.",
        "MAX of high, MIN of low", formulas.donchian, lambda p: p["period"] - 1, _period(20),
        group="channels", inputs=("high", "low"), outputs=("upper", "middle", "lower"), on_price=True,
    ),
    _define(
        "keltner", "Keltner channel", "An EMA, and lines so many average true ranges from it.",
        "EMA and ATR", formulas.keltner, lambda p: max(p["period"] - 1, p["atr_period"]), _period(20),
        whole("atr_period", 10, description="Bars of the average true range"),
        number("multiple", 2.0, 0.1, 10, description="Average true ranges from the EMA to a line"),
        group="channels", inputs=_HLC, outputs=("upper", "middle", "lower"), on_price=True, smooths=True,
    ),
    _define(
        "midprice", "Midpoint price", "Halfway between the highest high and the lowest low.", "MIDPRICE",
        lambda b, p: talib.MIDPRICE(b.high, b.low, p["period"]), lambda p: p["period"] - 1, _period(14),
        group="channels", inputs=("high", "low"), on_price=True,
    ),
    _define(
        "sar", "Parabolic SAR", "A stop that follows the trend and turns with it.", "SAR",
        lambda b, p: talib.SAR(b.high, b.low, p["step"], p["limit"]), lambda p: 1,
        number("step", 0.02, 0.001, 1, description="How much faster it becomes with each new extreme"),
        number("limit", 0.2, 0.01, 1, description="The fastest it becomes"),
        group="channels", inputs=("high", "low"), on_price=True, smooths=True,
    ),
)  # fmt: skip

_MOMENTUM: Final = (
    _define(
        "rsi", "Relative strength index", "0 to 100: how much of the last moves was upwards (Wilder).", "RSI",
        formulas.rsi, lambda p: p["period"], _period(14), group="momentum", smooths=True,
    ),
    _define(
        "macd", "Moving average convergence/divergence", "A fast EMA less a slow one, and the EMA of that.",
        "MACD", lambda b, p: talib.MACD(b.close, p["fast"], p["slow"], p["signal"]),
        lambda p: p["slow"] + p["signal"] - 2,
        whole("fast", 12, description="Bars of the fast EMA"),
        whole("slow", 26, 3, description="Bars of the slow EMA"),
        whole("signal", 9, description="Bars of the signal line"),
        group="momentum", outputs=("macd", "signal", "histogram"), smooths=True, check=_fast_below_slow,
    ),
    _define(
        "ppo", "Percentage price oscillator", "A fast EMA less a slow one, in per cent of the slow.", "PPO",
        lambda b, p: talib.PPO(b.close, p["fast"], p["slow"], EXPONENTIAL), lambda p: p["slow"] - 1,
        whole("fast", 12, description="Bars of the fast EMA"),
        whole("slow", 26, 3, description="Bars of the slow EMA"),
        group="momentum", smooths=True, check=_fast_below_slow,
    ),
    _define(
        "stoch", "Stochastic", "0 to 100: where the close is between the last bars' low and high, smoothed.",
        "STOCH", formulas.stoch, lambda p: p["fast_k"] + p["slow_k"] + p["slow_d"] - 3,
        whole("fast_k", 14, description="Bars of the high and the low"),
        whole("slow_k", 3, 1, description="Bars that the first line is smoothed over"),
        whole("slow_d", 3, 1, description="Bars that the second line is smoothed over"),
        group="momentum", inputs=_HLC, outputs=("k", "d"),
    ),
    _define(
        "stochf", "Fast stochastic", "0 to 100: where the close is between the last bars' low and high.",
        "STOCHF", formulas.stochf, lambda p: p["fast_k"] + p["fast_d"] - 2,
        whole("fast_k", 14, description="Bars of the high and the low"),
        whole("fast_d", 3, 1, description="Bars that the second line is smoothed over"),
        group="momentum", inputs=_HLC, outputs=("k", "d"),
    ),
    _define(
        "stochrsi", "Stochastic RSI", "0 to 100: where the RSI is between its own last low and high.",
        "STOCHRSI", formulas.stochrsi, lambda p: p["period"] + p["fast_k"] + p["fast_d"] - 2,
        _period(14),
        whole("fast_k", 14, description="Bars of the RSI's high and low"),
        whole("fast_d", 3, 1, description="Bars that the second line is smoothed over"),
        group="momentum", outputs=("k", "d"), smooths=True,
    ),
    _define(
        "willr", "Williams' %R", "-100 to 0: how far the close is below the last bars' high.", "WILLR",
        formulas.willr, lambda p: p["period"] - 1, _period(14), group="momentum", inputs=_HLC,
    ),
    _define(
        "cci", "Commodity channel index", "How far the price is from its average, in mean deviations.", "CCI",
        lambda b, p: talib.CCI(*hlc(b), p["period"]), lambda p: p["period"] - 1, _period(20),
        group="momentum", inputs=_HLC,
    ),
    _define(
        "cmo", "Chande momentum oscillator", "-100 to 100: moves up less moves down.", "CMO",
        lambda b, p: talib.CMO(b.close, p["period"]), lambda p: p["period"], _period(14),
        group="momentum", smooths=True,
    ),
    _define(
        "mom", "Momentum", "The close less that of so many bars ago.", "MOM",
        lambda b, p: talib.MOM(b.close, p["period"]), lambda p: p["period"], _period(10, 1), group="momentum",
    ),
    _define(
        "roc", "Rate of change", "The change of the close over so many bars, in per cent.", "ROC",
        lambda b, p: talib.ROC(b.close, p["period"]), lambda p: p["period"], _period(10, 1), group="momentum",
    ),
    _define(
        "trix", "TRIX", "The rate of change of an EMA of an EMA of an EMA.", "TRIX",
        lambda b, p: talib.TRIX(b.close, p["period"]), lambda p: 3 * (p["period"] - 1) + 1, _period(15),
        group="momentum", smooths=True,
    ),
    _define(
        "ultosc", "Ultimate oscillator", "0 to 100: buying pressure over three periods (Williams).", "ULTOSC",
        lambda b, p: talib.ULTOSC(*hlc(b), p["short"], p["medium"], p["long"]),
        lambda p: max(p["short"], p["medium"], p["long"]),
        whole("short", 7, description="Bars of the short period"),
        whole("medium", 14, description="Bars of the medium period"),
        whole("long", 28, description="Bars of the long period"),
        group="momentum", inputs=_HLC,
    ),
    _define(
        "bop", "Balance of power", "-1 to 1: the bar's move from open to close, in its range.", "BOP",
        lambda b, p: talib.BOP(b.open, b.high, b.low, b.close), lambda p: 0,
        group="momentum", inputs=("open", "high", "low", "close"),
    ),
)  # fmt: skip

_TREND: Final = (
    _define(
        "adx", "Average directional index", "0 to 100: how strong a trend is, up or down (Wilder).", "ADX",
        lambda b, p: talib.ADX(*hlc(b), p["period"]), lambda p: 2 * p["period"] - 1, _period(14),
        group="trend", inputs=_HLC, smooths=True,
    ),
    _define(
        "dmi", "Directional movement", "0 to 100: how much goes up, and how much down (Wilder).",
        "PLUS_DI, MINUS_DI",
        lambda b, p: (talib.PLUS_DI(*hlc(b), p["period"]), talib.MINUS_DI(*hlc(b), p["period"])),
        lambda p: p["period"], _period(14),
        group="trend", inputs=_HLC, outputs=("plus", "minus"), smooths=True,
    ),
    _define(
        "aroon", "Aroon", "0 to 100: how lately the lowest low and the highest high were.", "AROON",
        lambda b, p: talib.AROON(b.high, b.low, p["period"]), lambda p: p["period"], _period(14),
        group="trend", inputs=("high", "low"), outputs=("down", "up"),
    ),
    _define(
        "linearreg_slope", "Slope", "How steep a straight line through the last closes is, per bar.",
        "LINEARREG_SLOPE", lambda b, p: talib.LINEARREG_SLOPE(b.close, p["period"]),
        lambda p: p["period"] - 1, _period(14), group="trend",
    ),
)  # fmt: skip

_VOLATILITY: Final = (
    _define(
        "atr", "Average true range", "How far prices go in a bar, gaps included (Wilder).", "ATR",
        lambda b, p: talib.ATR(*hlc(b), p["period"]), lambda p: p["period"], _period(14),
        group="volatility", inputs=_HLC, smooths=True,
    ),
    _define(
        "natr", "Normalized average true range", "The average true range in per cent of the close.", "NATR",
        lambda b, p: talib.NATR(*hlc(b), p["period"]), lambda p: p["period"], _period(14),
        group="volatility", inputs=_HLC, smooths=True,
    ),
    _define(
        "trange", "True range", "The bar's range, with the gap from the close before.", "TRANGE",
        lambda b, p: talib.TRANGE(*hlc(b)), lambda p: 1, group="volatility", inputs=_HLC,
    ),
    _define(
        "stddev", "Standard deviation", "How far the last closes are from their mean.", "STDDEV",
        lambda b, p: talib.STDDEV(b.close, p["period"], 1.0), lambda p: p["period"] - 1, _period(20),
        group="volatility",
    ),
)  # fmt: skip

_VOLUME: Final = (
    _define(
        "obv", "On-balance volume", "Volume of rising bars less that of falling ones, summed up.", "OBV",
        lambda b, p: talib.OBV(b.close, formulas.known(b)), lambda p: 0,
        group="volume", inputs=("close", "volume"), smooths=True,
    ),
    _define(
        "ad", "Accumulation/distribution", "Volume, by where in its range each bar closed, summed up.", "AD",
        lambda b, p: talib.AD(*hlc(b), formulas.known(b)), lambda p: 0,
        group="volume", inputs=_HLCV, smooths=True,
    ),
    _define(
        "adosc", "Chaikin oscillator", "A fast EMA less a slow one of accumulation/distribution.", "ADOSC",
        lambda b, p: talib.ADOSC(*hlc(b), formulas.known(b), p["fast"], p["slow"]), lambda p: p["slow"] - 1,
        whole("fast", 3, description="Bars of the fast EMA"),
        whole("slow", 10, 3, description="Bars of the slow EMA"),
        group="volume", inputs=_HLCV, smooths=True, check=_fast_below_slow,
    ),
    _define(
        "cmf", "Chaikin money flow", "-1 to 1: where in their ranges bars closed, by volume.",
        "sum(place in range x volume) / sum(volume)", formulas.cmf, lambda p: p["period"] - 1, _period(20),
        group="volume", inputs=_HLCV,
    ),
    _define(
        "mfi", "Money flow index", "0 to 100: an RSI by volume.", "MFI", formulas.mfi, lambda p: p["period"],
        _period(14), group="volume", inputs=_HLCV,
    ),
    _define(
        "relative_volume", "Relative volume", "The volume, in that of the bars before on average.",
        "volume / SMA of the volumes before", formulas.relative_volume, lambda p: p["period"], _period(20),
        group="volume", inputs=("volume",),
    ),
)  # fmt: skip

INDICATORS: Final[Mapping[str, Indicator]] = {
    one.name: one for one in (*_AVERAGES, *_CHANNELS, *_MOMENTUM, *_TREND, *_VOLATILITY, *_VOLUME)
}
"""All there are, by name."""


def indicator(name: str) -> Indicator:
    """The one of this name.

    Raises:
        IndicatorNotFound: there is none.
    """
    if (found := INDICATORS.get(name)) is None:
        raise IndicatorNotFound(f"There is no indicator {name!r}; there are {', '.join(INDICATORS)}.")
    return found
