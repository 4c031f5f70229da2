"""Whatever is ordered and however the market moves, the books agree with the list of executions."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.engine.trading import AAPL, EURUSD, MSFT, START, Floor, fills, market
from trademind.domain import Side
from trademind.gateway.engine.book import DEPTH
from trademind.gateway.engine.commissions import FIXED
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.ledger import cents
from trademind.gateway.engine.model import Event, Instrument, PaperExecution, PriceCondition, TimeCondition

INSTRUMENTS: tuple[Instrument, ...] = (AAPL, MSFT, EURUSD)
CASH = Decimal(100_000)

Action = tuple[int, ...]
KINDS = (
    "MKT", "LMT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MIT", "LIT", "MKT PRT", "REL", "PEG MID", "LOC",
)  # fmt: skip


def attributes(what: int, size: int, tick: Decimal) -> dict[str, Any]:
    """One of the attributes that change how an order fills, or with which others it has to do."""
    match what:
        case 1 | 2:
            return {"oca_group": f"group {what}", "oca_type": what}
        case 3:
            return {"all_or_none": True}
        case 4:
            return {"display_size": str(max(1, size // 3))}
        case 5:
            return {"min_quantity": str(max(1, size // 2))}
        case 6:
            return {"parent_id": 1 + size % 20}
        case 7:
            return {"hidden": True}
        case 8:
            moment = START + timedelta(hours=1)
            return {"conditions": (TimeCondition(moment=moment, is_more=bool(size % 2)),)}
        case 9:
            price = 2000 * tick
            return {"conditions": (PriceCondition(instrument=MSFT, price=price, is_more=bool(size % 2)),)}
    return {}


def actions() -> st.SearchStrategy[Action]:
    """(what, instrument, side, kind, size, price offset in ticks, offset of the stop, TIF, attribute)."""
    return st.tuples(
        st.integers(0, 9),
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, len(KINDS) - 1),
        st.integers(1, 400),
        st.integers(-30, 30),
        st.integers(-30, 30),
        st.integers(0, 3),
        st.integers(0, 9),
    )


class Run:
    """Carries out actions and checks the books after each."""

    def __init__(self) -> None:
        self.floor = Floor(str(CASH))
        self.start = self.floor.exchange.state()
        self.executions: list[PaperExecution] = []
        self.mid = {each.con_id: 2000 for each in INSTRUMENTS}
        self.taken: dict[tuple[int, Side], Decimal] = defaultdict(Decimal)
        self.order_id = 0
        for each in INSTRUMENTS:
            self.show(each, 300)

    def show(self, instrument: Instrument, size: int) -> None:
        tick, mid = instrument.min_tick, self.mid[instrument.con_id]
        quote = market(
            str((mid - 1) * tick), str((mid + 1) * tick), last=str(mid * tick), size=size, of=instrument
        )
        for side in Side:
            self.taken[instrument.con_id, side] = Decimal(0)
        self.collect(self.floor.exchange.on_quote(quote))
        for side in Side:
            assert self.taken[instrument.con_id, side] <= size * sum(DEPTH)

    def collect(self, events: Iterable[Event]) -> None:
        for each in fills(events):
            self.executions.append(each)
            self.taken[each.instrument.con_id, each.side] += each.quantity

    def act(self, action: Action) -> None:
        what, which, side, kind, size, offset, stop_offset, tif, attribute = action
        instrument = INSTRUMENTS[which]
        if what == 0:
            self.mid[instrument.con_id] = max(100, self.mid[instrument.con_id] + offset)
            self.show(instrument, size)
        elif what == 1 and self.order_id:
            self.collect(self.floor.cancel(1 + size % self.order_id))
        else:
            tick, mid = instrument.min_tick, self.mid[instrument.con_id]
            working = self.floor.exchange.orders()
            order_id = self.order_id + 1
            if what == 2 and working:
                order_id = working[size % len(working)].ticket.order_id
            self.order_id = max(self.order_id, order_id)
            name = KINDS[kind]
            trailing: dict[str, Any] = (
                {"trailing_amount": str((1 + abs(offset)) * tick)} if "TRAIL" in name else {}
            )
            if name == "TRAIL LIMIT":
                trailing["limit_offset"] = str(abs(stop_offset) * tick)
            has_limit = name in ("LMT", "STP LMT", "LIT", "LOC")
            has_stop = name in ("STP", "STP LMT", "MIT", "LIT")
            ticket = self.floor.ticket(
                order_id,
                ("BUY", "SELL")[side],
                size * 50 if what == 3 else size,
                name,
                limit=str((mid + offset) * tick) if has_limit else None,
                stop=str((mid + stop_offset) * tick) if has_stop else None,
                tif="DAY" if name == "LOC" else ("DAY", "GTC", "IOC", "FOK")[tif],
                of=instrument,
                **trailing,
                **attributes(attribute, size, tick),
            )
            if what == 4:
                before = self.floor.exchange.state()
                self.floor.exchange.preview(ticket)
                assert self.floor.exchange.state() == before
            self.collect(self.floor.exchange.place(ticket))
        self.check()

    def check(self) -> None:
        exchange = self.floor.exchange
        cash, held = CASH, defaultdict[int, Decimal](Decimal)
        for each in self.executions:
            cash -= each.side.sign * cents(each.quantity * each.price) + each.commission
            held[each.instrument.con_id] += each.side.sign * each.quantity
        account = exchange.figures()
        by_currency = {each.currency: each.cash_balance for each in account.currencies}
        assert by_currency["USD"] == cash
        assert by_currency.get("EUR", 0) == held[EURUSD.con_id]
        positions = {each.instrument.con_id: each for each in exchange.positions()}
        assert {con_id: each.quantity for con_id, each in positions.items()} == {
            con_id: quantity for con_id, quantity in held.items() if quantity
        }
        # Euros are worth, as a balance, what the virtual position is worth: its last price is their rate.
        assert account.net_liquidation == cash + sum(each.market_value for each in positions.values())
        # Profit, realised and not, is exactly what the account has gained; all of it today.
        assert account.net_liquidation - CASH == account.realized_pnl + account.unrealized_pnl
        assert account.net_liquidation - CASH == account.daily_pnl
        assert account.realized_pnl == sum(each.realized_pnl or 0 for each in self.executions)
        assert exchange.executions() == self.executions

    def finish(self) -> None:
        exchange = self.floor.exchange
        by_order: dict[int, list[PaperExecution]] = defaultdict(list)
        for each in self.executions:
            by_order[each.perm_id].append(each)
        assert len({each.exec_id for each in self.executions}) == len(self.executions)
        for order in [*exchange.orders(), *exchange.completed_orders()]:
            executions = by_order.pop(order.perm_id, [])
            filled = sum((each.quantity for each in executions), Decimal(0))
            value = sum((each.quantity * each.price for each in executions), Decimal(0))
            assert order.filled == filled <= order.ticket.quantity
            assert order.filled_value == value
            charged = sum((each.commission for each in executions), Decimal(0))
            assert order.commission == charged
            if filled:
                assert charged >= FIXED.commission(order.ticket.instrument, filled, value)
        assert not by_order
        self.replay()
        self.close_out()

    def replay(self) -> None:
        """The journal leads from the first state to this one."""
        exchange = self.floor.exchange
        again = PaperExchange.restored(self.start, exchange.journal, clock=self.floor.clock)
        assert again.orders() == exchange.orders()
        assert again.completed_orders() == exchange.completed_orders()
        assert again.executions() == exchange.executions()
        assert again.next_order_id(1) == exchange.next_order_id(1)
        old, new = exchange.state(), again.state()
        assert new.orders == old.orders  # in the same order of time, too
        assert (new.next_perm, new.next_exec) == (old.next_perm, old.next_exec)
        [account], [known] = new.accounts, old.accounts
        assert account.cash == known.cash
        assert [(each.quantity, each.cost, each.realized) for each in account.holdings] == [
            (each.quantity, each.cost, each.realized) for each in known.holdings
        ]

    def close_out(self) -> None:
        """Nothing stays reserved: with all orders and positions gone, all of the equity can be used."""
        exchange = self.floor.exchange
        exchange.cancel_all()
        for each in exchange.positions():
            self.order_id += 1
            side = "SELL" if each.quantity > 0 else "BUY"
            self.mid[each.instrument.con_id] = 2000
            self.show(each.instrument, 10**9)
            self.collect(self.floor.place(self.order_id, side, str(abs(each.quantity)), of=each.instrument))
        assert exchange.positions() == []
        equity = exchange.figures().net_liquidation
        most = int(equity * 2 / Decimal("20.01"))
        self.mid[AAPL.con_id] = 2000
        self.show(AAPL, 10**9)
        self.order_id += 2
        # One more may pass, when what it needs is rounded to the very cent.
        assert not fills(self.floor.place(self.order_id - 1, "BUY", most + 2))
        assert fills(self.floor.place(self.order_id, "BUY", most))


@settings(max_examples=60, deadline=None)
@given(st.lists(actions(), max_size=80))
def test_books_agree_with_executions(steps: list[Action]) -> None:
    run = Run()
    for step in steps:
        run.act(step)
    run.finish()


def test_books_agree_over_thousands_of_orders() -> None:
    rng = Random(20260415)
    for _ in range(10):
        run = Run()
        for _ in range(350):
            run.act(
                (
                    rng.randint(0, 9),
                    rng.randint(0, 2),
                    rng.randint(0, 1),
                    rng.randint(0, len(KINDS) - 1),
                    rng.randint(1, 400),
                    rng.randint(-30, 30),
                    rng.randint(-30, 30),
                    rng.randint(0, 3),
                    rng.randint(0, 9),
                )
            )
        assert len(run.executions) > 100
        run.finish()


def placed(floor: Floor, number: int, side: str, kind: int, offset: int, **more: Any) -> Decimal:
    """Place an order of some type at some distance from a market at 100; returns what fills at once."""
    name = ("MKT", "LMT", "STP", "TRAIL", "MIT")[kind]
    price = str(Decimal(10000 + offset) / 100)
    events = floor.place(
        number,
        side,
        100,
        name,
        limit=price if name == "LMT" else None,
        stop=price if name in ("STP", "MIT") else None,
        trailing_amount="0.05" if name == "TRAIL" else None,
        **more,
    )
    return sum((each.quantity for each in fills(events)), Decimal(0))


def restarted(floor: Floor) -> None:
    exchange = floor.exchange
    floor.exchange = PaperExchange.restored(exchange.state(), [], clock=floor.clock)


KIND_AND_OFFSET = st.tuples(st.integers(0, 4), st.integers(-20, 20))
QUOTE = st.tuples(st.integers(-30, 30), st.integers(1, 150))


@settings(max_examples=200, deadline=None)
@given(
    oca_type=st.integers(0, 3),
    steps=st.lists(
        st.one_of(KIND_AND_OFFSET, QUOTE.map(lambda each: (-1, *each)), st.sampled_from([(-2,), (-3,)])),
        min_size=2,
        max_size=20,
    ),
)
def test_a_group_never_overfills(oca_type: int, steps: list[tuple[int, ...]]) -> None:
    """Whatever its orders are, whenever they come and go, and however many of them one quote reaches."""
    floor = Floor("10000000")
    floor.quote("99.99", "100.01", last="100.00", size=70)
    filled, number = Decimal(0), 0
    for kind, *rest in steps:
        if kind >= 0:
            number += 1
            more = {"oca_group": "group", "oca_type": oca_type}
            filled += placed(floor, number, "BUY", kind, rest[0], **more)
        elif kind == -1:
            filled += sum((each.quantity for each in fills(shown(floor, *rest))), Decimal(0))
        elif kind == -2:
            restarted(floor)
        elif number:
            floor.cancel(number)
        assert filled <= 100


@settings(max_examples=200, deadline=None)
@given(
    parent=KIND_AND_OFFSET,
    exits=st.lists(st.tuples(KIND_AND_OFFSET, st.booleans(), st.booleans()), min_size=1, max_size=4),
    quotes=st.lists(QUOTE, max_size=10),
)
def test_the_exits_of_a_bracket_never_sell_more_than_was_bought(
    parent: tuple[int, int],
    exits: list[tuple[tuple[int, int], bool, bool]],
    quotes: list[tuple[int, int]],
) -> None:
    """Be they transmitted with the entry or late, marketable at once, or after a restart."""
    floor = Floor("10000000")
    floor.quote("99.99", "100.01", last="100.00", size=150)
    floor.place(99, "BUY", 1, "LMT", limit="1.00", transmit=False)  # Something else is always staged.
    placed(floor, 100, "BUY", *parent, transmit=False)
    for number, (exit_order, transmit, is_followed) in enumerate(exits, 101):
        placed(floor, number, "SELL", *exit_order, parent_id=100, transmit=transmit)
        held_is_long(floor)
        if is_followed and quotes:
            shown(floor, *quotes.pop())
            held_is_long(floor)
            if transmit:
                restarted(floor)
    for quote in quotes:
        shown(floor, *quote)
        held_is_long(floor)


def shown(floor: Floor, offset: int, size: int) -> list[Event]:
    middle = Decimal(10000 + offset) / 100
    return floor.quote(str(middle - 1), str(middle + 1), last=str(middle), size=size)


def held_is_long(floor: Floor) -> None:
    assert all(0 <= each.quantity <= 100 for each in floor.exchange.positions())
