"""The instruments of the paper exchange, and how they are found.

The rows are in `listings.py`. Most con ids there are IB's own; the few we could not cite come from a range
of ours that starts at `RESERVED_CON_IDS`, and such an id works here and nowhere else.
"""

from collections.abc import Iterable
from decimal import Decimal

from trademind.domain import SecType
from trademind.gateway.engine.listings import ETFS, FX_PAIRS, STOCKS, Sector
from trademind.gateway.engine.model import Instrument

RESERVED_CON_IDS = 900_000_000
"""First con id of the range for instruments whose real con id is not known to us."""

_CENT = Decimal("0.01")
_PIPETTE = Decimal("0.00005")
"""IB quotes the major FX pairs in half pips."""


def _con_id(number: int) -> int:
    return RESERVED_CON_IDS + number if number < 100 else number


def _share(
    number: int,
    symbol: str,
    primary: str,
    name: str,
    sector: Sector,
    stock_type: str,
    market: tuple[float, float, int, int],
) -> Instrument:
    price, volatility, volume, spread = market
    return Instrument(
        con_id=_con_id(number),
        symbol=symbol,
        sec_type=SecType.STOCK,
        exchange="SMART",
        primary_exchange=primary,
        currency="USD",
        local_symbol=symbol,
        # Shares listed on NASDAQ trade as National Market System; elsewhere the class is the symbol.
        trading_class="NMS" if primary == "NASDAQ" else symbol,
        long_name=name,
        industry=sector[0],
        category=sector[1],
        subcategory=sector[2],
        stock_type=stock_type,
        min_tick=_CENT,
        # The API takes whole shares only (IB's error 10243), whatever the desktop allows.
        size_increment=Decimal(1),
        reference_price=price,
        annual_volatility=volatility,
        daily_volume=volume,
        spread_ticks=spread,
    )


def _stocks() -> Iterable[Instrument]:
    for number, symbol, primary, name, sector, price, volatility, volume, spread in STOCKS:
        stock_type = "ADR" if name.endswith("ADR") else "COMMON"
        yield _share(number, symbol, primary, name, sector, stock_type, (price, volatility, volume, spread))


def _etfs() -> Iterable[Instrument]:
    for number, symbol, primary, name, price, volatility, volume, spread in ETFS:
        market = (price, volatility, volume, spread)
        yield _share(number, symbol, primary, name, ("", "", ""), "ETF", market)


def _fx_pairs() -> Iterable[Instrument]:
    for con_id, base, name, price, volatility, volume, spread in FX_PAIRS:
        yield Instrument(
            con_id=con_id,
            symbol=base,
            sec_type=SecType.CASH,
            exchange="IDEALPRO",
            primary_exchange="",
            currency="USD",
            local_symbol=f"{base}.USD",
            trading_class=f"{base}.USD",
            long_name=name,
            industry="",
            category="",
            subcategory="",
            stock_type="",
            min_tick=_PIPETTE,
            size_increment=Decimal(1),
            reference_price=price,
            annual_volatility=volatility,
            daily_volume=volume,
            spread_ticks=spread,
        )


INSTRUMENTS: tuple[Instrument, ...] = (*_stocks(), *_etfs(), *_fx_pairs())
"""Everything the paper exchange trades. All of it is quoted in US dollars."""


class Universe:
    """Finds instruments by id, by description and by text.

    Raises:
        ValueError: two instruments share a con id.
    """

    def __init__(self, instruments: Iterable[Instrument] = INSTRUMENTS) -> None:
        self.instruments = tuple(instruments)
        self._by_con_id = {each.con_id: each for each in self.instruments}
        if len(self._by_con_id) != len(self.instruments):
            raise ValueError("two instruments share a con id")
        self._by_symbol: dict[tuple[str, SecType], list[Instrument]] = {}
        for each in self.instruments:
            self._by_symbol.setdefault((each.symbol, each.sec_type), []).append(each)

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The instrument with this con id, if we trade it."""
        return self._by_con_id.get(con_id)

    def find(
        self,
        symbol: str,
        sec_type: SecType,
        currency: str = "",
        exchange: str = "",
        primary_exchange: str = "",
        local_symbol: str = "",
    ) -> list[Instrument]:
        """Instruments that agree with every field given; an empty field agrees with all.

        `exchange` may be the routing or the listing exchange, as with IB. An FX pair is found by its
        base currency as the symbol, or by its local symbol alone (`EUR.USD`).
        """
        symbol, local_symbol = symbol.upper(), local_symbol.upper()
        candidates: Iterable[Instrument]
        if symbol:
            candidates = self._by_symbol.get((symbol, sec_type), ())
        elif local_symbol:
            candidates = (each for each in self.instruments if each.sec_type is sec_type)
        else:
            candidates = ()
        return [
            each
            for each in candidates
            if currency.upper() in ("", each.currency)
            and exchange.upper() in ("", each.exchange, each.primary_exchange)
            and primary_exchange.upper() in ("", each.primary_exchange)
            and local_symbol in ("", each.local_symbol)
        ]

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
