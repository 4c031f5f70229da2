"""Market depth: a client that applies what it is told has the book, whichever way it applies it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conversation import AAPL_ID, EURUSD_ID, LIBRARIES, Heard, LibraryClient, make_core
from tests.gateway.handlers.watching import instrument, move
from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.handlers.depth import book, changes
from trademind.gateway.pacing import Pacing
from trademind.gateway.session import DepthRow

Book = list[Any]


def subscribe(
    client: LibraryClient, req_id: int = 1, *, exchange: str = "SMART", rows: int = 5, con_id: int = AAPL_ID
) -> Heard:
    contract = client.contract(con_id, exchange=exchange)
    return client.ask("reqMktDepth", req_id, contract, rows, exchange == "SMART", [])


class Applied:
    """Both ways in which clients keep a book: rows that shift, and places by number."""

    def __init__(self) -> None:
        self.shifting: dict[int, Book] = {0: [], 1: []}
        self.places: dict[int, dict[int, Any]] = {0: {}, 1: {}}

    def take(self, heard: Heard) -> None:
        for name, args in heard:
            if name == "updateMktDepth":
                _, position, operation, side, price, size = args
                self.apply(side, position, operation, (price, float(size), ""))
            elif name == "updateMktDepthL2":
                _, position, maker, operation, side, price, size, _ = args
                self.apply(side, position, operation, (price, float(size), maker))

    def apply(self, side: int, position: int, operation: int, row: Any) -> None:
        if operation == 0:
            self.shifting[side].insert(position, row)
            self.places[side][position] = row
        elif operation == 1:
            self.shifting[side][position] = self.places[side][position] = row
        else:
            del self.shifting[side][position]
            del self.places[side][position]

    def side(self, side: int) -> Book:
        assert self.shifting[side] == [self.places[side][each] for each in sorted(self.places[side])]
        return self.shifting[side]


def rows(side: list[DepthRow]) -> Book:
    return [(float(row.price), float(row.size), row.maker) for row in side]


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize(
    ("exchange", "con_id"), [("SMART", AAPL_ID), ("NASDAQ", AAPL_ID), ("IDEALPRO", EURUSD_ID)]
)
def test_the_client_has_the_book(library: str, version: int, exchange: str, con_id: int) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)
    applied = Applied()
    heard = subscribe(client, exchange=exchange, con_id=con_id)
    assert [code for _, code in heard.errors()] == ([2152] if exchange == "SMART" else [])
    applied.take(heard)
    for _ in range(8):
        traded = instrument(core, con_id)
        bids, asks = book(traded, exchange, core.feed.quote(traded, core.clock.now()), 5)
        assert (applied.side(1), applied.side(0)) == (rows(bids), rows(asks))
        move(core)
        applied.take(client.hear())
    assert not client.ask("cancelMktDepth", 1, exchange == "SMART").errors()
    move(core)
    assert not client.hear()


def test_the_best_level_is_the_quote_and_smart_rows_name_exchanges() -> None:
    core = make_core()
    client = LibraryClient(core)
    applied = Applied()
    heard = subscribe(client, rows=20)
    applied.take(heard)

    quote = core.feed.quote(instrument(core, AAPL_ID), core.clock.now())
    for side, price, size in ((1, quote.bid, quote.bid_size), (0, quote.ask, quote.ask_size)):
        best = [row for row in applied.side(side) if row[0] == float(price)]
        assert sum(row[1] for row in best) == size
        assert len(applied.side(side)) == 20
        assert {row[2] for row in applied.side(side)} <= {"EDGX", "NYSE", "ARCA", "NASDAQ", "IEX", "BATS"}
    assert [row[0] for row in applied.side(1)] == sorted((row[0] for row in applied.side(1)), reverse=True)
    assert all(args[-1] is True for args in heard.named("updateMktDepthL2"))


ROW = st.builds(
    DepthRow,
    st.decimals(1, 3, places=2),
    st.integers(1, 5).map(Decimal),
    st.sampled_from(["", "ARCA"]),
)


@given(st.lists(ROW, max_size=8), st.lists(ROW, max_size=8))
def test_changes_lead_from_any_side_to_any_other(before: list[DepthRow], after: list[DepthRow]) -> None:
    applied = Applied()
    applied.shifting[0] = list(before)
    applied.places[0] = dict(enumerate(before))
    for position, operation, row in changes(before, after):
        applied.apply(0, position, operation, row)

    assert applied.side(0) == after


def test_after_a_break_the_book_begins_anew() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, exchange="NASDAQ")
    core.connectivity.farms[Farm.MARKET] = FarmState.BROKEN
    move(core, 5)
    assert not client.hear().named("updateMktDepthL2")
    core.connectivity.farms[Farm.MARKET] = FarmState.OK
    move(core)
    heard = client.hear()

    assert heard.errors() == [(1, 317)]
    applied = Applied()
    applied.take(heard)
    assert len(applied.side(0)) == len(applied.side(1)) == 5


@pytest.mark.parametrize(("exchange", "con_id"), [("SMART", EURUSD_ID), ("NYSENAT", AAPL_ID)])
def test_what_has_no_depth_is_refused(exchange: str, con_id: int) -> None:
    core = make_core()
    client = LibraryClient(core)

    assert subscribe(client, exchange=exchange, con_id=con_id).errors() == [(1, 10092)]
    contract = client.contract(AAPL_ID)
    assert client.ask("reqMktDepth", 1, contract, 5, False, []).errors() == [(1, 10092)]
    assert client.ask("reqMktDepth", 1, contract, 0, True, []).errors() == [(1, 321)]
    assert client.ask("cancelMktDepth", 1, True).errors() == [(1, 310)]


def test_books_are_counted_and_need_a_subscription() -> None:
    core = make_core()
    core.pacing = Pacing(max_depth=1)
    client = LibraryClient(core)
    subscribe(client, exchange="NASDAQ")

    assert subscribe(client, 1, exchange="NASDAQ").errors() == [(1, 322)]
    assert subscribe(client, 2, exchange="NASDAQ").errors() == [(2, 309)]
    client.ask("cancelMktDepth", 1, False)
    core.entitlements = Entitlements({"AAPL": Access.DELAYED})
    assert subscribe(client, 2, exchange="NASDAQ").errors() == [(2, 354)]
