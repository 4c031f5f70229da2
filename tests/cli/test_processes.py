"""The programs as they are run: started, stopped, in each other's way."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import run, running


def test_the_server_stops_in_order_and_the_account_survives(tmp_path: Path) -> None:
    for expected in ("0", "10"):
        with running("server", "start", "--port", "0", cwd=tmp_path) as server:
            url = server.banner["url"]
            held = httpx.get(f"{url}/api/portfolio/positions").json()["positions"]
            assert sum(int(position["quantity"]) for position in held) == int(expected)
            order = {"symbol": "AAPL", "side": "BUY", "quantity": 10}
            assert httpx.post(f"{url}/api/orders", json=order).status_code == 201
            assert server.stop() == 0


def test_sigterm_stops_the_server(tmp_path: Path) -> None:
    with running("server", "start", "--port", "0", cwd=tmp_path) as server:
        assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
        with running("server", "start", "--port", "0", cwd=tmp_path) as again:
            assert again.banner["ready"] is True


def test_a_port_in_use_stops_the_start_before_anything_opens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("server", "start", "--port", str(port), cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"port_in_use: 127.0.0.1:{port} is in use by another program")
    assert list(tmp_path.iterdir()) == []


def test_two_servers_cannot_share_one_paper_account(tmp_path: Path) -> None:
    with running("server", "start", "--port", "0", cwd=tmp_path) as first:
        second = run("server", "start", "--port", "0", cwd=tmp_path)
        assert second.returncode == 2
        assert "Traceback" not in second.stderr
        assert second.stderr.splitlines()[-1].startswith("settings_invalid: TRADEMIND_DATA_DIR: ")
        assert httpx.get(f"{first.banner['url']}/readyz").status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRADEMIND_BROKER", "etrade"),
        ("TRADEMIND_BROKR", "paper"),
        ("TRADEMIND_PAPER__CASH", "-1"),
        ("TRADEMIND_SERVER__HOST", "256.1.1.1"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path, name: str, value: str) -> None:
    ended = run("server", "start", "--port", "0", cwd=tmp_path, **{name: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"settings_invalid: {name}: ")
    assert ended.stderr.count("\n") == 1


def test_a_paper_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("server", "start", "--port", "0", cwd=tmp_path, TRADEMIND_PAPER__PORT=port)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"127.0.0.1:{port} is in use" in ended.stderr.splitlines()[-1]


def test_a_server_starts_without_its_gateway_and_finds_it_later(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    (tmp_path / "gateway").mkdir()
    (tmp_path / "server").mkdir()
    settings = {"TRADEMIND_BROKER": "ibkr", "TRADEMIND_IBKR__PORT": port}
    with running("server", "start", "--port", "0", cwd=tmp_path / "server", **settings) as server:
        url = server.banner["url"]
        assert server.banner["ready"] is False
        answer = httpx.get(f"{url}/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert httpx.get(f"{url}/api/portfolio/account").status_code == 503
        assert run("account", "--url", url, cwd=tmp_path / "server").returncode == 3
        with running("gateway", "start", "--port", port, cwd=tmp_path / "gateway"):
            transport = httpx.HTTPTransport(retries=3)
            with httpx.Client(base_url=url, transport=transport) as client:
                _until_ready(client)
                assert client.get("/api/portfolio/account").json()["source"] == "paper"


def _until_ready(client: httpx.Client) -> None:
    # Each answer takes a round trip; the limit only ends a test that has failed.
    for _ in range(200_000):
        if client.get("/readyz").status_code == 200:
            return
    raise AssertionError("the server did not find its gateway")


def test_gateway_start_and_reset(tmp_path: Path) -> None:
    arguments = ("gateway", "start", "--port", "0", "--cash", "250000", "--seed", "7")
    with running(*arguments, cwd=tmp_path) as gateway:
        port = str(gateway.banner["port"])
        report = json.loads(run("doctor", "--port", port, "--json", cwd=tmp_path).stdout)
        assert [check for check in report["checks"] if not check["ok"]] == []

        refused = run("gateway", "reset", "--yes", cwd=tmp_path)
        assert refused.returncode == 2
        assert "in use" in refused.stderr

        (tmp_path / "other").mkdir()
        second = run("gateway", "start", "--port", port, cwd=tmp_path / "other")
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].startswith(f"port_in_use: 127.0.0.1:{port} ")

        assert gateway.stop() == 0
    kept = sorted((tmp_path / ".trademind").iterdir())
    unsaid = run("gateway", "reset", cwd=tmp_path)
    assert unsaid.returncode == 1
    assert sorted((tmp_path / ".trademind").iterdir()) == kept
    assert run("gateway", "reset", "--yes", cwd=tmp_path).returncode == 0
    assert sorted((tmp_path / ".trademind").iterdir()) != kept


def test_gateway_arguments_are_checked(tmp_path: Path) -> None:
    for arguments in (["--cash", "lots"], ["--cash", "-5"], ["--cash", "NaN"], ["--port", "70000"]):
        ended = run("gateway", "start", *arguments, cwd=tmp_path)
        assert ended.returncode == 2, ended.stderr
        assert "Traceback" not in ended.stderr


def test_what_a_stranger_on_the_network_would_see(tmp_path: Path) -> None:
    with running("server", "start", "--port", "0", cwd=tmp_path) as server:
        url = server.banner["url"]

        def ask(**headers: str) -> tuple[int, Any]:
            answer = httpx.post(f"{url}/api/orders", json={}, headers=headers)
            return answer.status_code, answer.json()["code"]

        assert ask(host="evil.example") == (403, "host_not_allowed")
        assert ask(origin="http://evil.example") == (403, "origin_not_allowed")
        assert ask(origin=url) == (422, "invalid")
