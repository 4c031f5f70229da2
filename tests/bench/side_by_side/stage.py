"""A stage for one fault: a paper gateway process, a server process of one design, and the truth.

Strategy: a server is only ever asked over HTTP, and a fault only ever played through the gateway's admin
command. What is true is asked of the gateway itself, by an independent ib_async client with an id of its own,
which no fault concerns. Everything is awaited by its condition, for a bounded time; processes are ended by
their ids, whatever happens.
"""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import ib_async

from tests.bench.side_by_side.designs import Design, Listed
from tests.processes import free_port, running
from trademind.gateway.admin import ask

SYMBOL: Final = "AAPL"
PATIENCE: Final = 20.0
"""Seconds until something that ought to happen counts as not happening."""
PAUSE: Final = 0.05
"""Seconds between two looks at what tells nobody when it changes."""
UNAVAILABLE: Final = 503
UNLIMITED: Final = httpx.Limits(max_connections=None)
"""Requests must queue at the server, and not here."""
_OBSERVER: Final = 90


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. Without a status it did not, in `PATIENCE`."""

    status: int | None
    seconds: float
    body: Any

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def __str__(self) -> str:
        return f"{self.status or 'no answer'} {after(self.seconds)}"


def after(seconds: float) -> str:
    return "at once" if seconds < 0.1 else f"after {seconds:.1f} s"


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> float:
    """Seconds until something became true.

    Raises:
        TimeoutError: it did not.
    """
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > patience:
            raise TimeoutError(f"what was awaited did not happen in {patience:g} s")
        time.sleep(PAUSE)
    return time.monotonic() - start


@dataclass(frozen=True, slots=True)
class Known:
    """An order as the gateway has it."""

    ref: str
    status: str

    @property
    def is_working(self) -> bool:
        return self.status not in ib_async.OrderStatus.DoneStates


@dataclass(frozen=True, slots=True)
class Truth:
    orders: list[Known]
    """Working and done ones."""
    held: float
    """The position in `SYMBOL`."""

    def count(self, ref: str) -> int:
        """How many orders there are with this reference, whatever became of them."""
        return sum(order.ref == ref for order in self.orders)


@contextmanager
def process(
    command: list[str], port: int, ready: str | None, folder: Path, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """`running`, for a process that may not want to end: it is given five seconds."""
    with running(command, port, ready, folder=folder, **environment) as started:
        try:
            yield started
        finally:
            started.terminate()
            try:
                started.wait(timeout=5)
            except subprocess.TimeoutExpired:
                started.kill()


class Gateway:
    """A paper gateway that can be stopped, killed, started again, and made to misbehave."""

    def __init__(self, folder: Path, *, pacing: bool) -> None:
        self.port = free_port()
        self._folder = folder
        self._folder.mkdir()
        self._command = ["trademind", "gateway", "start", "--port", str(self.port)]
        self._command += [] if pacing else ["--no-pacing"]
        self._stack = ExitStack()

    def start(self) -> None:
        self._process = self._stack.enter_context(
            process(self._command, self.port, None, self._folder, TRADEMIND_SERVER__LOG_LEVEL="error")
        )

    def stop(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait(timeout=PATIENCE)

    def close(self) -> None:
        self._stack.close()

    def command(self, name: str, **parameters: Any) -> dict[str, Any]:
        """A command of `trademind gateway`, given as its command line gives it."""
        return ask(self._folder / "data", name, **parameters)

    def play(self, *steps: dict[str, Any]) -> None:
        """Put steps in force, each written as in a script of faults."""
        self.command("faults.add", steps=list(steps))

    def clear(self) -> None:
        self.command("faults.clear")

    def has_played(self) -> bool:
        """Whether every step has been done as often as it says."""
        return not self.command("faults.list")["faults"]

    def truth(self) -> Truth:
        return asyncio.run(_truth(self.port))


async def _truth(port: int) -> Truth:
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=_OBSERVER, timeout=PATIENCE)
    try:
        working = await ib.reqAllOpenOrdersAsync()
        done = await ib.reqCompletedOrdersAsync(False)
        orders = [Known(trade.order.orderRef, trade.orderStatus.status) for trade in (*working, *done)]
        positions = await ib.reqPositionsAsync()
        return Truth(orders, sum(each.position for each in positions if each.contract.symbol == SYMBOL))
    finally:
        ib.disconnect()


class Stage:
    """One server of a design, alone on a gateway of its own."""

    def __init__(self, design: Design, folder: Path, *, pacing: bool = False) -> None:
        self.design = design
        self.gateway = Gateway(folder / "gateway", pacing=pacing)
        self._folder = folder / "server"
        self._folder.mkdir()
        self._port = free_port()
        self._stack = ExitStack()

    def __enter__(self) -> "Stage":
        self._stack.callback(self.gateway.close)
        try:
            self.gateway.start()
            self._http = self._stack.enter_context(
                httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=PATIENCE, limits=UNLIMITED)
            )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, *, ready: bool = True) -> None:
        """Start the server, until it is connected or, with `ready` false, until it serves."""
        command = self.design.command(self._port, self.gateway.port)
        path = self.design.health if ready else self.design.alive
        environment = self.design.environment(self.gateway.port)
        self._stack.enter_context(process(command, self._port, path, self._folder, **environment))

    # Faults

    def play(self, *steps: dict[str, Any]) -> None:
        """Put steps in force, for this server only."""
        self.gateway.play(*({"client": self.design.client_id, **step} for step in steps))

    # Verbs

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        start = time.monotonic()
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            return Answer(None, time.monotonic() - start, str(error))
        seconds = time.monotonic() - start
        with suppress(ValueError):
            return Answer(answer.status_code, seconds, answer.json())
        return Answer(answer.status_code, seconds, answer.text)

    def account(self) -> Answer:
        return self.ask("GET", self.design.account)

    def positions(self) -> Answer:
        return self.ask("GET", self.design.positions)

    def health(self) -> Answer:
        return self.ask("GET", self.design.health)

    def place(self, ref: str, *, limit: str | None = None) -> Answer:
        """Buy 10 shares, at the market or up to a limit."""
        terms = {"symbol": SYMBOL, "side": "BUY", "quantity": 10, "client_order_id": ref}
        kind = {"order_type": "MKT"} if limit is None else {"order_type": "LMT", "limit_price": limit}
        return self.ask("POST", self.design.orders, terms | kind)

    def cancel(self, order_id: str) -> Answer:
        return self.ask("DELETE", f"{self.design.orders}/{order_id}")

    # What several faults ask for

    def held(self) -> float | None:
        """The position as the server tells it; None while it tells none."""
        answer = self.positions()
        return self.design.held(answer.body, SYMBOL) if answer.is_success else None

    def listed(self, ref: str) -> Listed | None:
        """The order with this reference, if the server lists it."""
        answer = self.ask("GET", self.design.orders)
        orders = self.design.listed(answer.body) if answer.is_success else []
        return next((order for order in orders if order.ref == ref), None)

    def works_again(self) -> float:
        """Seconds until the account can be read, and the server believes in its connection."""
        return until(lambda: self.account().is_success and self.health().is_success)

    def repeat(self, ref: str, *, limit: str | None = None) -> Answer:
        """An order, again and again while the server says that it is not available."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.place(ref, limit=limit)
            if answer.status != UNAVAILABLE or time.monotonic() > deadline:
                return answer
            time.sleep(PAUSE)
