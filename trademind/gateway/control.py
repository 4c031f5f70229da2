"""The hand on the market: prices that stand where they are put, and trading that stops.

Strategy: the feed goes on by itself; what is put here lies over its quotes, on their way to the exchange
and to the clients. A market in which trading is halted stands still and shows no size, so that nothing
fills and no stop is set off.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.handlers import market_data

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

ZERO: Final = Decimal(0)
DEPTH: Final = Decimal(1_000_000)
"""The size on offer at a price that was put: more than an order of a test asks for."""


MAX_SIZE: Final = Decimal(10**12)
_MOST_DIGITS = 28
"""Of a number: what the arithmetic of prices is exact to."""


class NoSuchInstrument(ValueError):
    """Nothing is traded under that name."""


def find_instrument(universe: Universe, name: str) -> Instrument:
    """What a symbol, a local symbol or a con id means.

    Raises:
        NoSuchInstrument: nothing does.
    """
    if name.isdecimal() and (found := universe.by_con_id(int(name))) is not None:
        return found
    wanted = name.upper()
    for instrument in universe.search(wanted):
        if wanted in (instrument.symbol, instrument.local_symbol):
            return instrument
    raise NoSuchInstrument(f"nothing is traded as {name!r}")


def check_price(universe: Universe, name: str, price: Decimal) -> Instrument:
    """The instrument of that name, if that can be its price.

    Raises:
        NoSuchInstrument: nothing is traded under that name.
        ValueError: the price is not above zero or not a multiple of the increment.
    """
    instrument = find_instrument(universe, name)
    if not (_can_be_written(price) and 0 < price < 10**9 and price % instrument.min_tick == 0):
        said = str(price)[:40]
        raise ValueError(f"{said} is no price of {name}, which has steps of {instrument.min_tick}")
    return instrument


class MarketControl:
    """What is put over the market of a gateway, by con id."""

    def __init__(self, gateway: "PaperGateway") -> None:
        self._gateway = gateway
        self._prices: dict[int, tuple[Decimal, Decimal, Decimal, Decimal]] = {}
        self._halted: dict[int, MarketQuote] = {}
        """What the market was when trading stopped, without sizes."""

    def instrument(self, name: str) -> Instrument:
        """What a symbol, a local symbol or a con id means.

        Raises:
            NoSuchInstrument: nothing does.
        """
        return find_instrument(self._gateway.universe, name)

    def set_price(
        self,
        name: str,
        price: Decimal,
        *,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        size: Decimal = DEPTH,
    ) -> None:
        """Put the market at a price: last, bid and ask, with `size` on offer. It stays until the next call.

        Raises:
            NoSuchInstrument: nothing is traded under that name.
            ValueError: a price is not above zero or not a multiple of the increment, or bid is above ask.
        """
        bid, ask = price if bid is None else bid, price if ask is None else ask
        for each in (price, bid, ask):
            instrument = check_price(self._gateway.universe, name, each)
        if bid > ask:
            raise ValueError(f"a bid of {bid} is above the ask of {ask}")
        if not (_can_be_written(size) and 0 < size <= MAX_SIZE):
            raise ValueError(f"the size on offer is above zero, and {MAX_SIZE} at most")
        self._prices[instrument.con_id] = (price, bid, ask, size)
        self._show(instrument)

    def release(self, name: str) -> None:
        """Let the feed make the price again."""
        instrument = self.instrument(name)
        if self._prices.pop(instrument.con_id, None) is not None:
            self._show(instrument)

    def halt(self, name: str) -> None:
        """Stop trading: orders are taken and rest, nothing fills. Clients see tick 49 at 1."""
        instrument = self.instrument(name)
        if not self.is_halted(instrument.con_id):
            quote = self._gateway.refresh(instrument)
            self._halted[instrument.con_id] = replace(quote, bid_size=ZERO, ask_size=ZERO, last_size=ZERO)
            self._tell(instrument)
            self._show(instrument)

    def resume(self, name: str) -> None:
        """Let trading go on, with the market as it now is."""
        instrument = self.instrument(name)
        if self._halted.pop(instrument.con_id, None) is not None:
            self._tell(instrument)
            self._show(instrument)

    def is_halted(self, con_id: int) -> bool:
        """Whether trading in it has stopped."""
        return con_id in self._halted

    def quote(self, quote: MarketQuote) -> MarketQuote:
        """A quote of the feed, as it is to be seen."""
        if quote.con_id in self._halted:
            return replace(self._halted[quote.con_id], time=quote.time)
        put = self._prices.get(quote.con_id) if self._prices else None
        if put is None:
            return quote
        price, bid, ask, size = put
        return replace(
            quote,
            last=price,
            bid=bid,
            ask=ask,
            bid_size=size,
            ask_size=size,
            high=max(quote.high, price),
            low=min(quote.low, price),
        )

    def status(self) -> dict[str, list[str]]:
        """What is put, by symbol."""
        return {
            "prices": [f"{self._symbol(con_id)} {put[0]}" for con_id, put in self._prices.items()],
            "halted": [self._symbol(con_id) for con_id in self._halted],
        }

    def _symbol(self, con_id: int) -> str:
        instrument = self._gateway.universe.by_con_id(con_id)
        return str(con_id) if instrument is None else instrument.symbol

    def _show(self, instrument: Instrument) -> None:
        """Let the exchange and the clients see the market at once."""
        self._gateway.chores.append(self._moving(instrument))

    def _moving(self, instrument: Instrument) -> Iterator[None]:
        yield from self._gateway.move(instrument)

    def _tell(self, instrument: Instrument) -> None:
        for session in self._gateway.sessions:
            market_data.tell_halt(self._gateway, session, instrument)


def _can_be_written(number: Decimal) -> bool:
    """Whether it has no more digits than clients are to be sent, written without an exponent."""
    _, digits, exponent = number.as_tuple()
    return isinstance(exponent, int) and len(digits) <= _MOST_DIGITS and abs(exponent) <= _MOST_DIGITS
