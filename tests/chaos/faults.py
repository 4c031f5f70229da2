"""How each fault of a plan is played: on a process, on the network, or by the gateway itself."""

import asyncio
import math
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos import calls
from tests.chaos.calls import Calls
from tests.chaos.clients import Clients
from tests.chaos.flood import Step, flood
from tests.chaos.plan import Fault, Kind
from tests.chaos.proxy import ChaosProxy
from tests.chaos.report import Findings, say
from tests.chaos.world import CLIENT_ID, Process, until_listening
from trademind.gateway.admin import AdminError, ask


@dataclass(slots=True)
class Played:
    """A fault as it was played, in seconds since the beginning of the run."""

    kind: Kind
    begin: float
    end: float = math.inf


class Player:
    """Plays faults. One that cannot be played, since another is in its way, is noted and left out."""

    def __init__(
        self,
        gateway: Process,
        gateway_port: int,
        gateway_folder: Path,
        server: Process,
        proxy: ChaosProxy,
        api: Calls,
        clients: Clients,
        findings: Findings,
    ) -> None:
        self._gateway = gateway
        self._gateway_port = gateway_port
        self._folder = gateway_folder
        self._server = server
        self._proxy = proxy
        self._api = api
        self._clients = clients
        self._findings = findings
        self._process = asyncio.Lock()
        """Held by whoever does something to the gateway's process."""
        self.played: list[Played] = []
        self.left_out: Counter[Kind] = Counter()

    async def play(self, fault: Fault) -> None:
        """Play one fault, from its beginning to its end."""
        lasts = f" for {fault.seconds:g} s" if fault.seconds else ""
        say(f"  {self._findings.now:6.1f} s  {fault.kind}{lasts}")
        play: Callable[[Fault], Awaitable[None]] = getattr(self, f"_{fault.kind}")
        played = Played(fault.kind, self._findings.now)
        self.played.append(played)
        try:
            await play(fault)
        except AdminError as error:
            self.left_out[fault.kind] += 1
            self._findings.note(f"{fault.kind} at {played.begin:.1f} s could not be played: {error}")
        finally:
            played.end = self._findings.now

    async def clear(self) -> None:
        """All is well again: the gateway runs and says what it should, and so does the network.

        Raises:
            AdminError: the gateway takes no commands.
        """
        self._server.signal(signal.SIGCONT)
        self._proxy.clear()
        async with self._process:
            if not self._gateway.is_running:
                await self._start_gateway()
            self._gateway.signal(signal.SIGCONT)
        await self._proxy.listen()
        await self._command("faults.clear")
        await self._add({"do": "restore_link"}, *_farms("ok"))
        status = await self._command("status")
        for name in status["halted"]:
            await self._command("resume", symbol=name)
        for put in status["prices"]:
            await self._command("price", symbol=put.split()[0])

    # The gateway's process ---------------------------------------------------------------------

    async def _kill(self, fault: Fault) -> None:
        async with self._process:
            self._gateway.signal(signal.SIGKILL)
            await self._gateway.wait(10)
            self._proxy.stop_listening()
            await asyncio.sleep(fault.seconds)
            await self._start_gateway()

    async def _start_gateway(self) -> None:
        self._gateway.start()
        await until_listening(self._gateway, self._gateway_port)
        await self._proxy.listen()

    async def _hang(self, fault: Fault) -> None:
        async with self._process:
            self._gateway.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                self._gateway.signal(signal.SIGCONT)

    # The network -------------------------------------------------------------------------------

    async def _reset(self, fault: Fault) -> None:
        self._proxy.reset()

    async def _cut(self, fault: Fault) -> None:
        self._proxy.cut()

    async def _refuse(self, fault: Fault) -> None:
        self._proxy.refuses = True
        self._proxy.reset()
        await asyncio.sleep(fault.seconds)
        self._proxy.refuses = False

    async def _freeze(self, fault: Fault) -> None:
        self._proxy.is_frozen = True
        await asyncio.sleep(fault.seconds)
        self._proxy.is_frozen = False

    async def _black_hole(self, fault: Fault) -> None:
        self._proxy.swallow()
        await asyncio.sleep(fault.seconds)
        self._proxy.end_swallowed()

    async def _slow(self, fault: Fault) -> None:
        self._proxy.bytes_per_second = int(fault.details["bytes_per_second"])
        await asyncio.sleep(fault.seconds)
        self._proxy.bytes_per_second = 0

    async def _latency(self, fault: Fault) -> None:
        self._proxy.latency = float(fault.details["by"])
        await asyncio.sleep(fault.seconds)
        self._proxy.latency = 0.0

    # What the gateway says ---------------------------------------------------------------------

    async def _command(self, command: str, **parameters: Any) -> dict[str, Any]:
        """Have the gateway do something, once it runs and is not stopped: a command that is given to one that
        hangs is carried out later, when nobody reckons with it any more."""
        async with self._process:
            return await asyncio.to_thread(ask, self._folder, command, **parameters)

    async def _add(self, *steps: Step) -> list[int]:
        numbers = await self._command("faults.add", steps=list(steps))
        return list(numbers["numbers"])

    async def _clear(self, *numbers: int) -> None:
        for number in numbers:
            with suppress(AdminError):  # it is used up, or the gateway it was given to is no more
                await self._command("faults.clear", number=number)

    async def _link(self, fault: Fault) -> None:
        await self._add({"do": "lose_link"})
        await asyncio.sleep(fault.seconds)
        await self._add({"do": "restore_link", "with": {"data_lost": fault.details["data_lost"]}})

    async def _standing(self, fault: Fault, *steps: Step) -> None:
        """Steps that hold while the fault lasts, beginning with a lost connection."""
        numbers = await self._add(*steps)
        self._proxy.reset()
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _client_id(self, fault: Fault) -> None:
        await self._standing(fault, {"do": "refuse_client_id", "client": CLIENT_ID, "times": "always"})

    async def _no_end(self, fault: Fault) -> None:
        message = fault.details["message"]
        await self._standing(fault, {"do": "drop", "message": message, "client": CLIENT_ID})

    async def _roll_back(self, fault: Fault) -> None:
        await self._add({"do": "roll_back_ids", "client": CLIENT_ID})
        self._proxy.reset()

    async def _mute(self, fault: Fault) -> None:
        numbers = await self._add({"do": "stop_answering", "client": CLIENT_ID, "times": "always"})
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _order_lost(self, fault: Fault) -> None:
        numbers = await self._add({
            "do": "disconnect", "with": {"after": fault.details["served"]}, "request": "placeOrder",
            "client": CLIENT_ID,
        })  # fmt: skip
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _order_late(self, fault: Fault) -> None:
        numbers = await self._add({
            "do": "delay", "with": {"by": f"{fault.details['by']}s"}, "request": "placeOrder",
            "client": CLIENT_ID, "times": "always",
        })  # fmt: skip
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _spoil(self, fault: Fault, action: Step) -> None:
        step = {"message": fault.details["message"], "client": CLIENT_ID, "times": "always", **action}
        numbers = await self._add(step)
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _late(self, fault: Fault) -> None:
        await self._spoil(fault, {"do": "delay", "with": {"by": f"{fault.details['by']}s"}})

    async def _twice(self, fault: Fault) -> None:
        await self._spoil(fault, {"do": "duplicate"})

    async def _shuffled(self, fault: Fault) -> None:
        await self._spoil(fault, {"do": "reorder", "with": {"count": 1}})

    async def _flood(self, fault: Fault) -> None:
        await self._add(*flood(int(fault.details["notices"]), fault.seconds))
        await asyncio.sleep(fault.seconds)

    async def _farm(self, fault: Fault) -> None:
        times = int(fault.details["times"])
        for _ in range(times):
            for state in ("broken", "ok"):
                await self._add({"do": "set_farm", "with": {"farm": fault.details["farm"], "state": state}})
                await asyncio.sleep(fault.seconds / times / 2)

    async def _no_history(self, fault: Fault) -> None:
        text = "Historical Market Data Service error message:No market data permissions"
        numbers = await self._add(
            {"do": "fail", "with": {"code": 162, "text": text}, "request": "reqHistoricalData",
             "client": CLIENT_ID, "times": "always"},
            {"do": "fail", "with": {"code": 322, "text": "Error processing request"}, "request": "reqMktData",
             "client": CLIENT_ID, "times": 2},
        )  # fmt: skip
        await asyncio.sleep(fault.seconds)
        await self._clear(*numbers)

    async def _halt(self, fault: Fault) -> None:
        await self._command("halt", symbol=fault.details["symbol"])
        await asyncio.sleep(fault.seconds)
        await self._command("resume", symbol=fault.details["symbol"])

    async def _move(self, fault: Fault) -> None:
        symbol = fault.details["symbol"]
        await self._command("price", symbol=symbol, price="1.50")
        await asyncio.sleep(fault.seconds)
        await self._command("price", symbol=symbol)

    # TradeMind itself --------------------------------------------------------------------------

    async def _sleep(self, fault: Fault) -> None:
        self._server.signal(signal.SIGSTOP)
        try:
            with self._api.excused():
                await asyncio.sleep(fault.seconds)
        finally:
            self._server.signal(signal.SIGCONT)

    async def _ask(self, fault: Fault) -> None:
        await self._api.call(calls.RECONNECT, "POST", "/api/system/reconnect")

    async def _burst(self, fault: Fault) -> None:
        orders, questions = int(fault.details["orders"]), int(fault.details["questions"])
        await self._clients.burst(orders, questions, random.Random(orders * questions))


def _farms(state: str) -> list[Step]:
    return [
        {"do": "set_farm", "with": {"farm": farm, "state": state}}
        for farm in ("usfarm", "ushmds", "secdefnj")
    ]
