"""Historical bars: asked for once, however many want them, and never faster than IB allows.

Requests that are the same share one answer while it is on its way, and for fifteen seconds after, within
which IB would refuse them. Those that IB's limits hold back wait here in a queue, of which each knows how
long it is; one that would wait for longer than its deadline is refused at once, with the time to come back.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from trademind.aio import SingleFlight
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.history_pacing import (
    MARGIN,
    SAME_SUBJECT,
    SAME_SUBJECT_WITHIN,
    HistoryPacing,
    Wanted,
    is_limited,
    weight_of,
)
from trademind.brokers.ibkr.pacing import too_many
from trademind.brokers.ibkr.session import Session
from trademind.domain import Bar, BarRequest, Contract, SecType
from trademind.errors import PacingViolation, Refused, TradeMindError

IN_FLIGHT: Final = 48
"""Requests under way at once, and bars that are kept up to date. IB allows 50 of one client; the rest is for
what it has not noticed yet."""
FRESH_FOR: Final = 15.0
"""Seconds that an answer is good for the same question."""
KEPT: Final = 200
"""Answers kept for that long; some 10 MB if they are long ones."""

HEAD_GOOD_FOR: Final = 86_400.0
"""Seconds that the beginning of a history is not asked for again."""
SINCE_EPOCH: Final = 2
"""The format of times that leaves no doubt about their zone."""

NO_DATA: Final = "query returned no data"
"""What IB says, with code 162, where it has no bars."""

_Key = tuple[int, SecType, str, BarRequest]
_HeadKey = tuple[int, SecType, str, str, bool]
_Bars = tuple[Bar, ...]


@dataclass(slots=True, eq=False)
class _Held:
    """A request that waits for its turn."""

    limited: Wanted | None
    """As IB's limits see it; None where they do not hold."""
    may_go: "asyncio.Future[None]"


