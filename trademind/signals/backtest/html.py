"""A report as one HTML page that needs nothing else: no server, no network, no library.

Style and script are in `page/`. The page says itself that it loads nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from html import escape
from importlib import resources
from typing import Final

from trademind.domain import Side
from trademind.signals.backtest.charts import Line, chart
from trademind.signals.backtest.report import Report
from trademind.signals.backtest.statistics import Drawdown, Performance
from trademind.signals.backtest.trades import Trade

MAX_ROWS: Final = 1000
"""Trades in the table: more are in the report's JSON."""
MAX_PRICES: Final = 12
"""Symbols whose prices are drawn."""
MAX_MARKED: Final = 300
"""Trades that are drawn on a price; more of them hide each other and the price."""
_UNKNOWN: Final = "-"


def render(report: Report) -> str:
    """The page."""
    title = f"{report.strategy} on {', '.join(report.symbols[:5])}{' …' if len(report.symbols) > 5 else ''}"
    style, script = (_part(name) for name in ("report.css", "report.js"))
    body = "\n".join(
        (
            f"<h1>{escape(title)}</h1>",
            f'<p class="about">{escape(_about(report))}</p>',
            _notes(report.notes),
            _tiles(report),
            _curves(report),
            _prices(report),
            _figures(report),
            _trades(report),
            _refusals(report),
        )
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _part(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _about(report: Report) -> str:
    return (
        f"{report.bars:,} bars of {report.bar_size}, {_day(report.start)} to {_day(report.end)}; "
        f"{report.signals:,} signals, {report.trade_figures.count:,} closed trades; "
        f"opened with USD {report.opening:,.2f}."
    )


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in notes)
    return f'<ul class="notes">{items}</ul>' if notes else ""


def _tiles(report: Report) -> str:
    ours, trades = report.performance, report.trade_figures
    tiles = (
        ("Final equity", f"{report.final_equity:,.2f}"),
        ("Total return", _percent(ours.total_return)),
        ("CAGR", _percent(ours.cagr)),
        ("Sharpe", _number(ours.sharpe)),
        ("Max drawdown", _depth(ours.max_drawdown)),
        ("Win rate", _percent(trades.win_rate)),
        ("Profit factor", _number(trades.profit_factor)),
    )
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{items}</dl>'


def _curves(report: Report) -> str:
    curves = report.curves
    lines = [Line("ours", "Strategy", curves.equity), Line("theirs", "Buy and hold", curves.benchmark)]
    equity = chart(
        curves.time, lines, caption="USD, at each bar's close", show=_amount, stamp=_stamp(report), height=280
    )
    fall = [Line("fall", "Drawdown", curves.underwater, fills=True)]
    below = chart(
        curves.time,
        fall,
        caption="Below the highest equity so far",
        show=_share,
        stamp=_stamp(report),
        height=140,
    )
    return f"<h2>Equity</h2>\n{equity}\n<h2>Drawdown</h2>\n{below}"


def _prices(report: Report) -> str:
    parts: list[str] = []
    for symbol in report.symbols[:MAX_PRICES]:
        trades = [each for each in report.trades if each.symbol == symbol]
        caption = (
            "Close, with trades: a triangle up for a long entry, down for a short one, a dot for the exit"
        )
        if len(trades) > MAX_MARKED:
            caption += f"; of {len(trades):,} the {MAX_MARKED} that won or lost most"
            trades = sorted(trades, key=lambda each: -abs(each.profit))[:MAX_MARKED]
        line = [Line("price", symbol, report.curves.prices[symbol])]
        drawn = chart(
            report.curves.time,
            line,
            caption=caption,
            show=_price,
            stamp=_stamp(report),
            height=280,
            trades=trades,
        )
        parts.append(f"<h2>{escape(symbol)}</h2>\n{drawn}")
    if len(report.symbols) > MAX_PRICES:
        parts.append(f"<p>{len(report.symbols) - MAX_PRICES} more symbols are not drawn.</p>")
    return "\n".join(parts)


def _figures(report: Report) -> str:
    kinds: tuple[tuple[str, Callable[[Performance], str]], ...] = (
        ("Total return", lambda each: _percent(each.total_return)),
        ("CAGR", lambda each: _percent(each.cagr)),
        ("Volatility, a year", lambda each: _percent(each.volatility)),
        ("Sharpe ratio", lambda each: _number(each.sharpe)),
        ("Sortino ratio", lambda each: _number(each.sortino)),
        ("Calmar ratio", lambda each: _number(each.calmar)),
        ("Largest drawdown", lambda each: _depth(each.max_drawdown)),
        ("its bars", lambda each: _length(report, each.max_drawdown)),
        ("its dates", lambda each: _dates(report, each.max_drawdown)),
        ("Longest drawdown in bars", lambda each: _length(report, each.longest_drawdown)),
        ("its dates", lambda each: _dates(report, each.longest_drawdown)),
    )
    rows = [(name, show(report.performance), show(report.benchmark)) for name, show in kinds]
    beside, busy, trades = report.comparison, report.activity, report.trade_figures
    more = [
        ("Excess return", _percent(beside.excess_return)),
        ("Alpha, a year", _percent(beside.alpha)),
        ("Beta", _number(beside.beta)),
        ("Correlation", _number(beside.correlation)),
        ("Information ratio", _number(beside.information_ratio)),
        ("Time in the market", _percent(busy.exposure)),
        ("Mean leverage", _number(busy.mean_leverage)),
        ("Turnover, times a year", _number(busy.turnover)),
        ("Trades, closed and open", f"{trades.count:,} and {trades.still_open:,}"),
        ("Average trade", _amount(trades.average_profit)),
        ("Average win, average loss", f"{_amount(trades.average_win)}, {_amount(trades.average_loss)}"),
        ("Largest win, largest loss", f"{_amount(trades.largest_win)}, {_amount(trades.largest_loss)}"),
        ("Average length in bars", _number(trades.average_bars)),
        ("Commissions", _amount(trades.commissions)),
    ]
    return (
        f"<h2>Figures</h2>\n{_table(('', 'Strategy', 'Buy and hold'), rows)}\n"
        f"<h2>Trading</h2>\n{_table(('', 'Strategy'), more)}"
    )


def _trades(report: Report) -> str:
    trades = report.trades
    if not trades:
        return "<h2>Trades</h2>\n<p>There are none.</p>"
    stamp = _stamp(report)
    names = "".join(f"<th>{each}</th>" for each in _TRADE_COLUMNS)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(each)}</td>" for each in _trade_row(trade, stamp))
        + f'<td class="{"gain" if trade.profit > 0 else "loss"}">{trade.profit:,.2f}</td></tr>'
        for trade in trades[:MAX_ROWS]
    )
    more = f"<p>The first {MAX_ROWS:,} of {len(trades):,}.</p>" if len(trades) > MAX_ROWS else ""
    return f'<h2>Trades</h2>\n{more}<div class="scroll"><table><tr>{names}</tr>{rows}</table></div>'


