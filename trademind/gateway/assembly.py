"""The paper gateway as the settings describe it: its clock, its hours, its market."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from trademind.clock import AcceleratedClock, Clock, SystemClock
from trademind.errors import SettingsError
from trademind.gateway.actions import read_actions
from trademind.gateway.calendars import market_hours
from trademind.gateway.connectivity import DailyReset
from trademind.gateway.engine.commissions import FIXED, TIERED
from trademind.gateway.engine.corporate_actions import CorporateAction
from trademind.gateway.engine.fills import FillModel
from trademind.gateway.engine.hours import MarketHours
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.feeds.base import Feed
from trademind.gateway.feeds.calendar import NEW_YORK
from trademind.gateway.feeds.replay import ReplayFeed
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.feeds.tape_files import read_tapes
from trademind.gateway.pacing import UNPACED, Pacing
from trademind.gateway.server import PaperGatewayServer
from trademind.settings import PaperSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Market:
    """What is traded, at which prices, and from when on if not from now."""

    universe: Universe
    feed: Feed
    start: datetime | None = None
    actions: tuple[CorporateAction, ...] = ()


def paper_gateway(
    paper: PaperSettings, *, data_dir: Path | None, host: str = "127.0.0.1", port: int | None = None
) -> PaperGatewayServer:
    """A paper gateway that is not open yet; `port` wins over the settings'.

    Raises:
        SettingsError: something that the settings ask for is not installed, or a file cannot be read.
    """
    hours = market_hours(paper.hours)
    limits: dict[str, Any] = {str(name): count for name, count in paper.limits.items()}
    market = _recorded(paper, hours) if paper.feed == "replay" else _synthetic(paper, hours)
    return PaperGatewayServer(
        host=host,
        port=paper.port if port is None else port,
        cash=paper.cash,
        accounts=paper.accounts,
        fills=FillModel(
            queue_position=paper.queue_position,
            participation=paper.participation,
            slippage_ticks=paper.slippage_ticks,
            latency=timedelta(milliseconds=paper.latency_ms),
        ),
        commissions=TIERED if paper.commissions == "tiered" else FIXED,
        seed=paper.seed,
        data_dir=data_dir,
        clock=_clock(paper, market),
        feed=market.feed,
        hours=hours,
        universe=market.universe,
        actions=market.actions,
        pacing=Pacing(**limits) if paper.pacing else UNPACED,
        entitlements=Entitlements({symbol: Access(each) for symbol, each in paper.market_data.items()}),
        reset=None if paper.daily_reset is None else DailyReset(at=paper.daily_reset),
    )


def _synthetic(paper: PaperSettings, hours: MarketHours) -> _Market:
    universe = Universe()
    actions = read_actions(paper.actions, universe) if paper.actions else ()
    return _Market(universe, SyntheticFeed(paper.seed, hours, actions), actions=actions)


def _recorded(paper: PaperSettings, hours: MarketHours) -> _Market:
    if paper.replay_file is None:
        raise SettingsError(
            "TRADEMIND_PAPER__REPLAY_FILE: a replay needs a file of recorded prices; give one, or --file"
        )
    others = SyntheticFeed(paper.seed, hours) if paper.others == "synthetic" else None
    feed = ReplayFeed(read_tapes(paper.replay_file), loop=paper.loop, others=others)
    _warn_outside(paper, feed)
    universe = Universe(feed.instruments)
    # Recorded prices are what they are: whoever recorded them saw the splits.
    actions = read_actions(paper.actions, universe) if paper.actions else ()
    return _Market(universe, feed, feed.start, actions)


def _warn_outside(paper: PaperSettings, feed: ReplayFeed) -> None:
    """A market that starts outside its recording stands still, which looks like a fault."""
    if paper.start is None:
        return
    first, last = (each.astimezone(NEW_YORK) for each in (feed.start, feed.end))
    if paper.start.astimezone(NEW_YORK).date() < first.date():
        what = "until then the market stands at its first prices"
    elif paper.start >= last and not paper.loop:
        what = "the market stands at its last prices"
    else:
        return
    log.warning(
        "TRADEMIND_PAPER__START (--start) is %s, but %s was recorded from %s to %s: %s",
        *(paper.start.strftime("%Y-%m-%d %H:%M"), paper.replay_file, first.date(), last.date(), what),
    )


def _clock(paper: PaperSettings, market: _Market) -> Clock:
    start = paper.start or market.start
    if paper.speed == 1 and start is None:
        return SystemClock()
    return AcceleratedClock(paper.speed, start)
