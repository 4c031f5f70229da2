"""Kill the server, or its gateway, again and again while orders are placed, and compare everybody's account.

Clients ask again, with the same key, for everything that was not answered. In the end each order is at the
gateway exactly once, and server, journal and gateway tell the same of it. What is killed when follows from
the seed; what was under way at that moment also from how fast the machine is, and is told in the report.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx

from tests.kill.auditor import Seen, look, written
from tests.processes import free_port
from trademind.aio import Tasks
from trademind.journal import open_journal, verify

CLIENTS: Final = 4
KEYS_PER_KILL: Final = 25
OPEN_AT_MOST: Final = 5
"""Requests of one client that wait for an answer; it asks for nothing new meanwhile."""
STEPS: Final = 80
"""Awaits, and ends of them, of which the server is to die at one: an order alone takes some thirty."""
DIES_WITHIN: Final = 3.0
READY_WITHIN: Final = 60.0
SETTLED_WITHIN: Final = 45.0
ROOT: Final = Path(__file__).resolve().parents[2]
STATUSES: Final = {"Submitted": "submitted", "PreSubmitted": "submitted", "Filled": "filled"}


@dataclass(slots=True, eq=False)
class Asked:
    """An order that a client wants."""

    body: dict[str, Any]
    state: str = "open"
    """open: to be posted (again); unknown: to be looked at until it is settled; done."""
    was_placed: bool = False
    """Somebody was told that it is there."""
    under_way: int = 0

    @property
    def key(self) -> str:
        return str(self.body["client_order_id"])

    @property
    def keys(self) -> dict[str, Decimal]:
        """The keys of all orders that it makes, with their quantities."""
        names = [self.key, *(f"{self.key}:{exit}" for exit in ("tp", "sl") if "take_profit" in self.body)]
        return dict.fromkeys(names, Decimal(self.body["quantity"]))


@dataclass(slots=True)
class Report:
    """How a run went."""

    seed: int
    kills: int = 0
    gateway_kills: int = 0
    keys: int = 0
    fills: int = 0
    awaits: Counter[str] = field(default_factory=Counter)
    """Where the server was when it died by its own hand."""
    stages: Counter[str] = field(default_factory=Counter)
    """Of requests under way when something was killed: how far each had come."""
    answers: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.kills} kills, {self.gateway_kills} of them of the gateway; "
            f"{self.keys} keys, {self.fills} fills; {len(self.violations)} violations"
        ]
        for title, counts in (
            ("under way when killed", self.stages),
            (f"died at {len(self.awaits)} awaits", self.awaits),
            ("answers", self.answers),
        ):
            lines += [f"  {title}:", *(f"    {count:6} {name}" for name, count in sorted(counts.items()))]
        return "\n".join([*lines, *(f"  VIOLATION {text}" for text in self.violations)])


class Run:
    """One run in a folder of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.report = Report(seed)
        self._random = random.Random(seed)
        self._folder = folder
        self._kill_file = folder / "die-at"
        self._ports = {"gateway": free_port(), "server": free_port()}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._asked: list[Asked] = []
        self._most = 0
        self._is_paused = False
        self._is_up = asyncio.Event()
        self._begun = asyncio.Event()
        self._tasks = Tasks()

    async def __call__(self, kills: int, *, check_every: int = 10) -> Report:
        """Kill `kills` times. Every process has ended when it returns or raises."""
        url = f"http://127.0.0.1:{self._ports['server']}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as self._http:
            try:
                await self._start("gateway")
                await self._start("server")
                clients = [
                    self._tasks.spawn(
                        self._client(n, random.Random(f"{self.report.seed}/{n}")), name=f"client {n}"
                    )
                    for n in range(CLIENTS)
                ]
                for number in range(1, kills + 1):
                    self._most = number * KEYS_PER_KILL
                    self._is_paused = False
                    await self._kill()
                    if number % check_every == 0 or number == kills:
                        await self._check()
                    for client in clients:
                        if client.done():
                            client.result()
                await self._stop()
            finally:
                await self._tasks.cancel_all()
                for process in self._processes.values():
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()
        return self.report

    # Clients -----------------------------------------------------------------------------------

    async def _client(self, number: int, rng: random.Random) -> None:
        mine: list[Asked] = []
        while True:
            await self._is_up.wait()
            for asked in [one for one in mine if one.state != "done"]:
                await (self._post(asked) if asked.state == "open" else self._poll(asked))
            is_full = (
                sum(one.state == "open" for one in mine) >= OPEN_AT_MOST or len(self._asked) >= self._most
            )
            if not self._is_paused and mine and (is_full or rng.random() < 0.15):
                await self._post(rng.choice(mine))
            elif not self._is_paused and not is_full:
                mine.append(asked := Asked(_an_order(f"k{number}-{len(mine)}", rng)))
                self._asked.append(asked)
                times = 2 if rng.random() < 0.1 else 1
                await asyncio.gather(*(self._post(asked) for _ in range(times)))
            await asyncio.sleep(rng.uniform(0, 0.05) + 0.1 * self._is_paused)

    async def _post(self, asked: Asked) -> None:
        if asked.state == "unknown":
            return
        asked.under_way += 1
        self._begun.set()
        try:
            answer = await self._http.post("/api/orders", json=asked.body)
        except httpx.TransportError:
            self.report.answers["posted: connection broke"] += 1
            await asyncio.sleep(0.05)
            return
        finally:
            asked.under_way -= 1
        body = answer.json()
        what = body["code"] if answer.is_error else body["status"]
        self.report.answers[f"posted: {answer.status_code} {what}"] += 1
        if answer.status_code == 201 and asked.was_placed:
            self._violation(f"{asked.key} was placed anew: {body}")
        elif answer.status_code == 504 and what == "order_outcome_unknown":
            asked.state = "unknown"
        elif answer.status_code in (503, 504):
            await asyncio.sleep(0.05)
        elif answer.is_error:
            asked.state = "done"
            said = "\n" + self._last_traceback() if answer.status_code == 500 else ""
            self._violation(f"{asked.key}: {answer.status_code} {body}{said}")
        if not answer.is_error:
            self._told(asked, what)

    async def _poll(self, asked: Asked) -> None:
        try:
            answer = await self._http.get(f"/api/orders/{asked.key}")
        except httpx.TransportError:
            return
        if answer.status_code == 200:
            status = answer.json()["status"]
            if status not in ("unknown", "pending_submit"):
                self.report.answers[f"settled: {status}"] += 1
            self._told(asked, status)
        elif answer.status_code != 503:
            self._violation(f"{asked.key}, of unknown outcome: {answer.status_code} {answer.json()}")

    def _told(self, asked: Asked, status: str) -> None:
        if status == "never_sent":
            if asked.was_placed:
                self._violation(f"{asked.key} was placed, and is never_sent now")
            asked.state = "open"
        elif status in ("unknown", "pending_submit"):
            asked.state = "unknown"
        else:
            asked.state, asked.was_placed = "done", True

    def _violation(self, text: str) -> None:
        self.report.violations.append(f"seed {self.report.seed}, after kill {self.report.kills}: {text}")

    def _last_traceback(self) -> str:
        log = (self._folder / "server.log").read_text(errors="replace")
        return log[log.rfind("Traceback") :][:5000]

    # Processes ---------------------------------------------------------------------------------

    async def _start(self, name: str, *, until_ready: bool = True) -> None:
        port, data = self._ports[name], self._folder / name
        module = "trademind" if name == "gateway" else "tests.kill.server"
        command = [sys.executable, "-m", module, name, "start", "--port", str(port)]
        if name == "gateway":
            command += ["--no-pacing", "--cash", "100000000"]
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "KILL_FILE": str(self._kill_file),
                    "TRADEMIND_BROKER": "ibkr" if name == "server" else "paper",
                    "TRADEMIND_DATA_DIR": str(data),
                    "TRADEMIND_IBKR__PORT": str(self._ports["gateway"]),
                },
                stdout=log,
                stderr=log,
            )
        if until_ready:
            await self._ready(name)

    async def _ready(self, name: str) -> None:
        async with asyncio.timeout(READY_WITHIN):
            while True:
                if (code := self._processes[name].returncode) is not None:
                    raise RuntimeError(f"the {name} ended with {code} before it was ready")
                with suppress(OSError, httpx.TransportError):
                    if name == "gateway":
                        _, writer = await asyncio.open_connection("127.0.0.1", self._ports[name])
                        writer.close()
                        return
                    if (await self._http.get("/readyz")).status_code == 200:
                        self._is_up.set()
                        return
                await asyncio.sleep(0.05)

    async def _kill(self) -> None:
        name = "gateway" if self._random.random() < 0.2 else "server"
        for _ in range(self._random.randint(1, 8)):
            self._begun.clear()
            await self._begun.wait()
        await asyncio.sleep(self._random.uniform(0, 0.04))
        under_way = [(one.key, one.was_placed) for one in self._asked if one.under_way]
        if name == "server" and self._random.random() < 0.5:
            await self._have_it_die()
        else:
            if name == "server":
                self._is_up.clear()
            await self._end(name, signal.SIGKILL)
        self.report.kills += 1
        self.report.gateway_kills += name == "gateway"
        if name == "gateway":
            await self._start("gateway")
        intents, orders = written(self._folder / "server" / "journal.db")
        seen = await look(self._ports["gateway"])
        for key, was_placed in under_way:
            status = orders.get(key)
            stage = (
                "a repeat" if was_placed
                else "before the intent" if key not in intents
                else "intent, not at the gateway" if key not in seen.refs
                else "at the gateway, not acknowledged" if status in (None, "pending_submit", "unknown")
                else "acknowledged, not answered"
            )  # fmt: skip
            self.report.stages[f"{name}: {stage}"] += 1
        if not under_way:
            self.report.stages[f"{name}: nothing under way"] += 1
        if name == "server" and self._random.random() < 0.2:
            await self._start("server", until_ready=False)
            await asyncio.sleep(self._random.uniform(0.3, 2))
            await self._end("server", signal.SIGKILL)
            self.report.stages["server: again, while it started"] += 1
        await (self._start("server") if name == "server" else self._ready("server"))

    async def _have_it_die(self) -> None:
        """Have the server die at one of the awaits of the orders that come next."""
        process = self._processes["server"]
        self._kill_file.write_text(str(self._random.randint(1, STEPS)))
        process.send_signal(signal.SIGUSR1)
        try:
            async with asyncio.timeout(DIES_WITHIN):
                await process.wait()
            self.report.awaits[self._kill_file.read_text()] += 1
        except TimeoutError:
            self.report.awaits["none: nothing was asked for"] += 1
            await self._end("server", signal.SIGKILL)
        self._is_up.clear()

    async def _end(self, name: str, how: signal.Signals) -> int:
        process = self._processes[name]
        process.send_signal(how)
        async with asyncio.timeout(20):
            return await process.wait()

    async def _stop(self) -> None:
        """Stop the server in order, and look at what it has left."""
        self._is_up.clear()
        seen = await look(self._ports["gateway"])
        if code := await self._end("server", signal.SIGTERM):
            self._violation(f"the server ended with {code}")
        path = self._folder / "server" / "journal.db"
        for text in await _faults_of(path):
            self._violation(f"the journal of the stopped server: {text}")
        async with open_journal(path) as journal:
            for asked in self._asked:
                for key in asked.keys:
                    order = await journal.reading.order(key)
                    filled = sum(size for ref, _, size, _ in seen.fills.values() if ref == key)
                    if order is None or order.filled_quantity != filled:
                        self._violation(f"{key}: {filled} filled at the gateway; the journal has {order}")

    # Comparing ---------------------------------------------------------------------------------

    async def _check(self) -> None:
        """Wait until everything is settled, then compare. What passes within a second is no fault."""
        self._is_paused = True
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN):
                while any(  # noqa: ASYNC110
                    one.state != "done" or one.under_way for one in self._asked
                ):
                    await asyncio.sleep(0.1)
        differences: list[str] = []
        for _ in range(3):
            await asyncio.sleep(0.3)
            differences = [
                *await self._differences(),
                *await _faults_of(self._folder / "server" / "journal.db"),
            ]
            if not differences:
                break
        for text in differences:
            self._violation(text)

    async def _differences(self) -> list[str]:
        seen = await look(self._ports["gateway"])
        self.report.keys, self.report.fills = len(self._asked), len(seen.fills)
        found = [f"{one.key} is not settled: {one}" for one in self._asked if one.state != "done"]
        for ref in sorted(seen.refs):
            if len(seen.perm_ids(ref)) != 1 or len(seen.orders.get(ref, [])) != 1:
                found.append(f"{ref} is at the gateway as {seen.orders.get(ref)}, {seen.perm_ids(ref)}")
        if strangers := seen.refs - {key for asked in self._asked for key in asked.keys}:
            found.append(f"at the gateway are orders that nobody has asked for: {strangers}")
        for asked in self._asked:
            for key, quantity in asked.keys.items():
                response = await self._http.get(f"/api/orders/{key}")
                answer = response.json()
                if key not in seen.orders:
                    found.append(f"{key} is not at the gateway (told it is: {asked.was_placed}): {answer}")
                elif response.status_code != 200:
                    found.append(f"{key} is at the gateway, {seen.orders[key]}; the server says {answer}")
                elif difference := _difference(key, quantity, answer, seen):
                    found.append(f"{key}: {difference}; the server says {answer}")
        return [*found, *_differing_fills(seen, await self._fills())]

    async def _fills(self) -> dict[str, tuple[Any, ...]]:
        fills: dict[str, tuple[Any, ...]] = {}
        query: dict[str, Any] = {"limit": 500}
        while True:
            page = (await self._http.get("/api/executions", params=query)).json()
            for fill in page["executions"]:
                commission = fill["commission"] and float(fill["commission"])
                fills[fill["exec_id"]] = (
                    fill["order_id"], fill["perm_id"], Decimal(fill["quantity"]), commission
                )  # fmt: skip
            if page["next_page_token"] is None:
                return fills
            query["page_token"] = page["next_page_token"]


