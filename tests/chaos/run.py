"""One run: a world is set up, clients go about their business, acts of faults and calms take turns, and in
the end everything has to agree and to be let go."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from tests.chaos import calls, ending
from tests.chaos.agreement import Agreement
from tests.chaos.calls import Calls
from tests.chaos.clients import Clients
from tests.chaos.faults import Player
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Fault, Plan
from tests.chaos.proxy import ChaosProxy
from tests.chaos.report import Findings, say
from tests.chaos.stranger import Stranger
from tests.chaos.streams import Streams
from tests.chaos.watch import Watch
from tests.chaos.world import (
    START_WITHIN,
    Usage,
    gateway_process,
    server_process,
    until_listening,
    until_ready,
    usage_of,
)
from tests.processes import free_port
from trademind.aio import Tasks

WARM_UP: Final = 2.0
"""Seconds of work before the first fault."""
QUIET: Final = 2.0
"""Seconds without work before memory and sockets are looked at."""


class Run:
    """`await Run(plan, folder).play()`, then read what it has found."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.findings = Findings()
        self.ledger = Ledger()
        self.gateway_port, port = free_port(), free_port()
        self.gateway = gateway_process(folder, self.gateway_port)
        self.proxy = ChaosProxy(self.gateway_port)
        self.url = f"http://127.0.0.1:{port}"
        self._port, self._folder = port, folder
        self.api = Calls(self.url, self.findings)
        self.clients = Clients(self.api, self.ledger, plan.seed)
        self.streams = Streams(port, plan.seed, self.findings)
        self.stranger = Stranger(self.gateway_port, plan.seed)
        self.agreement = Agreement(self.api, self.gateway_port, self.ledger, self.findings)
        self.calms: list[Usage] = []
        """What the server held when nothing happened: before the first client came, and in each calm."""
        self.last: Usage | None = None
        """What it held when every client had gone."""
        self.stopped_in: float | None = None
        self.metrics = ""
        """What `/metrics` said in the end."""

    async def play(self) -> None:
        """All of it. Raises what is wrong with the run; what is wrong with TradeMind is in `findings`."""
        async with AsyncExitStack() as stack:
            # The auditor and the stranger use ib_async's socket; that their gateway goes away is no news.
            log = logging.getLogger("ib_async")
            stack.callback(log.setLevel, log.level)
            log.setLevel(logging.CRITICAL)
            stack.callback(self.gateway.end)
            self.gateway.start()
            await until_listening(self.gateway, self.gateway_port)
            await stack.enter_async_context(self.proxy)
            self.server = server_process(self._folder, self._port, self.proxy.port)
            stack.callback(self.server.end)
            self.server.start()
            if await until_ready(self.server, self.url, START_WITHIN) is None:
                raise RuntimeError(f"the server was not ready in {START_WITHIN:g} s; see {self.server.log}")
            stack.push_async_callback(self.api.close)
            self.watch = Watch(self.api, self.server, self.findings)
            self.player = Player(
                self.gateway, self.gateway_port, self._folder / "gateway", self.server, self.proxy, self.api,
                self.clients, self.findings,
            )  # fmt: skip
            await asyncio.sleep(QUIET / 2)
            self.calms.append(usage_of(self.server.pid, self.findings.now))
            background = Tasks()
            stack.push_async_callback(background.cancel_all)
            running = [
                background.spawn(_forever(program), name=name)
                for part in (self.watch, self.clients, self.streams)
                for name, program in part.programs()
            ]
            running.append(background.spawn(self.stranger.trade_on(), name="stranger"))
            await self._play_acts(running)
            await ending.check_streams(self)
            await ending.stop(self)
            await background.cancel_all()
            await ending.start_again(self)

    async def _play_acts(self, running: Sequence["asyncio.Task[None]"]) -> None:
        await asyncio.sleep(WARM_UP)
        for number, act in enumerate(self.plan.acts, 1):
            say(f"act {number}")
            tasks = Tasks()
            begun = self.findings.now
            async with asyncio.timeout(self.plan.act_seconds + 120):
                played = [tasks.spawn(self._play(begun, fault), name=str(fault)) for fault in act]
                await asyncio.gather(*played)
                await asyncio.sleep(max(0.0, begun + self.plan.act_seconds - self.findings.now))
            for task in running:
                if task.done():
                    task.result()  # a program of this run has failed
                    raise RuntimeError(f"{task.get_name()} has ended")
            await self._calm(is_last=number == len(self.plan.acts))

    async def _play(self, begun: float, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, begun + fault.at - self.findings.now))
        await self.player.play(fault)

    # Calms -------------------------------------------------------------------------------------

    async def _calm(self, *, is_last: bool) -> None:
        """All faults end, nobody asks for anything, and everything has to agree."""
        say(f"  {self.findings.now:6.1f} s  calm")
        self._work(False)
        await self.player.clear()
        allowed = self.watch.longest_recovery(0.0, 0.0, link_was_lost=True)
        took = await until_ready(self.server, self.url, allowed)
        if not self.server.is_running:
            raise RuntimeError(f"the server has ended by itself; see {self.server.log}")
        if took is None:
            state = await self.api.call(calls.CONNECTION, "GET", "/api/system/connection")
            body = None if state is None else state.body
            self.findings.violation("readiness", f"not ready {allowed:.0f} s after all faults ended: {body}")
        else:
            await self._until_nobody_waits()
            await self.agreement.reach("in a calm")
            await ending.check_quotes(self)
            await asyncio.sleep(QUIET)
        self.calms.append(usage_of(self.server.pid, self.findings.now))
        self._work(not is_last)

    async def _until_nobody_waits(self) -> None:
        until = time.monotonic() + calls.GIVE_UP
        # One call is the watch's own.
        while self.api.under_way > 1 and time.monotonic() < until:  # noqa: ASYNC110 - a count, not an event
            await asyncio.sleep(0.05)

    def _work(self, is_on: bool) -> None:
        self.clients.is_trading = self.clients.is_reading = is_on
        self.streams.is_active = self.stranger.is_trading = is_on


async def _forever(program: Any) -> None:
    await program
