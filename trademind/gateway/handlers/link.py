"""Requests that the gateway cannot answer by itself, while IB cannot be reached."""

from typing import TYPE_CHECKING, Final

from trademind.gateway.connectivity import NO_HISTORY, NOT_CONNECTED, Farm, FarmState
from trademind.gateway.session import Session
from trademind.gateway.wire.requests import REQUESTS

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

_MARKET: Final = frozenset({"reqMktData", "reqMktDepth", "reqRealTimeBars", "reqTickByTickData"})
_HISTORY: Final = frozenset(
    {"reqHistoricalData", "reqHeadTimeStamp", "reqHistogramData", "reqHistoricalTicks"}
)
_OTHERS: Final = frozenset({
    "placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions", "reqContractDetails",
    "reqMatchingSymbols", "reqSecDefOptParams", "reqScannerSubscription", "reqFundamentalData",
    "calculateImpliedVolatility", "calculateOptionPrice", "reqHistoricalNews", "reqNewsArticle",
})  # fmt: skip
_NEEDS_IB: Final = {
    message_id: spec.name
    for message_id, spec in REQUESTS.items()
    if spec.name in _MARKET | _HISTORY | _OTHERS
}


def is_cut_off(gateway: "PaperGateway", session: Session, message_id: int, req_id: int) -> bool:
    """Whether a request gets nowhere; if so, the client is told. A farm at rest is woken up by it."""
    name = _NEEDS_IB.get(message_id)
    if name is None:
        return False
    link = gateway.connectivity
    if not link.is_up:
        session.error(req_id, *NOT_CONNECTED)
        return True
    if name in _MARKET and link.farms[Farm.MARKET] is not FarmState.OK:
        gateway.notify(link.use(Farm.MARKET))
    elif name in _HISTORY and link.farms[Farm.HISTORY] is not FarmState.OK:
        if link.farms[Farm.HISTORY] is FarmState.BROKEN:
            session.error(req_id, *NO_HISTORY)
            return True
        gateway.notify(link.use(Farm.HISTORY))
    return False