def _an_order(key: str, rng: random.Random) -> dict[str, Any]:
    body: dict[str, Any] = {"client_order_id": key, "symbol": rng.choice(["AAPL", "MSFT", "IBM"])}
    body |= {"side": rng.choice(["BUY", "SELL"]), "quantity": str(rng.choice([1, 5, 100]))}
    if rng.random() < 0.15:
        above, below = {"limit_price": "5000.00"}, {"stop_price": "1.00"}
        if body["side"] == "SELL":
            above, below = {"stop_price": "5000.00"}, {"limit_price": "1.00"}
        profit, loss = (above, below) if body["side"] == "BUY" else (below, above)
        return body | {"order_class": "bracket", "take_profit": profit, "stop_loss": loss}
    if rng.random() < 0.5:
        return body
    is_far = rng.random() < 0.7
    price = "1.00" if (body["side"] == "BUY") is is_far else "5000.00"
    return body | {"order_type": "LMT", "limit_price": price, "tif": rng.choice(["DAY", "GTC"])}


def _difference(key: str, quantity: Decimal, answer: dict[str, Any], seen: Seen) -> str | None:
    perm_id, status, _ = seen.orders[key][0]
    filled = sum((size for ref, _, size, _ in seen.fills.values() if ref == key), Decimal(0))
    expected = STATUSES.get(status, status)
    if expected == "submitted" and filled:
        expected = "partially_filled"
    pairs: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "status": (expected, str),
        "perm_id": (perm_id, int),
        "filled_quantity": (filled, Decimal),
        "quantity": (quantity, Decimal),
        "client_order_id": (key, str),
    }
    differing = [
        f"{name} is {value}" for name, (value, read) in pairs.items() if read(answer[name] or 0) != value
    ]
    return f"at the gateway {', '.join(differing)}" if differing else None


def _differing_fills(seen: Seen, told: dict[str, tuple[Any, ...]]) -> list[str]:
    return [
        f"fill {exec_id}: the gateway has {seen.fills.get(exec_id)}, the server {told.get(exec_id)}"
        for exec_id in sorted(seen.fills.keys() | told.keys())
        if seen.fills.get(exec_id) != told.get(exec_id)
    ]


async def _faults_of(path: Path) -> list[str]:
    found = await verify(path)
    pending = [f"intents without an order: {found.pending}"] if found.pending_count else []
    return [*(f"{one.kind}: {one.detail}" for one in found.findings), *pending]
