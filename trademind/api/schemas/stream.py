"""The frames of `/api/stream`, of which docs/session-contract.md tells: OpenAPI knows no WebSockets.

Those of market data are put together in `market_frames`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from trademind.api.schemas.base import In, Out, Time, time, time_or_none
from trademind.api.schemas.instruments import OneInstrument
from trademind.api.schemas.notices import NoticeOut
from trademind.api.schemas.orders import ExecutionOut, OrderOut
from trademind.api.schemas.portfolio import AccountOut
from trademind.api.schemas.signals import SignalOut
from trademind.brokers.topics import Topic
from trademind.domain import (
    Account,
    Channel,
    Event,
    Execution,
    Gap,
    LiveBars,
    Order,
    Resumed,
    SessionInfo,
    SessionState,
    Subject,
    TickType,
    TrackedSignal,
)
from trademind.market.hub import MAX_INTERVAL

MAX_SYMBOLS = 100
"""In one request; IB has no more lines to give."""


ConId = Annotated[int, Field(ge=1, lt=2**31)]


class InstrumentIn(OneInstrument):
    """As in the REST routes. A text alone is a symbol, a number a con id."""

    symbol: Annotated[str, Field(max_length=40)] = ""
    con_id: ConId | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_its_name_alone(cls, given: object) -> object:
        match given:
            case str():
                return {"symbol": given}
            case int() if not isinstance(given, bool):
                return {"con_id": given}
            case _:
                return given


class BarsIn(InstrumentIn):
    what_to_show: Literal["TRADES", "AGGTRADES", "MIDPOINT", "BID", "ASK"] | None = None
    bar_size: Annotated[str, Field(max_length=10)] | None = None
    use_rth: bool | None = None
    forming: bool | None = None

    @property
    def _terms(self) -> dict[str, Any]:
        return self.model_dump(include={"bar_size", "use_rth", "forming"}, exclude_none=True)

    def which(self) -> LiveBars:
        """Raises `Invalid`."""
        return LiveBars(**self._terms)

    def are(self, bars: LiveBars | None) -> bool:
        """Does it mean these? What is left out is any."""
        return all(getattr(bars, name) == value for name, value in self._terms.items())


class TicksIn(InstrumentIn):
    tick_type: TickType | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One kind of data of one instrument, as a client has named it."""

    channel: Channel
    named: InstrumentIn
    variant: str | None = None

    def subject(self) -> Subject:
        """Raises `Invalid`."""
        return Subject(
            channel=self.channel,
            query=self.named.instrument,
            variant=self.variant or "",
            bars=self.named.which() if isinstance(self.named, BarsIn) else None,
        )

    def among(self, topics: Iterable[Topic]) -> list[Topic]:
        """Those that it means. Without a variant it means all there are. Raises `Invalid`."""
        query = self.named.instrument
        return [
            topic
            for topic in topics
            if topic.channel is self.channel
            and self.variant in (None, topic.variant)
            and (not isinstance(self.named, BarsIn) or self.named.are(topic.bars))
            and query.is_about(topic.contract)
        ]


class ChannelsIn(In):
    orders: bool = False
    executions: bool = False
    account: bool = False
    session: bool = False
    signals: bool = False
    quotes: list[InstrumentIn] = Field(default=[], max_length=MAX_SYMBOLS)
    depth: list[InstrumentIn] = Field(default=[], max_length=MAX_SYMBOLS)
    bars: list[BarsIn] = Field(default=[], max_length=MAX_SYMBOLS)
    ticks: list[TicksIn] = Field(default=[], max_length=MAX_SYMBOLS)

    @property
    def chosen(self) -> tuple[Channel, ...]:
        """Those that are on or off; of market data each instrument is chosen by itself."""
        return tuple(channel for channel in Channel if getattr(self, channel.value) is True)

    @property
    def market(self) -> list[Wanted]:
        """What of the market data."""
        return [
            *(Wanted(Channel.QUOTES, each) for each in self.quotes),
            *(Wanted(Channel.DEPTH, each) for each in self.depth),
            *(Wanted(Channel.BARS, each, each.what_to_show) for each in self.bars),
            *(Wanted(Channel.TICKS, each, each.tick_type) for each in self.ticks),
        ]


