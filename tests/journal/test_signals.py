"""Signals in the journal: told once, followed until something has become of them, and read as they were."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.journal.making import START
from tests.journal.meddling import writing
from trademind.domain import Channel, SignalOutcome, TrackedSignal
from trademind.domain.signals import Action, Reason, Signal
from trademind.journal import SignalChanged, SignalTold, open_journal, verify
from trademind.journal.migrations import VERSION_TABLE


def a_signal(number: int = 1, **changes: Any) -> TrackedSignal:
    made = Signal(
        strategy="rsi_reversion",
        symbol="AAPL",
        con_id=265598,
        action=Action.BUY,
        strength=0.1 + 0.2,
        confidence=1.0,
        bar_size="1 day",
        bar_time=START + timedelta(days=number),
        index=249,
        reasons=(Reason("RSI(14) is 27.4", (("rsi", 27.4), ("lower", 30.0))), Reason("And so")),
        entry=187.1,
        stop=180.0 + 1 / 3,
        target=None,
        expires_at=START + timedelta(days=number + 3),
    )
    signal = TrackedSignal(
        id=f"sig-{number}",
        signal=made,
        parameters={"period": 14, "lower": 30.5, "average": "ema"},
        told_at=START,
        quantity=Decimal("12.5"),
    )
    return replace(signal, **changes)


async def test_a_signal_is_told_once_and_comes_back_as_it_was(place: str) -> None:
    one = a_signal()
    stopped = replace(
        one, outcome=SignalOutcome.STOPPED, outcome_at=START + timedelta(days=2), outcome_price=180.3
    )
    async with open_journal(place) as journal:
        await journal.written(SignalChanged("stopped", stopped))  # of one that was never told
        assert journal.last_seq == 0
        journal.note(SignalTold(one))
        await journal.written(SignalTold(replace(one, told_at=START + timedelta(days=9))))
        assert await journal.signals.get(one.id) == one
        assert await journal.signals.open() == (one,)
    async with open_journal(place) as journal:
        await journal.written(SignalTold(one))
        journal.note(SignalChanged("stopped", stopped))
        await journal.written(SignalChanged("stopped", stopped))
        await journal.written(SignalTold(one))
        assert await journal.signals.get(one.id) == stopped
        assert await journal.signals.open() == ()
        events = await journal.reading.events_since(0, channels=[Channel.SIGNALS])
    assert [(event.seq, event.name, event.data) for event in events] == [
        (1, "new", one),
        (2, "stopped", stopped),
    ]
    report = await verify(place)
    assert report.findings == []


async def test_history_in_pages(place: str) -> None:
    signals = [a_signal(number) for number in range(1, 6)]
    other = a_signal(6, signal=replace(signals[0].signal, symbol="MSFT", strategy="macd"))
    async with open_journal(place) as journal:
        for each in (*signals, other):
            await journal.written(SignalTold(each))
        page = await journal.signals.history(limit=4)
        assert page.items == (other, *reversed(signals[2:]))
        assert (await journal.signals.history(limit=4, before=page.next)).items == (signals[1], signals[0])
        assert (await journal.signals.history(symbol="MSFT")).items == (other,)
        assert (await journal.signals.history(strategy="macd")).items == (other,)
        found = await journal.signals.history(symbol="AAPL", since=START + timedelta(days=4))
        assert found.items == (signals[4], signals[3])
        assert (await journal.signals.history(outcome=SignalOutcome.TARGET)).items == ()


async def test_a_journal_from_before_signals_gets_their_table(sqlite_place: str) -> None:
    async with open_journal(sqlite_place):
        pass
    async with writing(sqlite_place) as connection:
        await connection.execute(text("DROP TABLE signals"))
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0002'"))
        await connection.commit()
    report = await verify(Path(sqlite_place))
    assert (report.is_sound, report.schema) == (True, "0002")
    async with open_journal(sqlite_place) as journal:
        await journal.written(SignalTold(a_signal()))
        assert await journal.signals.get("sig-1") == a_signal()
