"""Option computations: with the quote of an option, and for prices or volatilities that a client names.

Strategy: everything is by Black, Scholes and Merton (see `pricing`), at the rates that the feed's options are
priced at. Each of bid, ask and last has the volatility that it implies, and the sensitivities at that
volatility; the model has the volatility that the market of options is made with.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import exp
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.gateway import codes, pricing
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.valuation import RATE, smile, years_left, yield_of
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import Session
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.requests.market import (
    CancelImpliedVolatility,
    CancelOptionPrice,
    ImpliedVolatilityRequest,
    OptionPriceRequest,
)
from trademind.gateway.wire.ticks import Tick, TickBytes, TickMessage, option_tick

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

OPTIONS: Final = frozenset({SecType.OPTION, SecType.FUTURE_OPTION})
_DIGITS: Final = 6
"""Decimal places: the seconds that pass alone hardly change any of them."""
_MOST: Final = {"volatility": Decimal(pricing.HIGHEST_VOLATILITY)}

_LIVE: Final = (Tick.BID_OPTION, Tick.ASK_OPTION, Tick.LAST_OPTION, Tick.MODEL_OPTION)
_DELAYED: Final = (
    Tick.DELAYED_BID_OPTION,
    Tick.DELAYED_ASK_OPTION,
    Tick.DELAYED_LAST_OPTION,
    Tick.DELAYED_MODEL_OPTION,
)


def computations(
    option: Instrument, quote: MarketQuote, underlying: MarketQuote, now: datetime, *, delayed: bool
) -> Iterator[tuple[Tick, TickBytes]]:
    """The computations for bid, ask and last of an option, and the model's."""
    bid, ask, last, model = _DELAYED if delayed else _LIVE
    terms = _Terms.of(option, float(underlying.last), now)
    for tick, price in ((bid, quote.bid), (ask, quote.ask), (last, quote.last)):
        if price > 0:
            yield tick, terms.for_price(tick, float(price))
    yield model, terms.for_volatility(model, smile(option, terms.spot, terms.years))


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the price of an option depends on, beside its volatility."""

    call: bool
    spot: float
    strike: float
    years: float
    dividend_yield: float

    @classmethod
    def of(cls, option: Instrument, spot: float, now: datetime) -> "_Terms":
        assert option.underlying is not None
        return cls(
            call=option.right.startswith("C"),
            spot=spot,
            strike=float(option.strike or 0),
            years=years_left(option, now),
            dividend_yield=yield_of(option.underlying),
        )

    def for_price(self, tick: Tick, price: float) -> TickBytes:
        """The computation for a price; without volatility and sensitivities where it implies none."""
        volatility = pricing.implied_volatility(
            price,
            call=self.call,
            spot=self.spot,
            strike=self.strike,
            years=self.years,
            rate=RATE,
            dividend_yield=self.dividend_yield,
        )
        return self._tick(tick, price, volatility)

    def for_volatility(self, tick: Tick, volatility: float) -> TickBytes:
        price = pricing.option_price(
            call=self.call,
            spot=self.spot,
            strike=self.strike,
            years=self.years,
            volatility=volatility,
            rate=RATE,
            dividend_yield=self.dividend_yield,
        )
        return self._tick(tick, price, volatility)

    def _tick(self, tick: Tick, price: float, volatility: float | None) -> TickBytes:
        delta = gamma = vega = theta = None
        if volatility is not None:
            found = pricing.greeks(
                call=self.call,
                spot=self.spot,
                strike=self.strike,
                years=self.years,
                volatility=volatility,
                rate=RATE,
                dividend_yield=self.dividend_yield,
            )
            delta, gamma, vega, theta = found.delta, found.gamma, found.vega, found.theta
        return option_tick(
            tick,
            price_based=False,
            volatility=_shown(volatility),
            delta=_shown(delta),
            price=_shown(price),
            pv_dividend=_shown(self.spot * (1 - exp(-self.dividend_yield * self.years))),
            gamma=_shown(gamma),
            vega=_shown(vega),
            theta=_shown(theta),
            underlying=_shown(self.spot),
        )


def _shown(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def option_price(gateway: "PaperGateway", session: Session, request: OptionPriceRequest) -> None:
    """What an option is worth at a volatility and a price of the underlying."""
    volatility, spot = request.volatility, request.underlying_price
    _compute(gateway, session, request.req_id, request.contract, spot, volatility=volatility)


def implied_volatility(gateway: "PaperGateway", session: Session, request: ImpliedVolatilityRequest) -> None:
    """Which volatility a price of an option implies; the answer has none where it implies none."""
    price, spot = request.option_price, request.underlying_price
    _compute(gateway, session, request.req_id, request.contract, spot, price=price)


def _compute(
    gateway: "PaperGateway",
    session: Session,
    req_id: int,
    contract: WireContract,
    spot: Decimal | None,
    **given: Decimal | None,
) -> None:
    option = find(gateway, session, req_id, contract)
    if option is None:
        return
    ((name, value),) = given.items()
    if option.sec_type not in OPTIONS:
        session.error(req_id, codes.VALIDATING, codes.invalid("The contract is not an option"))
        return
    if spot is None or spot <= 0 or value is None or value <= 0 or value > _MOST.get(name, value):
        cause = f"Invalid {name} or underlying price for an option computation"
        session.error(req_id, codes.VALIDATING, codes.invalid(cause))
        return
    terms = _Terms.of(option, float(spot), gateway.clock.now())
    compute = terms.for_volatility if name == "volatility" else terms.for_price
    session.send(TickMessage(req_id, compute(Tick.MODEL_OPTION, float(value))))


def cancel(
    gateway: "PaperGateway", session: Session, request: CancelImpliedVolatility | CancelOptionPrice
) -> None:
    """Computations are answered at once, so there is never one to cancel."""


HANDLERS: Mapping[type, Callable[..., None]] = {
    OptionPriceRequest: option_price,
    ImpliedVolatilityRequest: implied_volatility,
    CancelImpliedVolatility: cancel,
    CancelOptionPrice: cancel,
}
