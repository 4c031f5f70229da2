"""Both clients' decoders read what the gateway says of contracts, at every version they may speak."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import pytest
from ib_async.decoder import Decoder as IbAsyncDecoder

from tests.gateway.wire import samples
from trademind.gateway.wire import messages
from trademind.gateway.wire.fields import decode_fields
from trademind.gateway.wire.messages import Message

Call = tuple[str, tuple[Any, ...]]


class Recorder:
    """Stands where a client's wrapper does and remembers what the decoder calls."""

    class ib:
        TimezoneTWS = "US/Eastern"

    defaultTimezone = UTC

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            self.calls.append((name, args))

        return record


def by_ib_async(message: Message, version: int) -> list[Call]:
    recorder = Recorder()
    IbAsyncDecoder(recorder, version).interpret(decode_fields(message.encode(version)))  # type: ignore[arg-type]
    return recorder.calls


def by_ibapi(message: Message, version: int) -> list[Call]:
    decoding = pytest.importorskip("ibapi.decoder", reason="IB's own client is not installed")
    msg_id, *fields = message.encode(version).split(b"\0")[:-1]
    recorder = Recorder()
    left: Iterator[bytes] = iter(fields)
    decoding.Decoder.msgId2handleInfo[int(msg_id)].processMeth(decoding.Decoder(recorder, version), left)
    assert not list(left), "fields that the decoder does not expect"
    return recorder.calls


READERS = [
    *((by_ib_async, version) for version in samples.VERSIONS if version <= 178),
    *((by_ibapi, version) for version in samples.VERSIONS),
]


@pytest.fixture(params=READERS, ids=lambda reader: f"{reader[0].__name__}-{reader[1]}")
def read(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[Message], Call]]:
    reader, version = request.param

    def run(message: Message) -> Call:
        calls: list[Call] = reader(message, version)
        (call,) = calls
        return call

    with caplog.at_level(logging.ERROR):
        yield run
    # The decoders log what they cannot read, and go on.
    assert not caplog.records, caplog.text


def test_details_of_a_future(read: Callable[[Message], Call]) -> None:
    name, (req_id, details) = read(samples.FUTURE_DETAILS)

    assert (name, req_id) == ("contractDetails", 9)
    contract = details.contract
    assert (contract.symbol, contract.secType, contract.conId) == ("ES", "FUT", 2073742147)
    assert (contract.lastTradeDateOrContractMonth, contract.multiplier) == ("20261218", "50")
    assert (details.lastTradeTime, details.timeZoneId) == ("08:30", "US/Central")
    assert (details.contractMonth, details.realExpirationDate) == ("202612", "20261218")
    assert (details.underConId, details.underSymbol, details.underSecType) == (11004968, "ES", "IND")
    assert [(each.tag, each.value) for each in details.secIdList] == [("ISIN", "US0378331005")]
    assert (details.aggGroup, details.marketRuleIds, details.stockType) == (7, "67", "")
    assert (details.minTick, details.tradingHours) == (0.25, "20261122:1700-20261123:1600")


def test_an_option_chain(read: Callable[[Message], Call]) -> None:
    name, (req_id, exchange, con_id, trading_class, multiplier, expirations, strikes) = read(
        samples.OPTION_PARAMETERS
    )

    assert (name, req_id) == ("securityDefinitionOptionParameter", 9)
    # ib_async leaves the con id as text.
    assert (exchange, int(con_id), trading_class, multiplier) == ("CBOE", 265598, "AAPL", "100")
    assert set(expirations) == {"20261218", "20270115"}
    assert set(strikes) == {227.5, 230.0, 232.5}
    assert read(messages.option_parameters_end(4)) == ("securityDefinitionOptionParameterEnd", (4,))


def test_smart_components(read: Callable[[Message], Call]) -> None:
    name, (req_id, components) = read(samples.SMART_COMPONENTS)

    assert (name, req_id) == ("smartComponents", 9)
    found = [(each.bitNumber, each.exchange, each.exchangeLetter) for each in components]
    assert found == [(1, "IEX", "V"), (2, "NYSE", "N")]


def test_depth_exchanges(read: Callable[[Message], Call]) -> None:
    _, ((arca, cme),) = read(samples.DEPTH_EXCHANGES)

    assert (arca.exchange, arca.secType, arca.listingExch) == ("ARCA", "STK", "ARCA")
    assert (arca.serviceDataType, arca.aggGroup) == ("Deep", 4)
    assert (cme.exchange, cme.secType, cme.listingExch, cme.aggGroup) == ("CME", "FUT", "", 2147483647)


def test_a_market_rule(read: Callable[[Message], Call]) -> None:
    name, (number, increments) = read(samples.MARKET_RULE)

    assert (name, number) == ("marketRule", 110)
    assert [(each.lowEdge, each.increment) for each in increments] == [(0.0, 0.01), (3.0, 0.05)]
