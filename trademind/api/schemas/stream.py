"""The frames of `/api/stream`, of which docs/session-contract.md tells: OpenAPI knows no WebSockets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trademind.api.schemas.base import In, Out, Time, time, time_or_none
from trademind.api.schemas.market import QuoteOut
from trademind.api.schemas.notices import NoticeOut
from trademind.api.schemas.orders import ExecutionOut, OrderOut
from trademind.api.schemas.portfolio import AccountOut
from trademind.api.schemas.signals import SignalOut
from trademind.domain import (
    Account,
    Channel,
    Contract,
    ContractQuery,
    Event,
    Execution,
    Gap,
    Order,
    Quote,
    Resumed,
    SecType,
    SessionInfo,
    SessionState,
    TrackedSignal,
)

MAX_SYMBOLS = 100
"""In one request; IB has no more lines to give."""


Symbol = Annotated[str, Field(min_length=1, max_length=40)]
ConId = Annotated[int, Field(ge=1, lt=2**31)]


class InstrumentIn(In):
    symbol: Symbol | None = None
    con_id: ConId | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = ""
    currency: str = "USD"

    def is_about(self, contract: Contract) -> bool:
        """Does it mean `contract`? By its con id, or its symbol and type."""
        if self.con_id is not None:
            return contract.con_id == self.con_id
        symbol = (self.symbol or "").strip().upper()
        return (contract.symbol, contract.sec_type) == (symbol, self.sec_type)

    def query(self) -> ContractQuery:
        return ContractQuery(
            symbol=self.symbol or "",
            con_id=self.con_id,
            sec_type=self.sec_type,
            exchange=self.exchange,
            currency=self.currency,
        )


class ChannelsIn(In):
    orders: bool = False
    executions: bool = False
    account: bool = False
    session: bool = False
    signals: bool = False
    quotes: list[Symbol | ConId | InstrumentIn] = Field(default=[], max_length=MAX_SYMBOLS)

    @property
    def chosen(self) -> tuple[Channel, ...]:
        """Those that are on or off; quotes are chosen one by one."""
        return tuple(channel for channel in Channel if getattr(self, channel.value) is True)

    def instruments(self) -> list[InstrumentIn]:
        return [
            InstrumentIn(symbol=each)
            if isinstance(each, str)
            else InstrumentIn(con_id=each)
            if isinstance(each, int)
            else each
            for each in self.quotes
        ]


class CommandIn(In):
    """What a client sends."""

    action: Literal["subscribe", "unsubscribe", "resume"]
    id: str | int | None = None
    """Given back with the answer."""
    channels: ChannelsIn
    since: Annotated[int, Field(ge=0, strict=True)] | None = None
    """Of `resume`: the number of the last event that the client has seen."""

    @model_validator(mode="after")
    def _since_belongs_to_resume(self) -> Self:
        if (self.since is None) == (self.action == "resume"):
            raise ValueError("`resume` has `since`, the seq of the last event seen; nothing else has")
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


Data = OrderOut | ExecutionOut | AccountOut | SessionOut | SignalOut | QuoteOut


def data_of(value: Order | Execution | Account | SessionInfo | TrackedSignal | Quote) -> Data:
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
        case Quote():
            return QuoteOut.of(value)


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
    def of(cls, item: Event | Gap | Resumed) -> Self:
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
                    lost=list(item.lost),
                )
                return cls(type="resumed", ts=at, data=resumed)
