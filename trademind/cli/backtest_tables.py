"""Reports of backtests as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer

from trademind.cli.output import print_table

LAST_TRADES: Final = 5
_SHARES: Final = ("total_return", "cagr", "volatility", "max_drawdown", "exposure", "win_rate")
_COMPARED: Final = ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown")
_OWN: Final = ("trade_count", "win_rate", "profit_factor", "average_profit", "commissions", "exposure")
_OF_POINTS: Final = ("total_return", "sharpe", "calmar", "max_drawdown")


def print_report(report: Mapping[str, Any]) -> None:
    """The figures, the notes, and the last trades."""
    symbols = ", ".join(report["symbols"])
    title = (
        f"{report['strategy']} on {symbols}: {report['bars']:,} bars of {report['bar_size']}, "
        f"{report['start'][:10]} to {report['end'][:10]}"
    )
    rows: list[Sequence[object]] = [
        (_words(name), _shown(name, report[name]), _shown(name, report["benchmark"][name]))
        for name in _COMPARED
    ]
    rows += [(_words(name), _shown(name, report[name]), "") for name in _OWN]
    rows.append(("final equity", report["final_equity"], ""))
    print_table(("figure", ">strategy", ">buy and hold"), rows, title=title)
    trades = report["trades"][-LAST_TRADES:]
    columns = ("symbol", "side", ">quantity", "entry", ">at", "exit", ">at", "by", ">profit")
    print_table(
        columns,
        [
            (
                each["symbol"],
                each["side"],
                each["quantity"],
                _moment(each["entry_time"]),
                each["entry_price"],
                _moment(each["exit_time"]) or "open",
                each["exit_price"],
                each["exit_reason"],
                each["profit"],
            )
            for each in trades
        ],
        title=f"the last {len(trades)} of {len(report['trades'])} trades" if trades else "no trades",
    )
    for note in report["notes"]:
        typer.echo(f"note: {note}")


def print_points(points: Sequence[Mapping[str, Any]], score: str, top: int) -> None:
    """The best of a grid, and what could not be tried."""
    others = [name for name in _OF_POINTS if name != score]
    print_table(
        (
            "parameters",
            f">{score.replace('_', ' ')}",
            *(f">{_words(name)}" for name in others),
            ">trades",
        ),
        [
            (
                _parameters(each["parameters"]),
                _shown(score, each["score"]),
                *(_shown(name, each[name]) for name in others),
                each["trades"],
            )
            for each in points[:top]
            if each["failure"] is None
        ],
        title=f"the best of {len(points):,} combinations, by {score.replace('_', ' ')}",
    )
    failed = [each for each in points if each["failure"] is not None]
    if failed:
        why = failed[0]["error"].strip().splitlines()[-1]
        typer.echo(f"not tried: {len(failed):,}; {_parameters(failed[0]['parameters'])}: {why}", err=True)


def print_walk(walk: Mapping[str, Any], score: str) -> None:
    """What was chosen in each step, and what it was worth."""
    print_table(
        ("traded from", "to", "parameters", f">chosen by {score}", ">return", ">trades"),
        [
            (
                _moment(each["test_start"]),
                _moment(each["test_end"]),
                "none" if each["best"] is None else _parameters(each["best"]["parameters"]),
                None if each["best"] is None else _shown(score, each["best"]["score"]),
                None if each["tested"] is None else _shown("total_return", each["tested"]["total_return"]),
                each["trades"],
            )
            for each in walk["steps"]
        ],
    )
    figures = walk["performance"]
    worst = figures["max_drawdown"]
    print_table(
        ("all steps joined", ">"),
        [
            *((_words(name), _shown(name, figures[name])) for name in _COMPARED[:-1]),
            ("max drawdown", _shown("max_drawdown", None if worst is None else worst["depth"])),
            ("efficiency", _shown("efficiency", walk["efficiency"])),
        ],
    )


def _words(name: str) -> str:
    return {"trade_count": "trades", "cagr": "CAGR"}.get(name, name.replace("_", " "))


def _shown(name: str, value: float | None) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else str(value)
    return f"{value:.1%}" if name in _SHARES else f"{value:,.2f}"


def _moment(text: str | None) -> str | None:
    """A day, or a minute where it is not midnight."""
    return None if text is None else text[:16].replace("T", " ").removesuffix(" 00:00")


def _parameters(parameters: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items())
