"""The figures of a backtest. Pure functions of arrays: no clock, no account.

Returns are simple, one a bar, as fractions (0.01 is 1 %). A figure is None where it is not defined: with
too few bars, where nothing varies, or once the equity has fallen to nothing, from which there is no return.

Annual figures are those of a bar times the number of bars in a year (or its root), which holds as far as
returns of different bars are independent (Lo, The Statistics of Sharpe Ratios, 2002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np

from trademind.signals.backtest.trades import Trade
from trademind.signals.bars import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """A fall of the equity below the highest it had been."""

    depth: float
    """As a fraction of the peak, zero or below."""
    peak: int
    """Bars by their places; -1 for the opening balance, before the first one."""
    trough: int
    recovery: int | None
    """Where the peak was reached again; None where it never was."""

    def bars(self, count: int) -> int:
        """How long it lasted: from the peak to the recovery, or to the last one of `count` bars."""
        return (count - 1 if self.recovery is None else self.recovery) - self.peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What became of an equity. Returns, volatility and drawdowns are fractions."""

    total_return: float | None
    """Last equity over the opening balance, less 1."""
    cagr: float | None
    """Compound annual growth rate: (1 + total return) to the power of bars per year over bars, less 1."""
    volatility: float | None
    """Standard deviation of returns (of a sample, n - 1), times the root of the bars per year."""
    sharpe: float | None
    """Mean return above the risk-free one over its standard deviation, times the root of the bars per year
    (Sharpe, The Sharpe Ratio, Journal of Portfolio Management, 1994)."""
    sortino: float | None
    """The same over the downside deviation, which is the root of the mean squared shortfall, over all bars
    (Sortino and Price, Performance Measurement in a Downside Risk Framework, 1994)."""
    calmar: float | None
    """CAGR over the depth of the largest drawdown (Young, Calmar Ratio: A Smoother Tool, 1991, who takes the
    last 36 months; here it is the whole time)."""
    max_drawdown: Drawdown | None
    longest_drawdown: Drawdown | None
    """By bars from peak to recovery, or to the end."""


def performance(
    equity: Floats, *, opening: float, bars_per_year: float, risk_free: float = 0.0
) -> Performance:
    """The figures of an equity, one value a bar, that started with an opening balance.

    Args:
        risk_free: A year's, as a fraction; a bar's is its share of that.
    """
    falls = drawdowns(equity, opening)
    worst = min(falls, key=lambda each: each.depth, default=None)
    longest = max(falls, key=lambda each: each.bars(len(equity)), default=None)
    gains = returns(equity, opening)
    if gains is None:
        return Performance(
            total_return=float(equity[-1] / opening - 1) if len(equity) else None,
            cagr=None,
            volatility=None,
            sharpe=None,
            sortino=None,
            calmar=None,
            max_drawdown=worst,
            longest_drawdown=longest,
        )
    total = float(equity[-1] / opening - 1)
    yearly = growth(total, len(gains), bars_per_year)
    depth = 0.0 if worst is None else worst.depth
    return Performance(
        total_return=total,
        cagr=yearly,
        volatility=deviation(gains, bars_per_year),
        sharpe=sharpe(gains, bars_per_year, risk_free),
        sortino=sortino(gains, bars_per_year, risk_free),
        calmar=None if yearly is None or not depth else yearly / -depth,
        max_drawdown=worst,
        longest_drawdown=longest,
    )


def returns(equity: Floats, opening: float) -> Floats | None:
    """The return of each bar; None where there are no bars, or where the equity has been nothing or less."""
    if not len(equity) or opening <= 0 or not (equity > 0).all():
        return None
    before = np.concatenate(([opening], equity[:-1]))
    return equity / before - 1


def growth(total: float, count: int, bars_per_year: float) -> float | None:
    """A year's growth that compounds to `total` over `count` bars; None where it is beyond all numbers."""
    try:
        yearly = float((1 + total) ** (bars_per_year / count) - 1)
    except OverflowError:
        return None
    return yearly if isfinite(yearly) else None


def deviation(gains: Floats, bars_per_year: float) -> float | None:
    """Annual standard deviation; None of fewer than two returns."""
    return float(gains.std(ddof=1)) * sqrt(bars_per_year) if len(gains) > 1 else None


def sharpe(gains: Floats, bars_per_year: float, risk_free: float = 0.0) -> float | None:
    """See `Performance.sharpe`."""
    if len(gains) < 2:
        return None
    excess = gains - risk_free / bars_per_year
    return _ratio(float(excess.mean()), float(excess.std(ddof=1)), bars_per_year)


def sortino(gains: Floats, bars_per_year: float, risk_free: float = 0.0) -> float | None:
    """See `Performance.sortino`."""
    if len(gains) < 2:
        return None
    excess = gains - risk_free / bars_per_year
    shortfall = np.minimum(excess, 0.0)
    return _ratio(float(excess.mean()), sqrt(float((shortfall * shortfall).mean())), bars_per_year)


_NOTHING = 1e-15
"""A deviation below this is what rounding leaves of none."""


def _ratio(mean: float, spread: float, bars_per_year: float) -> float | None:
    return mean / spread * sqrt(bars_per_year) if spread > _NOTHING else None


