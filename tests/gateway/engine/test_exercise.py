"""Exercising options: what they turn into, and when they do not."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from trademind.clock import ManualClock
from trademind.domain import SecType, Side
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import (
    Event,
    Executed,
    IBOrderType,
    IBTif,
    Instrument,
    MarketQuote,
    OrderError,
    PortfolioChanged,
    Ticket,
)

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
ACCOUNT = "DU1"


def listed() -> Instrument:
    found = Universe().by_con_id(265598)
    assert found is not None
    return found


AAPL = listed()


def option(right: str, strike: str = "140") -> Instrument:
    return replace(
        AAPL,
        con_id=900 + ord(right),
        sec_type=SecType.OPTION,
        multiplier=Decimal(100),
        strike=Decimal(strike),
        right=right,
        last_trade_date="20261218",
        underlying=AAPL,
        legs=(),
    )


def quote(instrument: Instrument, price: str) -> MarketQuote:
    at = Decimal(price)
    size = Decimal(1000)
    return MarketQuote(
        con_id=instrument.con_id, time=NOW, bid=at, ask=at, last=at, bid_size=size, ask_size=size,
        last_size=size, volume=size, open=at, high=at, low=at, close=at,
    )  # fmt: skip


@pytest.fixture
def exchange() -> PaperExchange:
    return PaperExchange(accounts={ACCOUNT: Decimal(100_000)}, clock=ManualClock(NOW))


def buy(exchange: PaperExchange, instrument: Instrument, quantity: int = 2) -> None:
    """Have options, bought at 10, with the share at 150."""
    exchange.on_quote(quote(AAPL, "150"))
    exchange.on_quote(quote(instrument, "10"))
    exchange.place(
        Ticket(
            client_id=1,
            order_id=exchange.next_order_id(1),
            account=ACCOUNT,
            instrument=instrument,
            side=Side.BUY,
            quantity=Decimal(quantity),
            order_type=IBOrderType.MARKET,
            tif=IBTif.DAY,
        )
    )
    exchange.on_quote(quote(instrument, "10"))
    held = exchange.position(instrument.con_id)
    assert held is not None
    assert held.quantity == quantity


def exercise(
    exchange: PaperExchange, instrument: Instrument, quantity: str = "2", *, override: bool = False
) -> list[Event]:
    return exchange.exercise(
        instrument, Decimal(quantity), account=ACCOUNT, client_id=1, order_id=77, override=override
    )


def cash(exchange: PaperExchange) -> Decimal:
    return exchange.accounts[ACCOUNT].ledger.cash


@pytest.mark.parametrize(("right", "strike", "shares"), [("C", "140", 200), ("P", "160", -200)])
def test_options_turn_into_shares_at_the_strike(
    exchange: PaperExchange, right: str, strike: str, shares: int
) -> None:
    instrument = option(right, strike)
    buy(exchange, instrument)
    before = cash(exchange)

    events = exercise(exchange, instrument)

    assert exchange.positions()[0].instrument is AAPL
    assert [each.quantity for each in exchange.positions()] == [shares]
    assert cash(exchange) - before == -shares * Decimal(strike)
    first, second = [each.execution for each in events if isinstance(each, Executed)]
    assert (first.instrument, first.side, first.quantity, first.price) == (
        instrument,
        Side.SELL,
        Decimal(2),
        Decimal(0),
    )
    assert (second.instrument, second.quantity, second.price) == (AAPL, Decimal(200), Decimal(strike))
    assert {each.order_id for each in (first, second)} == {77}
    changed = [each.instrument for each in events if isinstance(each, PortfolioChanged)]
    assert changed == [instrument, AAPL]


def test_a_part_is_exercised(exchange: PaperExchange) -> None:
    instrument = option("C")
    buy(exchange, instrument)

    exercise(exchange, instrument, "1")

    assert {each.instrument.con_id: each.quantity for each in exchange.positions()} == {
        AAPL.con_id: 100,
        instrument.con_id: 1,
    }


@pytest.mark.parametrize(
    ("strike", "quantity", "words"),
    [("140", "3", "not within the position"), ("140", "0", "not within"), ("160", "1", "not in-the-money")],
)
def test_what_cannot_be_exercised(exchange: PaperExchange, strike: str, quantity: str, words: str) -> None:
    instrument = option("C", strike)
    buy(exchange, instrument)

    (error,) = exercise(exchange, instrument, quantity)

    assert isinstance(error, OrderError)
    assert (error.code, error.order_id) == (322, 77)
    assert words in error.message
    assert [each.instrument for each in exchange.positions()] == [instrument]


def test_out_of_the_money_on_demand(exchange: PaperExchange) -> None:
    instrument = option("C", "160")
    buy(exchange, instrument, 1)

    exercise(exchange, instrument, "1", override=True)

    assert [each.quantity for each in exchange.positions()] == [100]


def test_what_is_not_held_or_no_option(exchange: PaperExchange) -> None:
    for instrument, words in ((option("C"), "No unlapsed position"), (AAPL, "not an option")):
        (error,) = exercise(exchange, instrument, "1")

        assert isinstance(error, OrderError)
        assert words in error.message


def test_beyond_the_means_of_the_account(exchange: PaperExchange) -> None:
    instrument = option("C")
    buy(exchange, instrument, 20)

    (error,) = exercise(exchange, instrument, "20")

    assert isinstance(error, OrderError)
    assert error.code == 201
    assert [each.quantity for each in exchange.positions()] == [20]


def test_an_exercise_survives_a_restart(exchange: PaperExchange) -> None:
    instrument = option("C")
    start = exchange.state()
    buy(exchange, instrument)
    exercise(exchange, instrument)

    again = PaperExchange.restored(start, exchange.journal, clock=ManualClock(NOW))

    assert cash(again) == cash(exchange)
    assert [each.quantity for each in again.positions()] == [200]
    assert again.state().next_perm == exchange.state().next_perm
