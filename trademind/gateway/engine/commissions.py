"""What a trade costs, by Interactive Brokers' published commission schedules (IBKR Pro, North America).

- US stocks and ETFs, fixed pricing: USD 0.005 a share, minimum USD 1.00 an order, maximum 1 % of the trade
  value; where both apply, the maximum wins over the minimum.
- The same, tiered pricing, lowest tier (up to 300,000 shares a month): USD 0.0035 a share, minimum
  USD 0.35, maximum 1 %; and what others charge: USD 0.0002 a share for clearing, USD 0.003 a share to the
  exchange for taking liquidity (which an order that adds liquidity may get back), and shares of the
  commission passed on to NYSE (0.0175 %) and FINRA (0.056 %).
- Shares in other currencies: 0.05 % of the trade value, minimum 3.00 (tiered: 1.25), as in western Europe.
- US options: by premium USD 0.65 a contract, 0.50 below a premium of 0.10, 0.25 below 0.05; minimum
  USD 1.00 an order. Exchanges' fees, which differ by venue, are not in it.
- Futures and options on them: USD 0.85 a contract (micro contracts: 0.25) and fees of exchange, clearing
  and regulation, taken as those of CME's E-minis, 1.40, and of its micros, 0.37.
- Spot currencies, lowest volume tier: 0.20 basis points of the trade value, minimum USD 2.00 an order.
- Cryptocurrencies, lowest tier: 0.18 % of the trade value, minimum USD 1.75 an order, at most 1 %.
- CFDs: on US shares as the shares at fixed pricing, without the maximum; on indices 0.005 % of the value,
  minimum 1.00.

Sales' regulatory fees (SEC, FINRA TAF) are left out. Commissions are charged in the currency of the
instrument; minimums that are in US dollars are converted where that is another one.

The minimum is per order, not per fill. So the commission of an order is a function of everything that
has filled of it, and a fill pays what that function has grown by: never less than nothing, since the
function never falls but for options whose average premium does.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.model import Instrument

_CENT = Decimal("0.01")
_ONE = Decimal(1)
_ZERO = Decimal(0)
_STOCK_MAXIMUM: Final = Decimal("0.01")
_PASSED_ON: Final = Decimal("0.000175") + Decimal("0.00056")
_CHEAP_PREMIUM, _TINY_PREMIUM = Decimal("0.10"), Decimal("0.05")
MICROS: Final = frozenset(
    {"MES", "MNQ", "M2K", "MYM", "MCL", "MGC", "SIL", "M6E", "M6B", "M6A", "MBT", "MET"}
)
"""Symbols of CME Group's micro contracts."""


