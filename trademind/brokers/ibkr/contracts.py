"""Contracts: which one is meant, and what is known of it. Answers are kept, as contracts do not change."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from trademind.aio import SingleFlight
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.session import Session
from trademind.domain import ContractDetails, ContractMatch, ContractQuery
from trademind.errors import AmbiguousContract, ContractNotFound, Invalid, TradeMindError

CACHE_SIZE = 10_000
"""Contracts kept; about the number of US stocks, and some 10 MB."""


class Contracts:
    """The contract desk. `session` gives the connection, or raises what there is to say instead."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._known: OrderedDict[ContractQuery, ContractDetails] = OrderedDict()
        self._asked: SingleFlight[ContractQuery, ContractDetails] = SingleFlight(TradeMindError)
        self._searched: SingleFlight[str, tuple[ContractMatch, ...]] = SingleFlight(TradeMindError)

    async def qualify(self, query: ContractQuery, *, fresh: bool = False) -> ContractDetails:
        """The one contract that `query` means; asked for anew if `fresh`.

        Raises:
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer.
        """
        if (known := self._known.get(query)) is not None and not fresh:
            self._known.move_to_end(query)
            return known
        name = f"contract {query.con_id or query.symbol}"
        return await self._asked.ask(query, lambda: self._ask(query), name=name)

    async def _ask(self, query: ContractQuery) -> ContractDetails:
        session = self._session()
        wanted = convert.to_ib_contract(query)
        found = await session.requests.ask(
            f"contract {query.con_id or query.symbol}",
            lambda req_id: session.ib.client.reqContractDetails(req_id, wanted),
            contract=wanted,
        )
        details = self._only_one(query, [convert.to_details(one) for one in found])
        self._known[query] = details
        if len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return details

    def _only_one(self, query: ContractQuery, found: list[ContractDetails]) -> ContractDetails:
        name = query.con_id or query.symbol
        # IB names one contract once per exchange where no exchange was asked for: same con id, same thing.
        by_con_id = {details.contract.con_id: details for details in found}
        if not by_con_id:
            raise ContractNotFound(f"IB knows no {query.sec_type} contract {name} in {query.currency}")
        if len(by_con_id) > 1:
            candidates = [
                {
                    "con_id": c.con_id,
                    "symbol": c.symbol,
                    "sec_type": c.sec_type.value,
                    "exchange": c.exchange,
                    "primary_exchange": c.primary_exchange,
                    "currency": c.currency,
                    "local_symbol": c.local_symbol,
                }
                for c in (details.contract for details in by_con_id.values())
            ]
            raise AmbiguousContract(
                f"{len(by_con_id)} contracts match {name}: choose one by its con_id",
                extra={"candidates": candidates},
            )
        return next(iter(by_con_id.values()))

    async def close(self) -> None:
        """End the questions under way; with the connection closed they have failed already."""
        await asyncio.gather(self._asked.finish(grace=1), self._searched.finish(grace=1))

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
