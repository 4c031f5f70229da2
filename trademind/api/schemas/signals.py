"""Signals, how instruments stand by strategies, and the watch list."""

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import ConfigDict, Field

from trademind.analysis.execution import Made, Wanted
from trademind.analysis.watchlist import MAX_INSTRUMENTS, MAX_STRATEGIES, Watch, Watchlist
from trademind.api.schemas.base import (
    In,
    Out,
    Quantity,
    Time,
    number,
    quantity,
    time,
    time_or_none,
)
from trademind.api.schemas.instruments import Circumstances
from trademind.api.schemas.order_requests import Number
from trademind.api.schemas.orders import OrderOut
from trademind.domain import ContractQuery, SecType, SignalOutcome, TrackedSignal
from trademind.domain.orders import exact
from trademind.domain.signals import Action, Signal

if TYPE_CHECKING:  # with it comes TA-Lib, which a server loads when somebody wants signals
    from trademind.analysis.desk import Look

Parameters = dict[str, int | float | str]


class SignalOut(Out):
    """A signal that was told, and what has become of it."""

    id: str
    strategy: str
    parameters: Parameters
    symbol: str
    con_id: int | None
    action: Action
    strength: float = Field(description="0 to 1: how far the strategy's condition is met.")
    confidence: float = Field(description="0 to 1: how much speaks for it beside the condition.")
    reasons: list[str]
    values: list[dict[str, float]] = Field(description="The numbers that each of the reasons rests on.")
    bar_size: str
    bar_time: Time = Field(description="Where the bar begins at whose close it was made.")
    entry: float | None
    stop: float | None
    target: float | None
    expires_at: Time | None
    quantity: Quantity | None = Field(description="By the risk of a trade; null where that is not known.")
    outcome: SignalOutcome
    outcome_at: Time | None
    outcome_price: float | None
    order_key: str | None = Field(description="The `client_order_id` of the order that was made of it.")
    told_at: Time

    @classmethod
    def of(cls, tracked: TrackedSignal) -> Self:
        signal = tracked.signal
        return cls(
            id=tracked.id,
            strategy=signal.strategy,
            parameters=dict(tracked.parameters),
            symbol=signal.symbol,
            con_id=signal.con_id,
            action=signal.action,
            strength=signal.strength,
            confidence=signal.confidence,
            reasons=[reason.text for reason in signal.reasons],
            values=_values(signal),
            bar_size=signal.bar_size,
            bar_time=time(signal.bar_time),
            entry=number(signal.entry),
            stop=number(signal.stop),
            target=number(signal.target),
            expires_at=time_or_none(signal.expires_at),
            quantity=None if tracked.quantity is None else quantity(tracked.quantity),
            outcome=tracked.outcome,
            outcome_at=time_or_none(tracked.outcome_at),
            outcome_price=number(tracked.outcome_price),
            order_key=tracked.order_key,
            told_at=time(tracked.told_at),
        )


class LookOut(Out):
    """How an instrument stands by one strategy, or in `error` why that is not known."""

    id: str | None = Field(
        description="By which an order can be made of it; null where there is nothing to do."
    )
    strategy: str
    parameters: Parameters
    symbol: str
    con_id: int | None
    action: Action | None = Field(description="`hold` where no rule was met; null where it is not known.")
    strength: float | None
    confidence: float | None
    reasons: list[str] = Field(description="Why; of `hold`, what the strategy looks at and where that is.")
    values: list[dict[str, float]] = Field(description="The numbers that each of the reasons rests on.")
    bar_size: str
    bar_time: Time | None
    entry: float | None
    stop: float | None
    target: float | None
    expires_at: Time | None
    quantity: Quantity | None = Field(description="By the risk of a trade; null where that is not known.")
    outcome: SignalOutcome | None = Field(description="What has become of it; null of `hold`.")
    bars: int = Field(description="How many closed bars the strategy has looked at.")
    notes: list[str] = Field(description="What is odd about the bars.")
    code: str | None = Field(description="What kind of error.")
    error: str | None

    @classmethod
    def of(cls, look: "Look") -> Self:
        signal, tracked = look.signal, look.tracked
        return cls(
            id=None if tracked is None else tracked.id,
            strategy=look.plan.strategy,
            parameters=dict(look.plan.parameters),
            symbol=look.symbol,
            con_id=look.con_id,
            action=None if signal is None else signal.action,
            strength=None if signal is None else signal.strength,
            confidence=None if signal is None else signal.confidence,
            reasons=[] if signal is None else [reason.text for reason in signal.reasons],
            values=[] if signal is None else _values(signal),
            bar_size=look.plan.bar_size,
            bar_time=None if signal is None else time(signal.bar_time),
            entry=None if signal is None else number(signal.entry),
            stop=None if signal is None else number(signal.stop),
            target=None if signal is None else number(signal.target),
            expires_at=None if signal is None else time_or_none(signal.expires_at),
            quantity=None if look.quantity is None else quantity(look.quantity),
            outcome=_outcome(look),
            bars=look.bars,
            notes=list(look.notes),
            code=look.code,
            error=look.error,
        )


