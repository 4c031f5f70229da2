"""Margin: what an account must have to open positions, and to keep them.

By security type, initial and maintenance:

- stocks and ETFs: Regulation T's 50 % initial, long or short; FINRA rule 4210's maintenance of 25 % for
  longs and, for shorts, of 30 % or USD 5 a share, whichever is more (below USD 5: 100 % or USD 2.50 a
  share). IB asks more of concentrated accounts, which this exchange does not model.
- options: a long one is paid in full and has no loan value, so it needs its premium while it is ordered
  and nothing once it is held (it does not count into the equity with loan value either). A short one
  needs, by the CBOE's margin rules for uncovered options, its market value plus 20 % of the underlying
  less what it is out of the money, at least 10 % of the underlying (of the strike, for a put). Spreads
  and covered calls get no relief.
- futures: a share of the contract's value by product, `FUTURES`; initial is 110 % of maintenance, CME
  Group's ratio for speculative accounts.
- currency pairs: 2 % between two majors and 5 % otherwise, the minimum security deposits of NFA
  compliance rule 2-43/section 12 of its financial requirements.
- CFDs: 20 %, or 5 % on an index: ESMA's leverage limits for retail clients (5:1 and 20:1); maintenance is
  half of it, ESMA's close-out level.
- cryptocurrencies, and whatever else is paid in full: 100 %.
- combinations: the sum of what their legs need.

Buying power is available funds divided by the 50 % initial requirement, so twice the equity of an account
without positions. IB shows four times for accounts that may day-trade; here it is the amount of stock an
order may really buy.

Working orders reserve margin, too. Per instrument the requirement is that of the worst outcome: nothing
fills, all purchases fill, or all sales do.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from trademind.domain import SecType, Side
from trademind.gateway.engine.ledger import OPTIONS, ZERO, Holding
from trademind.gateway.engine.model import Instrument, MarketQuote, Ticket

REG_T_LEVERAGE: Final = Decimal(2)

LastPrice = Callable[[Instrument], Decimal]
"""The last price of an instrument, such as the underlying of an option."""

_HALF = Decimal("0.5")
_LONG_STOCK, _SHORT_STOCK = Decimal("0.25"), Decimal("0.30")
_CHEAP_SHARE, _CHEAP_SHARE_SHORT = Decimal(5), Decimal("2.5")
_OPTION_RATE, _OPTION_FLOOR = Decimal("0.20"), Decimal("0.10")
_MAJORS = frozenset({"AUD", "CAD", "CHF", "DKK", "EUR", "GBP", "JPY", "NOK", "NZD", "SEK", "USD"})
_MAJOR_PAIR, _OTHER_PAIR = Decimal("0.02"), Decimal("0.05")
_CFD, _INDEX_CFD, _CLOSE_OUT = Decimal("0.20"), Decimal("0.05"), Decimal("0.5")

FUTURES: Final = {
    "ES": Decimal("0.05"), "MES": Decimal("0.05"),
    "NQ": Decimal("0.065"), "MNQ": Decimal("0.065"),
    "RTY": Decimal("0.07"), "M2K": Decimal("0.07"),
    "YM": Decimal("0.05"), "MYM": Decimal("0.05"),
    "CL": Decimal("0.09"), "MCL": Decimal("0.09"),
    "GC": Decimal("0.05"), "MGC": Decimal("0.05"),
    "ZN": Decimal("0.018"), "ZB": Decimal("0.032"),
    "6E": Decimal("0.022"), "EUR": Decimal("0.022"),
}  # fmt: skip
"""Maintenance by symbol, rounded from CME Group's published requirements of 2024, which move."""
OTHER_FUTURES: Final = Decimal("0.10")
SPECULATOR: Final = Decimal("1.1")
"""Initial margin of a future as a multiple of its maintenance."""


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


def initial(
    instrument: Instrument, side: Side, quantity: Decimal, value: Decimal, last_price: LastPrice
) -> Decimal:
    """What `quantity` units, bought or sold for `value`, need to be opened. In the instrument's currency."""
    if instrument.sec_type is SecType.STOCK:
        return value * _HALF
    if instrument.sec_type in OPTIONS:
        return value if side is Side.BUY else value + _uncovered(instrument, quantity, last_price)
    if instrument.sec_type is SecType.COMBO:
        return sum(
            (
                _leg(leg.instrument, _side(side, leg.side), quantity * leg.ratio, last_price)
                for leg in instrument.legs
            ),
            ZERO,
        )
    return value * _rate(instrument)


def _side(of_combo: Side, of_leg: Side) -> Side:
    return Side.BUY if of_combo is of_leg else Side.SELL


def _leg(instrument: Instrument, side: Side, quantity: Decimal, last_price: LastPrice) -> Decimal:
    value = quantity * last_price(instrument) * instrument.multiplier
    return initial(instrument, side, quantity, value, last_price)


