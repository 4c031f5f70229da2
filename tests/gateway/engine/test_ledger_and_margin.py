from decimal import Decimal

import pytest

from tests.gateway.engine.trading import AAPL, EURUSD, Floor, fills
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.currencies import Rates
from trademind.gateway.engine.ledger import Ledger


def book(ledger: Ledger, sign: int, quantity: str, price: str, commission: str = "1.00") -> Decimal | None:
    return ledger.book(AAPL, sign, Decimal(quantity), Decimal(price), Decimal(commission))


def test_buying_selling_and_what_it_earned() -> None:
    ledger = Ledger(Decimal(100_000))
    assert book(ledger, +1, "100", "50.00") is None
    assert book(ledger, +1, "100", "60.00") is None
    holding = ledger.holding(AAPL.con_id)
    assert holding is not None
    assert holding.position().avg_cost == Decimal("55.01")  # commissions included
    assert book(ledger, -1, "50", "70.00") == Decimal("748.50")  # 3500 - 1 - 50 x 55.01
    assert holding.position().avg_cost == Decimal("55.01")
    assert ledger.cash == Decimal("92497.00")
    assert book(ledger, -1, "150", "40.00") == Decimal("-2252.50")
    assert holding.quantity == holding.cost == holding.market_value == 0
    assert holding.realized == Decimal("-1504.00")
    assert ledger.net_liquidation == ledger.cash == Decimal("98496.00")


def test_selling_short_and_covering() -> None:
    ledger = Ledger(Decimal(100_000))
    assert book(ledger, -1, "100", "50.00") is None
    holding = ledger.holding(AAPL.con_id)
    assert holding is not None
    assert ledger.cash == Decimal("104999.00")
    assert holding.position().avg_cost == Decimal("49.99")  # what a share brought in, net
    ledger.mark(holding, Decimal("45.00"), Decimal("50.00"))
    assert holding.unrealized == Decimal("499.00")
    assert book(ledger, +1, "100", "45.00") == Decimal("498.00")
    assert ledger.cash == Decimal("100498.00")


@pytest.mark.parametrize("sign", [+1, -1])
def test_through_zero_in_one_fill(sign: int) -> None:
    ledger = Ledger(Decimal(100_000))
    book(ledger, sign, "100", "50.00")
    realized = book(ledger, -sign, "300", "50.00", "1.50")
    holding = ledger.holding(AAPL.con_id)
    assert holding is not None
    assert holding.quantity == -200 * sign
    # The closing third bears a third of the commission, beside that of the opening.
    assert realized == Decimal("-1.50")
    assert holding.position().avg_cost == Decimal("50.00") - sign * Decimal("0.005")
    assert ledger.cash + holding.cost == 100_000 + holding.realized


def test_a_fraction_of_a_cent_is_rounded_once() -> None:
    rates = Rates([EURUSD])
    ledger = Ledger(Decimal(1000), rates)
    ledger.book(EURUSD, +1, Decimal(1), Decimal("1.08345"), Decimal("2.00"))
    rates.on_quote(EURUSD.con_id, Decimal("1.08345"))
    assert ledger.balance("USD").cash == Decimal("996.92")
    assert ledger.balance("EUR").cash == 1
    assert ledger.cash == ledger.net_liquidation == Decimal("998.00")


def test_figures_of_a_long_position() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00", size=1000)
    floor.place(1, "BUY", 1000)
    floor.quote("110.00", "110.02", close="105")
    account = floor.exchange.figures()
    assert account.total_cash_value == account.settled_cash == Decimal("-5.00")
    assert account.gross_position_value == Decimal("110000.00")
    assert account.net_liquidation == account.equity_with_loan_value == Decimal("109995.00")
    assert account.init_margin_req == Decimal("55000.00")
    assert account.maint_margin_req == Decimal("27500.00")
    assert account.available_funds == Decimal("54995.00")
    assert account.excess_liquidity == Decimal("82495.00")
    assert account.buying_power == Decimal("109990.00")
    assert account.unrealized_pnl == Decimal("9995.00")
    assert account.daily_pnl == Decimal("9995.00")  # bought today: nothing from before
    assert account.cushion == Decimal("0.749989")


def test_a_new_account_can_buy_for_twice_its_cash() -> None:
    account = PaperAccount("DU1", Decimal(100_000), Decimal(100_000)).figures()
    assert account.buying_power == Decimal("200000.00")
    assert account.net_liquidation == account.available_funds == Decimal("100000.00")
    assert account.gross_position_value == account.unrealized_pnl == account.daily_pnl == 0


def test_currency_pairs_need_little_margin() -> None:
    floor = Floor()
    floor.quote("1.08500", "1.08500", size=1_000_000, of=EURUSD, close="1.085")
    events = floor.place(1, "BUY", 1_000_000, of=EURUSD)
    assert [each.commission for each in fills(events)] == [Decimal("21.70")]
    assert floor.exchange.figures().init_margin_req == Decimal("21700.00")


def test_daily_figures_start_from_yesterdays_close() -> None:
    ledger = Ledger(Decimal(100_000))
    book(ledger, +1, "100", "50.00")
    holding = ledger.holding(AAPL.con_id)
    assert holding is not None
    ledger.start_day()
    assert holding.daily_pnl == holding.realized == 0
    ledger.mark(holding, Decimal("53.00"), Decimal("52.00"))
    assert holding.daily_pnl == Decimal("100.00")
    book(ledger, -1, "40", "53.00")
    assert holding.daily_pnl == Decimal("99.00")  # less the commission


def test_what_was_closed_is_forgotten_with_the_day() -> None:
    ledger = Ledger(Decimal(100_000))
    book(ledger, +1, "100", "50.00")
    book(ledger, -1, "100", "50.00")
    assert ledger.holding(AAPL.con_id) is not None
    ledger.start_day()
    assert ledger.holding(AAPL.con_id) is None
