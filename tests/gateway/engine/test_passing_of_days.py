"""Interest, fees, dividends, splits and settlement, as days pass; and that the journal tells of all of it."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.gateway.engine.derivatives import CFD, future, option
from tests.gateway.engine.trading import AAPL, MSFT, Floor, story
from trademind.domain import Side
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.accruals import InterestSchedule, accruals
from trademind.gateway.engine.corporate_actions import CorporateAction, Dividend, Split
from trademind.gateway.engine.exchange import PaperExchange, exchange_date
from trademind.gateway.engine.journal import DayStarted, InterestAccrued
from trademind.gateway.engine.ledger import Ledger
from trademind.gateway.engine.model import Instrument

START = date(2026, 4, 15)
FLAT = InterestSchedule(benchmarks={"USD": Decimal("0.04")})


class Days(Floor):
    """A floor whose days pass, and which is restored from its journal at the end."""

    def __init__(self, cash: str = "100000") -> None:
        super().__init__(cash)
        self.first = self.exchange.state()

    def sleep(self, days: int = 1) -> list[str]:
        self.clock.advance(timedelta(days=days))
        return story(self.exchange.roll(self.clock.now()))

    @property
    def today(self) -> date:
        return exchange_date(self.clock.now())

    def hold(self, quantity: int, price: str = "100.00", of: Instrument = AAPL) -> None:
        side = Side.BUY if quantity > 0 else Side.SELL
        self.quote(price, price, of=of, size=10**6)
        self.place(self.exchange.next_order_id(1), side, abs(quantity), of=of)

    def balances(self) -> tuple[Any, Any, Any]:
        figures = self.exchange.figures()
        return figures.total_cash_value, figures.accrued_cash, figures.accrued_dividend

    def check_journal(self) -> None:
        """Replayed onto the first state it gives the same account."""
        again = PaperExchange.restored(self.first, self.exchange.journal, clock=self.clock)
        old, new = self.exchange.state().accounts[0], again.state().accounts[0]
        assert (new.cash, new.accrued, new.payables) == (old.cash, old.accrued, old.payables)
        assert [
            (each.quantity, each.cost, each.realized, each.day_quantity, each.carried)
            for each in new.holdings
        ] == [
            (each.quantity, each.cost, each.realized, each.day_quantity, each.carried)
            for each in old.holdings
        ]
        assert again.state().actions == self.exchange.state().actions


# Interest


@pytest.mark.parametrize(
    ("balance", "year"),
    [
        ("0", "0"),
        ("10000", "0"),
        ("110000", "3500"),  # 3.5 % beyond the first 10,000
        ("-100000", "-5500"),
        ("-300000", "-15500"),  # 5.5 % on 100,000 and 5 % on the rest
        ("-2000000", "-98000"),  # and 4.75 % on the second million
        ("-60000000", "-2828000"),  # and 4.5 % beyond 50 million
    ],
)
def test_a_years_interest_by_tiers(balance: str, year: str) -> None:
    assert FLAT.on_cash("USD", Decimal(balance)) == Decimal(year)


def test_a_currency_whose_benchmark_is_low_earns_nothing() -> None:
    assert FLAT.on_cash("CHF", Decimal(10**6)) == 0
    assert FLAT.on_cash("CHF", Decimal(-1000)) == -15


def test_shares_sold_short_cost_a_fee_and_their_proceeds_earn_nothing() -> None:
    ledger = Ledger(Decimal(10_000))
    ledger.book(AAPL, -1, Decimal(1000), Decimal("99.50"), Decimal(0))
    # The collateral is 102 each (101.49 rounded up), 102,000 in all: a quarter of a per cent is 255 a year.
    assert accruals(ledger, 1, FLAT) == {"USD": Decimal("-0.71")}
    assert accruals(ledger, 3, FLAT) == {"USD": Decimal("-2.13")}


def test_cfds_are_financed() -> None:
    ledger = Ledger(Decimal(0))
    ledger.book(CFD, +1, Decimal(1000), Decimal(100), Decimal(0))
    assert accruals(ledger, 1, FLAT) == {"USD": Decimal("-15.28")}  # 5.5 % of 100,000 over 360 days


def test_interest_accrues_by_the_day_and_is_paid_with_the_month() -> None:
    floor = Days("110000")
    daily = Decimal("10.64")  # 4.33 % less 0.5 % of 100,000, over 360
    floor.sleep()
    assert floor.balances() == (110_000, daily, 0)
    assert floor.exchange.figures().net_liquidation == 110_000 + daily
    floor.sleep(14)  # to the 30th
    assert floor.balances() == (110_000, 15 * daily, 0)
    floor.sleep()
    assert floor.balances() == (110_000 + 16 * daily, 0, 0)
    records = floor.exchange.journal
    assert [type(each) for each in records] == [InterestAccrued, DayStarted] * 3
    floor.check_journal()


# Dividends and splits


def dividend(amount: str = "0.26", on: date = START + timedelta(days=1), pay: date | None = None) -> Dividend:
    return Dividend(con_id=AAPL.con_id, ex_date=on, amount=Decimal(amount), pay_date=pay)


@pytest.mark.parametrize("quantity", [100, -100])
def test_a_dividend_goes_by_what_was_held_when_the_day_began(quantity: int) -> None:
    floor = Days("10000")
    floor.hold(quantity)
    floor.sleep()
    floor.hold(50)  # too late
    cash, accrued, _ = floor.balances()
    before = floor.exchange.position(AAPL.con_id)
    assert story(floor.exchange.apply(dividend())) == ["portfolio AAPL"]
    assert floor.balances() == (cash + quantity * Decimal("0.26"), accrued, 0)
    after = floor.exchange.position(AAPL.con_id)
    assert before is not None
    assert after is not None
    assert after.daily_pnl - before.daily_pnl == quantity * Decimal("0.26")
    assert after.avg_cost == before.avg_cost
    assert floor.exchange.apply(dividend()) == []  # once
    floor.check_journal()


def test_a_dividend_is_accrued_until_it_is_paid() -> None:
    floor = Days("10000")
    floor.hold(100)
    floor.sleep()
    floor.exchange.apply(dividend(pay=START + timedelta(days=3)))
    cash, _, to_come = floor.balances()
    assert to_come == 26
    floor.sleep()
    assert floor.balances()[0] == cash
    floor.sleep()
    assert (floor.balances()[0], floor.balances()[2]) == (cash + 26, 0)
    floor.check_journal()


def test_a_split_changes_neither_value_nor_cost() -> None:
    floor = Days("10000")
    floor.hold(10, "300.00")
    floor.place(2, "SELL", 5, "LMT", limit="400.00", tif="GTC")
    floor.sleep()
    before = floor.exchange.figures()
    split = Split(con_id=AAPL.con_id, date=START + timedelta(days=1), ratio=Decimal(3))
    events = floor.exchange.apply(split)
    assert story(events) == ["2 Cancelled 0/5", "2 error 202", "portfolio AAPL"]
    [position] = floor.exchange.positions()
    assert (position.quantity, position.market_price) == (Decimal(30), Decimal(100))
    assert position.market_value == 3000
    assert position.avg_cost == Decimal("100.03333333")  # the commission is in it
    after = floor.exchange.figures()
    assert (after.net_liquidation, after.unrealized_pnl) == (before.net_liquidation, before.unrealized_pnl)
    floor.quote("101.00", "101.00", close="100")
    assert floor.exchange.figures().daily_pnl == 30
    floor.check_journal()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_reverse_split_pays_fractions_out(sign: int) -> None:
    floor = Days("10000")
    floor.hold(sign * 25, "10.00")
    floor.sleep()
    cash = floor.balances()[0]
    liquidation = floor.exchange.figures().net_liquidation
    floor.exchange.apply(Split(con_id=AAPL.con_id, date=START + timedelta(days=1), ratio=Decimal("0.1")))
    [position] = floor.exchange.positions()
    assert (position.quantity, position.market_price) == (Decimal(sign * 2), Decimal(100))
    assert floor.balances()[0] == cash + sign * 50
    assert floor.exchange.figures().net_liquidation == liquidation
    floor.check_journal()


def test_an_action_of_before_the_account_or_of_the_future() -> None:
    floor = Days()
    floor.hold(10)
    assert floor.exchange.apply(dividend(on=START - timedelta(days=1))) == []
    with pytest.raises(ValueError, match="future"):
        floor.exchange.apply(dividend())


def test_a_cfd_follows_its_share() -> None:
    floor = Days("100000")
    floor.hold(100, of=CFD)
    floor.sleep()
    cash = floor.balances()[0]
    floor.exchange.apply(dividend("1"))
    assert floor.balances()[0] == cash + 100


# Settlement


def test_futures_are_settled_when_the_day_ends() -> None:
    contract = future(multiplier=5)
    floor = Days("100000")
    floor.hold(2, "5000", of=contract)
    commission = 100_000 - floor.balances()[0]
    floor.quote("5010", "5010", of=contract)
    assert floor.balances()[0] == 100_000 - commission
    floor.sleep()
    assert floor.balances()[0] == 100_100 - commission
    [position] = floor.exchange.positions()
    assert position.unrealized_pnl == 100 - commission
    floor.check_journal()


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "last", "cash"),
    [
        (option("C", "100", "20260415"), 2, "3.00", "110.00", 2000),
        (option("C", "100", "20260415"), -2, "3.00", "110.00", -2000),
        (option("P", "100", "20260415"), 2, "3.00", "110.00", 0),
        (option("P", "100", "20260415"), -1, "3.00", "90.00", -1000),
    ],
)
def test_options_end_at_their_intrinsic_value(
    instrument: Instrument, quantity: int, price: str, last: str, cash: int
) -> None:
    floor = Days("100000")
    floor.hold(quantity, price, of=instrument)
    floor.place(2, "SELL", 1, "LMT", limit="50.00", tif="GTC", of=instrument)
    floor.quote(last, last)
    before, liquidation = floor.balances()[0], floor.exchange.figures().net_liquidation
    events = floor.sleep()
    assert events[:2] == ["2 Cancelled 0/1", "2 error 202"]
    assert floor.balances()[0] == before + cash
    assert floor.exchange.positions() == []
    assert liquidation - quantity * Decimal(price) * 100 == before
    floor.check_journal()


def test_an_option_lives_until_its_last_day_is_over() -> None:
    floor = Days("100000")
    floor.hold(1, "3.00", of=option(last_day="20260416"))
    floor.sleep()
    assert len(floor.exchange.positions()) == 1
    floor.sleep()
    assert floor.exchange.positions() == []


def test_a_future_ends_at_its_last_price() -> None:
    contract = future(multiplier=5, last_day="20260415")
    floor = Days("100000")
    floor.hold(-2, "5000", of=contract)
    cash = floor.balances()[0]
    floor.quote("4990", "4990", of=contract)
    floor.sleep()
    assert floor.balances()[0] == cash + 100
    assert floor.exchange.positions() == []
    floor.check_journal()


def test_days_that_passed_while_it_was_off_are_made_up_for() -> None:
    floor = Days("110000")
    floor.sleep(3)
    assert floor.balances()[1] == 3 * Decimal("10.64")


def test_euros_earn_their_own_interest() -> None:
    account = PaperAccount("DU1", Decimal(1), {"USD": Decimal(0), "EUR": Decimal(1_010_000)})
    assert accruals(account.ledger, 1, InterestSchedule()) == {"EUR": Decimal("39.72")}


def test_names_tell_actions_apart() -> None:
    floor = Days("10000")
    floor.hold(100)
    floor.sleep()
    actions: list[CorporateAction] = [
        dividend(),
        Split(con_id=AAPL.con_id, date=START + timedelta(days=1), ratio=Decimal(2)),
    ]
    for each in actions:
        assert floor.exchange.apply(each)
    assert len(floor.exchange.state().actions) == 2


def test_the_journal_tells_of_everything_over_many_days() -> None:
    """Orders, days, dividends, splits, interest and settlement at random; replayed, the same accounts."""
    rng = Random(20260415)
    told = set[type]()
    call, contract = option("C", "100", "20260515"), future(multiplier=5, last_day="20260520")
    for _ in range(8):
        floor = Days("200000")
        prices = {AAPL: 100, MSFT: 200, CFD: 100, call: 8, contract: 500}
        for _ in range(120):
            instrument = rng.choice(list(prices))
            match rng.randrange(8):
                case 0:
                    floor.sleep(rng.choice((1, 1, 1, 3)))
                case 1:
                    ratio = rng.choice((Decimal(2), Decimal("0.5"), Decimal("1.5")))
                    floor.exchange.apply(Split(con_id=AAPL.con_id, date=floor.today, ratio=ratio))
                case 2:
                    due = floor.today + timedelta(days=rng.randrange(4))
                    con_id = rng.choice((AAPL, MSFT)).con_id
                    amount = Decimal(rng.randint(1, 200)) / 100
                    floor.exchange.apply(
                        Dividend(con_id=con_id, ex_date=floor.today, amount=amount, pay_date=due)
                    )
                case 3 | 4:
                    price = f"{prices[instrument] * rng.uniform(0.8, 1.2):.2f}"
                    floor.quote(price, price, of=instrument, size=10**6)
                case _:
                    floor.place(
                        floor.exchange.next_order_id(1),
                        rng.choice(("BUY", "SELL")),
                        rng.randint(1, 40),
                        of=instrument,
                        tif=rng.choice(("DAY", "GTC")),
                    )
            figures = floor.exchange.figures()
            holdings = floor.exchange.accounts["DU7654321"].ledger.holdings()
            worth = sum((each.worth for each in holdings), Decimal(0))
            assert figures.net_liquidation == (
                figures.total_cash_value + worth + figures.accrued_cash + figures.accrued_dividend
            )
        told.update(type(each) for each in floor.exchange.journal)
        floor.check_journal()
    assert len(told) == 8  # some of everything
