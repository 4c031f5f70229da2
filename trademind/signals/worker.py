"""The user's strategies from outside: a process with deadlines, and the catalogue of what works in it.

A strategy that does not return, or that ends or breaks the process, is switched off until strategies are
loaded again; the process is ended with all it has started, and another one serves the rest. What a strategy
raises belongs to the bars it was given, and switches nothing off.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trademind.errors import Invalid, StrategyNotFound
from trademind.signals.bars import BarArrays
from trademind.signals.catalogue import BUILT_IN, BrokenStrategy, Catalogue, catalogue
from trademind.signals.evaluation import Evaluation, Outcome, evaluate
from trademind.signals.loading import Description, Source, sources
from trademind.signals.sandbox import HEADER

log = logging.getLogger(__name__)

DEADLINE: Final = 5.0
"""Seconds for one look at bars: ten years of minutes take a strategy of ours two."""
LOAD_DEADLINE: Final = 20.0
"""Seconds for the process to start, and for a file to load: both may load half of somebody's site-packages,
on whatever disk."""
MEMORY: Final = 1 << 30
"""Bytes that strategies may use beside what the process needs itself."""
MAX_REPLY: Final = 1 << 29
"""Bytes: the signals of ten years of minutes, one at every bar."""


class _Ended(Exception):
    """The process did not answer."""

    def __init__(self, outcome: Outcome, text: str) -> None:
        super().__init__(text)
        self.outcome = outcome


class StrategyProcess:
    """One process that answers one request after the other. Started when needed, and again after it ended."""

    def __init__(self, *, deadline: float, load_deadline: float, memory: int) -> None:
        self._deadline = deadline
        self._load_deadline = load_deadline
        self._memory = memory
        self._process: Process | None = None
        self._loaded: set[Source] = set()
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, source: Source, task: tuple[str, dict[str, object], BarArrays] | None) -> Any:
        """What a source has to offer, or what one of its strategies makes of bars.

        Raises:
            _Ended: no answer in time, or the process ended over it.
        """
        async with self._one_at_a_time:
            if self._process is not None and self._process.returncode is not None:
                await self._end()  # it has ended since the last request, which is not this one's fault
            is_loaded = task is not None and self._process is not None and source in self._loaded
            deadline = self._deadline if is_loaded else self._load_deadline
            try:
                process = self._process or await self._start()
                async with asyncio.timeout(deadline):
                    await _write(process, (deadline, source, task))
                    answer = await _read(process)
                self._loaded.add(source)
                return answer
            except TimeoutError:
                await self._end()
                text = f"It did not return within {deadline:g} s, and was ended."
                raise _Ended(Outcome.TIMED_OUT, text) from None
            except (OSError, EOFError) as error:
                status = await self._end()
                text = f"It ended the process that it ran in (exit status {status})."
                raise _Ended(Outcome.DIED, text) from error
            except BaseException:
                # An answer may be on its way that would be taken for that to the next request.
                await self._end()
                raise

    async def close(self) -> None:
        """End the process."""
        async with self._one_at_a_time:
            await self._end()

    async def _start(self) -> Process:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "trademind.signals.sandbox", str(self._memory)),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory of its own
            start_new_session=True,
        )
        self._loaded.clear()
        try:
            async with asyncio.timeout(LOAD_DEADLINE):
                await _read(process)
        except TimeoutError:
            await self._end()
            raise _Ended(Outcome.DIED, "The process that strategies run in did not start.") from None
        return process

    async def _end(self) -> int | None:
        """Kill the process with all it has started. Its exit status, where it had ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return None
        # One that has just closed its end is about to have a status.
        await _wait(process, 0.1)
        status = process.returncode
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # A child of it that has left the group may hold its pipes open for ever.
        await _wait(process, 1.0)
        if process.stdin is not None:
            process.stdin.close()
        return status


