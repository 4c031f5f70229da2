"""What is light is open from the start; the rest is loaded when somebody wants it."""

import subprocess
import sys
from pathlib import Path

from tests.cli.running import ROOT, environment

PROGRAM = """
import asyncio, sys
from pathlib import Path
from trademind.runtime import open_runtime
from trademind.settings import load_settings

async def main():
    settings = load_settings(_env_file=None, data_dir=Path(sys.argv[1]))
    async with open_runtime(settings) as runtime:
        assert "talib" not in sys.modules
        await runtime.signals.opened()
        assert "talib" in sys.modules

import trademind.api, trademind.cli
assert "talib" not in sys.modules
asyncio.run(main())
"""


def test_a_server_of_which_nobody_wants_signals_does_not_load_what_makes_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
