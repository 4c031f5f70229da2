"""Writing and reading, on both databases."""

import asyncio
import itertools
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import uvloop

from tests.journal.making import (
    START,
    a_fill,
    a_session,
    an_account,
    an_intent,
    an_order,
    filled,
)
from trademind.clock import ManualClock
from trademind.domain import Channel, OrderStatus, SessionState
from trademind.errors import SettingsError, StateNotKept
from trademind.journal import (
    AccountChanged,
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Marker,
    OrderChanged,
    SessionChanged,
    StateSet,
    Write,
    open_journal,
    writer,
)


async def test_an_intent_is_accepted_once(place: str) -> None:
    async with open_journal(place) as journal:
        first = an_intent("one")
        assert await journal.accept(first) is None
        assert await journal.accept(an_intent("one", fingerprint="another", origin="elsewhere")) == first
        assert await journal.reading.intent("one") == first
        assert await journal.reading.intent("two") is None


async def test_an_intent_is_remembered_for_ever(place: str) -> None:
    async with open_journal(place) as journal:
        assert await journal.accept(an_intent("one")) is None
    async with open_journal(place) as journal:
        assert await journal.accept(an_intent("one")) == an_intent("one")
        assert await journal.reading.pending_intents() == (an_intent("one"),)
        journal.note(OrderChanged("new", an_order("one")))
        await journal.flushed()
        assert await journal.reading.pending_intents() == ()


async def test_of_a_hundred_at_once_one_is_new(place: str) -> None:
    async with open_journal(place) as journal:
        intents = [an_intent("one", origin=f"caller {n}") for n in range(100)]
        answers = await asyncio.gather(*map(journal.accept, intents))
        new = [intent for intent, answer in zip(intents, answers, strict=True) if answer is None]
        assert len(new) == 1
        assert [answer for answer in answers if answer is not None] == new * 99


async def test_many_writes_share_a_commit(place: str) -> None:
    async with open_journal(place) as journal:
        await asyncio.gather(*(journal.accept(an_intent(f"key{n}")) for n in range(100)))
        for number in range(1000):
            journal.note(OrderChanged("new", an_order(f"order{number}", number)))
        await journal.flushed()
        statistics = journal.statistics
        assert statistics.written == 1101  # with the marker of `flushed`
        assert statistics.commits <= 10
        assert statistics.largest_group == writer.MAX_GROUP
        assert statistics.queued == 0
        assert statistics.last_commit_seconds is not None
        assert journal.last_seq == await journal.reading.last_seq() == 1000


