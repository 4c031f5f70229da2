"""ibkr-cli: a command line on ib_async. Every command that needs a gateway is run, once, in order."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.compatibility.outcome import Outcome, shortened

NAME = "ibkr-cli"
REQUIREMENTS = ("ibkr-cli==0.7.2", "ib_async==2.1.0")

CONFIG = """default_profile = "paper"

[profiles.paper]
host = "127.0.0.1"
port = {port}
client_id = 21
mode = "paper"
"""

ORDER_CANCELED = 202
ENTITLEMENT = "needs a subscription at IB, too"

COMMANDS: tuple[tuple[str, str], ...] = (
    ("doctor --api", ""),
    ("account summary", ""),
    ("quote AAPL", ""),
    ("quote AAPL --watch --updates 2 --interval 0.5", ""),
    ("bars AAPL --duration 2D --bar-size 1hour", ""),
    ("buy AAPL 10 --preview", ""),
    ("buy AAPL 10 --submit", ""),
    ("buy AAPL 5 --type LMT --limit 50 --tif GTC --submit", ""),
    ("sell AAPL 5 --type TRAIL --trail-percent 5 --submit", ""),
    ("buy MSFT 2 --type LMT --limit 900 --take-profit 1500 --stop-loss 100 --submit", ""),
    ("positions", ""),
    ("orders open", ""),
    ("orders modify {order} --limit 51", ""),
    ("orders cancel {order}", ""),
    ("orders completed", ""),
    ("orders executions", ""),
    ("options chain AAPL", ""),
    ("options quotes AAPL {expiration} --right C", ""),
    ("scanner params", ""),
    ("scanner run MOST_ACTIVE", ""),
    ("news providers", ""),
    ("news headlines AAPL", ""),
    ("fundamentals snapshot AAPL", ENTITLEMENT),
)


async def try_it(python: Path, port: int) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / ".config" / "ibkr-cli" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG.format(port=port))
        words: dict[str, str] = {"order": "0", "expiration": "0"}
        return [_run(python, home, command, known, words) for command, known in COMMANDS]


def _run(python: Path, home: str, command: str, known: str, words: dict[str, str]) -> Outcome:
    arguments = [word.format(**words) for word in command.split()]
    arguments = [{"2D": "2 D", "1hour": "1 hour"}.get(word, word) for word in arguments]
    done = subprocess.run(
        [python.parent / "ibkr", *arguments, "--json"],
        env={"HOME": home, "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    tried = f"`ibkr {command.format(order='ID', expiration='YYYYMMDD')}`"
    if done.returncode:
        return Outcome(NAME, tried, shortened(done.stderr or done.stdout), known)
    try:
        answer = json.loads(done.stdout)
        problem = _problem(command, answer)
        _learn(command, answer, words)
    except (ValueError, LookupError, TypeError):
        problem = f"answered {done.stdout}"
    return Outcome(NAME, tried, shortened(problem), known)


def _problem(command: str, answer: dict[str, Any]) -> str:
    """What is wrong with an answer that the program itself takes for a success; empty when nothing is."""
    if set(answer.get("raw_error_codes") or ()) - {ORDER_CANCELED}:
        return f"errors {answer['raw_errors']}"
    if command.endswith("--submit") and answer["status"] not in ("PreSubmitted", "Submitted", "Filled"):
        return f"status {answer['status']}"
    if command.endswith("--preview") and not answer["init_margin_change"]:
        return "no margin"
    if answer.get("rows") == [] or answer.get("count") == 0:
        return "an empty list"
    return ""


def _learn(command: str, answer: object, words: dict[str, str]) -> None:
    """Take from an answer what later commands are about."""
    if "--limit 50 " in command:
        words["order"] = str(_first(answer, "order_id", "orderId"))
    elif command.startswith("options chain"):
        expirations = _first(answer, "expirations")
        words["expiration"] = str(sorted(expirations)[2])  # type: ignore[call-overload]


def _first(answer: object, *names: str) -> object:
    """The first value under one of these names, anywhere in an answer."""
    if isinstance(answer, dict):
        for name in names:
            if name in answer:
                return answer[name]
        answer = list(answer.values())
    if isinstance(answer, list):
        for each in answer:
            found = _first(each, *names)
            if found is not None:
                return found
    return None
