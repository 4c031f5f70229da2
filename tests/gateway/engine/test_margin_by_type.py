"""What each kind of instrument does to cash, equity and margin."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.gateway.engine.derivatives import CFD, CRYPTO, EURGBP, GERMAN, USDJPY, future, option
from tests.gateway.engine.trading import AAPL, EURUSD, market
from trademind.domain import SecType, Side
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.currencies import Rates
from trademind.gateway.engine.model import Instrument, Leg

CASH = Decimal(100_000)
PRICES = {AAPL.con_id: Decimal(110)}


def account(*pairs: Instrument) -> PaperAccount:
    def last(instrument: Instrument) -> Decimal:
        return PRICES.get(instrument.con_id) or Decimal(str(instrument.reference_price))

    return PaperAccount("DU1", CASH, CASH, rates=Rates([EURUSD, *pairs]), last_price=last)


def trade(of: PaperAccount, instrument: Instrument, quantity: int, price: str) -> Decimal | None:
    side = Side.BUY if quantity > 0 else Side.SELL
    return of.book(instrument, side, abs(Decimal(quantity)), Decimal(price), Decimal(1))


def whole(*amounts: Decimal) -> list[int]:
    """Amounts that have no cents."""
    assert all(each == each.to_integral_value() for each in amounts)
    return [int(each) for each in amounts]


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "initial", "maintenance"),
    [
        (AAPL, 100, "110", "5500.00", "2750.00"),
        (AAPL, -100, "110", "5500.00", "3300.00"),
        (AAPL, -100, "10", "500.00", "500.00"),  # 5 dollars a share
        (AAPL, -100, "4", "200.00", "400.00"),  # the whole of it
        (EURUSD, 20_000, "1.085", "434.00", "434.00"),
        (future("MES"), 2, "5000", "2750.00", "2500.00"),
        (future("MES"), -2, "5000", "2750.00", "2500.00"),
        (future("XYZ"), 1, "100", "55.00", "50.00"),
        (option("C", "100"), 2, "12", "0.00", "0.00"),
        # 1200 each and 20 % of 11,000, being in the money
        (option("C", "100"), -1, "12", "3400.00", "3400.00"),
        # 20 % of 110 less the 15 out of the money is less than 10 % of it
        (option("C", "125"), -1, "1", "1200.00", "1200.00"),
        (option("C", "115"), -1, "3", "2000.00", "2000.00"),
        (option("P", "100"), -1, "2", "1400.00", "1400.00"),
        (option("P", "80"), -1, "0.5", "850.00", "850.00"),  # 10 % of the strike
        (CFD, 100, "110", "2200.00", "1100.00"),
        (CRYPTO, 2, "110", "220.00", "220.00"),
    ],
)
def test_margin(instrument: Instrument, quantity: int, price: str, initial: str, maintenance: str) -> None:
    held = account()
    trade(held, instrument, quantity, price)
    figures = held.figures()
    assert figures.init_margin_req == Decimal(initial)
    assert figures.maint_margin_req == Decimal(maintenance)
    assert figures.net_liquidation == CASH - 1


@pytest.mark.parametrize(
    ("instrument", "cash"),
    [
        (AAPL, "87999.00"),
        (option(), "-1100001.00"),
        (future(), "99999.00"),
        (CFD, "99999.00"),
    ],
)
def test_what_a_purchase_takes(instrument: Instrument, cash: str) -> None:
    held = account()
    trade(held, instrument, 100, "120")
    assert held.figures().total_cash_value == Decimal(cash)


def test_a_future_is_settled_in_cash_as_it_moves() -> None:
    held, contract = account(), future(multiplier=5)
    trade(held, contract, 2, "5000")
    held.mark(contract, market("5010", "5010.25", of=contract, close="4990"))
    figures = held.figures()
    assert figures.total_cash_value == CASH - 1
    assert figures.net_liquidation == CASH - 1 + 100
    assert figures.unrealized_pnl == 99
    assert figures.gross_position_value == 0
    [dollars] = figures.currencies
    assert dollars.futures_pnl == 100
    held.ledger.settle(contract, Decimal(5010), is_final=False)
    figures = held.figures()
    assert figures.total_cash_value == figures.net_liquidation == CASH + 99
    assert figures.currencies[0].futures_pnl == 0
    assert figures.unrealized_pnl == 99  # since it was bought, settled or not
    assert trade(held, contract, -2, "5000") == Decimal(-2)
    assert held.figures().total_cash_value == held.figures().net_liquidation == CASH - 2


def test_the_equity_that_counts_leaves_options_out() -> None:
    held, call = account(), option()
    trade(held, call, 1, "12")
    figures = held.figures()
    assert figures.net_liquidation == CASH - 1
    assert figures.equity_with_loan_value == figures.available_funds == CASH - 1201
    assert figures.currencies[0].option_market_value == 1200
    assert figures.gross_position_value == 1200


def test_options_are_bought_only_with_what_there_is() -> None:
    held = account()
    at = Decimal("500.00")
    assert held.reserve(option(), [(Side.BUY, Decimal(2), at)]) is None
    problem = held.reserve(option(number=2), [(Side.BUY, Decimal(1), at)])
    assert problem is not None
    assert problem[0] == 201


def test_shares_in_another_currency() -> None:
    held = account()
    held.ledger.rates.on_quote(EURUSD.con_id, Decimal("1.10"))
    trade(held, GERMAN, 100, "200")
    held.mark(GERMAN, market("210", "210.1", of=GERMAN))
    figures = held.figures()
    by_currency = {each.currency: each for each in figures.currencies}
    euros = by_currency["EUR"]
    assert whole(euros.cash_balance, euros.stock_market_value, euros.net_liquidation) == [-20001, 21000, 999]
    assert euros.exchange_rate == Decimal("1.10")
    assert figures.net_liquidation == CASH + Decimal("1098.90")
    assert figures.total_cash_value == CASH - Decimal("22001.10")
    assert figures.unrealized_pnl == Decimal("1098.90")
    assert figures.init_margin_req == Decimal("11550.00")
    assert held.needs_quotes() == {GERMAN.con_id, EURUSD.con_id}


def test_a_currency_without_a_rate_is_not_traded() -> None:
    held = PaperAccount("DU1", CASH, CASH, rates=Rates([]))
    problem = held.reserve(GERMAN, [(Side.BUY, Decimal(1), Decimal(1))])
    assert problem is not None
    assert "EUR" in problem[1]


def test_pairs_move_both_balances_whichever_way_they_are_quoted() -> None:
    held = account(USDJPY, replace(EURUSD, con_id=7, symbol="GBP"))
    rates = held.ledger.rates
    rates.on_quote(EURUSD.con_id, Decimal("1.10"))
    rates.on_quote(USDJPY.con_id, Decimal("160"))
    rates.on_quote(7, Decimal("1.25"))
    trade(held, USDJPY, 1000, "160")  # its commission is in yen
    trade(held, EURGBP, 500, "0.88")
    balances = {currency: each.cash for currency, each in held.ledger.balances.items()}
    assert balances == {
        "USD": CASH + 1000, "JPY": -160_001, "EUR": Decimal(500), "GBP": Decimal(-441)
    }  # fmt: skip
    assert rates.rate("JPY") == Decimal("0.00625")
    worth = CASH + 1000 - Decimal("1000.01") + 550 - Decimal("551.25")
    assert held.figures().net_liquidation == worth
    assert {each.instrument.con_id: each.quantity for each in held.positions()} == {
        USDJPY.con_id: 1000, EURGBP.con_id: 500
    }  # fmt: skip


def test_a_preview_changes_nothing() -> None:
    held = account()
    trade(held, AAPL, 100, "110")
    before = held.state(), held.figures()
    preview = held.preview(AAPL, Side.BUY, Decimal(200), Decimal(120))
    assert (held.state(), held.figures()) == before
    assert whole(*preview.init_margin) == [5500, 12500, 18000]  # all of it at the new price
    assert whole(*preview.maint_margin) == [2750, 6250, 9000]
    assert preview.commission == 1
    assert preview.equity_with_loan[0] == CASH - 1
    assert preview.equity_with_loan[1] == 999  # what was held is worth more at 120, less the commission
    assert preview.equity_with_loan[2] == sum(preview.equity_with_loan[:2])
    closing = held.preview(AAPL, Side.SELL, Decimal(100), Decimal(110))
    assert whole(*closing.init_margin) == [5500, -5500, 0]


def test_a_combination_needs_what_its_legs_need() -> None:
    long, short = option("C", "100", number=1), option("C", "120", number=2)
    spread = replace(
        AAPL,
        con_id=900_000_400,
        sec_type=SecType.COMBO,
        multiplier=Decimal(100),
        legs=(
            Leg(instrument=long, ratio=1, side=Side.BUY),
            Leg(instrument=short, ratio=1, side=Side.SELL),
        ),
    )
    held = account()
    legs = [(long, Side.BUY, Decimal(1), Decimal(12)), (short, Side.SELL, Decimal(1), Decimal(2))]
    preview = held.preview(spread, Side.BUY, Decimal(1), Decimal(10), legs=legs)
    assert whole(*preview.init_margin) == [0, 1400, 1400]  # the short one, uncovered: 200 and 20 % less 1000
    assert preview.equity_with_loan[1] == -1000 - preview.commission
    # Ordered, also the premium of the long one, at its reference price.
    assert held.reserve(spread, [(Side.BUY, Decimal(1), Decimal(10))]) is None


@pytest.mark.parametrize("sec_type", [SecType.INDEX, SecType.CONTINUOUS_FUTURE])
def test_what_is_only_quoted_cannot_be_bought(sec_type: SecType) -> None:
    problem = account().reserve(replace(AAPL, sec_type=sec_type), [(Side.BUY, Decimal(1), Decimal(1))])
    assert problem is not None
    assert problem[0] == 387
