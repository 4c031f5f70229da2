"""What the settings say of the paper market is what an order meets."""

from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.assembly import paper_gateway
from trademind.gateway.engine.model import IBOrderType, IBTif, Ticket
from trademind.gateway.pacing import UNPACED, Pacing
from trademind.settings import PaperSettings


async def test_the_fill_model_is_the_exchanges() -> None:
    async with paper_gateway(PaperSettings(slippage_ticks=3), data_dir=None) as server:
        core = server.core
        (apple,) = (each for each in core.universe.instruments if each.con_id == 265598)
        quote = core.refresh(apple)
        core.exchange.place(
            Ticket(
                client_id=1,
                order_id=1,
                account=core.exchange.account_id,
                instrument=apple,
                side=Side.BUY,
                quantity=Decimal(1),
                order_type=IBOrderType.MARKET,
                tif=IBTif.DAY,
            )
        )
        (execution,) = core.exchange.executions()
        assert execution.price == quote.ask + 3 * apple.min_tick


async def test_limits_are_ibs_but_for_those_that_are_set() -> None:
    paper = PaperSettings(limits={"max_lines": 7})
    async with paper_gateway(paper, data_dir=None) as server:
        assert server.core.pacing == Pacing(max_lines=7)
    async with paper_gateway(PaperSettings(pacing=False, limits={"max_lines": 7}), data_dir=None) as server:
        assert server.core.pacing == UNPACED
