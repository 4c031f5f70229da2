"""The markets of derivatives, derived from the markets of what they are about.

Strategy: a feed around a feed. What has a market of its own is passed on; the price of anything else is a
function of its underlying's price and the time, and so are its bars, which are the underlying's bars with
that function applied. A derivative's bid and ask are worth at least as much apart as the underlying's, and
its last trade, which is worth what the underlying's last trade makes it, lies between them. A combination
is the sum of its legs. After a derivative has expired it stands where it was at that moment.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from trademind.domain import SecType, Side
from trademind.gateway.engine.increments import DOWN, UP, increment_at, round_to
from trademind.gateway.engine.model import Instrument, Leg, MarketQuote
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.feeds.calendar import day_of, midnight, to_utc
from trademind.gateway.feeds.valuation import OptionValue, expiry, future_price, option_worth, value

_HALF_SPREAD: Final = Decimal("0.006")
"""What market makers in options ask for, as a share of the price on each side …"""
_WIDEST: Final = Decimal("0.0005")
"""… but no more than so much of the underlying's price."""
_LARGEST_SIZE: Final = 500
"""Contracts quoted at most."""
_SECONDS = {"secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600}
_ZERO, _ONE = Decimal(0), Decimal(1)

Worth = Callable[[Decimal, datetime], Decimal]
"""The price of a derivative, not rounded, by its underlying's price and the moment."""


class DerivedFeed:
    """A feed with markets for derivatives, too. Implements `Feed`.

    Args:
        source: Makes the markets of everything that has one of its own.
    """

    def __init__(self, source: Feed) -> None:
        self.source = source
        self.interval = source.interval
        self._moment: datetime | None = None
        self._quotes: dict[int, MarketQuote] = {}
        """Of underlyings, at that moment: there may be a whole chain of options on each."""

    def head(self, instrument: Instrument) -> datetime:
        if instrument.legs:
            return max(self.head(leg.instrument) for leg in instrument.legs)
        if instrument.underlying is not None:
            return self.head(instrument.underlying)
        return self.source.head(instrument)

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        if instrument.legs:
            return self._combo_quote(instrument, at)
        if instrument.underlying is None:
            return self.source.quote(instrument, at)
        found = self._derived_quote(instrument, instrument.underlying, at)
        return replace(found, volume=_ZERO) if instrument.sec_type is SecType.INDEX else found

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        if instrument.legs:
            return self._combo_bars(instrument, start, end, bar_size)
        found = self._bars(instrument, start, end, bar_size)
        if instrument.sec_type is SecType.INDEX:
            return [replace(bar, volume=_ZERO, count=0) for bar in found]
        return found

    def _bars(self, instrument: Instrument, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """Bars of one instrument; those of an index have the volume of the fund that it is measured by."""
        if instrument.underlying is None:
            return self.source.bars(instrument, start=start, end=end, bar_size=bar_size)
        end = _not_after(instrument, end)
        if start >= end:
            return []
        below = self._bars(instrument.underlying, start, end, bar_size)
        worth, share = _worth(instrument), _share(instrument)
        return [_derived_bar(instrument, bar, min(end, _ends(bar, bar_size)), worth, share) for bar in below]

    def value(self, option: Instrument, at: datetime, *, spot: Decimal | None = None) -> OptionValue:
        """What an option is worth by the model, with implied volatility and sensitivities.

        Args:
            spot: The underlying's price; its last trade, unless given.
        """
        assert option.underlying is not None
        at = _not_after(option, at)
        return value(option, float(self._below(option.underlying, at).last if spot is None else spot), at)

    def _below(self, underlying: Instrument, at: datetime) -> MarketQuote:
        if at != self._moment:
            self._moment = at
            self._quotes.clear()
        found = self._quotes.get(underlying.con_id)
        if found is None:
            follows = underlying.underlying
            found = (
                self.source.quote(underlying, at)
                if follows is None
                else self._derived_quote(underlying, follows, at)
            )
            self._quotes[underlying.con_id] = found
        return found

    def _derived_quote(self, instrument: Instrument, underlying: Instrument, at: datetime) -> MarketQuote:
        moment = _not_after(instrument, at)
        below = self._below(underlying, moment)
        if instrument.sec_type is SecType.CFD:
            return replace(below, con_id=instrument.con_id)
        worth, share = _worth(instrument), _share(instrument)
        low, high = sorted((worth(below.bid, moment), worth(below.ask, moment)))
        last = _rounded(instrument, worth(below.last, moment), moment)
        bid, ask = _market(instrument, low, high, last, below.last * _WIDEST)
        today = to_utc(midnight(day_of(int(moment.timestamp()))))
        tomorrow = today + timedelta(days=1)
        first, close = (_rounded(instrument, worth(each, today), today) for each in (below.open, below.close))
        bounds = [worth(each, time) for each in (below.high, below.low) for time in (today, tomorrow)]
        volume = below.volume if _root(instrument).daily_volume else _elapsed(moment)
        return MarketQuote(
            con_id=instrument.con_id,
            time=below.time,
            bid=bid,
            ask=ask,
            last=last,
            bid_size=_size(below.bid_size) if bid > 0 else _ZERO,
            ask_size=_size(below.ask_size),
            last_size=max(_ONE, _size(below.last_size) // 4),
            volume=(volume * share).to_integral_value(),
            open=first,
            high=max(_rounded(instrument, max(bounds), today), first, last),
            low=min(_rounded(instrument, min(bounds), tomorrow), first, last),
            close=close,
        )

    # Combinations

    def _combo_quote(self, combo: Instrument, at: datetime) -> MarketQuote:
        legs = [(leg, self.quote(leg.instrument, at)) for leg in combo.legs]

        def total(buy: Callable[[MarketQuote], Decimal], sell: Callable[[MarketQuote], Decimal]) -> Decimal:
            found = _ZERO
            for leg, quote in legs:
                found += _weight(combo, leg) * (buy(quote) if leg.side is Side.BUY else sell(quote))
            return found

        first, last, close = (
            total(pick, pick)
            for pick in (lambda quote: quote.open, lambda quote: quote.last, lambda quote: quote.close)
        )
        return MarketQuote(
            con_id=combo.con_id,
            time=max(quote.time for _, quote in legs),
            bid=total(lambda quote: quote.bid, lambda quote: quote.ask),
            ask=total(lambda quote: quote.ask, lambda quote: quote.bid),
            last=last,
            bid_size=min(_available(leg, quote, for_sale=False) for leg, quote in legs),
            ask_size=min(_available(leg, quote, for_sale=True) for leg, quote in legs),
            last_size=_ONE,
            # Combinations have no tape of their own.
            volume=_ZERO,
            open=first,
            high=max(first, last),
            low=min(first, last),
            close=close,
        )

    def _combo_bars(self, combo: Instrument, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """Sums of the legs' opens and closes. How high and low the sum went in between is not known."""
        legs = [
            (
                leg,
                {
                    bar.start: bar
                    for bar in self.bars(leg.instrument, start=start, end=end, bar_size=bar_size)
                },
            )
            for leg in combo.legs
        ]
        found = []
        for moment in legs[0][1]:
            if not all(moment in bars for _, bars in legs):
                continue
            parts = [(_weight(combo, leg), bars[moment]) for leg, bars in legs]
            first = sum((weight * bar.open for weight, bar in parts), _ZERO)
            close = sum((weight * bar.close for weight, bar in parts), _ZERO)
            found.append(
                FeedBar(
                    moment, first, max(first, close), min(first, close), close, _ZERO, (first + close) / 2, 0
                )
            )
        return found


def _weight(combo: Instrument, leg: Leg) -> Decimal:
    """What a leg's price counts for in the price of one combination."""
    amount = leg.ratio * leg.instrument.multiplier / combo.multiplier
    return amount if leg.side is Side.BUY else -amount


def _available(leg: Leg, quote: MarketQuote, *, for_sale: bool) -> Decimal:
    """How many combinations the market of one leg is good for."""
    size = quote.ask_size if for_sale is (leg.side is Side.BUY) else quote.bid_size
    return size // leg.ratio


# One derivative


def _worth(instrument: Instrument) -> Worth:
    underlying = instrument.underlying
    assert underlying is not None
    match instrument.sec_type:
        case SecType.OPTION:
            return lambda price, at: Decimal(repr(option_worth(instrument, float(price), at)))
        case SecType.FUTURE | SecType.CONTINUOUS_FUTURE:
            return lambda price, at: Decimal(repr(future_price(instrument, float(price), at)))
        case SecType.INDEX:
            # An index moves with the fund that follows it, on a scale of its own.
            scale = Decimal(repr(instrument.reference_price)) / Decimal(repr(underlying.reference_price))
            return lambda price, at: price * scale
        case _:
            return lambda price, at: price


def _rounded(instrument: Instrument, price: Decimal, at: datetime) -> Decimal:
    """A price that can be traded at; of what has not expired, one above zero."""
    found = round_to(price, increment_at(instrument.market_rule, price))
    end = expiry(instrument)
    is_over = end is not None and at >= end
    return found if is_over else max(found, instrument.min_tick)


def _market(
    instrument: Instrument, low: Decimal, high: Decimal, last: Decimal, widest: Decimal
) -> tuple[Decimal, Decimal]:
    """Bid and ask around what an instrument is worth at its underlying's bid and ask."""
    if instrument.sec_type is SecType.OPTION:
        low, high = low - min(widest, low * _HALF_SPREAD), high + min(widest, high * _HALF_SPREAD)
    rule = instrument.market_rule
    bid = min(last, max(_ZERO, round_to(low, increment_at(rule, low), DOWN)))
    ask = max(last, round_to(high, increment_at(rule, high), UP))
    if ask <= bid:
        ask = bid + increment_at(rule, bid)
    return bid, ask


def _derived_bar(
    instrument: Instrument, bar: FeedBar, end: datetime, worth: Worth, share: Decimal
) -> FeedBar:
    if instrument.sec_type is SecType.CFD:
        return bar
    first = _rounded(instrument, worth(bar.open, bar.start), bar.start)
    close = _rounded(instrument, worth(bar.close, end), end)
    bounds = [worth(price, at) for price in (bar.high, bar.low) for at in (bar.start, end)]
    high = max(_rounded(instrument, max(bounds), bar.start), first, close)
    low = min(_rounded(instrument, min(bounds), end), first, close)
    middle = worth(bar.wap, bar.start + (end - bar.start) / 2)
    if _root(instrument).daily_volume:
        volume = (bar.volume * share).to_integral_value()
    else:
        volume = (Decimal((end - bar.start) // timedelta(seconds=1)) * share).to_integral_value()
    count = min(bar.count, int(volume)) if volume else 0
    return FeedBar(bar.start, first, high, low, close, volume, min(high, max(low, middle)), count)


def _not_after(instrument: Instrument, at: datetime) -> datetime:
    """A moment, or the derivative's last one."""
    end = expiry(instrument)
    return at if end is None else min(at, end)


def _root(instrument: Instrument) -> Instrument:
    """What an instrument's price follows from in the end."""
    while instrument.underlying is not None:
        instrument = instrument.underlying
    return instrument


def _share(instrument: Instrument) -> Decimal:
    """What an instrument trades for each unit of what it follows from, or for each second where that does not
    trade by itself."""
    if instrument.sec_type is SecType.INDEX:
        return _ONE
    usual = _root(instrument).daily_volume
    return Decimal(instrument.daily_volume) / (usual or 86_400)


def _elapsed(at: datetime) -> Decimal:
    """Seconds of the day that have passed."""
    second = int(at.timestamp())
    return Decimal(second - midnight(day_of(second)))


def _size(below: Decimal) -> Decimal:
    return min(Decimal(_LARGEST_SIZE), max(_ONE, below // 10))


def _ends(bar: FeedBar, bar_size: str) -> datetime:
    """When a bar is over, by the clock; of a day and longer by the calendar of New York."""
    number, _, unit = bar_size.partition(" ")
    if unit in _SECONDS:
        return bar.start + timedelta(seconds=int(number) * _SECONDS[unit])
    day = day_of(int(bar.start.timestamp()))
    match unit:
        case "week":
            after = day + timedelta(days=7 - day.weekday())
        case "month":
            after = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        case _:
            after = day + timedelta(days=1)
    return to_utc(midnight(after)).astimezone(UTC)
