"""Runs the README's commands in order, letter by letter, and compares their answers with what it says.

Every line of a ```console block that starts with `$ ` is a command; what follows is its answer. A command
that stays in the foreground (`make start`, `trademind gateway start`) is started in the background, and
ended when all is done. In an answer, words must be the same; times, prices and amounts that depend on the
moment need only be of the same form.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOREGROUND = re.compile(r"^(make start|trademind (server|gateway) start)")
VARYING = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|-?\d+(\.\d+)+|\d{3,}|E[SD]T|\d\d:\d\d(:\d\d)?")
FIXED = {"100000.00"}
PERM_IDS = 1_000_000_000
"""Integers from here on are IB's permanent ids, which differ each time."""
READY_URL = "http://127.0.0.1:8000/readyz"


def commands(text: str) -> list[tuple[str, str]]:
    """(command, answer) for every command of every console block."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.split("\n")
            # A command goes on over lines that end in a backslash.
            length = next(i for i, line in enumerate(lines) if not line.endswith("\\")) + 1
            found.append(("\n".join(lines[:length]), "\n".join(lines[length:]).strip()))
    return found


def differences(expected: object, actual: object, where: str = "answer") -> list[str]:
    """Where two answers differ beyond what may vary."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return [f"{where}: fields differ: {sorted(expected.keys() ^ actual.keys())}"]
        return [d for key in expected for d in differences(expected[key], actual[key], f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{where}: {len(expected)} expected, {len(actual)} came"]
        return [
            d
            for i, (e, a) in enumerate(zip(expected, actual, strict=True))
            for d in differences(e, a, f"{where}[{i}]")
        ]
    if isinstance(expected, float) and isinstance(actual, int | float):
        return []
    if isinstance(expected, int) and isinstance(actual, int) and min(expected, actual) > PERM_IDS:
        return []
    if isinstance(expected, str) and isinstance(actual, str) and expected not in FIXED:
        same = _form(expected) == _form(actual)
    else:
        same = expected == actual
    return [] if same else [f"{where}: expected {expected!r}, got {actual!r}"]


def _form(text: str) -> str:
    lines = (re.sub(r"\s+", " ", VARYING.sub("#", line)).strip() for line in text.splitlines())
    # The rules of a table are as wide as its widest value; the empty lines around it are left out.
    return "\n".join(re.sub(r"[━─]+", "─", line) for line in lines if line)


def check(command: str, expected: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        return [f"exit code {done.returncode}: {done.stdout}{done.stderr}"]
    answer = done.stdout.strip()
    try:
        return differences(json.loads(expected), json.loads(answer))
    except json.JSONDecodeError:
        return differences(expected, answer)


def wait_until_ready() -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(READY_URL, timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise SystemExit(f"{READY_URL} did not answer 200 in time")


def main() -> int:
    os.environ["PATH"] = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    background: list[subprocess.Popen[bytes]] = []
    failed = 0
    ran = 0
    try:
        for command, expected in commands((ROOT / "README.md").read_text()):
            print(f"$ {command}", flush=True)
            ran += 1
            if FOREGROUND.match(command):
                background.append(subprocess.Popen(["bash", "-c", command], cwd=ROOT, start_new_session=True))
                wait_until_ready()
                continue
            for difference in check(command, expected):
                failed += 1
                print(f"  {difference}")
    finally:
        for process in background:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=20)
    print(f"README commands: {ran} run, {failed} differences")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
