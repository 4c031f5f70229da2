"""Where the bars of a backtest in this process come from: a file, or a running server."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trademind.cli.backtest_terms import usage
from trademind.cli.bars import JOBS, watch
from trademind.cli.client import Server
from trademind.cli.output import CommandFailed, Exit

if TYPE_CHECKING:
    from trademind.signals import BarArrays

PAGE = 500


def from_file(path: Path, symbols: Sequence[str], size: str | None) -> "dict[str, BarArrays]":
    """The bars of a file: of all symbols in it, or of some.

    Raises:
        Invalid: it cannot be read as bars.
        CommandFailed: a symbol is not in it.
    """
    from trademind.signals.backtest import read_bars

    found = read_bars(path, bar_size=size)
    wanted = [symbol.strip().upper() for symbol in symbols]
    if missing := [symbol for symbol in wanted if symbol not in found]:
        raise usage(f"{path} has no {', '.join(missing)}; it has {', '.join(found)}")
    return {symbol: found[symbol] for symbol in wanted or found}


def from_server(
    server: Server,
    symbols: Sequence[str],
    size: str,
    start: datetime,
    end: datetime | None,
    *,
    is_quiet: bool,
) -> "dict[str, BarArrays]":
    """The bars of a server, which downloads what it does not have yet.

    Raises:
        CommandFailed: some cannot be had.
    """
    span = {"start": start.isoformat()} | ({} if end is None else {"end": end.isoformat()})
    wanted = {"symbols": list(symbols), "bar_size": size, **span}
    job = watch(server, server.send("POST", JOBS, wanted), is_quiet=is_quiet)
    if job["failures"] or job["status"] != "done":
        why = "; ".join(f"{each['symbol']}: {each['detail']}" for each in job["failures"])
        raise CommandFailed.because(Exit.FAILED, "no_bars", why or f"the download was {job['status']}")
    return {symbol: _all(server, symbol, size, span) for symbol in job["symbols"]}


def _all(server: Server, symbol: str, size: str, span: dict[str, str]) -> "BarArrays":
    import numpy as np

    from trademind.signals import BarArrays

    bars: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = server.get(
            "/api/market/bars", symbol=symbol, bar_size=size, limit=PAGE, page_token=token, **span
        )
        bars += [bar for bar in page["bars"] if bar["complete"] and bar["close"] is not None]
        if (token := page["next_page_token"]) is None:
            break
    columns: dict[str, Any] = {
        name: np.array([bar[name] for bar in bars], dtype=np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    begins = [int(datetime.fromisoformat(bar["time"]).timestamp()) for bar in bars]
    return BarArrays(symbol=symbol, bar_size=size, time=np.array(begins, dtype=np.int64), **columns)
