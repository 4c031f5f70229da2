"""Margin: what an account must have to open positions, and to keep them.

Rates, as a share of market value, long or short alike:

- stocks and ETFs: Regulation T's 50 % initial; 25 % maintenance (FINRA rule 4210's minimum for longs; IB
  asks more of shorts and of concentrated accounts, which this exchange does not model);
- the major FX pairs: 2 % for both, the minimum security deposit that NFA rules set for them.

Buying power is available funds divided by the 50 % initial requirement, so twice the equity of an account
without positions. IB shows four times for accounts that may day-trade; here it is the amount of stock an
order may really buy.

Working orders reserve margin, too. Per instrument the requirement is that of the worst outcome: nothing
fills, all purchases fill, or all sales do.
"""

from collections.abc import Iterable
from decimal import Decimal

from trademind.domain import SecType, Side
from trademind.gateway.engine.ledger import ZERO, Holding, Ledger, cents
from trademind.gateway.engine.model import AccountFigures, MarketQuote, Ticket

REG_T_LEVERAGE = Decimal(2)

_INITIAL = {SecType.STOCK: Decimal("0.5"), SecType.CASH: Decimal("0.02")}
_MAINTENANCE = {SecType.STOCK: Decimal("0.25"), SecType.CASH: Decimal("0.02")}
_RATIO_DIGITS = Decimal("0.000001")


def reserve_price(ticket: Ticket, quote: MarketQuote | None) -> Decimal:
    """The price at which a working order counts towards margin: about where it would fill.

    A limit on the passive side of the market would fill at the limit, any other order at the market;
    a stop is priced at its trigger when that is the more expensive. Without a quote the order's own
    prices serve, and the instrument's reference price where it has none.
    """
    if ticket.limit_price is not None:
        if quote is None:
            return ticket.limit_price
        if ticket.side is Side.BUY:
            market = quote.ask if ticket.stop_price is None else max(quote.ask, ticket.stop_price)
            return min(ticket.limit_price, market)
        return max(ticket.limit_price, quote.bid)
    if quote is None:
        return ticket.stop_price or Decimal(str(ticket.instrument.reference_price))
    market = quote.ask if ticket.side is Side.BUY else quote.bid
    return market if ticket.stop_price is None else max(market, ticket.stop_price)


class Exposure:
    """One instrument's working orders, summed up for margin. Quantities and values are above zero."""

    __slots__ = ("buy_quantity", "buy_value", "rate", "sell_quantity", "sell_value")

    def __init__(self, sec_type: SecType) -> None:
        self.rate = _INITIAL[sec_type]
        self.buy_quantity = self.buy_value = self.sell_quantity = self.sell_value = ZERO

    def add(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Reserve for `quantity` at `price`; a negative quantity releases it again."""
        if side is Side.BUY:
            self.buy_quantity += quantity
            self.buy_value += quantity * price
        else:
            self.sell_quantity += quantity
            self.sell_value += quantity * price

    def after(self, changes: Iterable[tuple[Side, Decimal, Decimal]]) -> "Exposure":
        """What it would be with all of these (side, quantity, price) added; this one stays as it is."""
        other = Exposure.__new__(Exposure)
        other.rate = self.rate
        other.buy_quantity, other.buy_value = self.buy_quantity, self.buy_value
        other.sell_quantity, other.sell_value = self.sell_quantity, self.sell_value
        for change in changes:
            other.add(*change)
        return other

    def requirement(self, holding: Holding | None) -> Decimal:
        """Initial margin of the worst outcome of this instrument's position and working orders."""
        if holding is None or not holding.quantity:
            worst = self.buy_value if self.buy_value > self.sell_value else self.sell_value
        else:
            held, value = abs(holding.quantity), abs(holding.market_value)
            long = holding.quantity > 0
            worst = value + (self.buy_value if long else self.sell_value)
            against = self.sell_quantity if long else self.buy_quantity
            if against > held:
                # Valued at the market: two exits from one position, of which one is meant to be cancelled
                # by the other's fill, then need no more than the position does.
                worst = max(worst, value * (against - held) / held)
        return cents(worst * self.rate)


def figures(ledger: Ledger) -> AccountFigures:
    """The account's figures by IB's definitions for a margin account."""
    initial = maintenance = gross = unrealized = realized = daily = ZERO
    for holding in ledger.holdings():
        value = abs(holding.market_value)
        sec_type = holding.instrument.sec_type
        initial += cents(value * _INITIAL[sec_type])
        maintenance += cents(value * _MAINTENANCE[sec_type])
        gross += value
        unrealized += holding.unrealized
        realized += holding.realized
        daily += holding.daily_pnl
    equity = ledger.net_liquidation
    available = equity - initial
    excess = equity - maintenance
    return AccountFigures(
        net_liquidation=equity,
        total_cash_value=ledger.cash,
        settled_cash=ledger.cash,
        buying_power=max(available, ZERO) * REG_T_LEVERAGE,
        available_funds=available,
        excess_liquidity=excess,
        equity_with_loan_value=equity,
        init_margin_req=initial,
        maint_margin_req=maintenance,
        gross_position_value=gross,
        unrealized_pnl=unrealized,
        realized_pnl=realized,
        daily_pnl=daily,
        accrued_cash=ZERO,
        cushion=(excess / equity).quantize(_RATIO_DIGITS) if equity > 0 else ZERO,
    )