class StockPricing(StrEnum):
    """IB's two schedules for stocks."""

    FIXED = "fixed"
    TIERED = "tiered"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionSchedule:
    """What is charged, by kind of instrument. The defaults are the published rates."""

    stocks: StockPricing = StockPricing.FIXED
    fixed_per_share: Decimal = Decimal("0.005")
    fixed_minimum: Decimal = Decimal("1.00")
    tiered_per_share: Decimal = Decimal("0.0035")
    tiered_minimum: Decimal = Decimal("0.35")
    clearing_per_share: Decimal = Decimal("0.0002")
    taking_per_share: Decimal = Decimal("0.003")
    foreign_stock_rate: Decimal = Decimal("0.0005")
    option_contract: Decimal = Decimal("0.65")
    option_minimum: Decimal = Decimal("1.00")
    future_contract: Decimal = Decimal("2.25")
    """Execution, exchange, clearing and regulation together."""
    micro_contract: Decimal = Decimal("0.62")
    currency_rate: Decimal = Decimal("0.00002")
    currency_minimum: Decimal = Decimal("2.00")
    crypto_rate: Decimal = Decimal("0.0018")
    crypto_minimum: Decimal = Decimal("1.75")
    crypto_maximum: Decimal = Decimal("0.01")
    index_cfd_rate: Decimal = Decimal("0.00005")

    def commission(
        self, instrument: Instrument, quantity: Decimal, value: Decimal, *, base_rate: Decimal = _ONE
    ) -> Decimal:
        """The whole commission, to the cent, of an order of which `quantity` filled for `value`.

        Args:
            value: Quantity times price times multiplier, in the instrument's currency, as is the result.
            base_rate: What one unit of that currency is worth in US dollars.
        """
        return self._due(instrument, quantity, abs(value), base_rate, takes=True)

    def bounds(
        self, instrument: Instrument, quantity: Decimal, value: Decimal, *, base_rate: Decimal = _ONE
    ) -> tuple[Decimal, Decimal]:
        """The least and the most an order can cost, by whether it adds or takes liquidity."""
        value = abs(value)
        return (
            self._due(instrument, quantity, value, base_rate, takes=False),
            self._due(instrument, quantity, value, base_rate, takes=True),
        )

    def _due(
        self, instrument: Instrument, quantity: Decimal, value: Decimal, base_rate: Decimal, *, takes: bool
    ) -> Decimal:
        match instrument.sec_type:
            case SecType.STOCK:
                due = self._stock(instrument, quantity, value, takes=takes)
            case SecType.CASH:
                due = max(value * self.currency_rate, self.currency_minimum / base_rate)
            case SecType.OPTION:
                due = self._option(
                    quantity, value / (quantity * instrument.multiplier) if quantity else _ZERO
                )
            case SecType.FUTURE | SecType.CONTINUOUS_FUTURE | SecType.FUTURE_OPTION:
                due = quantity * (
                    self.micro_contract if instrument.symbol in MICROS else self.future_contract
                )
            case SecType.CRYPTO:
                minimum = max(value * self.crypto_rate, self.crypto_minimum / base_rate)
                due = min(minimum, value * self.crypto_maximum)
            case SecType.CFD:
                due = self._cfd(instrument, quantity, value)
            case SecType.COMBO:
                due = sum(
                    (
                        self._due(leg.instrument, quantity * leg.ratio, value, base_rate, takes=takes)
                        for leg in instrument.legs
                    ),
                    _ZERO,
                )
            case _:
                due = max(quantity * self.fixed_per_share, self.fixed_minimum)
        return due.quantize(_CENT, ROUND_HALF_UP)

    def _stock(self, instrument: Instrument, quantity: Decimal, value: Decimal, *, takes: bool) -> Decimal:
        is_tiered = self.stocks is StockPricing.TIERED
        if instrument.currency != BASE:
            return max(value * self.foreign_stock_rate, Decimal("1.25") if is_tiered else Decimal(3))
        if not is_tiered:
            return min(max(quantity * self.fixed_per_share, self.fixed_minimum), value * _STOCK_MAXIMUM)
        own = min(max(quantity * self.tiered_per_share, self.tiered_minimum), value * _STOCK_MAXIMUM)
        others = quantity * (self.clearing_per_share + (self.taking_per_share if takes else _ZERO))
        return own * (1 + _PASSED_ON) + others

    def _option(self, quantity: Decimal, premium: Decimal) -> Decimal:
        each = self.option_contract
        if premium < _TINY_PREMIUM:
            each = min(each, Decimal("0.25"))
        elif premium < _CHEAP_PREMIUM:
            each = min(each, Decimal("0.50"))
        return max(quantity * each, self.option_minimum)

    def _cfd(self, instrument: Instrument, quantity: Decimal, value: Decimal) -> Decimal:
        underlying = instrument.underlying
        if underlying is not None and underlying.sec_type is SecType.INDEX:
            return max(value * self.index_cfd_rate, self.fixed_minimum)
        return max(quantity * self.fixed_per_share, self.fixed_minimum)


FIXED: Final = CommissionSchedule()
"""IBKR Pro with fixed pricing for stocks."""
TIERED: Final = CommissionSchedule(stocks=StockPricing.TIERED)
FREE: Final = CommissionSchedule(
    fixed_per_share=_ZERO,
    fixed_minimum=_ZERO,
    option_contract=_ZERO,
    option_minimum=_ZERO,
    future_contract=_ZERO,
    micro_contract=_ZERO,
    currency_rate=_ZERO,
    currency_minimum=_ZERO,
    crypto_rate=_ZERO,
    crypto_minimum=_ZERO,
    index_cfd_rate=_ZERO,
)
"""Nothing is charged; of what is priced in US dollars."""