# fmt: off
_TRADE_COLUMNS: Final = (
    "Symbol", "Side", "Quantity", "Entry", "Price", "Exit", "Price", "Why", "Bars", "Commission", "Profit",
)
# fmt: on


def _trade_row(trade: Trade, stamp: str) -> tuple[str, ...]:
    return (
        trade.symbol,
        "long" if trade.side is Side.BUY else "short",
        f"{trade.quantity:f}",
        f"{trade.entry_time:{stamp}}",
        f"{trade.entry_price:f}",
        "open" if trade.exit_time is None else f"{trade.exit_time:{stamp}}",
        _UNKNOWN if trade.exit_price is None else f"{trade.exit_price:f}",
        trade.exit_why or _UNKNOWN,
        _UNKNOWN if trade.bars is None else f"{trade.bars:,}",
        f"{trade.commission:,.2f}",
    )


def _refusals(report: Report) -> str:
    if not report.refusals:
        return ""
    rows = [
        (each.symbol, f"{each.time:{_stamp(report)}}", str(each.side), f"{each.quantity:f}", each.message)
        for each in report.refusals[:MAX_ROWS]
    ]
    return f"<h2>Refused orders</h2>\n{_table(('Symbol', 'Time', 'Side', 'Quantity', 'Why'), rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(each)}</th>" for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{names}</tr>{lines}</table></div>'


def _depth(drawdown: Drawdown | None) -> str:
    return _UNKNOWN if drawdown is None else _percent(drawdown.depth)


def _length(report: Report, drawdown: Drawdown | None) -> str:
    return _UNKNOWN if drawdown is None else f"{drawdown.bars(report.bars):,}"


def _dates(report: Report, drawdown: Drawdown | None) -> str:
    if drawdown is None:
        return _UNKNOWN
    end = "now" if drawdown.recovery is None else _day(report.moment(drawdown.recovery))
    return f"{_day(report.moment(drawdown.peak))} to {end}"


def _stamp(report: Report) -> str:
    """How moments are written: without the time of day where bars are of days."""
    return "%Y-%m-%d" if report.bar_size.endswith(("day", "week", "month")) else "%Y-%m-%d %H:%M"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.2%}"


def _share(value: float) -> str:
    return f"{value * 100 + 0.0:.4g}%"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.2f}"


def _amount(value: float | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


def _price(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10 else f"{value:,.2f}"
