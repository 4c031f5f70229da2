"""What currencies are worth in the accounts' own, by the market of their pairs.

A pair against the base currency says it directly (EUR.USD is what a euro is worth in dollars) or the other
way round (USD.JPY). Until a pair has been quoted its reference price serves.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument

BASE = "USD"
"""The currency of every account."""

_ONE = Decimal(1)
_DIGITS = Decimal("0.000000000001")


class Rates:
    """Exchange rates into the base currency, as last quoted.

    Args:
        instruments: Where the pairs are; what is not a pair against the base currency does not matter.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._rates: dict[str, Decimal] = {BASE: _ONE}
        self._pairs: dict[int, tuple[str, bool]] = {}
        """Currency by the pair's con id, and whether the pair says what the base is worth in it."""
        self._sources: dict[str, int] = {}
        for each in instruments:
            if each.sec_type is not SecType.CASH or BASE not in (each.symbol, each.currency):
                continue
            is_inverse = each.symbol == BASE
            currency = each.currency if is_inverse else each.symbol
            if currency not in self._sources:
                self._pairs[each.con_id] = (currency, is_inverse)
                self._sources[currency] = each.con_id
                self.on_quote(each.con_id, Decimal(str(each.reference_price)))

    def on_quote(self, con_id: int, last: Decimal) -> None:
        """An instrument has traded; nothing happens unless it is a pair."""
        pair = self._pairs.get(con_id)
        if pair is not None and last > 0:
            currency, is_inverse = pair
            self._rates[currency] = (_ONE / last).quantize(_DIGITS) if is_inverse else last

    def knows(self, currency: str) -> bool:
        return currency in self._rates

    def rate(self, currency: str) -> Decimal:
        """What one unit is worth in the base currency.

        Raises:
            LookupError: there is no pair for it; see `knows`.
        """
        return self._rates[currency]

    def source(self, currency: str) -> int | None:
        """The con id of the pair that gives its rate; None for the base currency."""
        return self._sources.get(currency)

    def load(self, rates: Mapping[str, Decimal]) -> None:
        """Put back rates that were stored."""
        for currency, rate in rates.items():
            if currency in self._sources:
                self._rates[currency] = rate

    def dump(self, currencies: Iterable[str]) -> dict[str, Decimal]:
        """Rates to store, of those currencies that are not the base."""
        return {each: self._rates[each] for each in sorted(set(currencies)) if each in self._sources}
