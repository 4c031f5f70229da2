"""Exactness at the edges: what floats, parts of a second and full disks make of rules. Each failed before."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.brokers.test_history_pacing import SMALL, SPY, Desk, bars, desk, open_desk
from tests.brokers.test_pacing import VirtualLoop, in_virtual_time
from trademind import BarRequest
from trademind.brokers.ibkr.liveness import Finding, Pulse
from trademind.brokers.ibkr.pacing import Pacer, Priority
from trademind.brokers.order_ids import OrderIds
from trademind.cli.listening import listen
from trademind.errors import PacingViolation, StateNotKept

__all__ = ["desk"]


def test_the_rate_holds_though_sending_takes_time() -> None:
    async def play() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        pacer, at = Pacer(45), []

        def send(cost: float) -> Callable[[], None]:
            def act() -> None:
                at.append(loop.time())
                loop.seconds += cost

            return act

        for number in range(180):
            pacer.post(Priority.CANCEL, send(0.25 if number == 45 else 0.0))
        await asyncio.sleep(8)
        assert len(at) == 180
        assert max(sum(start <= other < start + 1 for other in at) for start in at) <= 45

    in_virtual_time(play())


def test_a_pulse_of_moments_that_floats_do_not_hold() -> None:
    """Under uvloop the time is in milliseconds, so that a timer often finds exactly its moment."""
    for milliseconds in range(0, 4_000_000, 37):
        start = milliseconds / 1000
        pulse = Pulse(heartbeat=5, silent_after=15, now=start)
        finding, now = Finding.ALIVE, start
        while finding is not Finding.SILENT:
            assert pulse.due > now, "the next look is not in the future"
            now = pulse.due
            finding = pulse.look(now, lambda: None)
        assert now - start < 15.001, milliseconds


def test_a_file_that_is_damaged_while_running_refuses_every_order(tmp_path: Path) -> None:
    path = tmp_path / "order-ids.json"
    ids = OrderIds(path)
    ids.use("DU1", 1, 1)
    path.write_bytes(b"")
    for order_id in (101, 102, 150):
        with pytest.raises(StateNotKept):
            ids.use("DU1", 1, order_id)
    assert ids.highest("DU1", 1) == 1


def test_what_is_reserved_on_disk_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = OrderIds(tmp_path / "order-ids.json")
    ids.use("DU1", 1, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateNotKept):
        ids.use("DU1", 1, 101)
    ids.use("DU1", 1, 100)


async def test_two_ends_within_a_second_are_one_question(desk: Desk) -> None:
    for microsecond in (100_000, 900_000):
        end = datetime(2026, 11, 20, 16, 0, 0, microsecond, tzinfo=UTC)
        request = BarRequest(bar_size=SMALL, duration="60 S", end=end, use_rth=False)
        assert await desk.broker.get_bars(SPY, request)
    assert desk.asked == 1


async def test_one_contract_too_often_is_refused_at_once() -> None:
    async with open_desk(request_timeout=3) as opened:
        began = asyncio.get_running_loop().time()

        async def ask(number: int) -> tuple[float, int] | None:
            try:
                await opened.broker.get_bars(SPY, bars(number, bar_size=SMALL))
            except PacingViolation as error:
                return asyncio.get_running_loop().time() - began, error.extra["position"]
            return None

        answers = await asyncio.gather(*(ask(number) for number in range(16)))
    refused = [answer for answer in answers if answer is not None]
    assert refused
    assert all(after < 1 for after, _ in refused)
    assert [position for _, position in refused] == sorted(position for _, position in refused)


def test_what_is_written_to_a_client_is_sent_at_once() -> None:
    with (
        listen("127.0.0.1", 0) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
