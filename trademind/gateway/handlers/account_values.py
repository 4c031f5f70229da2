"""An account's values by IB's names, and which of them a summary's tags ask for.

There are values of the account as a whole, in its base currency, and the ledger: the same few values once
for each currency, and under `BASE` for all of them together. The account's accrued cash bears the base
currency and would be mistaken for the ledger's, which is therefore sent for the other currencies only.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.model import AccountFigures, CurrencyFigures
from trademind.gateway.session import ValueKey

Value = tuple[str, str, str]
"""Key, value and currency."""

_CENT = Decimal("0.01")
_ZERO = Decimal(0)
_TOGETHER: Final = "BASE"
"""What stands for a currency where the ledger tells of all of them together."""


def money(figure: Decimal) -> str:
    return f"{figure.quantize(_CENT):f}"


def _ratio(figure: Decimal) -> str:
    text = f"{figure:.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def account_values(account_id: str, figures: AccountFigures) -> Iterator[Value]:
    """All values of the account: (key, value, currency)."""
    yield ("AccountCode", account_id, "")
    yield ("AccountReady", "true", "")
    yield ("AccountType", "INDIVIDUAL", "")
    yield ("Cushion", _ratio(figures.cushion), "")
    # -1: as many as one likes.
    yield ("DayTradesRemaining", "-1", "")
    for day in range(1, 5):
        yield (f"DayTradesRemainingT+{day}", "-1", "")
    liquidation = figures.net_liquidation
    leverage = figures.gross_position_value / liquidation if liquidation > 0 else _ZERO
    yield ("Leverage", f"{leverage:.2f}", "")
    yield ("LookAheadNextChange", "0", "")
    for key, figure in _whole(figures):
        yield (key, money(figure), BASE)
    yield from _ledger(_together(figures), account_id, _TOGETHER)
    for each in figures.currencies:
        yield from _ledger(each, account_id, each.currency)


def _whole(figures: AccountFigures) -> tuple[tuple[str, Decimal], ...]:
    """Values of the account as a whole.

    The special memorandum account is what Regulation T's initial margin leaves of the equity. Yesterday's
    equity is today's without what today has brought.
    """
    equity = figures.equity_with_loan_value
    yesterday = equity - figures.daily_pnl
    return (
        ("AccruedCash", figures.accrued_cash),
        ("AccruedDividend", figures.accrued_dividend),
        ("AvailableFunds", figures.available_funds),
        ("BuyingPower", figures.buying_power),
        ("EquityWithLoanValue", equity),
        ("ExcessLiquidity", figures.excess_liquidity),
        ("FullAvailableFunds", figures.available_funds),
        ("FullExcessLiquidity", figures.excess_liquidity),
        ("FullInitMarginReq", figures.init_margin_req),
        ("FullMaintMarginReq", figures.maint_margin_req),
        ("GrossPositionValue", figures.gross_position_value),
        ("InitMarginReq", figures.init_margin_req),
        ("LookAheadAvailableFunds", figures.available_funds),
        ("LookAheadExcessLiquidity", figures.excess_liquidity),
        ("LookAheadInitMarginReq", figures.init_margin_req),
        ("LookAheadMaintMarginReq", figures.maint_margin_req),
        ("MaintMarginReq", figures.maint_margin_req),
        ("NetLiquidation", figures.net_liquidation),
        ("PreviousDayEquityWithLoanValue", yesterday),
        ("PreviousEquityWithLoanValue", yesterday),
        ("RegTEquity", equity),
        ("RegTMargin", figures.init_margin_req),
        ("SMA", figures.available_funds),
        ("SettledCash", figures.settled_cash),
        ("TotalCashValue", figures.total_cash_value),
    )


def _together(figures: AccountFigures) -> CurrencyFigures:
    """All currencies in the base currency."""

    def total(amount: Callable[[CurrencyFigures], Decimal]) -> Decimal:
        return sum(
            ((amount(each) * each.exchange_rate).quantize(_CENT) for each in figures.currencies), _ZERO
        )

    return CurrencyFigures(
        currency=_TOGETHER,
        exchange_rate=Decimal(1),
        cash_balance=figures.total_cash_value,
        accrued_cash=figures.accrued_cash,
        net_dividend=figures.accrued_dividend,
        stock_market_value=total(lambda each: each.stock_market_value),
        option_market_value=total(lambda each: each.option_market_value),
        future_option_value=total(lambda each: each.future_option_value),
        futures_pnl=total(lambda each: each.futures_pnl),
        crypto_value=total(lambda each: each.crypto_value),
        net_liquidation=figures.net_liquidation,
        unrealized_pnl=figures.unrealized_pnl,
        realized_pnl=figures.realized_pnl,
    )


def _ledger(figures: CurrencyFigures, account_id: str, currency: str) -> Iterator[Value]:
    yield ("AccountOrGroup", account_id, currency)
    if currency != BASE:
        yield ("AccruedCash", money(figures.accrued_cash), currency)
    for key, figure in (
        ("CashBalance", figures.cash_balance),
        ("CorporateBondValue", _ZERO),
        ("Cryptocurrency", figures.crypto_value),
    ):
        yield (key, money(figure), currency)
    yield ("Currency", currency, currency)
    yield ("ExchangeRate", _rate(figures.exchange_rate), currency)
    for key, figure in (
        ("FundValue", _ZERO),
        ("FutureOptionValue", figures.future_option_value),
        ("FuturesPNL", figures.futures_pnl),
        ("FxCashBalance", _ZERO),
        ("IssuerOptionValue", _ZERO),
        ("MoneyMarketFundValue", _ZERO),
        ("MutualFundValue", _ZERO),
        ("NetDividend", figures.net_dividend),
        ("NetLiquidationByCurrency", figures.net_liquidation),
        ("OptionMarketValue", figures.option_market_value),
    ):
        yield (key, money(figure), currency)
    yield ("RealCurrency", currency, currency)
    for key, figure in (
        ("RealizedPnL", figures.realized_pnl),
        ("StockMarketValue", figures.stock_market_value),
        ("TBillValue", _ZERO),
        ("TBondValue", _ZERO),
        ("TotalCashBalance", figures.cash_balance),
        ("UnrealizedPnL", figures.unrealized_pnl),
        ("WarrantValue", _ZERO),
    ):
        yield (key, money(figure), currency)


def _rate(rate: Decimal) -> str:
    """At least two digits, at most seven."""
    text = f"{rate:.7f}".rstrip("0")
    whole, _, digits = text.partition(".")
    return f"{whole}.{digits:0<2}"


_NO_FIGURES = CurrencyFigures(
    currency="",
    exchange_rate=Decimal(1),
    cash_balance=_ZERO,
    accrued_cash=_ZERO,
    net_dividend=_ZERO,
    stock_market_value=_ZERO,
    option_market_value=_ZERO,
    future_option_value=_ZERO,
    futures_pnl=_ZERO,
    crypto_value=_ZERO,
    net_liquidation=_ZERO,
    unrealized_pnl=_ZERO,
    realized_pnl=_ZERO,
)
LEDGER: Final = frozenset(key for key, _, _ in _ledger(_NO_FIGURES, "", ""))
"""What the tag $LEDGER stands for."""


def summary_filter(tags: str) -> Callable[[ValueKey], bool]:
    """Which values a summary's tags ask for: names, `All` for every one of them, and the ledger, as
    `$LEDGER` for all currencies together, `$LEDGER:EUR` for one, `$LEDGER:ALL` for each."""
    names = {tag.strip() for tag in tags.split(",") if tag.strip()}
    everything = bool(names & {"All", "ALL"})
    ledgers: set[str] = set()
    for name in names:
        if name.upper().startswith("$LEDGER"):
            ledgers.add(name.partition(":")[2].upper() or _TOGETHER)
    every_ledger = "ALL" in ledgers

    def wanted(name: ValueKey) -> bool:
        key, currency = name
        if key in LEDGER and currency and (every_ledger or currency in ledgers):
            return True
        # Without the ledger, values of the account as a whole, and of its base currency.
        return (everything or key in names) and currency in ("", BASE)

    return wanted
