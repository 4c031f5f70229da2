"""Contracts: which one is meant, and what is known of it.

Answers are kept, also over restarts where there is a store. They hold for a day: hours are told for some days
only, and now and then a symbol passes to another company. What is older is used at once all the same, and
asked again behind it, one question at a time so that a start with a thousand old ones floods nothing; who
cannot use what is old, as an order cannot, says so. What IB does not know any more is forgotten.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol

from trademind.aio import SingleFlight, Tasks
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.session import Session
from trademind.clock import Clock
from trademind.domain import ContractDetails, ContractMatch, ContractQuery, OptionParameters, SecType
from trademind.errors import AmbiguousContract, ContractNotFound, Invalid, TradeMindError, Unavailable

log = logging.getLogger(__name__)

CACHE_SIZE = 10_000
"""Contracts kept; about the number of US stocks, and some 10 MB."""
GOOD_FOR: Final = timedelta(days=1)
"""How long an answer is not asked again."""
WRITTEN_AFTER: Final = 1.0
"""Seconds for which answers are collected before they are written together."""
LAST_WRITE: Final = 5.0
"""Seconds that the end waits for a write under way."""
NO_SECURITY_DEFINITION = 200
MAX_CANDIDATES = 50
"""Contracts that are named where several match: of a chain of thousands, enough to see what is missing."""


class ContractStore(Protocol):
    """What has been told of contracts, kept over restarts. Its methods block, and raise nothing."""

    def load(self, account_id: str) -> dict[ContractQuery, ContractDetails]:
        """What was told in sessions of that account, the oldest first."""
        ...

    def save(self, account_id: str, changes: Mapping[ContractQuery, ContractDetails | None]) -> None:
        """Keep what was told; None where there is no such contract any more."""
        ...


class Contracts:
    """The contract desk.

    Args:
        session: Gives the connection, or raises what there is to say instead.
        store: Keeps the answers over restarts; None keeps them for the life of this object.
    """

    def __init__(
        self, session: Callable[[], Session], clock: Clock, store: ContractStore | None = None
    ) -> None:
        self._session = session
        self._clock = clock
        self._store = store
        self._account_id: str | None = None
        """Whose sessions everything is told in: a broker keeps to its account."""
        self._known: OrderedDict[ContractQuery, ContractDetails] = OrderedDict()
        self._recall: asyncio.Task[None] | None = None
        """Brings in what the store has; None before anybody has missed it."""
        self._overdue: dict[ContractQuery, None] = {}
        """What is to be asked again, in order."""
        self._changes: dict[ContractQuery, ContractDetails | None] | None = None
        """What is written together next."""
        self._closing = asyncio.Event()
        self._asking, self._writing = Tasks(), Tasks()
        self._asked: SingleFlight[ContractQuery, tuple[ContractDetails, ...]] = SingleFlight(TradeMindError)
        self._searched: SingleFlight[str, tuple[ContractMatch, ...]] = SingleFlight(TradeMindError)

    async def qualify(
        self, query: ContractQuery, *, fresh: bool = False, max_age: timedelta | None = None
    ) -> ContractDetails:
        """The one contract that `query` means; asked for anew if `fresh`, or if what is known of a symbol is
        older than `max_age`.

        Raises:
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer.
        """
        if query not in self._known:
            await self._remember()
        known = self._known.get(query)
        if known is None or fresh:
            return await self._learn(query)
        # Of an answer from the future the clock tells nothing.
        age = abs(self._clock.now() - known.as_of)
        # A con id is one contract for ever; what a symbol stands for may have changed.
        if max_age is not None and age > max_age and query.con_id is None:
            return await self._learn(query)
        if age > GOOD_FOR:
            self._ask_again(query)
        self._known.move_to_end(query)
        return known

    async def _remember(self) -> None:
        """Have what the store knows, which is read once, when a session says of which account."""
        if self._store is None:
            return
        if self._recall is None:
            self._account_id = self._session().account_id
            assert self._account_id is not None
            loading = self._load(self._store, self._account_id)
            self._recall = self._writing.spawn(loading, name="contracts read")
        await asyncio.shield(self._recall)

    async def _load(self, store: ContractStore, account_id: str) -> None:
        found = await asyncio.to_thread(store.load, account_id)
        for query, details in found.items():
            self._known.setdefault(query, details)

    async def _learn(self, query: ContractQuery) -> ContractDetails:
        """Ask, and keep the answer; where there is none, or several, forget the one that was known."""
        before = self._known.get(query)
        found = await self.find(query)
        try:
            details = self._only_one(query, found)
        except (ContractNotFound, AmbiguousContract):
            self.forget(query)
            raise
        if before is not None and before.contract.con_id != details.contract.con_id:
            log.warning(
                "%s is con id %d now; it was %d", query.name, details.contract.con_id, before.contract.con_id
            )
        self._known[query] = details
        self._known.move_to_end(query)
        if len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        self._note(query, details)
        return details

    def forget(self, query: ContractQuery) -> None:
        """What was known of it holds no more: it is asked for when it is used next."""
        if self._known.pop(query, None) is not None:
            self._note(query, None)

    @contextmanager
    def doubted(self, *queries: ContractQuery) -> Iterator[None]:
        """Of what is done inside with these contracts: if IB says that there is no such one, forget them."""
        try:
            yield
        except ContractNotFound:
            for query in queries:
                self.forget(query)
            raise

    def _ask_again(self, query: ContractQuery) -> None:
        if not self._overdue:
            self._asking.spawn(self._renew(), name="contracts asked again")
        self._overdue[query] = None

    async def _renew(self) -> None:
        """Ask for what is overdue. What cannot be answered now is overdue still when it is used next."""
        while (query := next(iter(self._overdue), None)) is not None:
            try:
                await self._learn(query)
            except Unavailable:
                self._overdue.clear()
            except TradeMindError as error:
                log.info("%s was asked for again: %s", query.name, error.detail)
            self._overdue.pop(query, None)

    def _note(self, query: ContractQuery, details: ContractDetails | None) -> None:
        """Have the store told, soon."""
        if self._store is None or self._account_id is None:
            return
        if self._changes is None:
            self._changes = {}
            writing = self._write(self._store, self._account_id, self._changes)
            self._writing.spawn(writing, name="contracts written down")
        self._changes[query] = details

    async def _write(
        self,
        store: ContractStore,
        account_id: str,
        changes: dict[ContractQuery, ContractDetails | None],
    ) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), WRITTEN_AFTER)
        if self._changes is changes:
            self._changes = None
        await asyncio.to_thread(store.save, account_id, changes)

    async def find(self, query: ContractQuery) -> tuple[ContractDetails, ...]:
        """Every contract that `query` may mean: none, one, or a whole chain of options.

        Raises:
            Unavailable, NoAnswer.
        """
        return await self._asked.ask(query, lambda: self._ask(query), name=f"contract {query.name}")

    async def _ask(self, query: ContractQuery) -> tuple[ContractDetails, ...]:
        session = self._session()
        wanted = convert.to_ib_contract(query)
        try:
            found = await session.requests.ask(
                f"contract {query.name}",
                lambda req_id: session.ib.client.reqContractDetails(req_id, wanted),
                contract=wanted,
            )
        except ContractNotFound:
            return ()
        # IB names one contract once per exchange where no exchange was asked for: same con id, same thing.
        as_of = self._clock.now()
        by_con_id: dict[int, ContractDetails] = {}
        for one in found:
            details = convert.to_details(one, as_of=as_of)
            by_con_id.setdefault(details.contract.con_id, details)
        return tuple(by_con_id.values())

    def _only_one(self, query: ContractQuery, found: tuple[ContractDetails, ...]) -> ContractDetails:
        if not found:
            what = f"{query.sec_type} contract {query.name} in {query.currency}"
            raise ContractNotFound(
                f"IB knows no {what if query.con_id is None else f'contract of con id {query.con_id}'}",
                ib_code=NO_SECURITY_DEFINITION,
            )
        if len(found) > 1:
            contracts = [details.contract for details in found]
            candidates = [
                {
                    "con_id": c.con_id,
                    "symbol": c.symbol,
                    "sec_type": c.sec_type.value,
                    "exchange": c.exchange,
                    "primary_exchange": c.primary_exchange,
                    "currency": c.currency,
                    "local_symbol": c.local_symbol,
                    "last_trade_date": c.last_trade_date,
                    "strike": None if c.strike is None else f"{c.strike:f}",
                    "right": c.right,
                }
                for c in sorted(
                    contracts, key=lambda c: (c.last_trade_date, c.strike or 0, c.right, c.con_id)
                )
            ]
            more = len(candidates) - MAX_CANDIDATES
            raise AmbiguousContract(
                f"{len(found)} contracts match {query.name}: choose one by its con_id"
                + (f". The first {MAX_CANDIDATES} are named" if more > 0 else ""),
                extra={"candidates": candidates[:MAX_CANDIDATES]},
            )
        return found[0]

    async def options(self, con_id: int) -> tuple[OptionParameters, ...]:
        """Which options there are on an underlying, by exchange and trading class.

        Raises:
            ContractNotFound, Unavailable, NoAnswer.
        """
        underlying = (await self.qualify(ContractQuery(con_id=con_id))).contract
        session = self._session()
        # Options on futures are listed by the future's exchange.
        exchange = underlying.exchange if underlying.sec_type is SecType.FUTURE else ""
        found = await session.requests.ask(
            f"options on {underlying.symbol}",
            lambda req_id: session.ib.client.reqSecDefOptParams(
                req_id, underlying.symbol, exchange, underlying.sec_type.value, con_id
            ),
        )
        return tuple(convert.to_option_parameters(chain) for chain in found)

    async def close(self) -> None:
        """End the questions under way, which have failed already with the connection closed, and write down
        what they have told before."""
        self._closing.set()
        await self._asking.cancel_all()
        await asyncio.gather(self._asked.finish(grace=1), self._searched.finish(grace=1))
        await self._writing.finish(grace=LAST_WRITE)

    async def search(self, text: str) -> tuple[ContractMatch, ...]:
        """Contracts whose symbol or name matches `text`. Raises `Invalid`, `Unavailable`, `NoAnswer`."""
        text = text.strip()
        if not text or len(text) > 100 or not text.isprintable():
            raise Invalid([("query", "must be 1 to 100 printable characters")])
        return await self._searched.ask(text, lambda: self._search(text), name=f"search {text}")

    async def _search(self, text: str) -> tuple[ContractMatch, ...]:
        session = self._session()
        found = await session.requests.ask(
            f"search for {text}", lambda req_id: session.ib.client.reqMatchingSymbols(req_id, text)
        )
        return tuple(convert.to_match(one) for one in found)
