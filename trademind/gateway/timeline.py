"""Plays scripted faults: a filter between the sessions and their connections.

Strategy: every message to a client and every request of one goes through the steps that are in force, in
the order in which they were added; what comes out is passed on, at once or later. What holds for a time
(half-open, refused connections) is looked up. The clock decides what is due, so under a clock that stands
still the same script and the same traffic give the same bytes.

A step that fails is logged and taken out of force: it never costs a client its connection or an answer.

While there are no steps, nothing goes through here.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.gateway.control import check_price, find_instrument
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.faults import (
    ANY,
    REQUEST_IDS,
    Action,
    AtOnce,
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Fail,
    Halt,
    LoseLink,
    Notify,
    RefuseClientId,
    RefuseConnections,
    Reorder,
    Replace,
    RestoreLink,
    Resume,
    RollBackIds,
    Say,
    SetFarm,
    SetPrice,
    SkewClock,
    Step,
    StopAnswering,
)
from trademind.gateway.session import Session
from trademind.gateway.wire.fields import decode_fields, encode_fields
from trademind.gateway.wire.messages import Encoded, Error, Message
from trademind.gateway.wire.names import REPLIES
from trademind.gateway.wire.reading import request_id

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

log = logging.getLogger(__name__)

MAX_STEPS: Final = 1_000
MAX_HELD: Final = 100_000
"""Messages and requests that wait; more than that pass at once."""
MAX_COPIES: Final = 1_000
"""Of one message, however many steps duplicate it."""

_FAILED = "step %d failed, and is no longer in force: %s"
_NEXT_VALID_ID, _CURRENT_TIME, _CURRENT_TIME_MILLIS = "9", "49", "109"
_ID_SECOND = frozenset(
    map(str, (3, 5, 10, 11, 17, 21, 75, 76, 79, 81, 88, 89, 90, 94, 95, 96, 97, 98, 99, 106, 108))
)
_ID_THIRD = frozenset(map(str, (1, 2, 45, 46, 50, 52, 55, 57, 58, 63, 64, 71, 72, 73, 74)))
"""Message ids by where their request or order id is, in the versions that clients use."""


@dataclass(slots=True)
class _Armed:
    """A step in force, and how far it has come."""

    number: int
    step: Step
    begins: datetime
    ends: datetime | None
    to_skip: int
    left: int | None

    def holds(self, now: datetime) -> bool:
        return self.begins <= now and (self.ends is None or now < self.ends) and self.left != 0

    def use(self) -> None:
        if self.left is not None:
            self.left -= 1


@dataclass(slots=True, eq=False)
class _Held:
    """Something that waits: for its time, for another message, or for a number of them."""

    session: Session
    due: datetime | None
    behind: str | None = None
    count: int = 0
    payload: bytes = b""
    request: list[str] | None = None


@dataclass(slots=True)
class _Fate:
    """What the steps have made of one message or request."""

    versions: list[list[str]]
    """What is passed on instead of it, as fields; itself, unless something was done."""
    beside: list[tuple[int, int, str]] = field(default_factory=list)
    """Errors to be told after it: request id, code and text."""
    delay: timedelta | None = None
    behind: Reorder | None = None
    disconnect: Disconnect | None = None
    then: list[_Armed] = field(default_factory=list)


def check_step(step: Step, universe: Universe) -> None:
    """Refuse what would fail when its time comes.

    Raises:
        ValueError: it names what is not traded, or no price of it.
    """
    match step.do:
        case SetPrice(symbol=symbol, price=price) if price is not None:
            check_price(universe, symbol, price)
        case SetPrice(symbol=symbol) | Halt(symbol=symbol) | Resume(symbol=symbol):
            find_instrument(universe, symbol)


class Timeline:
    """The faults of one gateway."""

    def __init__(self, gateway: "PaperGateway") -> None:
        self._gateway = gateway
        self._armed: dict[int, _Armed] = {}
        self._held: list[_Held] = []
        self._number = 0
        self._is_acting = False
        """Whether messages are the timeline's own doing, which no step looks at."""

    # The script

    def add(self, *steps: Step) -> list[int]:
        """Put steps in force. Returns their numbers.

        Raises:
            ValueError: there are too many, or one names what is not traded, or no price of it.
        """
        if len(self._armed) + len(steps) > MAX_STEPS:
            raise ValueError(f"at most {MAX_STEPS} steps can be in force")
        for step in steps:
            check_step(step, self._gateway.universe)
        now = self._gateway.clock.now()
        numbers = []
        for step in steps:
            begins = step.at if isinstance(step.at, datetime) else now + (step.at or timedelta(0))
            ends = begins + step.until if isinstance(step.until, timedelta) else step.until
            self._number += 1
            self._armed[self._number] = _Armed(self._number, step, begins, ends, step.skip, step.times)
            numbers.append(self._number)
        self.attend(now)
        return numbers

    def clear(self, number: int | None = None) -> int:
        """Take a step, or all of them, out of force; what was held back is let go. Returns how many."""
        numbers = [each for each in self._armed if number in (None, each)]
        for each in numbers:
            del self._armed[each]
        if not self._armed:
            self._release(lambda held: True)
        self._rewire()
        return len(numbers)

    def steps(self) -> list[tuple[int, Step, int | None]]:
        """The steps in force: number, step, and how often it will still be done."""
        return [(armed.number, armed.step, armed.left) for armed in self._armed.values()]

    @property
    def is_empty(self) -> bool:
        return not self._armed and not self._held

    # Time

    def next_due(self) -> datetime | None:
        """When the next thing happens that only time sets off."""
        moments = [held.due for held in self._held if held.due is not None]
        for armed in self._armed.values():
            if isinstance(armed.step.do, AtOnce) and not armed.step.waits_for_traffic:
                moments.append(armed.begins)
            elif armed.ends is not None:
                moments.append(armed.ends)
        return min(moments, default=None)

    def attend(self, now: datetime) -> None:
        """Do what is due."""
        for armed in list(self._armed.values()):
            is_timed = isinstance(armed.step.do, AtOnce) and not armed.step.waits_for_traffic
            if is_timed and armed.begins <= now and armed.number in self._armed:
                del self._armed[armed.number]
                self._act(armed, self._concerned(armed.step))
        self._expire(now)
        self._release(lambda held: held.due is not None and held.due <= now)
        self._rewire()

    def _expire(self, now: datetime) -> None:
        for armed in list(self._armed.values()):
            if armed.left == 0 or (armed.ends is not None and armed.ends <= now):
                self._armed.pop(armed.number, None)

    def _rewire(self) -> None:
        for session in self._gateway.sessions:
            self.watch(session)

    def forget(self, session: Session) -> None:
        """A client has gone, and what was held back for it."""
        self._held = [held for held in self._held if held.session is not session]

    def watch(self, session: Session) -> None:
        """Have a session's messages come through here, as long as there is anything to do with them."""
        session.filter = None if self.is_empty else self.send

    # What holds for a time

    def _standing(self, kind: type, client_id: int | None) -> Iterator[_Armed]:
        now = self._gateway.clock.now()
        for armed in self._armed.values():
            if isinstance(armed.step.do, kind) and armed.holds(now) and _is_of(armed.step, client_id):
                yield armed

    def is_silent(self, session: Session) -> bool:
        """Whether the client's connection is half-open."""
        return any(True for _ in self._standing(StopAnswering, session.client_id)) if self._armed else False

    def refuses_connection(self) -> bool:
        """Whether a connection that has just come is closed at once."""
        return self._use_standing(RefuseConnections, None)

    def refuses_client(self, client_id: int) -> bool:
        """Whether a client that has just said its id is told that it is in use."""
        return self._use_standing(RefuseClientId, client_id)

    def _use_standing(self, kind: type, client_id: int | None) -> bool:
        for armed in self._standing(kind, client_id):
            armed.use()
            self._expire(self._gateway.clock.now())
            return True
        return False

    # Messages to clients

    def send(self, session: Session, message: Message) -> None:
        """Pass a message on as the steps say."""
        if self._is_acting:
            session.connection.send(message)
            return
        if self.is_silent(session):
            return
        payload = message.encode(session.version)
        fields = self._standing_changes(session, decode_fields(payload))
        fate = self._fate(session, fields, is_request=False)
        if fate.disconnect is not None and not fate.disconnect.after:
            session.connection.close()
        else:
            now = self._gateway.clock.now()
            for version in fate.versions:
                self._hand_on(session, version, fate, now)
            for error in fate.beside:
                self._say_error(session, *error)
            if fate.disconnect is not None:
                session.connection.close()
        for armed in fate.then:
            self._act(armed, [session])

    def _hand_on(self, session: Session, fields: list[str], fate: _Fate, now: datetime) -> None:
        payload = encode_fields(fields)
        if len(self._held) < MAX_HELD:
            if fate.delay is not None:
                self._held.append(_Held(session, now + fate.delay, payload=payload))
                return
            if fate.behind is not None:
                wanted = fate.behind.behind
                behind = None if wanted in (None, ANY) else str(REPLIES[wanted])
                self._held.append(_Held(session, None, behind, fate.behind.count, payload))
                return
        self._deliver(session, fields[0], payload)

    def _deliver(self, session: Session, kind: str, payload: bytes) -> None:
        """Send, and then whatever has waited for this message."""
        session.connection.send(Encoded(payload))
        released = []
        for held in self._held:
            if held.session is session and held.due is None and held.behind in (None, kind):
                held.count -= 1
                if held.count <= 0:
                    released.append(held)
        for held in released:
            if held in self._held:
                self._held.remove(held)
                self._deliver(session, held.payload.partition(b"\0")[0].decode(), held.payload)

    def _release(self, is_due: Callable[[_Held], bool]) -> None:
        """Let go of what has waited long enough, in the order of its time."""
        due = [held for held in self._held if is_due(held)]
        if not due:
            return
        self._held = [held for held in self._held if not is_due(held)]
        for held in sorted(due, key=lambda each: each.due.timestamp() if each.due else 0.0):
            if held.request is not None:
                held.session.late.append(held.request)
            elif not self.is_silent(held.session):
                self._deliver(held.session, held.payload.partition(b"\0")[0].decode(), held.payload)

    def _standing_changes(self, session: Session, fields: list[str]) -> list[str]:
        """A message after what holds for a time: ids rolled back, the clock put wrong."""
        if fields[0] == _NEXT_VALID_ID:
            for armed in self._standing(RollBackIds, session.client_id):
                assert isinstance(armed.step.do, RollBackIds)
                armed.use()
                return [*fields[:2], str(armed.step.do.to)]
        if fields[0] in (_CURRENT_TIME, _CURRENT_TIME_MILLIS):
            unit = timedelta(seconds=1) if fields[0] == _CURRENT_TIME else timedelta(milliseconds=1)
            for armed in self._standing(SkewClock, session.client_id):
                assert isinstance(armed.step.do, SkewClock)
                fields = [*fields[:-1], str(int(fields[-1]) + armed.step.do.by // unit)]
        return fields

    # Requests of clients

    def receive(self, session: Session, fields: list[str]) -> None:
        """Serve a request as the steps say."""
        if self.is_silent(session):
            return
        fate = self._fate(session, fields, is_request=True)
        if fate.disconnect is not None:
            kept = session.connection.unsent
            if fate.disconnect.after:
                for version in fate.versions:
                    self._gateway.serve(session, version)
            session.connection.discard(kept)
            session.connection.close()
        elif fate.delay is not None and len(self._held) < MAX_HELD:
            due = self._gateway.clock.now() + fate.delay
            self._held += [_Held(session, due, request=version) for version in fate.versions]
        else:
            for version in fate.versions:
                self._gateway.serve(session, version)
            for error in fate.beside:
                self._say_error(session, *error)
        for armed in fate.then:
            self._act(armed, [session])

    # Steps and what they do

    def _fate(self, session: Session, fields: list[str], *, is_request: bool) -> _Fate:
        fate = _Fate([fields])
        now = self._gateway.clock.now()
        for armed in list(self._armed.values()):
            if not armed.holds(now) or not _matches(armed.step, session, fields, is_request=is_request):
                continue
            if armed.to_skip:
                armed.to_skip -= 1
                continue
            armed.use()
            log.debug("step %d: %s on %s", armed.number, armed.step.do, fields[:4])
            try:
                self._apply(armed, session, fields, fate, is_request=is_request)
            except Exception:
                # The edge of a scripted step: one that fails ends, and costs no client anything.
                log.exception(_FAILED, armed.number, armed.step.do)
                self._give_up(armed)
        self._expire(now)
        return fate

    def _give_up(self, armed: _Armed) -> None:
        """Take a step that has failed out of force, so that it does so once."""
        armed.left = 0
        self._armed.pop(armed.number, None)

    def _apply(
        self, armed: _Armed, session: Session, fields: list[str], fate: _Fate, *, is_request: bool
    ) -> None:
        match armed.step.do:
            case Drop():
                fate.versions = []
            case Delay(by=by):
                fate.delay = (fate.delay or timedelta(0)) + by
            case Duplicate(times=times):
                fate.versions = (fate.versions * (1 + times))[:MAX_COPIES]
            case Reorder() as reorder:
                fate.behind = reorder
            case Replace() as change:
                fate.versions = [_replaced(change, version) for version in fate.versions]
            case Disconnect() as disconnect:
                fate.disconnect = disconnect
            case Fail(code=code, text=text, instead=instead, req_id=req_id):
                if req_id is None:
                    about = request_id if is_request else _reply_id
                    req_id = about(fields, session.version)
                fate.beside.append((req_id, code, text))
                if instead:
                    fate.versions = []
            case _:
                fate.then.append(armed)

    def _act(self, armed: _Armed, sessions: Sequence[Session]) -> None:
        """Do something at once, to some clients or to the whole gateway."""
        self._is_acting = True
        try:
            self._do(armed.step.do, sessions)
        except Exception:
            # The edge of a scripted step, as in `_fate`.
            log.exception(_FAILED, armed.number, armed.step.do)
            self._give_up(armed)
        finally:
            self._is_acting = False

    def _do(self, action: Action, sessions: Sequence[Session]) -> None:
        gateway, link = self._gateway, self._gateway.connectivity
        match action:
            case Disconnect():
                for session in sessions:
                    session.connection.close()
            case Say(fields=fields):
                for session in sessions:
                    session.connection.send(Encoded(encode_fields(fields)))
            case Notify(code=code, text=text, req_id=req_id):
                for session in sessions:
                    session.error(req_id, code, text)
            case LoseLink():
                gateway.notify(link.lose())
            case RestoreLink(data_lost=data_lost):
                gateway.notify(link.restore(data_lost=data_lost))
            case SetFarm(farm=farm, state=state):
                gateway.notify(link.set_farm(farm, state))
            case SetPrice(symbol=symbol, price=None):
                gateway.control.release(symbol)
            case SetPrice(symbol=symbol, price=price):
                assert price is not None
                gateway.control.set_price(symbol, price)
            case Halt(symbol=symbol):
                gateway.control.halt(symbol)
            case Resume(symbol=symbol):
                gateway.control.resume(symbol)

    def _say_error(self, session: Session, req_id: int, code: int, text: str) -> None:
        millis = int(self._gateway.clock.now().timestamp() * 1000)
        session.connection.send(Error(req_id=req_id, code=code, text=text, time_millis=millis))

    def _concerned(self, step: Step) -> list[Session]:
        return [
            session
            for session in self._gateway.sessions
            if session.is_open and session.client_id is not None and _is_of(step, session.client_id)
        ]


def _is_of(step: Step, client_id: int | None) -> bool:
    return step.client in (None, client_id)


def _matches(step: Step, session: Session, fields: Sequence[str], *, is_request: bool) -> bool:
    name, ids = (step.request, REQUEST_IDS) if is_request else (step.message, REPLIES)
    if name is None or (name != ANY and str(ids[name]) != fields[0]) or not _is_of(step, session.client_id):
        return False
    if any(text not in fields[1:] for text in step.having):
        return False
    return all(0 <= index < len(fields) and fields[index] == text for index, text in step.fields.items())


def _replaced(change: Replace, fields: list[str]) -> list[str]:
    if change.field is None:
        return [fields[0], *(re.sub(change.pattern, change.by, each, count=1) for each in fields[1:])]
    if change.field >= len(fields):
        return fields
    changed = list(fields)
    changed[change.field] = re.sub(change.pattern, change.by, fields[change.field], count=1)
    return changed


def _reply_id(fields: Sequence[str], version: int) -> int:
    """The request or order id of a message; -1 where it has none."""
    index = 1 if fields[0] in _ID_SECOND else 2 if fields[0] in _ID_THIRD else None
    if index is None or index >= len(fields) or not fields[index].isdecimal():
        return -1
    return int(fields[index])
