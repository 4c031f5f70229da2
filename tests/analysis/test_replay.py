"""A watch list over days that were real, a second each: what is told by and by is what a backtest has."""

import asyncio
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.gateway.test_replayed_market import GOOG
from tests.signals.prices import real
from trademind.analysis.watchlist import Watch, Watchlist
from trademind.domain import Channel, ContractQuery, TrackedSignal
from trademind.runtime import open_runtime
from trademind.settings import load_settings
from trademind.signals import strategy

DAY_IN_A_SECOND = 86_400
SECONDS = 9
"""Of the test: so many days of the market."""
PARAMETERS = {"fast": 2, "slow": 3}


async def test_what_is_told_day_by_day_is_what_a_backtest_has(tmp_path: Path) -> None:
    settings = load_settings(
        _env_file=None,
        data_dir=tmp_path,
        paper={
            "replay_file": GOOG,
            "start": datetime(2010, 3, 2, 12, tzinfo=ZoneInfo("America/New_York")),
            "speed": DAY_IN_A_SECOND,
            "pacing": False,
        },
    )
    async with open_runtime(settings) as runtime:
        plan = Watch(strategy="ma_crossover", parameters=PARAMETERS, bar_size="1 day")
        goog = ContractQuery(symbol="GOOG")
        await runtime.signals.watch(Watchlist(instruments=(goog,), strategies=(plan,)))
        await asyncio.sleep(SECONDS)
        until = runtime.bars.now()
        events = await runtime.journal.reading.events_since(0, channels=[Channel.SIGNALS])
    made = [
        (event.data.signal.bar_time, event.data.signal.action, event.data.signal.entry)
        for event in events
        if event.name == "new" and isinstance(event.data, TrackedSignal)
    ]
    days = real("GOOG since 2004")
    expected = [
        (signal.bar_time, signal.action, signal.entry)
        for signal in strategy("ma_crossover", **PARAMETERS).on_bars(days)
        if made and made[0][0] <= signal.bar_time <= until
    ]
    assert len(made) >= 2
    # None is told that a backtest has not. A busy machine may sleep through the close of a day.
    assert made == [each for each in expected if each in made]
    assert len(made) >= len(expected) / 2
