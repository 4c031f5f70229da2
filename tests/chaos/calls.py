"""Calls over HTTP, each of which has to end in time, in an answer that is among those expected of it.

Every call uses a connection of its own: a connection that is kept may be closed by the server just as the
next call is sent over it, and nobody could tell what became of that.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.chaos.report import Findings
from tests.chaos.world import ORDER_TIMEOUT, REQUEST_TIMEOUT
from trademind import errors
from trademind.brokers.ibkr.market_data import QUOTE_WAIT
from trademind.errors import TradeMindError

MARGIN: Final = 5.0
"""Seconds on top of what the settings allow, on a machine that others use as well."""
GIVE_UP: Final = 60.0
"""Seconds after which a call that has not ended never will."""

UNAVAILABLE: Final = frozenset(
    {"not_connected", "not_synchronised", "connection_lost", "upstream_lost", "gateway_silent"}
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call: how long it may take by the settings, and in what it may end."""

    name: str
    within: float
    succeeds: frozenset[int]
    fails: frozenset[str]
    """Codes of errors."""


def _operation(name: str, within: float, succeeds: int | set[int], *fails: str) -> Operation:
    statuses = {succeeds} if isinstance(succeeds, int) else succeeds
    return Operation(name, within, frozenset(statuses), frozenset(fails))


READ: Final = _operation("read", 0, 200, "not_connected", "not_synchronised")
HEALTH: Final = _operation("healthz", 0, 200)
READY: Final = _operation(
    "readyz", 0, 200, "not_connected", "not_synchronised", "upstream_lost", "gateway_silent"
)
METRICS: Final = _operation("metrics", 0, 200)
CONNECTION: Final = _operation("connection", 0, 200)
READ_ORDER: Final = _operation("read order", 0, 200)
"""Of an order that has been acknowledged: the book knows it whether or not there is a session."""
QUOTES: Final = _operation(
    "quotes",
    REQUEST_TIMEOUT + QUOTE_WAIT,
    200,
    *UNAVAILABLE,
    "no_answer",
    "gateway_error",
    "pacing_violation",
)
BARS: Final = _operation(
    "bars",
    3 * REQUEST_TIMEOUT,
    200,
    *UNAVAILABLE,
    "no_answer",
    "gateway_error",
    "not_subscribed",
    "pacing_violation",
)
SEARCH: Final = _operation("search", REQUEST_TIMEOUT, 200, *UNAVAILABLE, "no_answer", "pacing_violation")
RECONNECT: Final = _operation("reconnect", 0, 202)
PLACE: Final = _operation(
    "place", 2 * REQUEST_TIMEOUT + ORDER_TIMEOUT, {200, 201},
    *UNAVAILABLE, "no_answer", "order_outcome_unknown", "order_rejected", "pacing_violation",
    "order_not_working",  # withdrawn before it was sent
)  # fmt: skip
MODIFY: Final = _operation(
    # One change of an order at a time, and two may be under way.
    "modify", 2 * (2 * REQUEST_TIMEOUT + ORDER_TIMEOUT), 200,
    *UNAVAILABLE, "no_answer", "order_not_working", "order_rejected", "pacing_violation", "conflict",
)  # fmt: skip
CANCEL: Final = _operation(
    "cancel", REQUEST_TIMEOUT + ORDER_TIMEOUT, 202,
    *UNAVAILABLE, "no_answer", "order_not_working", "cancel_rejected", "pacing_violation",
)  # fmt: skip
CANCEL_ALL: Final = _operation(
    "cancel all", REQUEST_TIMEOUT + ORDER_TIMEOUT, 202,
    *UNAVAILABLE, "no_answer", "cancel_rejected", "pacing_violation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str | None:
        return self.body.get("code") if self.status >= 400 else None


@dataclass(slots=True)
class Tally:
    """What became of the calls of one operation."""

    outcomes: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0


class Calls:
    """Makes calls, and keeps account of them."""

    def __init__(self, url: str, findings: Findings) -> None:
        self._url = url
        self._findings = findings
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=GIVE_UP,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        self.tallies: dict[str, Tally] = {}
        self.under_way = 0
        self.excuses: list[tuple[float, float]] = []
        """From and to when no answer can be expected: TradeMind was stopped, or this program was late."""

    async def close(self) -> None:
        await self._client.aclose()

    async def call(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        also: frozenset[str] = frozenset(),
        patience: float | None = None,
        **options: Any,
    ) -> Answer | None:
        """One call. None where it ended without an answer, or `patience` had an end first.

        Args:
            also: Codes of errors that are right in this case.
            patience: Seconds after which the caller goes away.
        """
        begun = time.monotonic()
        self.under_way += 1
        try:
            async with asyncio.timeout(patience):
                response = await self._client.request(method, path, **options)
        except TimeoutError:
            self._tally(operation, "caller went away", 0.0)
            return None
        except httpx.HTTPError as error:
            seconds = time.monotonic() - begun
            self._tally(operation, type(error).__name__, seconds)
            self._findings.violation(
                "calls end", f"{method} {path} ended after {seconds:.1f} s without an answer: {error!r}"
            )
            return None
        finally:
            self.under_way -= 1
        seconds = time.monotonic() - begun
        answer = Answer(response.status_code, _json(response))
        self._tally(operation, f"{answer.status}{f' {answer.code}' if answer.code else ''}", seconds)
        what = f"{method} {path} {options.get('json', '')}"
        allowed = operation.within + MARGIN + self._excused(begun, begun + seconds)
        if seconds > allowed:
            self._findings.violation("calls end", f"{what} took {seconds:.1f} s, more than {allowed:.1f} s")
        self._judge(operation, what, answer, response.headers, also)
        return answer

    @contextmanager
    def excused(self) -> Iterator[None]:
        """While the block lasts nobody can expect an answer."""
        begin = time.monotonic()
        self.excuses.append((begin, math.inf))
        place = len(self.excuses) - 1
        try:
            yield
        finally:
            self.excuses[place] = begin, time.monotonic()

    def _excused(self, begin: float, end: float) -> float:
        """For how long of a time no answer could be expected."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self.excuses)

    def _tally(self, operation: Operation, outcome: str, seconds: float) -> None:
        tally = self.tallies.setdefault(operation.name, Tally())
        tally.outcomes[outcome] += 1
        tally.longest = max(tally.longest, seconds)

    def _judge(
        self, operation: Operation, what: str, answer: Answer, headers: httpx.Headers, also: frozenset[str]
    ) -> None:
        if answer.status in operation.succeeds:
            return
        told = f"{what} -> {answer.status} {answer.code}: {answer.body.get('detail')}"
        alike = f"{operation.name} {answer.code}"
        if answer.code is None or answer.code not in operation.fails | also:
            self._findings.violation("answers are expected ones", told, alike=alike)
            return
        kind = KINDS.get(answer.code)
        if kind is None or kind.status != answer.status:
            self._findings.violation(
                "answers are expected ones", f"{told} (docs/errors.md has another status)"
            )
        elif kind.retry_after is not None and not headers.get("retry-after", "").isdecimal():
            self._findings.violation("Retry-After where promised", told, alike=alike)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {"text": response.text}
    return body if isinstance(body, dict) else {"body": body}


def _kinds(kind: type[TradeMindError]) -> Iterator[type[TradeMindError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


KINDS: Final = {kind.code: kind for kind in _kinds(errors.TradeMindError)}
"""What docs/errors.md promises, by code."""
