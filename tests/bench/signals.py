"""Bars per second that strategies make signals of: of many bars at once, and of few bars of many symbols; and
how long a server's scan of its watch list takes."""

import csv
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from tests.bench.report import rounds, show
from tests.gateway.bench import until
from trademind.brokers.base import Broker
from trademind.domain import ContractQuery, SessionState
from trademind.runtime import open_runtime
from trademind.settings import load_settings
from trademind.signals import BUILT_IN, BarArrays, Outcome, evaluate, strategy

SYMBOLS = 500
DAYS = 250


def minutes_of_years(quick: bool) -> int:
    """Minutes of ten years of regular trading."""
    return 20_000 if quick else 982_800


async def table(quick: bool) -> None:
    count, rows = minutes_of_years(quick), []
    for name in BUILT_IN:
        rate, made = max(bars_per_second(name, count) for _ in range(rounds(quick)))
        scan = min(scan_seconds(name) for _ in range(rounds(quick)))
        rows.append((name, f"{rate:,.0f}", f"{made:,}", f"{1000 * scan:,.0f}"))
    show(
        f"Signals of {count:,} bars of a minute; and of {DAYS} days of {SYMBOLS} symbols each",
        ("strategy", "bars/s", "signals", "symbols, ms"),
        rows,
    )
    symbols = 50 if quick else SYMBOLS
    show(
        f"A watch list of {symbols} symbols with {DAYS} days each, scanned by every strategy",
        ("", "s"),
        [(name, f"{seconds:,.2f}") for name, seconds in await watchlist_seconds(symbols)],
    )


def bars(count: int, *, bar_size: str, seconds: int, seed: int = 1) -> BarArrays:
    """Prices that go up and down by chance."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, count)))
    opened = close * (1 + rng.normal(0, 0.0003, count))
    return BarArrays(
        symbol="MADE",
        bar_size=bar_size,
        time=1_500_000_000 // seconds * seconds + seconds * np.arange(count, dtype=np.int64),
        open=opened,
        high=np.maximum(opened, close) * 1.0004,
        low=np.minimum(opened, close) * 0.9996,
        close=close,
        volume=rng.integers(1, 1000, count).astype(np.float64),
    )


def bars_per_second(name: str, count: int) -> tuple[float, int]:
    """Signals of minutes, all at once, as a backtest wants them: bars/s, and how many signals there were."""
    minutes = bars(count, bar_size="1 min", seconds=60)
    one = strategy(name)
    start = time.perf_counter()
    signals = one.on_bars(minutes)
    return count / (time.perf_counter() - start), len(signals)


def scan_seconds(name: str) -> float:
    """How some hundred symbols stand after a year of days, one after the other."""
    symbols = [bars(DAYS, bar_size="1 day", seconds=86_400, seed=seed) for seed in range(SYMBOLS)]
    one = strategy(name)
    start = time.perf_counter()
    for symbol in symbols:
        if evaluate(one, symbol).outcome is not Outcome.DONE:
            raise RuntimeError("a symbol has no result")
    return time.perf_counter() - start


async def watchlist_seconds(count: int) -> list[tuple[str, float]]:
    """Scans of a server over a real paper gateway: bars from the gateway, from the store, and from memory."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        names = [f"S{number:03}" for number in range(count)]
        end = _record(Path(folder), names)
        settings = load_settings(
            _env_file=None,
            data_dir=Path(folder) / "data",
            paper={"replay_file": Path(folder) / "prices", "start": end, "pacing": False},
        )
        for start in ("from the gateway", "after a restart, from the store"):
            async with AsyncExitStack() as stack:
                runtime = await stack.enter_async_context(open_runtime(settings))
                desk = (await runtime.signals.opened()).desk
                await until(partial(_is_ready, runtime.broker))
                queries = [ContractQuery(symbol=name) for name in names]
                for name in (start, "again, from memory"):
                    began = time.perf_counter()
                    looks = await desk.scan(queries, desk.every_plan("1 day"))
                    found.append((name, time.perf_counter() - began))
                    if any(look.error for look in looks):
                        raise RuntimeError("a symbol has no result")
    return found


def _is_ready(broker: Broker) -> bool:
    return broker.session.state is SessionState.READY


def _record(folder: Path, names: list[str]) -> datetime:
    """Prices of days as files that the paper gateway plays; when they are over."""
    (folder / "prices").mkdir()
    days = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(2 * DAYS)]
    days = [day for day in days if day.weekday() < 5][: DAYS + 40]
    for seed, name in enumerate(names):
        made = bars(len(days), bar_size="1 day", seconds=86_400, seed=seed)
        with (folder / "prices" / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["date", *_COLUMNS])
            for place, day in enumerate(days):
                prices = [f"{getattr(made, column)[place]:.2f}" for column in _COLUMNS[:-1]]
                writer.writerow([day.date(), *prices, int(made.volume[place])])
    return days[-1] + timedelta(hours=38)


_COLUMNS = ("open", "high", "low", "close", "volume")
