"""A backtest from the bars to the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Final, Protocol

import numpy as np

from trademind.domain.signals import Action, Signal
from trademind.errors import Invalid, StrategyFailed
from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.recorded import recorded_instrument
from trademind.gateway.feeds.tape import Rows
from trademind.signals.backtest.report import Curves, Report
from trademind.signals.backtest.settings import BacktestSettings, annual_bars
from trademind.signals.backtest.simulation import Outcome, Progress, Simulation
from trademind.signals.backtest.statistics import activity, comparison, performance, trade_figures
from trademind.signals.backtest.track import Track
from trademind.signals.backtest.trades import round_trips
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.evaluation import in_a_line, where_raised

MAX_SYMBOLS: Final = 500
"""On one account."""
COARSE: Final = 0.005
"""What rounding to ticks may change of a price before it is worth a word."""


class Strategy(Protocol):
    """What a backtest asks of a strategy."""

    def on_bars(self, bars: BarArrays) -> Sequence[Signal]:
        """The signals of all bars, each made of nothing later than its own bar."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Signals that are known already, such as those of a strategy that runs in a process of its own."""

    name: str
    signals: Mapping[str, Sequence[Signal]]
    """By the symbol of the bars."""

    def on_bars(self, bars: BarArrays) -> Sequence[Signal]:
        return [each for each in self.signals.get(bars.symbol, ()) if each.index < len(bars)]


@dataclass(frozen=True, slots=True)
class _Case:
    """One symbol's part of a backtest."""

    bars: BarArrays
    track: Track
    signals: int


def run_backtest(
    strategy: Strategy,
    bars: Mapping[str, BarArrays],
    settings: BacktestSettings | None = None,
    progress: Progress | None = None,
) -> Report:
    """Trade a strategy's signals over bars, all symbols on one account.

    Args:
        bars: By symbol, all of one bar size.
        progress: Is told how many bars, of how many, have been traded; a hundred times at most.

    Raises:
        Invalid: the bars cannot be traded, or do not fit the settings.
        StrategyFailed: the strategy has raised, or has not given signals.
    """
    settings = settings or BacktestSettings()
    cases = prepare(strategy, bars, settings)
    _bars_per_year(cases[0], settings)
    outcome = Simulation([each.track for each in cases], settings).run(progress)
    return _report(strategy, cases, outcome, settings)


def prepare(strategy: Strategy, bars: Mapping[str, BarArrays], settings: BacktestSettings) -> list[_Case]:
    """The bars and signals of each symbol, ready to be traded."""
    _check(bars)
    cases: list[_Case] = []
    for symbol, every in bars.items():
        seen = every if settings.end is None else every.upto(_place(every, settings.end, after=True))
        first = 0 if settings.start is None else _place(seen, settings.start)
        if len(seen) - first < 2:
            raise Invalid([(f"bars.{symbol}", f"has {max(len(seen) - first, 0)} bars to trade; needs two")])
        taken = {each.track.instrument.con_id for each in cases}
        instrument = settings.instruments.get(symbol) or instrument_of(symbol, seen, taken)
        if instrument.currency != BASE:
            raise Invalid([(f"bars.{symbol}", f"is priced in {instrument.currency}; must be in {BASE}")])
        signals = _signals(strategy, symbol, seen)
        track = Track(symbol, seen, instrument, signals, first)
        cases.append(_Case(seen, track, sum(each.index >= first for each in signals)))
    return cases


def instrument_of(symbol: str, bars: BarArrays, taken: set[int] | None = None) -> Instrument:
    """What a replay in the paper gateway takes a symbol for: a listed instrument, or a new one."""
    rows = Rows()
    rows.closes.append(float(bars.close[-1]))
    return recorded_instrument(symbol, rows, taken or set())


def _check(bars: Mapping[str, BarArrays]) -> None:
    if not bars:
        raise Invalid([("bars", "there are none")])
    if len(bars) > MAX_SYMBOLS:
        raise Invalid([("bars", f"are of {len(bars)} symbols; at most {MAX_SYMBOLS} go on one account")])
    sizes = sorted({each.bar_size for each in bars.values()})
    if len(sizes) > 1:
        raise Invalid([("bars", f"must be of one bar size, not {', '.join(sizes)}")])
    errors: list[tuple[str, str]] = []
    for symbol, each in bars.items():
        if each.symbol != symbol:
            errors.append((f"bars.{symbol}", f"are of {each.symbol}"))
        edges = (each.open, each.close)
        wrong = (each.low <= 0) | (each.low > np.minimum(*edges)) | (each.high < np.maximum(*edges))
        if wrong.any():
            at = each.moment(int(wrong.argmax()))
            errors.append(
                (
                    f"bars.{symbol}",
                    f"in the bar of {at:%Y-%m-%d %H:%M}: prices must be above zero, open and close between "
                    "low and high",
                )
            )
    if errors:
        raise Invalid(errors)


def _place(bars: BarArrays, moment: datetime, *, after: bool = False) -> int:
    return int(np.searchsorted(bars.time, moment.timestamp(), side="right" if after else "left"))


