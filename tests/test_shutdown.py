"""Stopping a real server process while something is under way."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.processes import free_port, running


def test_stopping_the_server_tells_whoever_waits_for_an_order_that_its_outcome_is_unknown(
    tmp_path: Path,
) -> None:
    """A gateway that has stopped answering, an order under way, and SIGTERM: no false "safe to repeat"."""
    gateway_port, port = free_port(), free_port()
    gateway = running(["trademind", "gateway", "start", "--port", str(gateway_port)], gateway_port)
    server = running(
        ["trademind", "server", "start", "--port", str(port)],
        port,
        "/readyz",
        TRADEMIND_BROKER="ibkr",
        TRADEMIND_IBKR__PORT=str(gateway_port),
        TRADEMIND_DATA_DIR=str(tmp_path),
    )
    order = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "order_type": "LMT", "limit_price": "1.00"}
    url = f"http://127.0.0.1:{port}/api/orders"
    with gateway as gateway_process, server as server_process, ThreadPoolExecutor(1) as pool:
        assert httpx.post(url, json=order, timeout=20).status_code == 201
        gateway_process.send_signal(signal.SIGSTOP)
        try:
            waiting = pool.submit(httpx.post, url, json=order | {"client_order_id": "mute"}, timeout=20)
            time.sleep(0.5)  # until the order is under way; earlier it would be refused, and safe to repeat
            server_process.terminate()
            answer = waiting.result()
        finally:
            gateway_process.send_signal(signal.SIGCONT)
        assert answer.status_code == 504
        assert answer.json()["code"] == "order_outcome_unknown"
        assert answer.json()["retry_safe"] is False
        assert "mute" in answer.json()["detail"]
