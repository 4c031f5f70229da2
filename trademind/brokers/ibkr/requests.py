"""Questions to the gateway, each of which ends: in an answer, in IB's error, or at its deadline.

ib_async pairs answers with futures, but some ends are missing: error codes it takes for warnings never
resolve the future, a time-out leaves its results behind to swallow later messages, and its own disconnect
leaves waiters for ever. Here a request is failed by its id from the error message itself, cleaned up
whatever happens, and failed at once when the connection ends. Each waits for its turn (see `pacing`), and
one that would not have it within its deadline is refused at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import ib_async

from trademind.aio import SingleFlight
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.pacing import Pacer, Priority, Turn, TurnExpired, too_many
from trademind.errors import ConnectionLost, NoAnswer, TradeMindError

T = TypeVar("T")

MOST_OF_IT = 0.75
"""The part of its deadline that a question may have to wait for its turn; the rest is for the answer."""
UNLISTED_CODE_GRACE = 1.0
"""Seconds that an answer may still come after an error code that is in no table: it may be a mere warning."""

MAX_GIVEN_UP = 100
"""Requests that were given up, of which errors may still come; they do within a second."""


@dataclass(slots=True, eq=False)
class _Question:
    key: Any
    what: str
    answer: "asyncio.Future[Any]"
    goes_on: bool = False


class Requests:
    """The open questions of one connection.

    Args:
        ib: The connection.
        pacer: Who may send when.
        timeout: Seconds until a question counts as unanswered, the wait for its turn included.
    """

    def __init__(self, ib: ib_async.IB, pacer: Pacer, *, timeout: float) -> None:
        self._ib = ib
        self._pacer = pacer
        self._timeout = timeout
        self._open: dict[Any, _Question] = {}
        self._shared: SingleFlight[str, Any] = SingleFlight(TradeMindError)
        self._closed: TradeMindError | None = None
        self._given_up: deque[Any] = deque(maxlen=MAX_GIVEN_UP)

    async def ask(
        self,
        what: str,
        send: Callable[[int], None],
        *,
        contract: ib_async.Contract | None = None,
        priority: Priority = Priority.DATA,
        give_up: Callable[[int], None] | None = None,
        goes_on: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Ask with a request id of its own.

        Args:
            what: Names the question in errors, as in "contract details of AAPL".
            send: Sends the request, given its id.
            contract: What ib_async is to log errors with.
            give_up: Tells the gateway, given the id, that the answer is no longer wanted.
            goes_on: The gateway answers again and again until it is told so: it is told after the first.
            timeout: Seconds until it counts as unanswered, where that is not as for all.

        Raises:
            ConnectionLost: the connection ended, or had ended.
            NoAnswer: the deadline passed.
            PacingViolation: too many wait before it.
            TradeMindError: what IB's error code stands for.
        """

        def begin() -> _Question:
            req_id = self.new_id()
            return self._begin(req_id, what, contract, lambda: send(req_id), goes_on=goes_on)

        return await self._wait(what, priority, begin, give_up, timeout or self._timeout)

    def new_id(self) -> int:
        """An id for a request or an order: ib_async numbers both from one sequence.

        Raises:
            ConnectionLost: the connection ended.
        """
        self.check_open()
        try:
            return int(self._ib.client.getReqId())
        except ConnectionError as error:
            raise ConnectionLost("the connection to the gateway broke") from error

    def post(self, priority: Priority, send: Callable[[], None]) -> Turn:
        """Send something to which no answer is awaited, when its turn comes. Raises `ConnectionLost`."""
        return self._pacer.post(priority, send)

    def give_up(self, turn: Turn) -> None:
        """Do not send what was posted, unless it has been sent already."""
        self._pacer.give_up(turn)

    async def command(self, priority: Priority, send: Callable[[], T], *, messages: int = 1) -> T:
        """Send a command of so many `messages` when its turn comes; returns what `send` returns.

        Raises:
            TradeMindError: the connection ended before the turn came. Nothing was sent.
            PacingViolation: the turn did not come by the deadline. Nothing was sent.
        """
        self.check_open()
        position = self._pacer.position(priority)
        until = asyncio.get_running_loop().time() + self._timeout
        try:
            return await self._pacer.send(priority, send, until=until, messages=messages)
        except TurnExpired:
            raise too_many(priority.name.lower(), position, self._timeout) from None

    @property
    def queued(self) -> Mapping[str, int]:
        """How many messages wait for their turn, by priority."""
        return self._pacer.queued

    async def ask_shared(
        self, key: str, what: str, send: Callable[[], None], *, priority: Priority = Priority.ACCOUNT
    ) -> Any:
        """Ask one of the questions that ib_async files under a fixed `key`.

        A second caller would orphan the first, so callers share one question at a time.
        """
        self.check_open()
        return await self._shared.ask(
            key,
            lambda: self._wait(
                what, priority, lambda: self._begin(key, what, None, send), None, self._timeout
            ),
            name=f"request {key}",
        )

    async def _wait(
        self,
        what: str,
        priority: Priority,
        begin: Callable[[], _Question],
        give_up: Callable[[int], None] | None,
        timeout: float,
    ) -> Any:
        self.check_open()
        position, wait = self._pacer.position(priority), self._pacer.wait(priority)
        if wait > timeout * MOST_OF_IT:
            raise too_many(what, position, wait)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        begun: list[_Question] = []
        try:
            await self._pacer.send(priority, lambda: begun.append(begin()), until=until)
            answer = begun[0].answer
            # Unlike a time-out around it, this never takes back an answer that came in the last moment.
            await asyncio.wait({answer}, timeout=until - loop.time())
            if not answer.done():
                raise NoAnswer(f"{what}: the gateway gave no answer in {timeout:g} s")
            return answer.result()
        except TurnExpired:
            raise too_many(what, position, timeout) from None
        except ConnectionError as error:
            raise self._closed or ConnectionLost(f"{what}: the connection to the gateway broke") from error
        finally:
            for question in begun:
                self._end(question, give_up)

    def _begin(
        self,
        key: Any,
        what: str,
        contract: ib_async.Contract | None,
        send: Callable[[], None],
        *,
        goes_on: bool = False,
    ) -> _Question:
        question = _Question(key, what, self._ib.wrapper.startReq(key, contract), goes_on)
        self._open[key] = question
        try:
            send()
        except BaseException:  # whatever it was: a question that was not sent must not stay open
            self._end(question, None)
            raise
        return question

    def _end(self, question: _Question, give_up: Callable[[int], None] | None) -> None:
        """Leave nothing behind, here or in ib_async, or later messages of that kind would be swallowed."""
        key, wrapper, answer = question.key, self._ib.wrapper, question.answer
        is_over = answer.done() and not (
            question.goes_on and not answer.cancelled() and answer.exception() is None
        )
        answer.cancel()
        if self._open.get(key) is question:
            del self._open[key]
        if wrapper._futures.get(key) in (None, question.answer):
            for leftovers in (wrapper._futures, wrapper._results, wrapper._reqId2Contract):
                leftovers.pop(key, None)
        if give_up is not None and not is_over and self._closed is None:
            self._given_up.append(key)
            self._pacer.post(Priority.DATA, lambda: give_up(key))

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """Fail the request an error message is about. Returns whether there was one, and it has failed, or
        nobody waits for it any more.

        A code that is in no table is neither taken for harmless nor for the end: the answer may still come,
        for a while.
        """
        if req_id in self._given_up:
            return True  # IB confirms by an error that it has stopped
        question = self._open.get(req_id)
        if question is None or (severity := code_of(code).severity) is Severity.NOTICE:
            return False
        error = error_from(code, message, question.what)
        if severity is Severity.UNLISTED:
            asyncio.get_running_loop().call_later(UNLISTED_CODE_GRACE, _fail, question, error)
        else:
            _fail(question, error)
        return True

    def check_open(self) -> None:
        """Raises the error the connection ended with, if it has ended."""
        if self._closed is not None:
            raise self._closed

    def fail_waiting(self, error: TradeMindError) -> None:
        """Everybody who waits is told now."""
        self._pacer.fail_waiting(error)
        for question in list(self._open.values()):
            _fail(question, error)

    def close(self, error: TradeMindError) -> None:
        """The connection has ended: everybody who waits is told now, and whoever asks later at once."""
        self._closed = error
        self._pacer.close(error)
        self.fail_waiting(error)


def _fail(question: _Question, error: TradeMindError) -> None:
    if not question.answer.done():
        question.answer.set_exception(error)