def _signals(strategy: Strategy, symbol: str, bars: BarArrays) -> list[Signal]:
    """What a strategy gives, oldest first, the last one of each bar; without what asks for nothing."""
    try:
        given = list(strategy.on_bars(bars))
    except (Exception, SystemExit) as error:  # whatever a user's strategy raises is its own failure
        raise _failed(strategy, symbol, in_a_line(error), where_raised()) from error
    by_bar: dict[int, Signal] = {}
    for each in given:
        if not isinstance(each, Signal):
            raise _failed(strategy, symbol, f"on_bars gave {type(each).__name__} in place of a Signal")
        if not 0 <= each.index < len(bars):
            raise _failed(strategy, symbol, f"a signal is of bar {each.index}; there are {len(bars)}")
        if not all(price is None or isfinite(price) for price in (each.stop, each.target)):
            raise _failed(strategy, symbol, f"the stop or the target of bar {each.index} is no number")
        if each.action is not Action.HOLD:
            by_bar[each.index] = each
    return [by_bar[index] for index in sorted(by_bar)]


def _failed(strategy: Strategy, symbol: str, what: str, trace: str | None = None) -> StrategyFailed:
    return StrategyFailed(f"{name_of(strategy)} on {symbol}: {what}", traceback=trace)


def name_of(strategy: Strategy) -> str:
    """A strategy's own name, or that of its class."""
    return str(getattr(strategy, "name", type(strategy).__name__))


def _report(
    strategy: Strategy, cases: Sequence[_Case], outcome: Outcome, settings: BacktestSettings
) -> Report:
    instruments = {each.track.symbol: each.track.instrument for each in cases}
    first = cases[0]
    per_year = _bars_per_year(first, settings)
    opening = float(settings.cash)
    held = _held(cases, outcome, opening)
    trades = round_trips(
        outcome.fills,
        multipliers={symbol: each.multiplier for symbol, each in instruments.items()},
        last={each.track.symbol: each.track.last_close for each in cases},
    )
    spent = {1: 0.0, -1: 0.0}
    for fill in outcome.fills:
        unit = instruments[fill.symbol].multiplier
        spent[fill.side.sign] += float(fill.price * fill.quantity * unit)
    annual = {"bars_per_year": per_year, "risk_free": settings.risk_free}
    return Report(
        strategy=name_of(strategy),
        symbols=tuple(instruments),
        bar_size=first.bars.bar_size,
        bars=len(outcome.time),
        start=datetime.fromtimestamp(int(outcome.time[0]), UTC),
        end=datetime.fromtimestamp(int(outcome.time[-1]), UTC),
        bars_per_year=per_year,
        opening=settings.cash,
        final_equity=outcome.final_equity,
        signals=sum(each.signals for each in cases),
        performance=performance(outcome.equity, opening=opening, **annual),
        benchmark=performance(held, opening=opening, **annual),
        comparison=comparison(outcome.equity, held, opening=opening, **annual),
        activity=activity(
            equity=outcome.equity,
            invested=outcome.invested,
            bought=spent[1],
            sold=spent[-1],
            bars_per_year=per_year,
        ),
        trade_figures=trade_figures(trades),
        trades=tuple(trades),
        refusals=tuple(outcome.refusals),
        notes=tuple(_notes(cases, outcome)),
        curves=Curves(time=outcome.time, equity=outcome.equity, benchmark=held, prices=outcome.prices),
    )


def _bars_per_year(case: _Case, settings: BacktestSettings) -> float:
    size = case.bars.bar_size
    found = settings.bars_per_year or annual_bars(size, case.track.instrument.sec_type)
    if found is None:
        raise Invalid([("bars_per_year", f"is needed, since a bar size of {size!r} does not say it")])
    return found


def _held(cases: Sequence[_Case], outcome: Outcome, opening: float) -> Floats:
    """The equity of who bought all symbols at their first open, in equal parts, and held them."""
    worth = np.zeros(len(outcome.time))
    for each in cases:
        growth = outcome.prices[each.track.symbol] / float(each.track.first_open)
        worth += np.where(np.isnan(growth), 1.0, growth) * (opening / len(cases))
    return worth


def _notes(cases: Sequence[_Case], outcome: Outcome) -> list[str]:
    """What a reader has to know beside the figures."""
    notes: list[str] = []
    ruined = np.flatnonzero(outcome.equity <= 0)
    if ruined.size:
        at = datetime.fromtimestamp(int(outcome.time[ruined[0]]), UTC)
        notes.append(
            f"The equity fell to nothing in the bar of {at:%Y-%m-%d %H:%M}. A broker would have closed the "
            "positions before; there are no returns, and so no figures of them."
        )
    if outcome.refusals:
        notes.append(f"Orders refused: {len(outcome.refusals)}; the refusals say which, and why.")
    if outcome.expired:
        notes.append(f"Signals that had expired before there was a bar to trade them in: {outcome.expired}.")
    if outcome.left_over:
        notes.append(f"Signals of a last bar, after which there is none to trade in: {outcome.left_over}.")
    for each in cases:
        if (coarse := each.track.rounding) > COARSE:
            tick = each.track.instrument.min_tick
            notes.append(
                f"Prices of {each.track.symbol} are rounded to ticks of {tick:f}, by up to {coarse:.1%}. "
                "Where they are adjusted for splits and dividends, give it an instrument with a smaller tick."
            )
    by_symbol = {each.track.symbol: each.bars.volume for each in cases}
    silent = sum(bool(by_symbol[each.symbol][each.bar] == 0) for each in outcome.fills)
    if silent:
        notes.append(f"Fills in bars without volume, where nobody may have been there to trade: {silent}.")
    return notes