class LooksOut(Out):
    signals: list[LookOut]
    as_of: Time = Field(description="The market's time.")


class SignalsPage(Out):
    signals: list[SignalOut] = Field(description="Newest first.")
    next_page_token: str | None


class SignalOrderIn(In):
    """What is asked for beside the signal."""

    quantity: Number | None = Field(default=None, description="The signal's own, unless given.")
    limit_price: Number | None = Field(default=None, description="At the market, unless given.")

    def wanted(self) -> Wanted:
        """In the domain's terms. Raises `Invalid`."""
        return Wanted(
            quantity=None if self.quantity is None else exact(self.quantity, "quantity"),
            limit_price=None if self.limit_price is None else exact(self.limit_price, "limit_price"),
        )


class SignalOrderOut(Out):
    signal: SignalOut
    orders: list[OrderOut] = Field(description="None where there was nothing to close.")

    @classmethod
    def of(cls, made: Made) -> Self:
        return cls(signal=SignalOut.of(made.tracked), orders=[OrderOut.of(order) for order in made.orders])


class WatchedIn(Circumstances):
    """An instrument on the watch list."""

    symbol: str = Field(default="", max_length=40)
    con_id: int | None = Field(default=None, ge=1, lt=2**31)


class WatchIn(In):
    """A strategy on the watch list."""

    strategy: str = Field(min_length=1, max_length=40)
    parameters: Parameters = Field(default={}, max_length=50)
    bar_size: str | None = Field(default=None, description="That of the settings, unless given.")
    auto: bool = Field(default=False, description="Whether orders are made of its signals by themselves.")


class WatchlistIn(In):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "instruments": ["AAPL", {"symbol": "EUR", "sec_type": "CASH"}],
                    "strategies": [{"strategy": "rsi_reversion", "parameters": {"period": 10}}],
                }
            ]
        }
    )

    instruments: list[Annotated[str, Field(max_length=40)] | WatchedIn] = Field(
        max_length=MAX_INSTRUMENTS, description="Symbols of shares, or whatever else."
    )
    strategies: list[WatchIn] = Field(
        default=[], max_length=MAX_STRATEGIES, description="Every strategy there is, if empty."
    )

    def watchlist(self, bar_size: str) -> Watchlist:
        """In the domain's terms; `bar_size` where none is given. Raises `Invalid`."""
        return Watchlist(
            instruments=tuple(
                ContractQuery(symbol=each)
                if isinstance(each, str)
                else each.query(each.symbol, con_id=each.con_id)
                for each in self.instruments
            ),
            strategies=tuple(
                Watch(
                    strategy=each.strategy,
                    parameters=each.parameters,
                    bar_size=each.bar_size or bar_size,
                    auto=each.auto,
                )
                for each in self.strategies
            ),
        )


class WatchOut(Out):
    strategy: str
    parameters: Parameters = Field(description="Those that differ from the strategy's own.")
    bar_size: str
    auto: bool


class WatchedOut(Out):
    symbol: str
    con_id: int | None
    sec_type: SecType
    exchange: str
    currency: str


class WatchlistOut(Out):
    """What is looked at whenever a bar closes."""

    instruments: list[WatchedOut]
    strategies: list[WatchOut] = Field(description="Every strategy there is, if empty.")
    from_settings: bool

    @classmethod
    def of(cls, watchlist: Watchlist, *, from_settings: bool) -> Self:
        return cls(
            instruments=[
                WatchedOut(
                    symbol=each.symbol,
                    con_id=each.con_id,
                    sec_type=each.sec_type,
                    exchange=each.exchange,
                    currency=each.currency,
                )
                for each in watchlist.instruments
            ],
            strategies=[
                WatchOut(
                    strategy=each.strategy,
                    parameters=dict(each.parameters),
                    bar_size=each.bar_size,
                    auto=each.auto,
                )
                for each in watchlist.strategies
            ],
            from_settings=from_settings,
        )


def _outcome(look: "Look") -> SignalOutcome | None:
    if look.tracked is not None:
        return look.tracked.outcome
    is_due = look.signal is not None and look.signal.action is not Action.HOLD
    return SignalOutcome.EXPIRED if is_due else None


def _values(signal: Signal) -> list[dict[str, float]]:
    return [dict(reason.values) for reason in signal.reasons]
