"""When a stop is triggered: IB's trigger methods, and the stops that wait for each.

Which price counts depends on the method and on the direction from which the level is reached (IB's
description of its trigger methods): for a level that is reached from below, such as a buy stop's, the bid
must be at or above it under a bid/ask method; from above the ask at or below it. The double methods want it
twice in a row. The default is the last price, and double bid/ask for US options.
"""

from decimal import Decimal

from trademind.domain import SecType
from trademind.gateway.engine.matching import PriceQueue
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.engine.working import WorkingOrder

DEFAULT, DOUBLE_BID_ASK, LAST, DOUBLE_LAST, BID_ASK, LAST_OR_BID_ASK, MID_POINT = 0, 1, 2, 3, 4, 7, 8
METHODS = frozenset({DEFAULT, DOUBLE_BID_ASK, LAST, DOUBLE_LAST, BID_ASK, LAST_OR_BID_ASK, MID_POINT})


def method_for(instrument: Instrument, asked: int) -> int:
    """The method in force for what a client has asked."""
    if asked != DEFAULT:
        return asked
    return DOUBLE_BID_ASK if instrument.sec_type is SecType.OPTION else LAST


def reference(method: int, quote: MarketQuote, before: MarketQuote | None, *, rising: bool) -> Decimal | None:
    """The price that reaches a level, from below when `rising`; None while a double method has seen but
    one quote."""
    if method == LAST:
        return quote.last
    if method in (DOUBLE_LAST, DOUBLE_BID_ASK):
        if before is None:
            return None
        if method == DOUBLE_LAST:
            pair = (before.last, quote.last)
        else:
            pair = (before.bid, quote.bid) if rising else (before.ask, quote.ask)
        return min(pair) if rising else max(pair)
    if method == MID_POINT:
        return (quote.bid + quote.ask) / 2
    side = quote.bid if rising else quote.ask
    if method == LAST_OR_BID_ASK:
        return max(side, quote.last) if rising else min(side, quote.last)
    return side


def reaches(level: Decimal, price: Decimal | None, *, rising: bool) -> bool:
    if price is None:
        return False
    return price >= level if rising else price <= level


class WaitingStops:
    """The stops of one instrument whose level stands still, by trigger method and direction."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: dict[tuple[int, bool], PriceQueue] = {}

    def queue(self, method: int, *, rising: bool) -> PriceQueue:
        found = self._queues.get((method, rising))
        if found is None:
            found = self._queues[method, rising] = PriceQueue(highest_first=not rising)
        return found

    def reached_by(self, quote: MarketQuote, before: MarketQuote | None) -> list[WorkingOrder]:
        found: list[WorkingOrder] = []
        for (method, rising), queue in self._queues.items():
            if queue:
                price = reference(method, quote, before, rising=rising)
                if price is not None:
                    found += queue.reached(price)
        return found
