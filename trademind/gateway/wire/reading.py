"""From fields to requests.

Two tables carry the knowledge: which fields a request has (the readers), and where in any request,
served or not, its request id stands, so that an error can always be told to the one who asked.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import read_contract
from trademind.gateway.wire.fields import FieldError, FieldReader
from trademind.gateway.wire.place_order import PlaceOrder, read_place_order
from trademind.gateway.wire.requests import (
    AccountSummaryRequest,
    AccountUpdatesMultiRequest,
    AccountUpdatesRequest,
    AllOpenOrdersRequest,
    AutoOpenOrdersRequest,
    CancelAccountSummary,
    CancelAccountUpdatesMulti,
    CancelHeadTimestamp,
    CancelHistoricalData,
    CancelMarketData,
    CancelOrder,
    CancelPnL,
    CancelPnLSingle,
    CancelPositions,
    CancelPositionsMulti,
    CompletedOrdersRequest,
    ContractDetailsRequest,
    CurrentTimeMillisRequest,
    CurrentTimeRequest,
    DepthExchangesRequest,
    ExecutionsRequest,
    FamilyCodesRequest,
    GlobalCancel,
    HeadTimestampRequest,
    HistoricalDataRequest,
    ManagedAccountsRequest,
    MarketDataRequest,
    MarketDataTypeRequest,
    MarketRuleRequest,
    MatchingSymbolsRequest,
    NewsBulletins,
    NewsProvidersRequest,
    NextIdRequest,
    OpenOrdersRequest,
    OptionParametersRequest,
    PnLRequest,
    PnLSingleRequest,
    PositionsMultiRequest,
    PositionsRequest,
    ScannerParametersRequest,
    ServerLogLevel,
    SoftDollarTiersRequest,
    StartApi,
    UnservedRequest,
    UserInfoRequest,
)

NO_REQUEST_ID = -1


class UnknownRequest(Exception):
    """The message id is none of IB's."""


def message_id(fields: Sequence[str]) -> int:
    """The id that a message begins with.

    Raises:
        FieldError: there is none, so this is not a message at all.
    """
    return FieldReader(fields).integer(default=-1)


def request_id(fields: Sequence[str], version: int) -> int:
    """The request or order id of any request, or -1 where it has none or it cannot be read."""
    position = _REQUEST_ID_AT.get(message_id(fields))
    if position is None or position >= len(fields):
        return NO_REQUEST_ID
    if fields[0] == "4" and version >= versions.CME_TAGGING:
        position = 1
    try:
        return FieldReader(fields[position : position + 1]).integer(default=NO_REQUEST_ID)
    except FieldError:
        return NO_REQUEST_ID


def read_request(fields: Sequence[str], version: int) -> Any:
    """The request in `fields`, laid out for `version`: an instance of one of the classes above.

    Raises:
        FieldError: a field is missing or is not what it should be.
        UnknownRequest: the message id is none of IB's.
    """
    kind = message_id(fields)
    read = _READERS.get(kind)
    if read is not None:
        return read(FieldReader(fields[1:]), version)
    if kind in _REQUEST_ID_AT:
        return UnservedRequest(kind, request_id(fields, version))
    raise UnknownRequest(kind)


_Reader = Callable[[FieldReader, int], Any]


def _bare(kind: Callable[[], Any]) -> _Reader:
    def read(reader: FieldReader, version: int) -> Any:
        return kind()

    return read


def _number(kind: Callable[[int], Any], *, skip: int = 1) -> _Reader:
    """A request of one number, after `skip` fields; one where it begins with its own version number."""

    def read(reader: FieldReader, version: int) -> Any:
        reader.skip(skip)
        return kind(reader.integer())

    return read


def _account_model(kind: Callable[[int, str, str], Any], *, skip: int = 1) -> _Reader:
    def read(reader: FieldReader, version: int) -> Any:
        reader.skip(skip)
        return kind(reader.integer(), reader.name("account"), reader.name("model code"))

    return read


def _start_api(reader: FieldReader, version: int) -> StartApi:
    reader.skip()
    return StartApi(reader.integer(), reader.text() if reader.remaining else "")


def _market_data(reader: FieldReader, version: int) -> MarketDataRequest:
    reader.skip()
    req_id, contract = reader.integer(), read_contract(reader)
    if contract.sec_type == "BAG":
        reader.skip(4 * reader.integer())
    if reader.flag():
        reader.skip(3)  # delta-neutral contract
    return MarketDataRequest(
        req_id=req_id,
        contract=contract,
        generic_ticks=reader.text(),
        snapshot=reader.flag(),
        regulatory_snapshot=reader.flag(),
    )


def _cancel_order(reader: FieldReader, version: int) -> CancelOrder:
    if version < versions.CME_TAGGING:
        reader.skip()
    return CancelOrder(reader.integer())


def _account_updates(reader: FieldReader, version: int) -> AccountUpdatesRequest:
    reader.skip()
    return AccountUpdatesRequest(reader.flag(), reader.name("account"))


