"""The paper gateway as the settings describe it: its clock, its hours, its market."""

from pathlib import Path

from trademind.clock import AcceleratedClock, Clock, SystemClock
from trademind.gateway.calendars import market_hours
from trademind.gateway.connectivity import DailyReset
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.pacing import UNPACED, Pacing
from trademind.gateway.server import PaperGatewayServer
from trademind.settings import PaperSettings


def paper_gateway(
    paper: PaperSettings, *, data_dir: Path | None, host: str = "127.0.0.1", port: int | None = None
) -> PaperGatewayServer:
    """A paper gateway that is not open yet; `port` wins over the settings'.

    Raises:
        SettingsError: something that the settings ask for is not installed.
    """
    return PaperGatewayServer(
        host=host,
        port=paper.port if port is None else port,
        cash=paper.cash,
        accounts=paper.accounts,
        seed=paper.seed,
        data_dir=data_dir,
        clock=_clock(paper),
        hours=market_hours(paper.hours),
        pacing=Pacing() if paper.pacing else UNPACED,
        entitlements=Entitlements({symbol: Access(each) for symbol, each in paper.market_data.items()}),
        reset=None if paper.daily_reset is None else DailyReset(at=paper.daily_reset),
    )


def _clock(paper: PaperSettings) -> Clock:
    if paper.speed == 1 and paper.start is None:
        return SystemClock()
    return AcceleratedClock(paper.speed, paper.start)