class CommandIn(In):
    """What a client sends."""

    action: Literal["subscribe", "unsubscribe", "resume"]
    id: str | int | None = None
    """Given back with the answer."""
    channels: ChannelsIn
    since: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Of `resume`: the number of the last event that the client has seen."""
    interval_ms: Annotated[int, Field(ge=0, le=round(MAX_INTERVAL * 1000), strict=True)] | None = None
    """Of `subscribe`: market data comes in batches from now on, at most every so many milliseconds."""

    @model_validator(mode="after")
    def _since_belongs_to_resume(self) -> Self:
        if (self.since is None) == (self.action == "resume"):
            raise ValueError("`resume` has `since`, the seq of the last event seen; nothing else has")
        if self.interval_ms is not None and self.action != "subscribe":
            raise ValueError("`interval_ms` goes with `subscribe`")
        return self


class SessionOut(Out):
    """Where the session stands, for those who follow it."""

    state: SessionState
    since: Time
    account_id: str | None
    connection_number: int
    missing: list[str]
    last_error: str | None
    advice: str | None
    next_attempt_at: Time | None
    last_heard_at: Time | None
    farms: dict[str, str]
    notices: list[NoticeOut]

    @classmethod
    def of(cls, session: SessionInfo) -> Self:
        return cls(
            state=session.state,
            since=time(session.since),
            account_id=session.account_id,
            connection_number=session.connection_number,
            missing=list(session.missing),
            last_error=session.last_error,
            advice=session.advice,
            next_attempt_at=time_or_none(session.next_attempt_at),
            last_heard_at=time_or_none(session.last_heard_at),
            farms=dict(session.farms),
            notices=[NoticeOut.of(notice) for notice in session.notices],
        )


class GapOut(Out):
    """From `since` on nothing is vouched for, until `resumed` comes."""

    since: Time
    reason: str
    connection_number: int


class ResumedOut(Out):
    """The stream is whole again: what `recovered` channels missed was sent, of `lost` ones it is gone."""

    gap_since: Time
    connection_number: int
    recovered: list[Channel]
    lost: list[Channel]


Data = OrderOut | ExecutionOut | AccountOut | SessionOut | SignalOut


def data_of(value: Order | Execution | Account | SessionInfo | TrackedSignal) -> Data:
    match value:
        case Order():
            return OrderOut.of(value)
        case Execution():
            return ExecutionOut.of(value)
        case Account():
            return AccountOut.of(value)
        case SessionInfo():
            return SessionOut.of(value)
        case TrackedSignal():
            return SignalOut.of(value)


class Frame(Out):
    """What the server sends."""

    type: Literal["ack", "snapshot", "event", "gap", "resumed", "error", "heartbeat"]
    channel: Channel | None = None
    id: str | int | None = None
    seq: int | None = None
    """Of an event: its own number. Of a snapshot: that of the last event in it."""
    name: str | None = None
    """Of an event: what happened."""
    ts: Time
    more: bool | None = None
    """Of a snapshot: whether further frames of it follow."""
    data: list[Data] | Data | GapOut | ResumedOut | dict[str, object] | None = None

    @classmethod
    def of(cls, item: Event | Gap | Resumed, *, lost: Collection[Channel] = ()) -> Self:
        """Args:
        lost: Of a `Resumed`: the channels of market data that are followed, of which nobody keeps any.
        """
        at = time(item.time)
        match item:
            case Event():
                return cls(
                    type="event",
                    channel=item.channel,
                    seq=item.seq,
                    name=item.name,
                    ts=at,
                    data=data_of(item.data),
                )
            case Gap():
                gap = GapOut(
                    since=time(item.since), reason=item.reason, connection_number=item.connection_number
                )
                return cls(type="gap", ts=at, data=gap)
            case Resumed():
                resumed = ResumedOut(
                    gap_since=time(item.gap_since),
                    connection_number=item.connection_number,
                    recovered=list(item.recovered),
                    lost=sorted(lost),
                )
                return cls(type="resumed", ts=at, data=resumed)
