"""What the commands make of a server that is not there, is not ours, or goes away."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trademind.cli import app
from trademind.settings import setting_names

BUY = ["order", "place", "BUY", "1", "AAPL", "--key", "k1"]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Starts a server that reads each request and answers with the same bytes; returns its URL."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        # Closing alone does not wake a thread that waits in accept.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("arguments", [["account"], ["orders"], BUY])
def test_nobody_there_is_exit_code_3(arguments: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, [*arguments, "--url", url])
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("server_unreachable: ")
    assert "trademind server start" in result.stderr
    document = json.loads(CliRunner().invoke(app, [*arguments, "--url", url, "--json"]).stdout)
    assert document["code"] == "server_unreachable"


def test_the_servers_address_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("TRADEMIND_SERVER__PORT", str(port))
    assert f"127.0.0.1:{port}" in CliRunner().invoke(app, ["account"]).stderr


def test_another_program_is_exit_code_3(answering: Callable[[bytes], str]) -> None:
    url = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
    result = CliRunner().invoke(app, ["account", "--url", url])
    assert result.exit_code == 3
    assert result.stderr.startswith("not_trademind: ")


def test_an_order_without_an_answer_is_exit_code_4_and_says_how_to_find_out(
    answering: Callable[[bytes], str],
) -> None:
    url = answering(b"")
    result = CliRunner().invoke(app, [*BUY, "--url", url])
    assert result.exit_code == 4
    assert result.stderr.startswith("outcome_unknown: ")
    assert "--key k1" in result.stderr
    document = json.loads(CliRunner().invoke(app, [*BUY, "--url", url, "--json"]).stdout)
    assert (document["client_order_id"], document["retry_safe"]) == ("k1", False)


def test_a_reading_command_without_an_answer_is_exit_code_3(answering: Callable[[bytes], str]) -> None:
    assert CliRunner().invoke(app, ["account", "--url", answering(b"")]).exit_code == 3


@pytest.mark.parametrize(
    ("status", "retry_safe", "exit_code"), [(503, True, 3), (504, False, 4), (504, True, 3), (409, False, 1)]
)
def test_problems_and_exit_codes(
    answering: Callable[[bytes], str], status: int, retry_safe: bool, exit_code: int
) -> None:
    body = json.dumps(
        {"status": status, "code": "some_code", "detail": "two\nlines", "retry_safe": retry_safe}
    )
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
    result = CliRunner().invoke(
        app, [*BUY, "--url", answering(f"{head}Connection: close\r\n\r\n{body}".encode())]
    )
    assert result.exit_code == exit_code
    assert result.stderr.startswith("some_code: two lines")


def test_doctor_without_a_server_says_to_start_one() -> None:
    result = CliRunner().invoke(app, ["doctor", "--url", f"http://127.0.0.1:{free_port()}"])
    assert result.exit_code == 1
    assert "FAIL  server" in result.stdout
    assert "trademind server start" in result.stdout


def test_doctor_of_a_port_where_nothing_listens() -> None:
    result = CliRunner().invoke(app, ["doctor", "--port", str(free_port()), "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"]) == (1, False)
    (failed,) = [check for check in report["checks"] if not check["ok"]]
    assert failed["name"] == "port"
    assert "IB Gateway" in failed["remedy"]
