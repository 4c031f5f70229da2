"""Whether TradeMind's book is what the gateway says, and what everybody was told came true."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from tests.chaos import calls, checks
from tests.chaos.audit import take_statement
from tests.chaos.calls import Calls
from tests.chaos.ledger import Ledger
from tests.chaos.report import Findings

SETTLE: Final = 15.0
"""Seconds in which book and gateway have to agree once all is well."""

Json = dict[str, Any]


class Agreement:
    def __init__(self, api: Calls, gateway_port: int, ledger: Ledger, findings: Findings) -> None:
        self._api = api
        self._gateway_port = gateway_port
        self._ledger = ledger
        self._findings = findings
        self.orders: Sequence[Json] = ()
        self.fills: Sequence[Json] = ()
        self.positions: Sequence[Json] = ()
        self.account: Json = {}
        """What the API has told last."""
        self.at_gateway: frozenset[str] = frozenset()
        """The references of the orders that the gateway has listed last."""
        self.reached = 0
        """How often book and gateway were found to agree."""

    async def reach(self, when: str) -> None:
        """Compare both until they agree, or never will: then every difference is a violation."""
        until = time.monotonic() + SETTLE
        while differences := await self._differences():
            if time.monotonic() > until:
                for difference in differences:
                    self._findings.violation("the book equals the gateway's", f"{when}: {difference}")
                return
            await asyncio.sleep(1)
        self.reached += 1

    async def _differences(self) -> list[str]:
        try:
            statement = await take_statement(self._gateway_port)
        except (OSError, TimeoutError) as error:
            return [f"the gateway does not answer the auditor: {error!r}"]
        if not await self.read():
            return ["the book cannot be read although all is well"]
        self.at_gateway = frozenset(order.order_ref for order in statement.orders)
        return [
            *checks.book_differences(statement, self.orders, self.fills, self.positions, self.account),
            *checks.broken_claims(self._ledger, statement, self.orders),
        ]

    async def read(self) -> bool:
        """Have the API tell everything. Returns whether it has."""
        self.orders = await self._all("/api/orders", "orders")
        self.fills = await self._all("/api/executions", "executions")
        positions = await self._api.call(calls.READ, "GET", "/api/portfolio/positions")
        account = await self._api.call(calls.READ, "GET", "/api/portfolio/account")
        if positions is None or account is None or positions.status != 200 or account.status != 200:
            return False
        self.positions, self.account = positions.body["positions"], account.body
        return True

    async def _all(self, path: str, name: str) -> list[Json]:
        """Every item of a list, page by page."""
        found: list[Json] = []
        token = ""
        while True:
            answer = await self._api.call(calls.READ, "GET", f"{path}?limit=500{token}")
            if answer is None or answer.status != 200:
                return found
            found += answer.body[name]
            if answer.body["next_page_token"] is None:
                return found
            token = f"&page_token={answer.body['next_page_token']}"
