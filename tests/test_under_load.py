"""A real uvicorn process under load: everybody is answered, and nothing holds the loop."""

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest

from tests.processes import free_port, running

READERS = 200
ORDERS = 20
LONGEST_CALLBACK = 0.050
"""Seconds of CPU time."""


async def test_200_concurrent_reads_while_orders_fill(tmp_path: Path) -> None:
    port, noted = free_port(), tmp_path / "callbacks"
    command = ["tests.measured_server", str(port), str(noted)]
    with running(command, port, "/readyz", folder=tmp_path):
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", limits=httpx.Limits(max_connections=READERS + 10), timeout=60
        ) as client:
            began = time.monotonic()
            orders = [
                client.post("/api/orders", json={"symbol": symbol, "side": side, "quantity": "10"})
                for side in ("BUY", "SELL")
                for symbol in ("AAPL", "MSFT", "SPY", "QQQ", "IBM", "KO", "AMZN", "NVDA", "TSLA", "AMD")
            ]
            assert len(orders) == ORDERS
            reads = [client.get("/api/portfolio/account") for _ in range(READERS)]
            answers = await asyncio.gather(*orders, *reads)
            executions = (await client.get("/api/executions")).json()["executions"]
    assert {answer.status_code for answer in answers[:ORDERS]} == {201}
    assert {answer.status_code for answer in answers[ORDERS:]} == {200}
    assert sum(float(execution["quantity"]) for execution in executions) == 10 * ORDERS
    callbacks = [json.loads(line) for line in noted.read_text().splitlines()]
    too_long = [c for c in callbacks if c[0] >= began and c[1] > LONGEST_CALLBACK]
    assert too_long == []


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_fill_reaches_the_book_under_a_real_uvicorn(loop: str) -> None:
    """eventkit's async handlers silently never run under uvicorn; ours must not depend on them."""
    port = free_port()
    command = ["uvicorn", "--factory", "trademind:create_app", "--port", str(port), "--loop", loop]
    with (
        running(command, port, "/readyz"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        placed = client.post("/api/orders", json={"symbol": "AAPL", "side": "BUY", "quantity": 10}).json()
        assert placed["status"] == "filled"
        assert placed["commission"] == "1.00"
        (position,) = client.get("/api/portfolio/positions").json()["positions"]
        assert (position["symbol"], position["quantity"]) == ("AAPL", "10")
        resting = {
            "symbol": "AAPL",
            "side": "BUY",
            "quantity": 10,
            "order_type": "LMT",
            "limit_price": "1.00",
        }
        order = client.post("/api/orders", json=resting).json()
        assert client.delete(f"/api/orders/{order['id']}").json()["status"] == "canceled"