async def _wait(process: Process, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await process.wait()


async def _write(process: Process, message: object) -> None:
    assert process.stdin is not None
    data = pickle.dumps(message)
    process.stdin.write(len(data).to_bytes(HEADER) + data)
    await process.stdin.drain()


async def _read(process: Process) -> Any:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(HEADER))
    if length > MAX_REPLY:
        raise OSError(f"a reply of {length} bytes")
    data = await process.stdout.readexactly(length)
    try:
        return pickle.loads(data)
    except Exception as error:  # what unpickling raises is for the user's own classes to choose
        raise OSError("a reply that cannot be read") from error


class Strategies:
    """All strategies, built in and the user's: what there is, and what they make of bars."""

    def __init__(
        self,
        folder: Path | None,
        *,
        deadline: float = DEADLINE,
        load_deadline: float = LOAD_DEADLINE,
        memory: int = MEMORY,
    ) -> None:
        self._folder = folder
        self._process = StrategyProcess(deadline=deadline, load_deadline=load_deadline, memory=memory)
        self._sources: dict[str, Source] = {}
        self._off: dict[str, BrokenStrategy] = {}
        self._catalogue = catalogue()
        self.loads = 0
        """How often strategies were loaded: what they said before may be another's word by now."""

    @property
    def catalogue(self) -> Catalogue:
        """What there is, and what is broken or switched off, as of the last `load`."""
        known, off = self._catalogue, self._off
        return Catalogue(
            strategies=tuple(info for info in known.strategies if info.name not in off),
            broken=(*known.broken, *off.values()),
        )

    @property
    def off(self) -> frozenset[str]:
        """The names of those that are switched off until strategies are loaded again."""
        return frozenset(self._off)

    async def load(self) -> Catalogue:
        """Look at the folder and the entry points anew; what was switched off gets another chance."""
        found: list[tuple[Source, Description]] = []
        for source in sources(self._folder):
            try:
                described = await self._process.ask(source, None)
            except _Ended as error:
                broken = BrokenStrategy(name=source.name, origin=source.origin, error=str(error))
                described = Description(broken=(broken,))
            found.append((source, described))
        self._catalogue = catalogue(
            (info for _, one in found for info in one.strategies),
            (broken for _, one in found for broken in one.broken),
        )
        usable = {(info.name, info.origin) for info in self._catalogue.strategies}
        self._sources = {
            info.name: source
            for source, one in found
            for info in one.strategies
            if (info.name, info.origin) in usable
        }
        self._off = {}
        self.loads += 1
        for broken in self._catalogue.broken:
            log.warning("strategy %s of %s is off: %s", broken.name, broken.origin, broken.error)
        return self._catalogue

    def source_of(self, name: str) -> Source | None:
        """Where a strategy of the user's comes from; None for a built-in one.

        Raises:
            StrategyNotFound: there is none of this name.
        """
        if name in BUILT_IN:
            return None
        if (source := self._sources.get(name)) is None:
            known = ", ".join(info.name for info in self.catalogue.strategies)
            raise StrategyNotFound(f"There is no strategy {name!r}; there are {known}.")
        return source

    async def evaluate(self, name: str, parameters: Mapping[str, object], bars: BarArrays) -> Evaluation:
        """What a strategy makes of bars. Built-in ones are reckoned here, which takes a millisecond.

        Raises:
            StrategyNotFound: there is none of this name.
            Invalid: its parameters, field by field.
        """
        if (kind := BUILT_IN.get(name)) is not None:
            return evaluate(kind.of(parameters), bars)
        blank = Evaluation(strategy=name, symbol=bars.symbol, outcome=Outcome.DONE, bars=len(bars))
        if (off := self._off.get(name)) is not None:
            return replace(blank, outcome=Outcome.SWITCHED_OFF, error=off.error)
        source = self.source_of(name)
        assert source is not None
        try:
            answer = await self._process.ask(source, (name, dict(parameters), bars))
        except _Ended as error:
            self._off[name] = BrokenStrategy(name=name, origin=source.origin, error=str(error))
            log.warning("strategy %s is off: %s", name, error)
            return replace(blank, outcome=error.outcome, error=str(error))
        if isinstance(answer, Evaluation):
            return answer
        raise Invalid(answer)

    async def close(self) -> None:
        """End the process."""
        await self._process.close()