class History:
    """The history desk.

    Args:
        session: Gives a session that is ready, or raises what there is to say instead.
        pacing: Counts what was asked, and what else counts as a request for history.
        is_paced: Whether the gateway has IB's limits.
        kept: How many requests are open because IB keeps their bars up to date.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        pacing: HistoryPacing,
        *,
        is_paced: bool,
        kept: Callable[[], int] = lambda: 0,
    ) -> None:
        self._session = session
        self._is_paced = is_paced
        self._kept = kept
        self._pacing = pacing
        self._held: list[_Held] = []
        self._in_flight = 0
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: SingleFlight[_Key, _Bars] = SingleFlight(TradeMindError)
        self._answers: OrderedDict[_Key, tuple[float, _Bars]] = OrderedDict()
        self._heads: SingleFlight[_HeadKey, datetime] = SingleFlight(TradeMindError)
        self._known_heads: OrderedDict[_HeadKey, tuple[float, datetime]] = OrderedDict()

    async def fetch(self, contract: Contract, request: BarRequest) -> _Bars:
        """Bars of one request, oldest first; none where the market has none.

        Raises:
            PacingViolation: it would have to wait for too long; with its place in the queue.
            Refused, Unavailable, NoAnswer.
        """
        if request.end is not None:  # on the wire it has seconds only, by which IB knows the same request
            request = replace(request, end=request.end.replace(microsecond=0))
        key = (contract.con_id, contract.sec_type, contract.exchange, request)
        answered_at, bars = self._answers.get(key, (float("-inf"), ()))
        if asyncio.get_running_loop().time() - answered_at < FRESH_FOR:
            return bars
        return await self._under_way.ask(
            key, lambda: self._fetch(key, contract, request), name=f"bars of {contract.symbol}"
        )

    async def _fetch(self, key: _Key, contract: Contract, request: BarRequest) -> _Bars:
        what = f"bars of {contract.symbol}"
        limited = None
        if self._is_paced and is_limited(request.bar_size):
            subject = (contract.con_id, contract.exchange, request.what_to_show)
            limited = Wanted(key, subject, weight_of(request.what_to_show))
        async with self._its_turn(what, limited):
            bars = await self._ask(what, contract, request, limited)
        self._answers[key] = (asyncio.get_running_loop().time(), bars)
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        return bars

    async def head(self, contract: Contract, what_to_show: str, *, use_rth: bool) -> datetime:
        """The first moment of which IB has data of this kind. It counts as a request for history, by IB's
        documentation, and is not asked again for a day.

        Raises:
            PacingViolation, Refused, Unavailable, NoAnswer.
        """
        key = (contract.con_id, contract.sec_type, contract.exchange, what_to_show, use_rth)
        told_at, first = self._known_heads.get(key, (float("-inf"), None))
        if first is not None and asyncio.get_running_loop().time() - told_at < HEAD_GOOD_FOR:
            return first
        return await self._heads.ask(
            key, lambda: self._ask_head(key, contract), name=f"beginning of {contract.symbol}"
        )

    async def _ask_head(self, key: _HeadKey, contract: Contract) -> datetime:
        what, (*_, exchange, what_to_show, use_rth) = f"beginning of the history of {contract.symbol}", key
        subject = (contract.con_id, exchange, what_to_show)
        limited = Wanted(key, subject, weight_of(what_to_show)) if self._is_paced else None
        async with self._its_turn(what, limited):
            session, wanted = self._session(), convert.to_ib_reference(contract)

            def send(req_id: int) -> None:
                self._count(limited)
                session.ib.client.reqHeadTimeStamp(req_id, wanted, what_to_show, use_rth, SINCE_EPOCH)

            with self._heeding_complaints():
                first = convert.to_moment(
                    await session.requests.ask(
                        what, send, contract=wanted, give_up=session.ib.client.cancelHeadTimeStamp
                    )
                )
        self._known_heads[key] = asyncio.get_running_loop().time(), first
        if len(self._known_heads) > KEPT:
            self._known_heads.popitem(last=False)
        return first

    @asynccontextmanager
    async def _its_turn(self, what: str, limited: Wanted | None) -> AsyncIterator[None]:
        """Wait until a request may be sent; it is in flight inside. Raises `PacingViolation`."""
        held = _Held(limited, asyncio.get_running_loop().create_future())
        await self._turn(what, held, self._session().options.request_timeout)
        try:
            yield
        finally:
            if limited is not None:
                self._pacing.release(limited)
            self._in_flight -= 1
            self._let_go()

    def _count(self, limited: Wanted | None) -> None:
        """It is being sent: counted only now, for its turn may have been a while in coming."""
        if limited is not None:
            self._pacing.count(asyncio.get_running_loop().time(), limited)

    @contextmanager
    def _heeding_complaints(self) -> Iterator[None]:
        """Ask nothing for a while if IB says that it was too much."""
        try:
            yield
        except PacingViolation as error:
            if error.ib_code is not None:
                self._pacing.penalise(asyncio.get_running_loop().time())
            raise

    async def _turn(self, what: str, held: _Held, patience: float) -> None:
        """Wait until `held` may be asked; it counts as in flight then. Raises `PacingViolation`."""
        position = len(self._held)
        if held.limited is not None:
            ahead = sum(other.limited.weight for other in self._held if other.limited is not None)
            same = sum(1 for o in self._held if o.limited and o.limited.subject == held.limited.subject)
            wait = self._pacing.wait(asyncio.get_running_loop().time(), held.limited, ahead)
            wait += same // SAME_SUBJECT * (SAME_SUBJECT_WITHIN + MARGIN)
            if wait > patience:
                raise too_many(what, position, wait)
        self._held.append(held)
        self._let_go()
        try:
            await asyncio.wait({held.may_go}, timeout=patience)
            if not held.may_go.done():
                raise too_many(what, position, patience)
            held.may_go.result()
        except BaseException:
            if held in self._held:
                self._held.remove(held)
            elif held.may_go.done() and held.may_go.exception() is None:  # its turn had come just now
                self._in_flight -= 1
                if held.limited is not None:
                    self._pacing.release(held.limited)
                self._let_go()
            raise

    def interrupted(self, error: TradeMindError) -> None:
        """The gateway has gone, or is not heard: whoever waits for a turn is told."""
        held, self._held = self._held, []
        for each in held:
            each.may_go.set_exception(error)

    def _let_go(self) -> None:
        """Let those go that may, in the order in which they came; and look again when the next may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        now, waits = loop.time(), []
        for held in list(self._held):
            if self._in_flight + self._kept() >= IN_FLIGHT:
                break  # whoever is answered next comes here again
            if held.limited is not None:
                if (wait := self._pacing.wait(now, held.limited)) > 0:
                    waits.append(wait)
                    continue
                self._pacing.reserve(held.limited)
            self._in_flight += 1
            self._held.remove(held)
            held.may_go.set_result(None)
        if waits:
            self._timer = loop.call_later(min(waits), self._let_go)

    async def _ask(self, what: str, contract: Contract, request: BarRequest, limited: Wanted | None) -> _Bars:
        def send(req_id: int) -> None:
            self._count(limited)
            session.ib.client.reqHistoricalData(
                req_id,
                wanted,
                end,
                request.duration,
                request.bar_size,
                request.what_to_show,
                request.use_rth,
                SINCE_EPOCH,
                False,
                [],
            )

        session = self._session()
        wanted = convert.to_ib_reference(contract)
        end = request.end.strftime("%Y%m%d-%H:%M:%S") if request.end else ""
        try:
            with self._heeding_complaints():
                bars = await session.requests.ask(
                    what, send, contract=wanted, give_up=session.ib.client.cancelHistoricalData
                )
        except Refused as error:
            if error.ib_code == 162 and NO_DATA in error.detail:
                return ()
            raise
        return tuple(convert.to_bar(bar) for bar in bars)

    async def close(self) -> None:
        """End the questions under way; with the connection closed they have failed already."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(self._under_way.finish(grace=1), self._heads.finish(grace=1))
