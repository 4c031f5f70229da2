"""The same `IBKRBroker` wherever an event loop may come from: real processes, real uvicorn, a real kernel.

eventkit, through which ib_async speaks, starts async handlers on a loop that is not uvicorn's: they never run
there, and no error says so. So what is shown in each setting is not only that calls are answered, but that
what IB says by itself arrives: a fill in a stream.

What others show already: that a fill reaches the book under uvicorn with either loop (`test_under_load.py`),
that a script under `asyncio.run` and somebody else's FastAPI app read the account, and that the notebook of
the examples runs on the synchronous facade with a gateway of its own (`examples/test_examples.py`).

How the tests were seen to fail: with `Listener`'s executions handed on by an async handler of an eventkit
event, which runs under `asyncio.run` and not under uvicorn, and with its ticks; without `_only_session`, and
without the lock of the account store.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbclient import NotebookClient
from websockets.sync.client import connect

from tests.processes import free_port, running

ROOT = Path(__file__).resolve().parents[1]
WITHIN = 30
"""Seconds in which a process that cannot be has to end."""


@pytest.fixture(scope="module")
def gateway_port() -> Iterator[int]:
    port = free_port()
    with running(["trademind", "gateway", "start", "--port", str(port)], port):
        yield port


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_ib_says_reaches_a_websocket_under_a_real_uvicorn(loop: str, gateway_port: int) -> None:
    port = free_port()
    command = ["uvicorn", "--factory", "trademind:create_app", "--port", str(port), "--loop", loop]
    server = running(
        command,
        port,
        "/readyz",
        TRADEMIND_BROKER="ibkr",
        TRADEMIND_IBKR__PORT=str(gateway_port),
        TRADEMIND_IBKR__CLIENT_ID={"uvloop": "11", "asyncio": "12"}[loop],
    )
    with server, connect(f"ws://127.0.0.1:{port}/api/stream") as stream:
        channels = {"orders": True, "executions": True, "account": True, "quotes": ["AAPL"]}
        stream.send(json.dumps({"action": "subscribe", "channels": channels}))
        order = {"symbol": "AAPL", "side": "BUY", "quantity": 10, "client_order_id": f"under-{loop}"}
        placed = httpx.post(f"http://127.0.0.1:{port}/api/orders", json=order, timeout=20)
        assert placed.status_code == 201, placed.text
        awaited = {"orders", "executions", "account", "quotes"}
        deadline = time.monotonic() + 15
        while awaited:
            assert time.monotonic() < deadline, f"nothing came of {awaited}"
            frame: dict[str, Any] = json.loads(stream.recv(timeout=20))
            if frame["type"] == "event" and _is_new(frame, f"under-{loop}"):
                awaited.discard(frame["channel"])


def _is_new(frame: dict[str, Any], order_id: str) -> bool:
    """Does it tell of the fill of that order, or of the market?"""
    data = frame["data"]
    match frame["channel"]:
        case "orders":
            return bool(data["id"] == order_id and data["status"] == "filled")
        case "executions":
            return bool(data["order_id"] == order_id)
        case "quotes":
            return data["last"] is not None
        case _:
            return True


@pytest.mark.parametrize(
    ("broker", "sentence"),
    [
        ("ibkr", "is held by another process of TradeMind"),
        ("paper", "is in use by another process"),
    ],
)
def test_two_uvicorn_workers_are_refused(
    gateway_port: int, tmp_path: Path, broker: str, sentence: str
) -> None:
    """Half of the requests would meet the session and half would not; so nothing is served at all.

    The exit code is uvicorn's, which has none for this: its parent process ends with 0.
    """
    port = free_port()
    command = ["uvicorn", "--factory", "trademind:create_app", "--workers", "2", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TRADEMIND_DATA_DIR": str(tmp_path / "data"),
            "TRADEMIND_BROKER": broker,
            "TRADEMIND_IBKR__PORT": str(gateway_port),
            "TRADEMIND_IBKR__CLIENT_ID": "13",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=WITHIN)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last = output[-3000:]
    assert sentence in output, last
    assert "run one server process (no --workers)" in output.lower(), last
    assert "failed to start, stopping the parent process" in output, last
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/healthz")


SCRIPT = """
import asyncio, sys
from trademind import Channel, ContractQuery, IBKRBroker, OrderRequest

async def main() -> None:
    async with IBKRBroker(port=int(sys.argv[1]), client_id=14) as broker:
        async with broker.stream(Channel.EXECUTIONS) as stream:
            order = OrderRequest(side="BUY", quantity=10, symbol="MSFT", client_order_id="script")
            placed = await broker.place_order(order)
            async for item in stream:
                fill = getattr(item, "data", None)
                if fill is not None and fill.order_id == "script":
                    print(placed.status, fill.contract.symbol, fill.quantity)
                    return

asyncio.run(main())
"""


def test_what_ib_says_reaches_a_stream_of_a_script(gateway_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(gateway_port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "filled MSFT 10\n"


CELLS = [
    """
import os
from trademind import Channel, IBKRBroker, OrderRequest, notebook
broker = IBKRBroker(port=int(os.environ["TRADEMIND_IBKR__PORT"]), client_id=15)
await broker.connect()
print("awaited:", (await broker.get_account()).account_id)
""",
    """
async with broker.stream(Channel.EXECUTIONS) as stream:
    await broker.place_order(OrderRequest(side="BUY", quantity=10, symbol="SPY", client_order_id="cell"))
    async for item in stream:
        fill = getattr(item, "data", None)
        if fill is not None and fill.order_id == "cell":
            print("streamed:", fill.contract.symbol, fill.quantity)
            break
""",
    # The facade makes the running loop one that can be entered again; what was there before goes on.
    """
tm = notebook.connect()
print("plain:", tm.account().account_id, tm.place("BUY", 10, "QQQ", client_order_id="plain").status)
frame = tm.bars("SPY", "1 day", "5 D").to_pandas()
quotes = [quote.contract.symbol for quote in tm.quotes("SPY", "QQQ")]
print("frame:", list(frame.columns)[:4], len(frame) > 2, quotes)
print("awaited again:", (await tm.broker.get_account()).account_id, (await broker.get_account()).account_id)
""",
    """
tm.close()
print("still there:", broker.session.state, (await broker.get_order("cell")).status)
await broker.disconnect()
print("closed:", broker.session.state)
""",
]


def test_a_notebook_awaits_the_broker_and_calls_the_facade_in_one_kernel(
    gateway_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "PYTHONPATH": str(ROOT),
        "TRADEMIND_DATA_DIR": str(tmp_path / "data"),
        "TRADEMIND_BROKER": "ibkr",
        "TRADEMIND_IBKR__PORT": str(gateway_port),
        "TRADEMIND_IBKR__CLIENT_ID": "16",
    }.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=WITHIN, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(output.get("text", "") for cell in notebook.cells for output in cell.outputs)
    assert said.splitlines() == [
        "awaited: DUTM00001",
        "streamed: SPY 10",
        "plain: DUTM00001 filled",
        "frame: ['open', 'high', 'low', 'close'] True ['SPY', 'QQQ']",
        "awaited again: DUTM00001 DUTM00001",
        "still there: ready filled",
        "closed: stopped",
    ]