def drawdowns(equity: Floats, opening: float) -> list[Drawdown]:
    """All of them, oldest first."""
    curve = np.concatenate(([opening], equity))
    peaks = np.maximum.accumulate(curve)
    is_below = np.concatenate(([False], curve < peaks, [False]))
    edges = np.flatnonzero(np.diff(is_below.astype(np.int8)))
    depths = curve / peaks - 1
    found: list[Drawdown] = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        trough = int(begin + depths[begin:end].argmin())
        # Places of the curve are one more than those of the bars.
        recovery = int(end) - 1 if end < len(curve) else None
        found.append(
            Drawdown(depth=float(depths[trough]), peak=int(begin) - 2, trough=trough - 1, recovery=recovery)
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFigures:
    """What the closed trades came to. Amounts are in US dollars, after commissions."""

    count: int
    """Closed ones."""
    still_open: int
    win_rate: float | None
    """Share of those with a profit above zero."""
    profit_factor: float | None
    """Sum of the profits over the sum of the losses (Pardo, The Evaluation and Optimization of Trading
    Strategies, 2008); None where nothing was lost."""
    gross_profit: float
    gross_loss: float
    """Zero or below."""
    average_profit: float | None
    """Of a trade: the expectancy."""
    average_win: float | None
    average_loss: float | None
    largest_win: float | None
    largest_loss: float | None
    average_bars: float | None
    """From entry to exit."""
    commissions: float
    """Of all fills, also those of open trades."""


def trade_figures(trades: Sequence[Trade]) -> TradeFigures:
    """The figures of some trades."""
    closed = [each for each in trades if not each.is_open]
    profits = np.array([float(each.profit) for each in closed])
    wins, losses = profits[profits > 0], profits[profits < 0]
    lengths = [each.bars for each in closed if each.bars is not None]
    lost = float(losses.sum())
    return TradeFigures(
        count=len(closed),
        still_open=len(trades) - len(closed),
        win_rate=len(wins) / len(closed) if closed else None,
        profit_factor=float(wins.sum()) / -lost if lost else None,
        gross_profit=float(wins.sum()),
        gross_loss=lost,
        average_profit=float(profits.mean()) if closed else None,
        average_win=float(wins.mean()) if len(wins) else None,
        average_loss=float(losses.mean()) if len(losses) else None,
        largest_win=float(wins.max()) if len(wins) else None,
        largest_loss=float(losses.min()) if len(losses) else None,
        average_bars=float(np.mean(lengths)) if lengths else None,
        commissions=float(sum(each.commission for each in trades)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """How much was done, and how much was at stake."""

    exposure: float
    """Share of the bars at whose close something was held."""
    mean_leverage: float | None
    """Gross value of the positions over the equity, averaged over all bars; None once the equity was gone."""
    turnover: float | None
    """Times a year that the equity is turned over: the lesser of purchases and sales over the mean equity, by
    the year. After the portfolio turnover rate of the SEC's Form N-1A, which has the securities in place
    of the equity."""


def activity(
    *, equity: Floats, invested: Floats, bought: float, sold: float, bars_per_year: float
) -> Activity:
    """How busy an account was.

    Args:
        invested: Gross value of the positions at each bar's close.
        bought: What all purchases cost, and `sold` what all sales brought, commissions left out.
    """
    years = len(equity) / bars_per_year
    mean = float(equity.mean())
    return Activity(
        exposure=float((invested > 0).mean()),
        mean_leverage=float((invested / equity).mean()) if (equity > 0).all() else None,
        turnover=min(bought, sold) / mean / years if mean > 0 else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A strategy beside its benchmark; each None where one of the two does not vary, or has no returns."""

    excess_return: float | None
    """Total return less that of the benchmark."""
    beta: float | None
    """Covariance of the returns over the variance of the benchmark's (Sharpe, Capital Asset Prices, 1964)."""
    alpha: float | None
    """A year's return beyond what beta explains (Jensen, The Performance of Mutual Funds, 1968); the mean of
    a bar, compounded."""
    correlation: float | None
    """Pearson's, of the returns."""
    information_ratio: float | None
    """Mean of the difference of the returns over its standard deviation, times the root of the bars per year
    (Goodwin, The Information Ratio, Financial Analysts Journal, 1998)."""


def comparison(
    equity: Floats, benchmark: Floats, *, opening: float, bars_per_year: float, risk_free: float = 0.0
) -> Comparison:
    """The comparison of two equities that started with the same opening balance."""
    ours, theirs = returns(equity, opening), returns(benchmark, opening)
    excess = float((equity[-1] - benchmark[-1]) / opening) if len(equity) else None
    if ours is None or theirs is None or len(ours) < 2:
        return Comparison(
            excess_return=excess, beta=None, alpha=None, correlation=None, information_ratio=None
        )
    together = np.cov(ours, theirs, ddof=1)
    own, other = sqrt(together[0, 0]), sqrt(together[1, 1])
    beta = float(together[0, 1] / together[1, 1]) if other > _NOTHING else None
    alpha = None
    if beta is not None:
        free = risk_free / bars_per_year
        alpha = growth(float((ours - free - beta * (theirs - free)).mean()), 1, bars_per_year)
    difference = ours - theirs
    return Comparison(
        excess_return=excess,
        beta=beta,
        alpha=alpha,
        correlation=float(together[0, 1] / (own * other)) if min(own, other) > _NOTHING else None,
        information_ratio=_ratio(float(difference.mean()), float(difference.std(ddof=1)), bars_per_year),
    )