async def test_notes_wait_for_an_intent_to_share_its_commit(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail without `Writer._linger`: each note is on its way before the next one comes."""
    monkeypatch.setattr(writer, "LINGER", 30)
    told: list[int | None] = []
    async with open_journal(place) as journal:
        for round_ in range(1, 4):
            for number in range(3):
                order = an_order(f"order{round_}-{number}", number)
                journal.note(OrderChanged("new", order), told.append)
                await asyncio.sleep(0.01)
            assert journal.statistics.commits == round_ - 1
            assert await journal.accept(an_intent(f"intent{round_}")) is None
            assert journal.statistics.commits == round_
            assert told == list(range(1, 3 * round_ + 1))
        journal.note(StateSet("a", 1))
        await journal.flushed()
        assert journal.statistics.commits == 4


async def test_notes_do_not_wait_for_ever(place: str) -> None:
    told = asyncio.Event()
    async with open_journal(place) as journal:
        journal.note(StateSet("a", 1), lambda _: told.set())
        await asyncio.wait_for(told.wait(), 5)


async def test_what_a_group_had_no_room_for_does_not_wait(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LINGER", 30)
    monkeypatch.setattr(writer, "MAX_GROUP", 10)
    async with open_journal(place) as journal:
        for number in range(25):
            journal.note(StateSet("a", number))
        assert await journal.accept(an_intent("one")) is None
        assert journal.statistics.commits == 3


async def test_events_are_numbered_without_a_gap_and_told_in_order(place: str) -> None:
    rng = random.Random(5)
    told: list[tuple[int, int | None]] = []
    async with open_journal(place) as journal:
        for number in range(300):
            writes: list[Write] = [
                OrderChanged("new", an_order(f"order{number}", number)),
                SessionChanged(a_session()),
                AccountChanged(an_account(number)),
                AccountSnapshot(an_account(number)),
                Marker(),
            ]

            def tell(seq: int | None, number: int = number) -> None:
                told.append((number, seq))

            journal.note(rng.choice(writes), tell)
            if rng.random() < 0.05:
                await asyncio.sleep(0.002)
        await journal.flushed()
        assert [number for number, _ in told] == list(range(300))
        seqs = [seq for _, seq in told if seq is not None]
        assert seqs == list(range(1, len(seqs) + 1))
        events = await journal.reading.events_since(0)
        assert [event.seq for event in events] == seqs
        assert journal.last_seq == len(seqs)


async def test_nobody_is_told_before_it_is_on_disk(place: str) -> None:
    async with open_journal(place) as journal:
        told = asyncio.get_running_loop().create_future()
        journal.note(OrderChanged("new", an_order("one")), told.set_result)
        assert not told.done()
        seq = await told
        assert [event.seq for event in await journal.reading.events_since(0)] == [seq]


async def test_a_callback_that_fails_stops_nothing(place: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(seq: int | None) -> None:
        raise RuntimeError("a fault of the caller's")

    async with open_journal(place) as journal:
        journal.note(Marker(), fail)
        await journal.flushed()
        assert "a fault of the caller's" in caplog.text


async def test_an_order_that_stands_as_it_did_is_no_event(place: str) -> None:
    told: list[int | None] = []
    order = an_order("one")
    async with open_journal(place) as journal:
        journal.note(OrderChanged("accepted", order), told.append)
        journal.note(OrderChanged("accepted", order), told.append)
        await journal.flushed()
    async with open_journal(place) as journal:
        later = replace(order, updated_at=START + timedelta(hours=1))
        journal.note(OrderChanged("reconciled", later), told.append)
        journal.note(OrderChanged("fill", filled(later)), told.append)
        journal.note(OrderChanged("accepted", order), told.append)
        await journal.flushed()
        assert told == [1, None, None, 2, 3]
        events = await journal.reading.order_events("one")
        assert [(event.name, event.data) for event in events] == [
            ("accepted", order),
            ("fill", filled(later)),
            ("accepted", order),
        ]
        assert await journal.reading.order("one") == order


async def test_a_fill_and_its_commission_are_written_once(place: str) -> None:
    told: list[int | None] = []
    order = filled(an_order("one"))
    fill = a_fill(order)
    complete = replace(
        fill, commission=Decimal("1.00"), commission_currency="USD", realized_pnl=Decimal("0E-8")
    )
    async with open_journal(place) as journal:
        for write in (fill, fill, complete, complete, fill):
            journal.note(ExecutionReported(write), told.append)
        await journal.flushed()
        for write in (fill, complete):
            journal.note(ExecutionReported(write), told.append)
        await journal.flushed()
        assert told == [1, None, 2, None, None, None, None]
        events = await journal.reading.events_since(0)
        assert [(event.name, event.data) for event in events] == [("fill", fill), ("commission", complete)]
        page = await journal.reading.executions()
        assert page.items == (complete,)
        assert str(page.items[0].realized_pnl) == "0E-8"


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_commission_may_come_before_its_fill(place: str, at_once: bool) -> None:
    told: list[int | None] = []
    fill = a_fill(filled(an_order("one")))
    report = CommissionReported(
        exec_id=fill.exec_id, commission=Decimal("0.35"), currency="USD", realized_pnl=None
    )
    async with open_journal(place) as journal:
        journal.note(report, told.append)
        if not at_once:
            await journal.flushed()
        journal.note(ExecutionReported(fill), told.append)
        journal.note(report, told.append)
        await journal.flushed()
        assert told == [None, 1, None]
        complete = replace(fill, commission=Decimal("0.35"), commission_currency="USD")
        (event,) = await journal.reading.events_since(0)
        assert event.data == complete
        assert (await journal.reading.executions()).items == (complete,)


async def test_a_commission_on_its_own_is_an_event_of_its_fill(place: str) -> None:
    fill = a_fill(filled(an_order("one")))
    async with open_journal(place) as journal:
        journal.note(ExecutionReported(fill))
        await journal.flushed()
        journal.note(
            CommissionReported(
                exec_id=fill.exec_id, commission=Decimal(1), currency="USD", realized_pnl=Decimal(5)
            )
        )
        await journal.flushed()
        *_, event = await journal.reading.events_since(0)
        assert event.name == "commission"
        assert event.data == replace(
            fill, commission=Decimal(1), commission_currency="USD", realized_pnl=Decimal(5)
        )


async def test_a_correction_takes_the_place_of_what_it_corrects(place: str) -> None:
    order = filled(an_order("one"))
    wrong, right = a_fill(order, "a.b.01"), a_fill(order, "a.b.02", price=Decimal("187.00"))
    async with open_journal(place) as journal:
        journal.note(ExecutionReported(wrong))
        journal.note(ExecutionReported(right))
        await journal.flushed()
        assert (await journal.reading.executions()).items == (right,)
        assert (await journal.reading.executions(with_corrected=True)).items == (right, wrong)
        assert [event.name for event in await journal.reading.events_since(0)] == ["fill", "correction"]


async def test_an_order_is_found_for_a_fill_that_came_without(place: str) -> None:
    order = filled(an_order("one"))
    async with open_journal(place) as journal:
        journal.note(ExecutionReported(a_fill(order, order_id=None)))
        journal.note(ExecutionReported(a_fill(order, "0002.01", perm_id=999, order_id=None)))
        journal.note(OrderChanged("fill", order))
        await journal.flushed()
        by_id = {fill.exec_id: fill.order_id for fill in (await journal.reading.executions()).items}
        assert by_id == {"0001.01": "one", "0002.01": None}
        assert [fill.exec_id for fill in (await journal.reading.executions(order_id="one")).items] == [
            "0001.01"
        ]


@pytest.mark.parametrize("at_once", [True, False])
async def test_which_order_an_early_fill_is_of_is_an_event_once(place: str, at_once: bool) -> None:
    """Over a restart, too, at which IB lists it again. Seen to fail with one event for each listing."""
    order = filled(an_order("one"))
    early, late = a_fill(order, order_id=None), a_fill(order)
    complete = replace(late, commission=Decimal(1), commission_currency="USD")
    writes = (early, late, late, complete, complete, early)
    for _ in range(2):
        async with open_journal(place) as journal:
            for execution in writes:
                journal.note(ExecutionReported(execution))
                if not at_once:
                    await journal.flushed()
            await journal.flushed()
            events = await journal.reading.events_since(0)
    assert [(event.name, event.data) for event in events] == [
        ("fill", early),
        ("assigned", late),
        ("commission", complete),
    ]


async def test_orders_in_pages(place: str) -> None:
    orders = [an_order(f"order{number}", number) for number in range(25)]
    orders[3] = filled(orders[3])
    async with open_journal(place) as journal:
        for order in orders:
            journal.note(OrderChanged("new", order))
        await journal.flushed()
        page = await journal.reading.orders(limit=10)
        journal.note(OrderChanged("new", an_order("late", 99)))
        journal.note(OrderChanged("canceled", replace(orders[0], status=OrderStatus.CANCELED)))
        await journal.flushed()
        ids = [order.id for order in page.items]
        while page.next is not None:
            page = await journal.reading.orders(limit=10, before=page.next)
            ids += [order.id for order in page.items]
        assert ids == [order.id for order in reversed(orders)]
        assert {order.id for order in (await journal.reading.orders(working=False)).items} == {
            "order0",
            "order3",
        }
        assert len((await journal.reading.orders(working=True)).items) == 24


async def test_executions_in_pages(place: str) -> None:
    order = an_order("one")
    # Three at each moment, so that a page ends among those of one.
    fills = [a_fill(order, f"{n:04}.01", time=START + timedelta(seconds=n // 3)) for n in range(20)]
    async with open_journal(place) as journal:
        for fill in random.Random(1).sample(fills, len(fills)):
            journal.note(ExecutionReported(fill))
        await journal.flushed()
        page = await journal.reading.executions(limit=7)
        got = list(page.items)
        while page.next is not None:
            page = await journal.reading.executions(limit=7, before=page.next)
            got += page.items
        assert got == fills[::-1]
        between = await journal.reading.executions(
            since=START + timedelta(seconds=1), until=START + timedelta(seconds=3)
        )
        assert list(between.items) == fills[3:9][::-1]


async def test_events_in_pages(place: str) -> None:
    async with open_journal(place) as journal:
        for number in range(30):
            journal.note(SessionChanged(a_session(SessionState.READY)))
            journal.note(AccountChanged(an_account(number)))
        await journal.flushed()
        page = await journal.reading.events_since(10, limit=5)
        assert [event.seq for event in page] == [11, 12, 13, 14, 15]
        page = await journal.reading.events_since(10, limit=2, channels=[Channel.ACCOUNT])
        assert [event.data for event in page] == [an_account(5), an_account(6)]
        page = await journal.reading.events_since(0, limit=1, channels=[Channel.SESSION])
        assert page[0].data == a_session()
        assert page[0].name == "ready"
        assert await journal.reading.events_since(60) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 500])
async def test_an_equity_curve_of_few_points(place: str, count: int) -> None:
    async with open_journal(place) as journal:
        for number in range(count):
            journal.note(AccountSnapshot(an_account(number)))
            journal.note(AccountSnapshot(an_account(number, account_id="DU2")))
        await journal.flushed()
        points = await journal.reading.account_history("DU1", max_points=10)
        assert len(points) == min(count, 10)
        numbers = [int(point.net_liquidation - 100000) for point in points]
        assert numbers == sorted(numbers)
        if count:
            assert (numbers[0], numbers[-1]) == (0, count - 1)
        steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
        assert not steps or max(steps) - min(steps) <= 1
        for point in points:
            assert point.time == START + timedelta(minutes=int(point.net_liquidation - 100000))
            assert (str(point.unrealized_pnl), point.realized_pnl) == ("-0.10", None)
        part = await journal.reading.account_history("DU1", since=START + timedelta(minutes=2))
        assert len(part) == max(0, min(count, 500) - 2)


async def test_what_was_commanded(place: str) -> None:
    clock = ManualClock(START)
    async with open_journal(place, clock=clock) as journal:
        for number in range(5):
            clock.advance(timedelta(seconds=1))
            journal.note(
                Audit(
                    actor="127.0.0.1",
                    origin="api",
                    action="place",
                    subject=f"order{number}",
                    # What somebody sent, which may be anything at all.
                    request={"symbol": "\0\ud800é", "quantity": "1"},
                    outcome="refused",
                    detail="bad \0 symbol \ud800 é",
                )
            )
        await journal.flushed()
        page = await journal.reading.audit(limit=3)
        assert [entry.subject for entry in page.items] == ["order4", "order3", "order2"]
        assert page.items[0].time == START + timedelta(seconds=5)
        assert page.items[0].request == {"symbol": "\0\ud800é", "quantity": "1"}
        assert page.items[0].detail == "bad \ufffd symbol ? é"
        page = await journal.reading.audit(limit=3, before=page.next)
        assert [entry.subject for entry in page.items] == ["order1", "order0"]
        assert page.next is None


async def test_values_that_survive(place: str) -> None:
    async with open_journal(place) as journal:
        assert await journal.reading.state("mode") is None
        journal.note(StateSet("mode", "normal"))
        journal.note(StateSet("limits", {"quantity": "10"}))
        journal.note(StateSet("mode", "halted"))
        await journal.flushed()
        journal.note(StateSet("limits", {"quantity": "20"}))
        journal.note(StateSet("limits", {"quantity": "30"}))
        await journal.flushed()
    async with open_journal(place) as journal:
        assert await journal.reading.state("mode") == "halted"
        assert await journal.reading.state("limits") == {"quantity": "30"}


async def test_what_cannot_be_stored_is_refused_at_once(place: str) -> None:
    async with open_journal(place) as journal:
        for number in (Decimal("NaN"), Decimal("Infinity")):
            with pytest.raises(ValueError, match="not a number to keep"):
                journal.note(OrderChanged("new", an_order("one", quantity=number)))
        with pytest.raises(ValueError, match="no id"):
            journal.note(OrderChanged("new", an_order("one", perm_id=2**63)))
        with pytest.raises(TypeError):
            journal.note(StateSet("mode", object()))
        for key in ("one\0", "one\udcff"):
            with pytest.raises(ValueError, match="is no key"):
                journal.note(OrderChanged("new", an_order(key)))
            with pytest.raises(ValueError, match="is no key"):
                await journal.accept(an_intent("one", client_order_id=key))
        with pytest.raises(ValueError, match="time zone"):
            await journal.accept(an_intent("one", accepted_at=START.replace(tzinfo=None)))
        await journal.flushed()
        assert journal.last_seq == 0


async def test_numbers_go_on_after_a_restart(place: str) -> None:
    for number in range(1, 4):
        async with open_journal(place) as journal:
            assert journal.last_seq == number - 1
            journal.note(OrderChanged("new", an_order(f"order{number}", number)))
    async with open_journal(place) as journal:
        assert [event.seq for event in await journal.reading.events_since(0)] == [1, 2, 3]


async def test_one_process_at_a_time(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_journal(place):
        with pytest.raises(SettingsError, match="another process"):
            async with open_journal(place):
                pass
    async with open_journal(place) as journal:
        assert await journal.accept(an_intent("one")) is None


async def test_a_closed_journal_says_so(place: str) -> None:
    async with open_journal(place) as journal:
        pass
    with pytest.raises(StateNotKept, match="closed"):
        journal.note(Marker())
    with pytest.raises(StateNotKept, match="closed"):
        await journal.accept(an_intent("one"))
    with pytest.raises(StateNotKept, match="closed"):
        await journal.reading.last_seq()
    assert not journal.is_available


async def test_a_caller_that_goes_away_harms_nobody(place: str) -> None:
    async with open_journal(place) as journal:
        for pause in (0, 0, 0.0002, 0.0005, 0.001, 0.002):
            caller = asyncio.get_running_loop().create_task(journal.accept(an_intent(f"key{pause}")))
            await asyncio.sleep(pause)
            caller.cancel()
            await asyncio.wait({caller})
        assert await journal.accept(an_intent("one")) is None


def test_another_event_loop(place: str) -> None:
    async def write() -> None:
        async with open_journal(place) as journal:
            assert await journal.accept(an_intent("one")) is None
            journal.note(OrderChanged("new", an_order("one")))
            await journal.flushed()
            assert (await journal.reading.order("one")) == an_order("one")

    uvloop.run(write())
