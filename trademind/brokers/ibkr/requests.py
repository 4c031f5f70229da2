"""Questions to the gateway, each of which ends: in an answer, in IB's error, or at its deadline.

ib_async pairs answers with futures, but some ends are missing: error codes it takes for warnings never
resolve the future, a time-out leaves its results behind to swallow later messages, and its own disconnect
leaves waiters for ever. Here a request is failed by its id from the error message itself, cleaned up
whatever happens, and failed at once when the connection ends.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import ib_async

from trademind.aio import Tasks
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.errors import ConnectionLost, NoAnswer, TradeMindError


class Requests:
    """The open questions of one connection."""

    def __init__(self, ib: ib_async.IB, *, timeout: float) -> None:
        self._ib = ib
        self._timeout = timeout
        self._waiting: dict[Any, tuple[asyncio.Future[Any], str]] = {}
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._tasks = Tasks()
        self._closed: TradeMindError | None = None

    async def ask(
        self, what: str, send: Callable[[int], None], *, contract: ib_async.Contract | None = None
    ) -> Any:
        """Ask with a request id of its own.

        Args:
            what: Names the question in errors, as in "contract details of AAPL".
            send: Sends the request, given its id.
            contract: What ib_async is to log errors with.

        Raises:
            ConnectionLost: the connection ended, or had ended.
            NoAnswer: the deadline passed.
            TradeMindError: what IB's error code stands for.
        """
        req_id = self.new_id()
        return await self._wait(req_id, what, lambda: send(req_id), contract)

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

    async def ask_shared(self, key: str, what: str, send: Callable[[], None]) -> Any:
        """Ask one of the questions that ib_async files under a fixed `key`.

        A second caller would orphan the first, so callers share one question at a time.
        """
        self.check_open()
        task = self._shared.get(key)
        if task is None:
            task = self._tasks.spawn(
                self._wait(key, what, send, None), name=f"request {key}", expected=TradeMindError
            )
            self._shared[key] = task
            task.add_done_callback(lambda _: self._shared.pop(key, None))
        return await asyncio.shield(task)

    async def _wait(
        self, key: Any, what: str, send: Callable[[], None], contract: ib_async.Contract | None
    ) -> Any:
        future = self._ib.wrapper.startReq(key, contract)
        self._waiting[key] = (future, what)
        try:
            send()
            async with asyncio.timeout(self._timeout):
                return await future
        except TimeoutError:
            raise NoAnswer(f"{what}: the gateway gave no answer in {self._timeout:g} s") from None
        except ConnectionError as error:
            raise self._closed or ConnectionLost(f"{what}: the connection to the gateway broke") from error
        finally:
            self._waiting.pop(key, None)
            if self._ib.wrapper._futures.get(key) is future:
                for leftovers in (
                    self._ib.wrapper._futures,
                    self._ib.wrapper._results,
                    self._ib.wrapper._reqId2Contract,
                ):
                    leftovers.pop(key, None)

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """Fail the request an error message is about. Returns whether there was one."""
        if req_id not in self._waiting:
            return False
        future, what = self._waiting[req_id]
        if code_of(code).severity is Severity.NOTICE:
            return True
        if not future.done():
            future.set_exception(error_from(code, message, what))
        return True

    def check_open(self) -> None:
        """Raises the error the connection ended with, if it has ended."""
        if self._closed is not None:
            raise self._closed

    def fail_all(self, error: TradeMindError) -> None:
        """The connection has ended: everybody who waits is told now, and whoever asks later at once."""
        self._closed = error
        for future, _ in list(self._waiting.values()):
            if not future.done():
                future.set_exception(error)
