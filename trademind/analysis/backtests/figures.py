"""A report as clients of the API have it: its figures side by side, and the equity as points in time.

Amounts, prices of orders and quantities are text, exact; figures and curves are numbers; what is not known
is null.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trademind.signals.backtest import Report
from trademind.signals.backtest.report import MAX_LISTED, numbers, performance_json, thinned
from trademind.signals.backtest.trades import Trade


def report_json(report: Report) -> dict[str, Any]:
    """Ready for `json.dumps`."""
    trades = asdict(report.trade_figures)
    return {
        "strategy": report.strategy,
        "symbols": list(report.symbols),
        "bar_size": report.bar_size,
        "bars": report.bars,
        "start": _time(report.start),
        "end": _time(report.end),
        "bars_per_year": report.bars_per_year,
        "cash": _money(report.opening),
        "final_equity": _money(report.final_equity),
        "signals": report.signals,
        **_performance(report, "performance"),
        "trade_count": trades.pop("count"),
        "open_trades": trades.pop("still_open"),
        **trades,
        **asdict(report.activity),
        "benchmark": _performance(report, "benchmark"),
        "comparison": asdict(report.comparison),
        "notes": list(report.notes),
        "trades": [_trade(each) for each in report.trades[:MAX_LISTED]],
        "refusals": [
            {
                "symbol": each.symbol,
                "time": _time(each.time),
                "side": each.side.value,
                "quantity": f"{each.quantity:f}",
                "ib_code": each.code,
                "message": each.message,
            }
            for each in report.refusals[:MAX_LISTED]
        ],
        "equity_curve": _curve(report),
    }


def _performance(report: Report, which: str) -> dict[str, Any]:
    """The figures of the strategy or of the benchmark; drawdowns are depths, and their dates beside them."""
    found = performance_json(getattr(report, which), report.curves.time)
    deepest, longest = found.pop("max_drawdown"), found.pop("longest_drawdown")
    return {
        **found,
        "max_drawdown": None if deepest is None else deepest["depth"],
        "drawdowns": {"deepest": _dated(deepest), "longest": _dated(longest)},
    }


def _dated(drawdown: dict[str, Any] | None) -> dict[str, Any] | None:
    if drawdown is None:
        return None
    dates = {name: drawdown[name] for name in ("peak", "trough", "recovery")}
    return drawdown | {name: each and _time(datetime.fromisoformat(each)) for name, each in dates.items()}


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "symbol": trade.symbol,
        "side": trade.side.value,
        "quantity": f"{trade.quantity:f}",
        "entry_time": _time(trade.entry_time),
        "entry_price": f"{trade.entry_price:f}",
        "exit_time": None if trade.exit_time is None else _time(trade.exit_time),
        "exit_price": None if trade.exit_price is None else f"{trade.exit_price:f}",
        "exit_reason": trade.exit_why,
        "bars": trade.bars,
        "commission": _money(trade.commission),
        "profit": _money(trade.profit),
    }


def _curve(report: Report) -> list[dict[str, Any]]:
    curves = report.curves
    chosen = thinned(curves.equity)
    columns = (numbers(each[chosen]) for each in (curves.equity, curves.benchmark, curves.underwater))
    return [
        {"time": _time(report.moment(bar)), "equity": equity, "benchmark": benchmark, "drawdown": drawdown}
        for bar, equity, benchmark, drawdown in zip(chosen, *columns, strict=True)
    ]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()[:-6] + "Z"


def _money(value: Decimal) -> str:
    return f"{value:z.2f}"
