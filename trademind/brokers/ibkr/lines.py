"""Market data lines: each is one subscription at IB, of any kind, and what is known of it.

A line outlives its subscriptions: it is asked for anew when a connection, a data farm or IB itself has lost
it, for whoever holds it. What a kind has of its own (how it is asked for, and what its messages make) is in
`quotes`, `depth`, `live_bars`, `kept_bars` and `ticks`; when a line is begun, renewed and given up is for
`market_data` to say.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from ib_async.client import Client

from trademind.brokers.ibkr.line_pacing import Pace, Unlimited
from trademind.brokers.ibkr.pacing import Turn
from trademind.brokers.ibkr.session import Session
from trademind.brokers.topics import LatestTopic, SequenceTopic, Topic
from trademind.domain import Channel, Contract, LiveBars, Missed, Notice, SecType
from trademind.errors import TradeMindError

MAX_NOTICES: Final = 5
"""Notices kept for each line."""

Key = tuple[Channel, int, SecType, str, str, LiveBars | None]
"""Channel, con id, type, exchange, variant and which bars: what makes it the same line. A continuous future
has the con id of the contract that is in front."""


def key_of(channel: Channel, contract: Contract, variant: str, bars: LiveBars | None) -> Key:
    return (channel, contract.con_id, contract.sec_type, contract.exchange, variant, bars)


@dataclass(slots=True, eq=False)
class Subscription:
    """What IB has been asked for. It ends with its connection."""

    session: Session
    req_id: int
    turn: Turn
    """Its place in the queue to the gateway."""


class Line(ABC):
    """One kind of data of one instrument at IB, and who is there for it.

    It is used by those who follow it, who hold it, and by those who wait for its first values.
    """

    PATIENCE: ClassVar[float]
    """Seconds in which something comes after it was asked for, or an error. A line of which nothing comes has
    got lost, with a gateway that hung for a moment for instance, and is asked for anew; then after twice as
    long each time, as there may be nothing to tell."""

    def __init__(self, topic: Topic, pace: Pace | None = None) -> None:
        self.topic = topic
        self.pace = pace or Unlimited()
        self.holders: set[object] = set()
        """Who follows it."""
        self.waiting = 0
        """How many wait for its first values."""
        self.used_at = 0.0
        """The loop's time when it was used last, where it is not used now."""
        self.subscription: Subscription | None = None
        self.as_of: datetime | None = None
        """When something came of the present subscription; None before."""
        self.attempt = 0
        """How often it was asked for before without anything coming."""
        self.is_cut_off = True
        """Whether the session as a whole cannot be vouched for."""
        self.is_in_doubt = False
        """Whether a data farm has broken since something came."""
        self.timer: asyncio.TimerHandle | None = None
        """What happens to it next, if nothing comes."""

    @property
    def contract(self) -> Contract:
        return self.topic.contract

    @property
    def name(self) -> str:
        """The instrument's own: all options on a share have its symbol."""
        return self.contract.local_symbol or self.contract.symbol

    @property
    def key(self) -> Key:
        return key_of(self.topic.channel, self.topic.contract, self.topic.variant, self.topic.bars)

    @property
    def error(self) -> TradeMindError | None:
        """What IB refused it with."""
        return self.topic.error

    @property
    def is_used(self) -> bool:
        return bool(self.holders) or self.waiting > 0

    @property
    def is_stale(self) -> bool:
        return self.is_cut_off or self.is_in_doubt or self.error is not None

    @property
    @abstractmethod
    def what(self) -> str:
        """What it is called in messages."""

    # At IB -------------------------------------------------------------------------------------

    def begin(self, session: Session, req_id: int) -> None:
        """It is about to be asked for: what is known of it is of before."""
        self.as_of = self.topic.error = None

    @abstractmethod
    def send(self, client: Client, req_id: int) -> None: ...

    @abstractmethod
    def cancel(self, client: Client, req_id: int) -> None: ...

    def end(self, session: Session, req_id: int) -> None:
        """The subscription has ended: nothing of it is left in ib_async."""
        session.ib.wrapper.reqId2Ticker.pop(req_id, None)

    # What becomes of it ------------------------------------------------------------------------

    def heard(self, now: datetime) -> None:
        """Something has come."""
        self.as_of = now
        self.is_in_doubt = False
        self.topic.error = None
        if self.timer is not None:
            self.stop_timer()

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    @abstractmethod
    def noted(self, notice: Notice) -> None:
        """IB has said something about it, which ends nothing."""

    @abstractmethod
    def doubted(self, reason: str, ib_code: int | None = None) -> None:
        """It may be that something has been left out, or will be."""

    def cut_off(self) -> None:
        """The session cannot be vouched for."""
        self.is_cut_off = True
        self.doubted(f"{self.what}: the session was interrupted")

    def connected(self) -> None:
        """The session can be vouched for again."""
        self.is_cut_off = False

    @abstractmethod
    def refused(self, error: TradeMindError, notice: Notice) -> None:
        """IB serves it no more."""
        self.topic.error = error


class LatestLine(Line):
    """A line of which the latest value counts: who follows it sees what has become of it by that."""

    def __init__(self, channel: Channel, contract: Contract) -> None:
        self.latest = LatestTopic(channel, contract, self.read)
        self.notices: tuple[Notice, ...] = ()
        """What IB has said about the present subscription."""
        super().__init__(self.latest)

    @abstractmethod
    def read(self) -> object:
        """The latest value."""

    def begin(self, session: Session, req_id: int) -> None:
        super().begin(session, req_id)
        self.notices = ()
        self.latest.touch()

    def noted(self, notice: Notice) -> None:
        self.notices = (*self.notices, notice)[-MAX_NOTICES:]
        self.latest.touch()

    def refused(self, error: TradeMindError, notice: Notice) -> None:
        super().refused(error, notice)
        self.noted(notice)

    def connected(self) -> None:
        super().connected()
        self.latest.touch()

    def doubted(self, reason: str, ib_code: int | None = None) -> None:
        self.latest.touch()


class SequenceLine(Line):
    """A line of which every value counts: who follows it is told where some may be missing."""

    def __init__(
        self, channel: Channel, contract: Contract, variant: str, pace: Pace, bars: LiveBars | None = None
    ) -> None:
        self.sequence = SequenceTopic(channel, contract, variant, bars)
        self._has_told = False
        """Whether nothing has come since it was told that something may be missing."""
        super().__init__(self.sequence, pace)

    def add(self, value: object, now: datetime) -> None:
        self.heard(now)
        self._has_told = False
        self.sequence.add(value)

    def doubted(self, reason: str, ib_code: int | None = None) -> None:
        if not self._has_told:
            self.tell(reason, ib_code)

    def noted(self, notice: Notice) -> None:
        self.tell(notice.message, notice.ib_code)

    def refused(self, error: TradeMindError, notice: Notice) -> None:
        super().refused(error, notice)
        self.tell(error.detail, error.ib_code)

    def tell(self, reason: str, ib_code: int | None = None) -> None:
        """Something is missing, or may be."""
        self._has_told = True
        self.sequence.add(
            Missed(
                channel=self.topic.channel,
                contract=self.contract,
                reason=reason,
                ib_code=ib_code,
                bar_size=self.topic.bars.bar_size if self.topic.bars else None,
            )
        )
