"""What is settled when a day ends: the day's move of futures, and whatever has expired.

Futures are marked to market every day: their move since the last settlement becomes cash. After its last
trading day a future is closed at its last price, an option at its intrinsic value, by the last price of the
underlying; all of it in cash. (IB exercises options that are one cent in the money into shares; this
exchange settles them in cash instead, which leaves the account with the same value.)
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from trademind.gateway.engine.ledger import OPTIONS, SETTLED_DAILY, ZERO, Ledger
from trademind.gateway.engine.margin import LastPrice
from trademind.gateway.engine.model import Instrument


def expired(instrument: Instrument, day: date) -> bool:
    """Whether the last trading day was before `day`."""
    return bool(instrument.last_trade_date) and instrument.last_trade_date < f"{day:%Y%m%d}"


def intrinsic_value(option: Instrument, underlying: Decimal) -> Decimal:
    """What exercising one unit brings in, at least nothing."""
    strike = option.strike or ZERO
    return max(strike - underlying if option.right == "P" else underlying - strike, ZERO)


def settlements(
    ledger: Ledger, day: date, last_price: LastPrice
) -> Iterator[tuple[Instrument, Decimal, bool]]:
    """What is to be settled as `day` begins: instrument, price, and whether the position ends by it."""
    for holding in ledger.holdings():
        instrument = holding.instrument
        if not holding.quantity:
            continue
        if expired(instrument, day):
            price = holding.mark
            if instrument.sec_type in OPTIONS and instrument.underlying is not None:
                price = intrinsic_value(instrument, last_price(instrument.underlying))
            yield instrument, price, True
        elif instrument.sec_type in SETTLED_DAILY:
            yield instrument, holding.mark, False
