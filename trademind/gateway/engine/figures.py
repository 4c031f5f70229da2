"""An account's figures by IB's definitions for a Reg-T margin account, whole and by currency."""

from collections.abc import Iterable
from decimal import Decimal

from trademind.domain import SecType
from trademind.gateway.engine.ledger import SETTLED_DAILY, ZERO, Holding, Ledger, cents
from trademind.gateway.engine.margin import REG_T_LEVERAGE, LastPrice, held, maintenance
from trademind.gateway.engine.model import AccountFigures, CurrencyFigures

_RATIO_DIGITS = Decimal("0.000001")
_NOT_GROSS = SETTLED_DAILY | {SecType.CASH}
"""What IB leaves out of the gross position value."""


def account_figures(ledger: Ledger, last_price: LastPrice) -> AccountFigures:
    """All figures of an account. Margin of options needs the last prices of their underlyings."""
    initial = kept = gross = unrealized = realized = daily = ZERO
    for holding in ledger.holdings():
        currency = holding.instrument.currency
        if holding.quantity:
            initial += ledger.in_base(cents(held(holding, last_price)), currency)
            kept += ledger.in_base(cents(maintenance(holding, last_price)), currency)
            if holding.instrument.sec_type not in _NOT_GROSS:
                gross += ledger.in_base(abs(holding.market_value), currency)
        unrealized += ledger.in_base(holding.unrealized, currency)
        realized += ledger.in_base(holding.realized, currency)
        daily += ledger.in_base(holding.daily_pnl, currency)
    equity, liquidation = ledger.equity_with_loan, ledger.net_liquidation
    available = equity - initial
    excess = equity - kept
    cash = ledger.cash
    return AccountFigures(
        net_liquidation=liquidation,
        total_cash_value=cash,
        settled_cash=cash,
        buying_power=max(available, ZERO) * REG_T_LEVERAGE,
        available_funds=available,
        excess_liquidity=excess,
        equity_with_loan_value=equity,
        init_margin_req=initial,
        maint_margin_req=kept,
        gross_position_value=gross,
        unrealized_pnl=unrealized,
        realized_pnl=realized,
        daily_pnl=daily,
        accrued_cash=ledger.accrued,
        accrued_dividend=ledger.dividends_to_come,
        cushion=(excess / liquidation).quantize(_RATIO_DIGITS) if liquidation > 0 else ZERO,
        currencies=tuple(_currency(ledger, each) for each in ledger.currencies()),
    )


def _currency(ledger: Ledger, currency: str) -> CurrencyFigures:
    balance = ledger.balances[currency]
    held_in = [each for each in ledger.holdings() if each.instrument.currency == currency]
    dividends = sum((each.amount for each in ledger.payables if each.currency == currency), ZERO)
    return CurrencyFigures(
        currency=currency,
        exchange_rate=ledger.rates.rate(currency),
        cash_balance=balance.cash,
        accrued_cash=balance.accrued,
        net_dividend=dividends,
        stock_market_value=_worth(held_in, SecType.STOCK, SecType.CFD),
        option_market_value=_worth(held_in, SecType.OPTION),
        future_option_value=_worth(held_in, SecType.FUTURE_OPTION),
        futures_pnl=_worth(held_in, *SETTLED_DAILY),
        crypto_value=_worth(held_in, SecType.CRYPTO),
        net_liquidation=balance.cash + balance.worth + balance.accrued + dividends,
        unrealized_pnl=sum((each.unrealized for each in held_in), ZERO),
        realized_pnl=sum((each.realized for each in held_in), ZERO),
    )


def _worth(holdings: Iterable[Holding], *sec_types: SecType) -> Decimal:
    return sum((each.worth for each in holdings if each.instrument.sec_type in sec_types), ZERO)
