"""The process in which the user's strategies run (`python -m trademind.signals.sandbox`).

It reads requests from its standard input and writes replies to what was its standard output: eight bytes of
length, then a pickle. What strategies print goes to the standard error, so that it does not get between the
replies. It bounds its memory, and ends itself should nobody be there any more to end it.

This keeps mistakes apart. It is no wall against malice: a strategy may do whatever the user may.
"""

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

from trademind.errors import Invalid
from trademind.signals.arithmetic import load_talib
from trademind.signals.bars import BarArrays
from trademind.signals.evaluation import Evaluation, Outcome, evaluate, failed
from trademind.signals.loading import Source, describe, load
from trademind.signals.strategy import Strategy

HEADER: Final = 8
"""Bytes in front of each message: its length."""
GRACE: Final = 2.0
"""Seconds after a request's deadline at which the process ends itself, should the server be gone."""


def main() -> None:
    """Serve requests until there are no more."""
    requests, replies = private_streams()
    load_talib()  # before the bound, of which it would take a good part
    bound_memory(int(sys.argv[1]))
    send(replies, None)
    strategies: dict[Source, dict[str, type[Strategy]]] = {}
    while (request := receive(requests)) is not None:
        deadline, source, task = request
        alarm(deadline + GRACE)
        if task is None:
            strategies.pop(source, None)
            answer: object = describe(source)
        else:
            answer = _evaluate(strategies, source, *task)
        sys.stdout.flush()
        send(replies, answer)
        alarm(0)


def _evaluate(
    strategies: dict[Source, dict[str, type[Strategy]]],
    source: Source,
    name: str,
    parameters: dict[str, object],
    bars: BarArrays,
) -> Evaluation | tuple[tuple[str, str], ...]:
    """What a strategy makes of bars, or what is wrong with its parameters."""
    blank = Evaluation(strategy=name, symbol=bars.symbol, outcome=Outcome.DONE, bars=len(bars))
    try:
        if source not in strategies:
            strategies[source] = {kind.name: kind for kind in load(source)}
        strategy = strategies[source][name].of(parameters)
    except Invalid as error:
        return error.errors
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody's file may have changed into anything
        return failed(blank, error)
    return evaluate(strategy, bars)


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, for this module alone: others find nothing to read, and write to errors."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def bound_memory(allowed: int) -> None:
    """So many bytes more than now. Only Linux keeps to such a bound and tells what there is now."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        bound = int(statm.read_text().split()[0]) * resource.getpagesize() + allowed
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))


def alarm(seconds: float) -> None:
    """End this process in so many seconds, whatever it is at; 0 calls it off."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def receive(stream: BinaryIO) -> Any:
    """The next message; None where there are no more."""
    header = stream.read(HEADER)
    return pickle.loads(stream.read(int.from_bytes(header))) if len(header) == HEADER else None


def send(stream: BinaryIO, message: object) -> None:
    """Write a message."""
    data = pickle.dumps(message)
    stream.write(len(data).to_bytes(HEADER) + data)
    stream.flush()


if __name__ == "__main__":
    main()
