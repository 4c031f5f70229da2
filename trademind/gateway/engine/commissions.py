"""What a trade costs, by Interactive Brokers' published commission schedules (IBKR Pro, North America).

- US stocks and ETFs, fixed pricing: USD 0.005 a share, minimum USD 1.00 an order, maximum 1 % of the trade
  value; where both apply, the maximum wins over the minimum.
- Spot currencies, lowest volume tier: 0.20 basis points of the trade value, minimum USD 2.00 an order.

The minimum is per order, not per fill. So the commission of an order is a function of everything that
has filled of it, and a fill pays what that function has grown by: never less than nothing, since the
function never falls.
"""

from decimal import ROUND_HALF_UP, Decimal

from trademind.domain import SecType

_CENT = Decimal("0.01")
_PER_SHARE = Decimal("0.005")
_STOCK_MINIMUM = Decimal("1.00")
_STOCK_MAXIMUM_RATE = Decimal("0.01")
_FX_RATE = Decimal("0.00002")
_FX_MINIMUM = Decimal("2.00")


def order_commission(sec_type: SecType, quantity: Decimal, value: Decimal) -> Decimal:
    """The whole commission, in cents-exact USD, of an order of which `quantity` filled for `value` USD."""
    if sec_type is SecType.CASH:
        due = max(value * _FX_RATE, _FX_MINIMUM)
    else:
        due = min(max(quantity * _PER_SHARE, _STOCK_MINIMUM), value * _STOCK_MAXIMUM_RATE)
    return due.quantize(_CENT, ROUND_HALF_UP)
