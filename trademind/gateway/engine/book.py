"""A synthetic order book: what is on offer behind the best bid and ask until the next quote.

A quote tells only the best level. Behind it the book assumes further levels, one tick apart, whose sizes
grow with the distance, as displayed depth does. The sizes follow from the quote alone, so the same run
gives the same fills. Whatever is taken is gone until the next quote makes a new book.
"""

from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.engine.model import MarketQuote

DEPTH = (1, 2, 2, 3, 3, 4, 4, 5, 5, 6)
"""Size of each level as a multiple of the size at the best price, best level first."""


class Book:
    """Both sides of one instrument's market for the lifetime of one quote."""

    __slots__ = ("_asks", "_bids")

    def __init__(self, quote: MarketQuote, min_tick: Decimal) -> None:
        self._asks = [
            [quote.ask + level * min_tick, quote.ask_size * times] for level, times in enumerate(DEPTH)
        ]
        # The deepest bids of a very cheap instrument would fall to zero; there is no such level.
        self._bids = [
            [quote.bid - level * min_tick, quote.bid_size * times]
            for level, times in enumerate(DEPTH)
            if quote.bid > level * min_tick
        ]

    def offers(self, side: Side, quantity: Decimal, limit: Decimal | None) -> bool:
        """Whether all of `quantity` is on offer at `limit` or better."""
        for price, size in self._asks if side is Side.BUY else self._bids:
            if limit is not None and (price > limit if side is Side.BUY else price < limit):
                return False
            quantity -= size
            if quantity <= 0:
                return True
        return False

    def size_at(self, side: Side, price: Decimal) -> Decimal:
        """What is displayed at a price on the side of an order: what a new order there queues behind."""
        levels = self._bids if side is Side.BUY else self._asks
        return next((size for level, size in levels if level == price), Decimal(0))

    def take(self, side: Side, quantity: Decimal, limit: Decimal | None) -> list[tuple[Decimal, Decimal]]:
        """Take up to `quantity` for an order on `side`, at `limit` or better (None: at any price).

        Returns:
            (price, quantity) per level touched, best price first; what is missing is not on offer.
        """
        levels = self._asks if side is Side.BUY else self._bids
        taken: list[tuple[Decimal, Decimal]] = []
        for level in levels:
            price, size = level
            if limit is not None and (price > limit if side is Side.BUY else price < limit):
                break
            if not size:
                continue
            part = size if size < quantity else quantity
            level[1] = size - part
            taken.append((price, part))
            quantity -= part
            if not quantity:
                break
        return taken
