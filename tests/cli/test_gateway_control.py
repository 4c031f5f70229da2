"""`trademind gateway fault`, `price`, `halt`, `resume`, `status`: a running gateway is made to misbehave."""

import json
from pathlib import Path

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
        assert run("gateway", "halt", "AAPL", cwd=tmp_path).returncode == 0
        status = json.loads(run("gateway", "status", "--json", cwd=tmp_path).stdout)
        assert (status["prices"], status["halted"], status["faults"]) == (["AAPL 150"], ["AAPL"], 2)
        refused = run("gateway", "resume", "NOPE", cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == "gateway_command_failed: nothing is traded as 'NOPE'\n"
    gone = run("gateway", "status", cwd=tmp_path)
    assert (gone.returncode, len(gone.stderr.splitlines())) == (3, 1)


def test_a_script_with_a_mistake_stops_the_start(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("steps:\n- do: explode\n")
    ended = run("gateway", "start", "--port", "0", "--faults", str(faults), cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(
        f"settings_invalid: {faults}, line 2: steps[0].do: 'explode'"
    )
