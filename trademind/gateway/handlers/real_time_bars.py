"""Real-time bars: one of five seconds, when its five seconds are over.

They are the feed's own bars, as historical data shows them, too; bids, asks and midpoints lie beside the
trades as there.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.entitlements import Access
from trademind.gateway.handlers.bar_kinds import Kind, exists, figures, no_data
from trademind.gateway.handlers.bar_query import session_bars
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import RealTimeBarStream, Session
from trademind.gateway.wire.market import real_time_bar
from trademind.gateway.wire.requests.market import CancelRealTimeBars, RealTimeBarsRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

LENGTH: Final = timedelta(seconds=5)
"""IB has no other, whatever is asked for."""
BAR_SIZE: Final = "5 secs"
MAX_STREAMS: Final = 1000
"""Subscriptions of one client where nothing else limits them; they count as lines at IB."""
MAX_BEHIND: Final = 12
"""Bars that are sent late, after the link was down or time has jumped; older ones are left out."""
_KINDS: Final = frozenset({Kind.TRADES, Kind.AGGREGATED_TRADES, Kind.MIDPOINT, Kind.BID, Kind.ASK})


def subscribe(gateway: "PaperGateway", session: Session, request: RealTimeBarsRequest) -> None:
    req_id = request.req_id
    if req_id in session.real_time_bars:
        session.error(req_id, codes.DUPLICATE_TICKER_ID, codes.DUPLICATE_TICKER_ID_TEXT)
        return
    if len(session.real_time_bars) >= (gateway.pacing.max_lines or MAX_STREAMS):
        session.error(req_id, codes.TOO_MANY_LINES, codes.TOO_MANY_LINES_TEXT)
        return
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    what = request.what_to_show.strip().upper()
    if what not in _KINDS:
        cause = f"What to show of real-time bars is one of {', '.join(sorted(_KINDS))}, not {what[:40]}"
        session.error(req_id, codes.VALIDATING, codes.invalid(cause))
        return
    kind = Kind(what)
    if not exists(kind, instrument):
        session.error(
            req_id, codes.REAL_TIME_QUERY, f"Invalid Real-time Query:{no_data(kind, instrument, '5')}"
        )
        return
    if gateway.entitlements.of(instrument.symbol) is not Access.LIVE:
        session.error(req_id, codes.NEEDS_API_SUBSCRIPTION, codes.NEEDS_API_SUBSCRIPTION_TEXT)
        return
    stream = RealTimeBarStream(instrument, kind, request.use_rth, _whole(gateway.clock.now()))
    session.real_time_bars.add(req_id, stream)


def _whole(moment: datetime) -> datetime:
    """Where the bar begins that a moment belongs to."""
    return moment - timedelta(seconds=moment.second % LENGTH.seconds, microseconds=moment.microsecond)


def cancel(gateway: "PaperGateway", session: Session, request: CancelRealTimeBars) -> None:
    if not session.real_time_bars.drop(request.number):
        text = f"Can't find EId with tickerId:{request.number}"
        session.error(request.number, codes.UNKNOWN_TICKER_ID, text)


def update(gateway: "PaperGateway", session: Session, now: datetime) -> Iterator[None]:
    """Send the bars whose time is over, one stream in each step."""
    if gateway.connectivity.farms[Farm.MARKET] is FarmState.BROKEN:
        return
    until = _whole(now)
    for req_id, stream in session.real_time_bars.all():
        if stream.since == until or session.real_time_bars.get(req_id) is not stream:
            continue
        start = min(max(stream.since, until - MAX_BEHIND * LENGTH), until)
        stream.since = until
        if start == until:
            continue
        instrument = stream.instrument
        bars = session_bars(gateway, instrument, use_rth=stream.use_rth)
        for bar in bars.between(start, until, BAR_SIZE):
            shown = figures(stream.kind, instrument, bar, None)
            prices = (shown.open, shown.high, shown.low, shown.close)
            second = int(bar.start.timestamp())
            session.send(real_time_bar(req_id, second, prices, shown.volume, shown.wap, shown.count))
        yield


HANDLERS: Mapping[type, Callable[..., None]] = {
    RealTimeBarsRequest: subscribe,
    CancelRealTimeBars: cancel,
}
