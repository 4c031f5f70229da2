"""A user's own strategies: real files in a real process, and none disturbs another."""

import asyncio
import os
import pickle
import shutil
import signal
import sys
import textwrap
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.signals.prices import real, walk
from trademind.errors import Invalid, StrategyNotFound
from trademind.signals import BUILT_IN, Action, Outcome
from trademind.signals.loading import Source, describe, sources
from trademind.signals.sandbox import HEADER
from trademind.signals.worker import Strategies

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "strategies" / "three_down.py"
HEAD = """\
import os, sys, time
from trademind.signals import Action, BarArrays, Reason, Signal, Strategy, whole

class Mine(Strategy):
    name = "{name}"
    description = "For a test."
    level: int = whole(3, 1, 10, "Anything")

    def on_bars(self, bars: BarArrays) -> list[Signal]:
"""
GOOD = 'return [self.signal(bars, self.level, Action.BUY, reasons=[Reason("so")])]'

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a strategy whose on_bars is the given lines."""

    def written(name: str, body: str = GOOD, *, tail: str = "") -> None:
        lines = textwrap.indent(textwrap.dedent(body), " " * 8)
        (tmp_path / f"{name}.py").write_text(HEAD.format(name=name) + lines + "\n" + tail)

    return written


@pytest.fixture
async def strategies(tmp_path: Path) -> AsyncIterator[Strategies]:
    made = Strategies(tmp_path, deadline=1.0, load_deadline=2.0, memory=256 << 20)
    yield made
    await made.close()


async def outcome(strategies: Strategies, name: str) -> Outcome:
    return (await strategies.evaluate(name, {}, walk(50))).outcome


async def test_the_example_runs(strategies: Strategies, tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    catalogue = await strategies.load()
    assert catalogue.broken == ()
    (info,) = [info for info in catalogue.strategies if info.name not in BUILT_IN]
    assert (info.name, info.origin) == ("three_down", str(tmp_path / "three_down.py"))
    assert [parameter.name for parameter in info.parameters] == ["days", "stop_atr"]
    found = await strategies.evaluate("three_down", {"days": 4}, real("AAPL"))
    assert found.outcome is Outcome.DONE, found.traceback
    assert {signal.action for signal in found.signals} == {Action.BUY, Action.CLOSE}
    assert all(signal.reasons[0].values == (("falls", 4),) for signal in found.signals[:1])
    with pytest.raises(Invalid) as failure:
        await strategies.evaluate("three_down", {"days": 1, "weeks": 2}, real("AAPL"))
    assert [field for field, _ in failure.value.errors] == ["weeks", "days"]
    with pytest.raises(StrategyNotFound, match="three_down"):
        await strategies.evaluate("four_down", {}, real("AAPL"))


async def test_built_in_strategies_need_no_folder() -> None:
    strategies = Strategies(None)
    assert [info.name for info in (await strategies.load()).strategies] == list(BUILT_IN)
    assert (await strategies.evaluate("macd", {"fast": 5}, real("IBM"))).outcome is Outcome.DONE
    assert (await Strategies(Path("nowhere")).load()).broken == ()


async def test_broken_files_are_listed_and_the_others_work(
    strategies: Strategies, write: Write, tmp_path: Path
) -> None:
    write("good")
    (tmp_path / "a_syntax.py").write_text("def on_bars(:\n")
    (tmp_path / "b_import.py").write_text("import no_such_package\n")
    (tmp_path / "c_empty.py").write_text("")
    (tmp_path / "d_exits.py").write_text("import sys\nsys.exit('bye')\n")
    write("e_title", tail="Mine.name = 'Not A Name'\n")
    write("f_default", tail="class Other(Mine):\n    name = 'other'\n    level: int = whole(0, 1, 2, 'x')\n")
    write("g_taken", tail="Mine.name = 'macd'\n")
    write("h_again", tail="Mine.name = 'good'\n")
    write("i_hangs", tail="while True: pass\n")
    write("j_dies", tail="os._exit(7)\n")
    (tmp_path / "_helper.py").write_text("raise RuntimeError('not loaded')\n")
    (tmp_path / "k_half.py").write_text(
        "from trademind.signals import Strategy\n"
        "class Half(Strategy):\n    name = 'half'\n    description = 'x'\n"
    )
    write("l_warm", tail="Mine.warm_up = '5'\n")
    write("m_long", tail="Mine.warm_up = 10**12\n")
    write("n_words", tail="Mine.description = 5\n")
    write("o_uses", tail="Mine.uses = lambda self: ('rsi',)\n")
    catalogue = await strategies.load()
    wrong = {Path(broken.origin).stem: broken for broken in catalogue.broken}
    assert {name: broken.error.split(":")[0] for name, broken in wrong.items()} == {
        "a_syntax": "SyntaxError",
        "b_import": "ModuleNotFoundError",
        "c_empty": "ValueError",
        "d_exits": "SystemExit",
        "e_title": "ValueError",
        "f_default": "trademind.errors.Invalid",
        "g_taken": "The name macd is taken",
        "h_again": "The name good is taken",
        "i_hangs": "It did not return within 2 s, and was ended.",
        "j_dies": "It ended the process that it ran in (exit status 7).",
        "k_half": "ValueError",
        "l_warm": "ValueError",
        "m_long": "ValueError",
        "n_words": "ValueError",
        "o_uses": "ValueError",
    }
    traceback = wrong["b_import"].traceback
    assert traceback is not None
    assert f'File "{tmp_path / "b_import.py"}", line 1' in traceback
    assert [info.name for info in catalogue.strategies] == [*BUILT_IN, "good"]
    assert await outcome(strategies, "good") is Outcome.DONE
    assert await outcome(strategies, "macd") is Outcome.DONE


async def test_one_that_never_returns_is_ended_and_switched_off(strategies: Strategies, write: Write) -> None:
    write("good")
    write("endless", "while True: pass")
    write("asleep", "time.sleep(60)")  # longer than its deadline: it has to be ended
    await strategies.load()
    began = time.monotonic()
    first, second, good = await asyncio.gather(
        *(strategies.evaluate(name, {}, walk(50)) for name in ("endless", "asleep", "good"))
    )
    assert time.monotonic() - began < 30
    assert (first.outcome, second.outcome, good.outcome) == (
        Outcome.TIMED_OUT,
        Outcome.TIMED_OUT,
        Outcome.DONE,
    )
    assert first.error == "It did not return within 1 s, and was ended."
    assert await outcome(strategies, "endless") is Outcome.SWITCHED_OFF
    assert [info.name for info in strategies.catalogue.strategies] == [*BUILT_IN, "good"]
    assert {broken.name for broken in strategies.catalogue.broken} == {"endless", "asleep"}

    write("endless")
    await strategies.load()
    assert await outcome(strategies, "endless") is Outcome.DONE


async def test_one_that_ends_the_process_is_switched_off(strategies: Strategies, write: Write) -> None:
    write("good")
    write("exits", "sys.exit(1)")
    write("dies", "os._exit(9)")
    write("killed", "os.kill(os.getpid(), 9)")
    await strategies.load()
    # An exit by an exception is one that it raises: it ends nothing, and nothing is switched off.
    assert [await outcome(strategies, "exits") for _ in range(2)] == [Outcome.FAILED] * 2
    died = await strategies.evaluate("dies", {}, walk(50))
    assert (died.outcome, died.error) == (
        Outcome.DIED,
        "It ended the process that it ran in (exit status 9).",
    )
    assert await outcome(strategies, "killed") is Outcome.DIED
    assert await outcome(strategies, "dies") is Outcome.SWITCHED_OFF
    assert await outcome(strategies, "good") is Outcome.DONE


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux bounds a process's memory")
async def test_the_bound_on_memory_is_the_users_alone(tmp_path: Path, write: Write) -> None:
    write(
        "rests", f"from trademind.signals import indicator; indicator('rsi').compute(bars, period=5); {GOOD}"
    )
    strategies = Strategies(tmp_path, deadline=5.0, load_deadline=5.0, memory=64 << 20)
    try:
        await strategies.load()
        found = await strategies.evaluate("rests", {}, walk(50))
        assert found.outcome is Outcome.DONE, found.traceback
    finally:
        await strategies.close()


async def test_one_that_eats_memory_is_refused_it(strategies: Strategies, write: Write) -> None:
    write("hungry", "pile = []\nwhile True: pile.append(bytearray(1 << 24))")
    write("good")
    await strategies.load()
    found = await strategies.evaluate("hungry", {}, walk(50))
    assert (found.outcome, found.error) == (Outcome.FAILED, "MemoryError")
    assert await outcome(strategies, "good") is Outcome.DONE


async def test_what_it_prints_and_reads_goes_elsewhere(
    strategies: Strategies, write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    write("chatty", f"print('hello' * 9); os.write(1, b'raw'); sys.stdin.read()\n{GOOD}")
    await strategies.load()
    assert [await outcome(strategies, "chatty") for _ in range(2)] == [Outcome.DONE] * 2
    told = capfd.readouterr()
    assert (told.out, "hello" * 9 in told.err) == ("", True)


async def test_one_that_raises_belongs_to_its_bars(strategies: Strategies, write: Write) -> None:
    write("picky", f"if len(bars) == 50: raise ValueError('fifty')\n{GOOD}")
    await strategies.load()
    found = await strategies.evaluate("picky", {}, walk(50))
    assert (found.outcome, found.error) == (Outcome.FAILED, "ValueError: fifty")
    assert found.traceback is not None
    assert "if len(bars) == 50: raise ValueError('fifty')" in found.traceback
    assert (await strategies.evaluate("picky", {}, walk(60))).outcome is Outcome.DONE


async def test_nothing_that_it_has_started_stays(
    strategies: Strategies, write: Write, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    # A child that would outlive its parent.
    body = f"child = os.fork()\nif child == 0: time.sleep(60)\nopen({str(started)!r}, 'w').write(str(child))"
    write("forks", f"{body}\nwhile True: pass")
    await strategies.load()
    assert await outcome(strategies, "forks") is Outcome.TIMED_OUT
    child = int(started.read_text())
    assert await gone(child)


async def test_one_that_hangs_does_not_outlive_its_server(write: Write, tmp_path: Path) -> None:
    write("endless", "while True: pass")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trademind.signals.sandbox", str(1 << 28)), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    source = Source("endless", tmp_path / "endless.py")
    request = pickle.dumps((0.2, source, ("endless", {}, walk(50))))
    process.stdin.write(len(request).to_bytes(HEADER) + request)
    process.stdin.close()
    async with asyncio.timeout(20):
        assert await process.wait() == -signal.SIGALRM


async def gone(pid: int) -> bool:
    """Does the process end within two seconds?"""
    for _ in range(100):
        if not _runs(pid):
            return True
        await asyncio.sleep(0.02)
    return False


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


async def test_a_caller_who_goes_away_leaves_no_answer_to_the_next(
    strategies: Strategies, write: Write
) -> None:
    write("slow", f"time.sleep(0.5)\n{GOOD}")  # long enough for its caller to go away meanwhile
    write("good")
    await strategies.load()
    assert await outcome(strategies, "slow") is Outcome.DONE
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await strategies.evaluate("slow", {}, walk(50))
    found = await strategies.evaluate("good", {}, walk(50))
    assert (found.outcome, found.strategy) == (Outcome.DONE, "good")
    assert strategies.catalogue.broken == ()


async def test_a_process_that_ended_in_between_is_nobodys_fault(strategies: Strategies, write: Write) -> None:
    write("good", GOOD.replace('"so"', "str(os.getpid())"))
    await strategies.load()
    found = await strategies.evaluate("good", {}, walk(50))
    pid = int(found.signals[0].reasons[0].text)
    os.kill(pid, signal.SIGKILL)
    assert await gone(pid)
    await asyncio.sleep(0.1)  # until the event loop has heard of it, too
    assert await outcome(strategies, "good") is Outcome.DONE


async def test_a_changed_file_is_another_strategy(strategies: Strategies, write: Write) -> None:
    write("changing")
    await strategies.load()
    assert await outcome(strategies, "changing") is Outcome.DONE
    write("changing", "raise KeyError('new')")
    await strategies.load()
    assert await outcome(strategies, "changing") is Outcome.FAILED


async def test_an_entry_point_names_a_class(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package as pip would install it: a module, and its metadata beside it."""
    write("packaged")
    metadata = tmp_path / "packaged-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: packaged\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[trademind.strategies]\nmine = packaged:Mine\nnone = packaged:HEAD\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [source.origin for source in sources(None)] == ["entry point mine", "entry point none"]
    (info,) = describe(Source("mine")).strategies
    assert (info.name, info.origin) == ("packaged", "entry point mine")
    assert describe(Source("none")).broken[0].error.startswith("AttributeError")

    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    strategies = Strategies(None)
    await strategies.load()
    assert await outcome(strategies, "packaged") is Outcome.DONE
    await strategies.close()
