"""What tests of live market data have in common: a market that moves, and its streams."""

from datetime import timedelta
from typing import Any

from trademind.clock import ManualClock
from trademind.gateway.gateway import PaperGateway


def move(core: PaperGateway, seconds: float = 1.0) -> None:
    """Let time pass, and the market with it."""
    assert isinstance(core.clock, ManualClock)
    core.clock.advance(timedelta(seconds=seconds))
    for _ in core.pump_steps(core.clock.now()):
        pass


def instrument(core: PaperGateway, con_id: int) -> Any:
    found = core.universe.by_con_id(con_id)
    assert found is not None
    return found
