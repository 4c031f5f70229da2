"""Contracts: which one is meant, and what is known of it. Answers are kept, as contracts do not change."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from trademind.aio import SingleFlight
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.session import Session
from trademind.domain import ContractDetails, ContractMatch, ContractQuery, OptionParameters, SecType
from trademind.errors import AmbiguousContract, ContractNotFound, Invalid, TradeMindError

CACHE_SIZE = 10_000
"""Contracts kept; about the number of US stocks, and some 10 MB."""
NO_SECURITY_DEFINITION = 200
MAX_CANDIDATES = 50
"""Contracts that are named where several match: of a chain of thousands, enough to see what is missing."""


class Contracts:
    """The contract desk. `session` gives the connection, or raises what there is to say instead."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._known: OrderedDict[ContractQuery, ContractDetails] = OrderedDict()
        self._asked: SingleFlight[ContractQuery, tuple[ContractDetails, ...]] = SingleFlight(TradeMindError)
        self._searched: SingleFlight[str, tuple[ContractMatch, ...]] = SingleFlight(TradeMindError)

    async def qualify(self, query: ContractQuery, *, fresh: bool = False) -> ContractDetails:
        """The one contract that `query` means; asked for anew if `fresh`.

        Raises:
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer.
        """
        if (known := self._known.get(query)) is not None and not fresh:
            self._known.move_to_end(query)
            return known
        details = self._only_one(query, await self.find(query))
        self._known[query] = details
        if len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return details

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
        by_con_id = {one.contract.con_id: one for one in map(convert.to_details, found)}
        return tuple(by_con_id.values())

    def _only_one(self, query: ContractQuery, found: tuple[ContractDetails, ...]) -> ContractDetails:
        if not found:
            raise ContractNotFound(
                f"IB knows no {query.sec_type} contract {query.name} in {query.currency}",
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
        underlying = (await self.qualify(ContractQuery(con_id=con_id, exchange=""))).contract
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