def _executions(reader: FieldReader, version: int) -> ExecutionsRequest:
    reader.skip()
    req_id, client_id = reader.integer(), reader.integer()
    account, time, symbol, sec_type, exchange, side = (reader.text() for _ in range(6))
    last_days: int | None = None
    dates: tuple[str, ...] = ()
    if version >= versions.DAYS_OF_EXECUTIONS:
        days = reader.number()
        last_days = None if days is None else int(days)
        count = reader.integer()
        if count > reader.remaining:
            raise FieldError(f"{count} dates are announced, {reader.remaining} follow")
        dates = tuple(reader.text() for _ in range(count))
    return ExecutionsRequest(
        req_id=req_id,
        client_id=client_id,
        account=account,
        time=time,
        symbol=symbol,
        sec_type=sec_type,
        exchange=exchange,
        side=side,
        last_days=last_days,
        specific_dates=dates,
    )


def _contract_details(reader: FieldReader, version: int) -> ContractDetailsRequest:
    reader.skip()
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    return ContractDetailsRequest(
        req_id=req_id, contract=contract, sec_id_type=reader.text(), sec_id=reader.text()
    )


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


def _account_summary(reader: FieldReader, version: int) -> AccountSummaryRequest:
    reader.skip()
    return AccountSummaryRequest(reader.integer(), reader.text(), reader.text())


def _pnl_single(reader: FieldReader, version: int) -> PnLSingleRequest:
    return PnLSingleRequest(
        reader.integer(), reader.name("account"), reader.name("model code"), reader.integer()
    )


def _matching_symbols(reader: FieldReader, version: int) -> MatchingSymbolsRequest:
    return MatchingSymbolsRequest(reader.integer(), reader.text())


def _auto_open_orders(reader: FieldReader, version: int) -> AutoOpenOrdersRequest:
    reader.skip()
    return AutoOpenOrdersRequest(reader.flag())


def _completed_orders(reader: FieldReader, version: int) -> CompletedOrdersRequest:
    return CompletedOrdersRequest(reader.flag())


def _place_order(reader: FieldReader, version: int) -> PlaceOrder:
    return read_place_order(reader, version)


_READERS: Mapping[int, _Reader] = {
    1: _market_data,
    2: _number(CancelMarketData),
    3: _place_order,
    4: _cancel_order,
    5: _bare(OpenOrdersRequest),
    6: _account_updates,
    7: _executions,
    8: _bare(NextIdRequest),
    9: _contract_details,
    12: _bare(NewsBulletins),
    13: _bare(NewsBulletins),
    14: _bare(ServerLogLevel),
    15: _auto_open_orders,
    16: _bare(AllOpenOrdersRequest),
    17: _bare(ManagedAccountsRequest),
    20: _historical_data,
    24: _bare(ScannerParametersRequest),
    25: _number(CancelHistoricalData),
    49: _bare(CurrentTimeRequest),
    58: _bare(GlobalCancel),
    59: _number(MarketDataTypeRequest),
    61: _bare(PositionsRequest),
    62: _account_summary,
    63: _number(CancelAccountSummary),
    64: _bare(CancelPositions),
    71: _start_api,
    74: _account_model(PositionsMultiRequest),
    75: _number(CancelPositionsMulti),
    76: _account_model(AccountUpdatesMultiRequest),
    77: _number(CancelAccountUpdatesMulti),
    78: _number(OptionParametersRequest, skip=0),
    79: _number(SoftDollarTiersRequest, skip=0),
    80: _bare(FamilyCodesRequest),
    81: _matching_symbols,
    82: _bare(DepthExchangesRequest),
    85: _bare(NewsProvidersRequest),
    87: _head_timestamp,
    90: _number(CancelHeadTimestamp, skip=0),
    91: _number(MarketRuleRequest, skip=0),
    92: _account_model(PnLRequest, skip=0),
    93: _number(CancelPnL, skip=0),
    94: _pnl_single,
    95: _number(CancelPnLSingle, skip=0),
    99: _completed_orders,
    104: _number(UserInfoRequest, skip=0),
    105: _bare(CurrentTimeMillisRequest),
}

_REQUEST_ID_AT: Mapping[int, int | None] = {
    # Beginning with a version number, then the request id.
    **dict.fromkeys((1, 2, 4, 7, 9, 10, 11, 21, 23, 25, 50, 51, 52, 53, 54, 55, 56, 57, 62, 63, 67, 68), 2),
    **dict.fromkeys((69, 70, 74, 75, 76, 77), 2),
    # Beginning with the request id (the order id, for 3).
    **dict.fromkeys((3, 20, 22, 78, 79, 81, 83, 84, 86, 87, 88, 89, 90, 92, 93, 94, 95, 96, 97, 98), 1),
    **dict.fromkeys((100, 101, 102, 103, 104, 106, 107), 1),
    # Replacing an adviser's groups: version, kind, XML, request id.
    19: 4,
    # Without a request id.
    **dict.fromkeys((5, 6, 8, 12, 13, 14, 15, 16, 17, 18, 24, 49, 58, 59, 61, 64, 65, 66, 71, 72, 73)),
    **dict.fromkeys((80, 82, 85, 91, 99, 105)),
}
"""Every request of the text protocol, and the index of its request id; None where it has none."""
