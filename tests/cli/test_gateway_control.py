"""`trademind gateway fault`, `price`, `halt`, `resume`, `status`: a running gateway is made to misbehave."""

import json
from pathlib import Path

import pytest

from tests.cli.running import run, running


def test_a_running_gateway(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("steps:\n- {do: lose_link, at: 1h}\n- {do: drop, message: openOrderEnd}\n")
    with running("gateway", "start", "--port", "0", "--faults", str(faults), cwd=tmp_path):
        listed = run("gateway", "fault", "list", "--json", cwd=tmp_path)
        assert [each["do"] for each in json.loads(listed.stdout)["faults"]] == ["lose_link", "drop"]
        assert "openOrderEnd" in run("gateway", "fault", "list", cwd=tmp_path).stdout
        assert run("gateway", "fault", "clear", cwd=tmp_path).stdout == "Cleared: 2\n"
        assert run("gateway", "fault", "add", str(faults), cwd=tmp_path).stdout == "In force: [3, 4]\n"
        assert run("gateway", "price", "AAPL", "150", cwd=tmp_path).stdout == "AAPL: 150\n"
        halted = run("gateway", "halt", "AAPL", "--json", cwd=tmp_path)
        assert json.loads(halted.stdout) == {"symbol": "AAPL", "halted": True}
        status = json.loads(run("gateway", "status", "--json", cwd=tmp_path).stdout)
        assert (status["prices"], status["halted"], status["faults"]) == (["AAPL 150"], ["AAPL"], 2)
        refused = run("gateway", "resume", "NOPE", cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == "gateway_command_failed: nothing is traded as 'NOPE'\n"
    gone = run("gateway", "status", cwd=tmp_path)
    assert (gone.returncode, len(gone.stderr.splitlines())) == (3, 1)
    assert "start one with `trademind gateway start`, or give --data-dir" in gone.stderr


def test_a_script_with_a_mistake_stops_the_start(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("steps:\n- do: explode\n")
    ended = run("gateway", "start", "--port", "0", "--faults", str(faults), cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(
        f"settings_invalid: {faults}, line 2: steps[0].do: 'explode'"
    )


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{do: set_price, with: {symbol: NOPE, price: 1}}", "nothing is traded as 'NOPE'"),
        ("{do: set_price, with: {symbol: AAPL, price: 1.001}}", "1.001 is no price of AAPL"),
        ("{do: halt, with: {symbol: NOPE}}", "nothing is traded as 'NOPE'"),
    ],
)
def test_a_step_that_could_not_be_done_stops_the_start(tmp_path: Path, step: str, problem: str) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text(f"steps:\n- {{do: lose_link}}\n- {step}\n")
    ended = run("gateway", "start", "--port", "0", "--faults", str(faults), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"settings_invalid: {faults}, line 3: steps[1]: {problem}")
    assert not (tmp_path / ".trademind").exists()
