"""Market scanners: a scan is subscribed to, answered once and cancelled; IB allows ten at a time.

What can be scanned for IB tells in an XML document of some two megabytes. It is read in pieces between which
the loop goes on, once a day at most.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from xml.etree import ElementTree

import ib_async

from trademind.aio import SingleFlight
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.session import Session
from trademind.domain import (
    ScanCode,
    ScanInstrument,
    ScanLocation,
    ScannerParameters,
    ScanRequest,
    ScanRow,
)
from trademind.errors import Refused, TooManySubscriptions, TradeMindError

AT_ONCE: Final = 10
"""Scans of one client that IB runs at a time."""
PIECE: Final = 64 * 1024
"""Characters of the document that are read in one step: about a millisecond."""
ELEMENTS: Final = 1000
"""Elements of it that are looked at in one step: the same."""
PARAMETERS_GOOD_FOR: Final = 86_400.0
"""Seconds; IB adds to them with its releases."""

_NOTHING_FOUND = "no items retrieved"


class Scanners:
    """The scanner desk. `session` gives a session that is ready, or raises what there is to say instead."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._room = asyncio.Semaphore(AT_ONCE)
        self._scans: SingleFlight[ScanRequest, tuple[ScanRow, ...]] = SingleFlight(TradeMindError)
        self._asked: SingleFlight[str, ScannerParameters] = SingleFlight(TradeMindError)
        self._parameters: tuple[float, ScannerParameters] | None = None
        """When they were told, by the loop's time."""

    async def scan(self, request: ScanRequest) -> tuple[ScanRow, ...]:
        """What IB finds, best first; nothing where it finds nothing.

        Raises:
            TooManySubscriptions: ten scans run, and none has ended in time.
            Refused, NotSubscribed, PacingViolation, Unavailable, NoAnswer.
        """
        return await self._scans.ask(request, lambda: self._scan(request), name=f"scan {request.scan_code}")

    async def _scan(self, request: ScanRequest) -> tuple[ScanRow, ...]:
        patience = self._session().options.request_timeout
        try:
            await asyncio.wait_for(self._room.acquire(), patience)
        except TimeoutError:
            raise TooManySubscriptions(
                f"{AT_ONCE} scans have been under way for {patience:g} s, and IB allows no more at once"
            ) from None
        try:
            return await self._ask(self._session(), request)
        finally:
            self._room.release()

    async def _ask(self, session: Session, request: ScanRequest) -> tuple[ScanRow, ...]:
        wanted = ib_async.ScannerSubscription(
            numberOfRows=request.rows,
            instrument=request.instrument,
            locationCode=request.location,
            scanCode=request.scan_code,
            stockTypeFilter=request.stock_type,
        )
        filters = [ib_async.TagValue(name, str(value)) for name, value in dict(request.filters).items()]
        try:
            found: list[ib_async.ScanData] = await session.requests.ask(
                f"scan {request.scan_code}",
                lambda req_id: session.ib.client.reqScannerSubscription(req_id, wanted, [], filters),
                give_up=session.ib.client.cancelScannerSubscription,
                goes_on=True,
            )
        except Refused as error:
            if _NOTHING_FOUND in error.detail:
                return ()
            raise
        return tuple(map(convert.to_scan_row, found[: request.rows]))

    async def parameters(self) -> ScannerParameters:
        """What can be scanned for. Raises `Unavailable`, `NoAnswer`."""
        now = asyncio.get_running_loop().time()
        if self._parameters is not None and now - self._parameters[0] < PARAMETERS_GOOD_FOR:
            return self._parameters[1]
        return await self._asked.ask("parameters", self._ask_parameters, name="scanner parameters")

    async def _ask_parameters(self) -> ScannerParameters:
        session = self._session()
        document: str = await session.requests.ask_shared(
            "scannerParams",
            "scanner parameters",
            session.ib.client.reqScannerParameters,
            priority=Priority.DATA,
        )
        parameters = await read_parameters(document)
        self._parameters = asyncio.get_running_loop().time(), parameters
        return parameters

    async def close(self) -> None:
        """End the questions under way; with the connection closed they have failed already."""
        await asyncio.gather(self._scans.finish(grace=1), self._asked.finish(grace=1))


async def read_parameters(document: str) -> ScannerParameters:
    """What IB's document says, each thing once. Raises `Refused` where it cannot be read."""
    parser = ElementTree.XMLParser()
    try:
        for start in range(0, len(document), PIECE):
            parser.feed(document[start : start + PIECE])
            await asyncio.sleep(0)
        root: ElementTree.Element = parser.close()
    except ElementTree.ParseError as error:
        raise Refused(f"IB's document of scanner parameters cannot be read: {error}") from error
    codes: dict[str, ScanCode] = {}
    instruments: dict[str, ScanInstrument] = {}
    locations: dict[str, ScanLocation] = {}
    filters: dict[str, None] = {}
    for number, each in enumerate(root.iter()):
        if number % ELEMENTS == 0:
            await asyncio.sleep(0)
        match each.tag:
            case "ScanType" if code := _text(each, "scanCode"):
                codes[code] = ScanCode(
                    code=code, name=_text(each, "displayName"), instruments=_names(each, "instruments")
                )
            case "Instrument" if kind := _text(each, "type"):
                instruments[kind] = ScanInstrument(
                    type=kind,
                    name=_text(each, "name"),
                    sec_type=_text(each, "secType"),
                    filters=_names(each, "filters"),
                )
            case "Location" if code := _text(each, "locationCode"):
                locations[code] = ScanLocation(
                    code=code, name=_text(each, "displayName"), instruments=_names(each, "instruments")
                )
            case "RangeFilter" | "SimpleFilter":
                # Named by their fields: a range has two, as priceAbove and priceBelow.
                fields = [_text(field, "code") for field in each.iter("AbstractField")]
                filters.update(dict.fromkeys(filter(None, fields or [_text(each, "id")])))
    return ScannerParameters(
        scan_codes=tuple(codes.values()),
        instruments=tuple(instruments.values()),
        locations=tuple(locations.values()),
        filters=tuple(filters),
    )


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _names(element: ElementTree.Element, name: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in _text(element, name).split(","))))
