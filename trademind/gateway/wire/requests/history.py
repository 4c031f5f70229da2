"""Requests for the past of a market: bars, ticks, the first moment, the histogram."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldReader
from trademind.gateway.wire.requests.spec import Number, RequestSpec, number


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalDataRequest:
    req_id: int
    contract: WireContract
    end: str
    bar_size: str
    duration: str
    use_rth: bool
    what_to_show: str
    format_date: int
    keep_up_to_date: bool


class CancelHistoricalData(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTimestampRequest:
    req_id: int
    contract: WireContract
    what_to_show: str
    use_rth: bool
    format_date: int


class CancelHeadTimestamp(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramRequest:
    req_id: int
    contract: WireContract
    use_rth: bool
    period: str


class CancelHistogramData(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalTicksRequest:
    """Forwards from `start`, or backwards from `end` where that is empty."""

    req_id: int
    contract: WireContract
    start: str
    end: str
    number_of_ticks: int
    what_to_show: str
    use_rth: bool
    ignore_size: bool


def _historical_data(reader: FieldReader, version: int) -> HistoricalDataRequest:
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    end, bar_size, duration = reader.text(), reader.text(), reader.text()
    use_rth, what_to_show, format_date = reader.flag(), reader.text(), reader.integer(1)
    if contract.sec_type == "BAG":
        reader.skip(4 * reader.integer())
    return HistoricalDataRequest(
        req_id=req_id,
        contract=contract,
        end=end,
        bar_size=bar_size,
        duration=duration,
        use_rth=use_rth,
        what_to_show=what_to_show,
        format_date=format_date,
        keep_up_to_date=reader.flag(),
    )


def _head_timestamp(reader: FieldReader, version: int) -> HeadTimestampRequest:
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    use_rth, what_to_show, format_date = reader.flag(), reader.text(), reader.integer(1)
    return HeadTimestampRequest(
        req_id=req_id,
        contract=contract,
        what_to_show=what_to_show,
        use_rth=use_rth,
        format_date=format_date,
    )


def _histogram(reader: FieldReader, version: int) -> HistogramRequest:
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    return HistogramRequest(req_id=req_id, contract=contract, use_rth=reader.flag(), period=reader.text())


def _historical_ticks(reader: FieldReader, version: int) -> HistoricalTicksRequest:
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    return HistoricalTicksRequest(
        req_id=req_id,
        contract=contract,
        start=reader.text(),
        end=reader.text(),
        number_of_ticks=reader.integer(),
        what_to_show=reader.text(),
        use_rth=reader.flag(),
        ignore_size=reader.flag(),
    )


REQUESTS: Mapping[int, RequestSpec] = {
    20: RequestSpec("reqHistoricalData", 1, _historical_data),
    25: RequestSpec("cancelHistoricalData", 2, number(CancelHistoricalData)),
    87: RequestSpec("reqHeadTimeStamp", 1, _head_timestamp),
    88: RequestSpec("reqHistogramData", 1, _histogram),
    89: RequestSpec("cancelHistogramData", 1, number(CancelHistogramData, skip=0)),
    90: RequestSpec("cancelHeadTimeStamp", 1, number(CancelHeadTimestamp, skip=0)),
    96: RequestSpec("reqHistoricalTicks", 1, _historical_ticks),
    107: RequestSpec("cancelHistoricalTicks", 1, since=215),
}
