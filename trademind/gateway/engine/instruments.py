"""How instruments are found: by con id, by description, by text; and how combinations are made.

What is listed one by one is in `listed.py`; options, futures and CFDs are made by `derivatives.py` when they
are asked for, which keeps a start fast. A combination is known from the moment it is made of its legs.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from zlib import crc32

from trademind.domain import SecType
from trademind.gateway.engine.derivatives import FIRST_COMBO, Derivatives
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.listed import INSTRUMENTS, RESERVED_CON_IDS
from trademind.gateway.engine.model import Instrument, Leg

__all__ = ["INSTRUMENTS", "MAX_COMBOS", "RESERVED_CON_IDS", "Description", "Universe"]

MAX_COMBOS = 10_000
"""Combinations that are known at a time. They are kept for as long as the gateway runs, since orders,
executions and clients refer to them."""
MAX_KEPT = 20_000
"""Derivatives that are kept once made, which is cheaper than making them again for every quote."""
_COMBO_IDS = 1 << 25


class Universe:
    """Finds instruments by id, by description and by text.

    Raises:
        ValueError: two instruments share a con id.
    """

    def __init__(self, instruments: Iterable[Instrument] = INSTRUMENTS) -> None:
        self.instruments = tuple(instruments)
        """Those that are listed one by one."""
        self._by_con_id = {each.con_id: each for each in self.instruments}
        if len(self._by_con_id) != len(self.instruments):
            raise ValueError("two instruments share a con id")
        self._by_symbol: dict[tuple[str, SecType], list[Instrument]] = {}
        for each in self.instruments:
            self._by_symbol.setdefault((each.symbol, each.sec_type), []).append(each)
        self.derivatives = Derivatives(self.instruments)
        self._made: dict[int, Instrument] = {}
        self._combos: dict[int, Instrument] = {}

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The instrument with this con id, if we trade it; a derivative also when it has expired."""
        found = self._by_con_id.get(con_id) or self._made.get(con_id) or self._combos.get(con_id)
        if found is None:
            found = self.derivatives.by_con_id(con_id)
            if found is not None:
                if len(self._made) >= MAX_KEPT:
                    self._made.clear()
                self._made[con_id] = found
        return found

    def find(self, wanted: Description, today: date) -> Iterator[Instrument]:
        """Instruments that agree with every field given; an empty field agrees with all.

        An FX pair is found by its base currency as the symbol, or by its local symbol alone (`EUR.USD`).
        Derivatives are those listed on that day, New York's.
        """
        if wanted.symbol:
            candidates: Iterable[Instrument] = self._by_symbol.get(
                (wanted.symbol.upper(), wanted.sec_type), ()
            )
        elif wanted.local_symbol or wanted.isin:
            candidates = (each for each in self.instruments if each.sec_type is wanted.sec_type)
        else:
            candidates = ()
        yield from filter(wanted.agrees, candidates)
        if wanted.symbol or wanted.local_symbol or wanted.trading_class:
            yield from self.derivatives.find(wanted, today)

    def search(self, text: str, limit: int = 16) -> list[Instrument]:
        """Instruments whose symbol starts with `text` or whose name contains it, best first.

        An exact symbol comes first, then symbols by prefix, then names. IB answers with at most 16.
        """
        wanted = " ".join(text.upper().split())
        if not wanted:
            return []
        ranked: list[tuple[int, str, Instrument]] = []
        for each in self.instruments:
            if wanted in (each.symbol, each.local_symbol):
                rank = 0
            elif each.symbol.startswith(wanted) or each.local_symbol.startswith(wanted):
                rank = 1
            elif wanted in each.long_name.upper():
                rank = 2
            else:
                continue
            ranked.append((rank, each.local_symbol, each))
        ranked.sort(key=lambda entry: entry[:2])
        return [each for _, _, each in ranked[:limit]]

    def combine(self, legs: Sequence[Leg]) -> Instrument:
        """The combination of these legs, the same one for the same legs in any order.

        Raises:
            ValueError: there are fewer than two legs or two of one instrument, they are in several
                currencies, one is a combination itself, or too many combinations are known.
        """
        parts = tuple(sorted(legs, key=lambda leg: leg.instrument.con_id))
        if len({leg.instrument.con_id for leg in parts}) != len(parts) or len(parts) < 2:
            raise ValueError("a combination has at least two different legs")
        if any(leg.instrument.legs for leg in parts):
            raise ValueError("a combination cannot be a leg")
        if any(leg.ratio < 1 for leg in parts):
            raise ValueError("the ratio of a leg is at least 1")
        currencies = {leg.instrument.currency for leg in parts}
        if len(currencies) > 1:
            raise ValueError("a combination is in one currency")
        key = ";".join(f"{leg.instrument.con_id}:{leg.side}:{leg.ratio}:{leg.exchange}" for leg in parts)
        number = crc32(key.encode()) % _COMBO_IDS
        # Two different combinations can fall on the same number; the later one takes the next free.
        while (known := self._combos.get(FIRST_COMBO + number)) is not None:
            if known.legs == parts:
                return known
            number = (number + 1) % _COMBO_IDS
        if len(self._combos) >= MAX_COMBOS:
            raise ValueError(f"there are {MAX_COMBOS} combinations already")
        combo = _combo(FIRST_COMBO + number, parts)
        self._combos[combo.con_id] = combo
        return combo


def _combo(con_id: int, legs: tuple[Leg, ...]) -> Instrument:
    symbols = dict.fromkeys(leg.instrument.symbol for leg in legs)
    first = legs[0].instrument
    return Instrument(
        con_id=con_id,
        symbol=",".join(symbols),
        sec_type=SecType.COMBO,
        exchange="SMART",
        primary_exchange="",
        currency=first.currency,
        local_symbol=",".join(symbols),
        trading_class="COMB",
        long_name="",
        industry="",
        category="",
        subcategory="",
        stock_type="",
        min_tick=min(leg.instrument.min_tick for leg in legs),
        size_increment=Decimal(1),
        reference_price=0.0,
        annual_volatility=0.0,
        daily_volume=0,
        spread_ticks=1,
        # As of one option where stock is combined with options: its price is quoted per share then.
        multiplier=max(leg.instrument.multiplier for leg in legs),
        legs=legs,
        market_rule=first.market_rule,
        time_zone=first.time_zone,
        exchanges=tuple(dict.fromkeys(leg.instrument.exchange for leg in legs)),
    )
