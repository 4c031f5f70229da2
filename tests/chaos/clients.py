"""Readers and traders over HTTP: what people's programs do all day, and some of what they get wrong."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.chaos import calls
from tests.chaos.calls import Answer, Calls
from tests.chaos.ledger import Ledger
from tests.chaos.plan import SYMBOLS

PATHS: Final = (
    "/api/portfolio/account", "/api/portfolio/positions", "/api/portfolio/pnl",
    "/api/orders?limit=50", "/api/orders?status=working&limit=500", "/api/orders?status=done&limit=20",
    "/api/orders?symbol=AAPL&limit=20", "/api/executions?limit=100",
)  # fmt: skip
BAR_SIZES: Final = (("1 min", "1800 S"), ("5 mins", "1 D"), ("1 hour", "5 D"), ("30 secs", "1800 S"))
"""The last one is limited by IB: some of these requests get 429."""
TEXTS: Final = ("AA", "APP", "MICRO", "corp", "ZZZZZZ", "I")
RECENT: Final = 20
"""Orders that a trader may come back to."""


class Clients:
    """All of them; while `is_trading` and `is_reading` they are at work."""

    def __init__(self, api: Calls, ledger: Ledger, seed: int) -> None:
        self._api = api
        self._ledger = ledger
        self._seed = seed
        self.is_trading = True
        self.is_reading = True
        self._number = 0
        self._recent: deque[str] = deque(maxlen=RECENT)
        """Keys of orders that were placed lately."""
        self._resting: deque[str] = deque(maxlen=RECENT)
        """Those of them that rest, as far as anyone cares to remember."""
        self._bodies: dict[str, dict[str, Any]] = {}
        """What each of them was."""
        self._price: dict[str, float] = {}

    def programs(self) -> list[tuple[str, Awaitable[None]]]:
        """Each client as a coroutine that runs until it is cancelled."""
        readers = [(f"reader {n}", self._read_on(random.Random(f"{self._seed}-r{n}"), n)) for n in range(4)]
        traders = [(f"trader {n}", self._trade_on(random.Random(f"{self._seed}-t{n}"))) for n in range(3)]
        return [*readers, *traders]

    # Readers -----------------------------------------------------------------------------------

    async def _read_on(self, rng: random.Random, number: int) -> None:
        kinds: tuple[Callable[[random.Random], Awaitable[object]], ...] = (
            self._read_book, self._read_quotes, self._read_bars, self._search, self._look_around,
        )  # fmt: skip
        weights = (8, 4, 2, 1, 1) if number % 2 else (4, 8, 1, 1, 1)
        while True:
            await asyncio.sleep(rng.expovariate(6))
            if self.is_reading:
                await rng.choices(kinds, weights)[0](rng)

    async def _read_book(self, rng: random.Random) -> None:
        await self._api.call(calls.READ, "GET", rng.choice(PATHS))

    async def _read_quotes(self, rng: random.Random) -> None:
        symbols = rng.sample(SYMBOLS, rng.randint(1, 4))
        also: frozenset[str] = frozenset()
        if rng.random() < 0.03:
            symbols, also = [*symbols, "NOSUCHTHING"], frozenset({"contract_not_found"})
        answer = await self._api.call(
            calls.QUOTES, "GET", f"/api/market/quotes?symbols={','.join(symbols)}", also=also
        )
        if answer is not None and answer.status == 200:
            for quote in answer.body["quotes"]:
                if quote["last"]:
                    self._price[quote["symbol"]] = quote["last"]

    async def _read_bars(self, rng: random.Random) -> None:
        size, duration = rng.choice(BAR_SIZES)
        await self._api.call(
            calls.BARS,
            "GET",
            "/api/market/bars",
            params={"symbol": rng.choice(SYMBOLS), "bar_size": size, "duration": duration},
        )

    async def _search(self, rng: random.Random) -> None:
        await self._api.call(calls.SEARCH, "GET", f"/api/contracts/search?query={rng.choice(TEXTS)}")

    async def _look_around(self, rng: random.Random) -> None:
        places = (
            (calls.HEALTH, "/healthz"),
            (calls.METRICS, "/metrics"),
            (calls.CONNECTION, "/api/system/connection"),
        )
        operation, path = rng.choice(places)
        await self._api.call(operation, "GET", path)

    # Traders -----------------------------------------------------------------------------------

    async def _trade_on(self, rng: random.Random) -> None:
        deeds: tuple[tuple[Callable[[random.Random], Awaitable[object]], int], ...] = (
            (self._rest, 20), (self._fill, 20), (self._fill_at_limit, 6), (self._fill_in_parts, 3),
            (self._at_once_or_never, 3), (self._stop, 3), (self._without_key, 3), (self._wrong, 8),
            (self._again, 8), (self._all_at_once, 3), (self._go_away, 5), (self._modify, 14),
            (self._cancel, 14), (self._modify_and_cancel, 4), (self._cancel_all, 1),
        )  # fmt: skip
        while True:
            await asyncio.sleep(rng.expovariate(0.6))
            if self.is_trading:
                await rng.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0](rng)

    def _key(self, rng: random.Random) -> str:
        self._number += 1
        return f"c{self._seed}-{self._number}-{rng.randrange(16**4):04x}"

    async def _place(
        self,
        rng: random.Random,
        *,
        also: frozenset[str] = frozenset(),
        patience: float | None = None,
        **terms: Any,
    ) -> Answer | None:
        key = self._key(rng)
        body = {"symbol": rng.choice(SYMBOLS), "side": rng.choice(("BUY", "SELL")), **terms}
        self._bodies[key] = body
        answer = await self._post(key, body, also=also, patience=patience)
        if answer is not None and answer.status == 201:
            self._recent.append(key)
            if answer.body["status"] == "submitted":
                self._resting.append(key)
            await self._api.call(calls.READ_ORDER, "GET", f"/api/orders/{key}")
        elif answer is not None and answer.code == "order_outcome_unknown" and rng.random() < 0.5:
            # What the cautious do.
            await self._api.call(calls.CANCEL, "DELETE", f"/api/orders/{key}")
        return answer

    async def _post(
        self,
        key: str | None,
        body: dict[str, Any],
        *,
        also: frozenset[str] = frozenset(),
        patience: float | None = None,
    ) -> Answer | None:
        sent = body if key is None else {**body, "client_order_id": key}
        answer = await self._api.call(
            calls.PLACE, "POST", "/api/orders", json=sent, also=also, patience=patience
        )
        self._ledger.note(key, body, answer)
        return answer

    async def burst(self, orders: int, questions: int, rng: random.Random) -> None:
        """So many of both at once; the orders are cancelled afterwards, as far as they still rest."""
        resting: dict[str, Any] = {"side": "BUY", "quantity": 1, "order_type": "LMT", "limit_price": "1.00"}
        texts = [f"{rng.choice('ABCDEFGHIJKLMNOPQRSTUVWXYZ')}{number}" for number in range(questions)]
        await asyncio.gather(
            *(self._place(rng, **resting) for _ in range(orders)),
            *(self._api.call(calls.SEARCH, "GET", f"/api/contracts/search?query={text}") for text in texts),
        )
        await self._cancel_all(rng)

    async def repeat(self, key: str, body: dict[str, Any]) -> None:
        """Send an order once more that was sent before."""
        await self._post(key, body, also=frozenset({"duplicate_order"}))

    async def _rest(self, rng: random.Random) -> None:
        price = f"{rng.randint(100, 500) / 100:.2f}"
        await self._place(
            rng, side="BUY", quantity=rng.randint(1, 20), order_type="LMT", limit_price=price,
            tif=rng.choice(("DAY", "GTC")),
        )  # fmt: skip

    async def _fill(self, rng: random.Random) -> None:
        await self._place(rng, quantity=rng.randint(1, 20))

    async def _fill_at_limit(self, rng: random.Random) -> None:
        symbol, side = rng.choice(SYMBOLS), rng.choice(("BUY", "SELL"))
        price = self._price.get(symbol, 100.0) * (1.002 if side == "BUY" else 0.998)
        await self._place(
            rng, symbol=symbol, side=side, quantity=rng.randint(1, 50), order_type="LMT",
            limit_price=f"{price:.2f}",
        )  # fmt: skip

    async def _fill_in_parts(self, rng: random.Random) -> None:
        """More than is on offer at one price, or at once."""
        symbol = rng.choice(SYMBOLS)
        await self._place(
            rng, symbol=symbol, quantity=rng.randint(1500, 4000), order_type="LMT",
            limit_price=f"{self._price.get(symbol, 100.0):.2f}",
        )  # fmt: skip

    async def _at_once_or_never(self, rng: random.Random) -> None:
        await self._place(rng, side="BUY", quantity=5, order_type="LMT", limit_price="1.00", tif="IOC")

    async def _stop(self, rng: random.Random) -> None:
        await self._place(rng, side="SELL", quantity=3, order_type="STP", stop_price="2.00")

    async def _without_key(self, rng: random.Random) -> None:
        body = {"symbol": rng.choice(SYMBOLS), "side": "BUY", "quantity": rng.randint(1, 5)}
        await self._post(None, body)

    async def _wrong(self, rng: random.Random) -> None:
        wrong: tuple[tuple[str, dict[str, Any]], ...] = (
            ("contract_not_found", {"symbol": "NOSUCHTHING", "quantity": 1}),
            ("invalid", {"quantity": -1}),
            ("invalid", {"quantity": 1, "order_type": "LMT"}),
            ("invalid", {"quantity": 1, "order_type": "LMT", "limit_price": "1.00001"}),
            ("invalid", {"quantity": 1, "colour": "red"}),
            ("order_rejected", {"quantity": 9_000_000, "side": "BUY"}),
        )
        code, terms = rng.choice(wrong)
        await self._place(rng, also=frozenset({code}), **terms)

    async def _again(self, rng: random.Random) -> None:
        """A key that was used, with the same order or with another."""
        if not self._bodies:
            return
        key = rng.choice(list(self._bodies)[-RECENT:])
        body = self._bodies[key]
        if rng.random() < 0.3:
            # Where the first was refused before it became an order, the key is free, and this is the order.
            body = {"symbol": "IBM", "side": "BUY", "quantity": 7, "order_type": "LMT", "limit_price": "3.00"}
        await self._post(key, body, also=frozenset({"duplicate_order", "invalid", "contract_not_found"}))

    async def _all_at_once(self, rng: random.Random) -> None:
        """The same order several times at the same moment."""
        key = self._key(rng)
        body = {"symbol": rng.choice(SYMBOLS), "side": "BUY", "quantity": 2}
        self._bodies[key] = body
        await asyncio.gather(*(self._post(key, body) for _ in range(3)))

    async def _go_away(self, rng: random.Random) -> None:
        await self._place(rng, quantity=1, patience=rng.uniform(0.001, 0.1))

    async def _modify(self, rng: random.Random) -> None:
        if (key := self._one_of_the_last(rng)) is not None:
            await self._change(rng, key)

    async def _change(self, rng: random.Random, key: str) -> None:
        change: dict[str, Any] = {"quantity": rng.randint(21, 60)}
        if self._bodies[key].get("order_type") == "LMT":
            change = rng.choice((change, {"limit_price": f"{rng.randint(100, 500) / 100:.2f}"}))
        self._ledger.intents[key].changes += 1
        await self._api.call(
            calls.MODIFY, "PATCH", f"/api/orders/{key}", json=change,
            # 422 where more has been filled than is to be ordered now.
            also=frozenset({"invalid"}),
        )  # fmt: skip

    async def _cancel(self, rng: random.Random) -> None:
        if (key := self._one_of_the_last(rng)) is not None:
            await self._api.call(calls.CANCEL, "DELETE", f"/api/orders/{key}")

    async def _modify_and_cancel(self, rng: random.Random) -> None:
        if (key := self._one_of_the_last(rng)) is not None:
            await asyncio.gather(
                self._change(rng, key), self._api.call(calls.CANCEL, "DELETE", f"/api/orders/{key}")
            )

    async def _cancel_all(self, rng: random.Random) -> None:
        await self._api.call(calls.CANCEL_ALL, "DELETE", "/api/orders")

    def _one_of_the_last(self, rng: random.Random) -> str | None:
        keys = self._resting if self._resting and rng.random() < 0.8 else self._recent
        return rng.choice(keys) if keys else None