def held(holding: Holding, last_price: LastPrice) -> Decimal:
    """Initial margin of what is held, in the instrument's currency."""
    instrument = holding.instrument
    if holding.quantity > 0:
        if instrument.sec_type in OPTIONS:
            return ZERO
        return initial(instrument, Side.BUY, holding.quantity, abs(holding.market_value), last_price)
    return initial(instrument, Side.SELL, -holding.quantity, abs(holding.market_value), last_price)


def maintenance(holding: Holding, last_price: LastPrice) -> Decimal:
    """Maintenance margin of what is held, in the instrument's currency."""
    sec_type, value = holding.instrument.sec_type, abs(holding.market_value)
    if sec_type is SecType.STOCK:
        return (
            value * _LONG_STOCK
            if holding.quantity > 0
            else _short_stock(-holding.quantity, holding.mark, value)
        )
    if sec_type is SecType.FUTURE:
        return value * _futures_rate(holding.instrument)
    if sec_type is SecType.CFD:
        return value * _rate(holding.instrument) * _CLOSE_OUT
    return held(holding, last_price)


def _short_stock(quantity: Decimal, price: Decimal, value: Decimal) -> Decimal:
    if price < _CHEAP_SHARE:
        return max(value, quantity * _CHEAP_SHARE_SHORT)
    return max(value * _SHORT_STOCK, quantity * _CHEAP_SHARE)


def _uncovered(option: Instrument, quantity: Decimal, last_price: LastPrice) -> Decimal:
    """What short options need beside their market value."""
    if option.underlying is None or option.strike is None:
        raise LookupError(f"{option.local_symbol} has no underlying or no strike")
    underlying, strike = last_price(option.underlying), option.strike
    is_put = option.right == "P"
    out_of_the_money = max(underlying - strike if is_put else strike - underlying, ZERO)
    floor = (strike if is_put else underlying) * _OPTION_FLOOR
    return max(underlying * _OPTION_RATE - out_of_the_money, floor) * quantity * option.multiplier


def _futures_rate(instrument: Instrument) -> Decimal:
    return FUTURES.get(instrument.symbol, OTHER_FUTURES)


def _rate(instrument: Instrument) -> Decimal:
    """Initial margin as a share of the value."""
    match instrument.sec_type:
        case SecType.CASH:
            return _MAJOR_PAIR if {instrument.symbol, instrument.currency} <= _MAJORS else _OTHER_PAIR
        case SecType.FUTURE | SecType.CONTINUOUS_FUTURE:
            return _futures_rate(instrument) * SPECULATOR
        case SecType.CFD:
            underlying = instrument.underlying
            is_index = underlying is not None and underlying.sec_type is SecType.INDEX
            return _INDEX_CFD if is_index else _CFD
    return Decimal(1)


class Exposure:
    """One instrument's working orders, summed up for margin. Quantities and values are above zero."""

    __slots__ = ("buy_quantity", "buy_value", "instrument", "sell_quantity", "sell_value")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.buy_quantity = self.buy_value = self.sell_quantity = self.sell_value = ZERO

    def add(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Reserve for `quantity` at `price`; a negative quantity releases it again."""
        value = quantity * price * self.instrument.multiplier
        if side is Side.BUY:
            self.buy_quantity += quantity
            self.buy_value += value
        else:
            self.sell_quantity += quantity
            self.sell_value += value

    def after(self, changes: Iterable[tuple[Side, Decimal, Decimal]]) -> "Exposure":
        """What it would be with all of these (side, quantity, price) added; this one stays as it is."""
        other = Exposure.__new__(Exposure)
        other.instrument = self.instrument
        other.buy_quantity, other.buy_value = self.buy_quantity, self.buy_value
        other.sell_quantity, other.sell_value = self.sell_quantity, self.sell_value
        for change in changes:
            other.add(*change)
        return other

    @property
    def is_empty(self) -> bool:
        return not self.buy_quantity and not self.sell_quantity

    def requirement(self, holding: Holding | None, last_price: LastPrice) -> Decimal:
        """Initial margin of the worst outcome of this instrument's position and working orders, in its
        currency."""
        if holding is None or not holding.quantity:
            return max(
                self._of(Side.BUY, self.buy_quantity, self.buy_value, last_price),
                self._of(Side.SELL, self.sell_quantity, self.sell_value, last_price),
            )
        is_long = holding.quantity > 0
        worst = held(holding, last_price)
        if is_long:
            worst += self._of(Side.BUY, self.buy_quantity, self.buy_value, last_price)
            against, other = self.sell_quantity, Side.SELL
        else:
            worst += self._of(Side.SELL, self.sell_quantity, self.sell_value, last_price)
            against, other = self.buy_quantity, Side.BUY
        size = abs(holding.quantity)
        if against > size:
            # Valued at the market: two exits from one position, of which one is meant to be cancelled
            # by the other's fill, then need no more than the position does.
            value = abs(holding.market_value) * (against - size) / size
            worst = max(worst, self._of(other, against - size, value, last_price))
        return worst

    def _of(self, side: Side, quantity: Decimal, value: Decimal, last_price: LastPrice) -> Decimal:
        return initial(self.instrument, side, quantity, value, last_price) if quantity else ZERO
