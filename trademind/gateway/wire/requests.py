"""What clients ask: one class for each request that is served. `reading` makes them from fields."""

from dataclasses import dataclass

from trademind.gateway.wire.contracts import WireContract


@dataclass(frozen=True, slots=True)
class StartApi:
    client_id: int
    capabilities: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDataRequest:
    req_id: int
    contract: WireContract
    generic_ticks: str
    snapshot: bool
    regulatory_snapshot: bool


@dataclass(frozen=True, slots=True)
class CancelOrder:
    order_id: int


@dataclass(frozen=True, slots=True)
class AccountUpdatesRequest:
    subscribe: bool
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionsRequest:
    """Filters that are empty, or a client id of 0, let everything through."""

    req_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str
    specific_dates: tuple[str, ...] = ()
    last_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetailsRequest:
    req_id: int
    contract: WireContract
    sec_id_type: str
    sec_id: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTimestampRequest:
    req_id: int
    contract: WireContract
    what_to_show: str
    use_rth: bool
    format_date: int


@dataclass(frozen=True, slots=True)
class AccountSummaryRequest:
    req_id: int
    group: str
    tags: str


@dataclass(frozen=True, slots=True)
class AccountModelRequest:
    """For one account and model: positions, account updates or profit and loss."""

    req_id: int
    account: str
    model_code: str


class PositionsMultiRequest(AccountModelRequest):
    __slots__ = ()


class AccountUpdatesMultiRequest(AccountModelRequest):
    __slots__ = ()


class PnLRequest(AccountModelRequest):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PnLSingleRequest:
    req_id: int
    account: str
    model_code: str
    con_id: int


@dataclass(frozen=True, slots=True)
class MatchingSymbolsRequest:
    req_id: int
    pattern: str


@dataclass(frozen=True, slots=True)
class _Number:
    """A request of one number: a request id to cancel, or whatever the class says."""

    number: int


class CancelMarketData(_Number):
    __slots__ = ()


class CancelHistoricalData(_Number):
    __slots__ = ()


class CancelAccountSummary(_Number):
    __slots__ = ()


class CancelPositionsMulti(_Number):
    __slots__ = ()


class CancelAccountUpdatesMulti(_Number):
    __slots__ = ()


class CancelPnL(_Number):
    __slots__ = ()


class CancelPnLSingle(_Number):
    __slots__ = ()


class CancelHeadTimestamp(_Number):
    __slots__ = ()


class MarketDataTypeRequest(_Number):
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""

    __slots__ = ()


class MarketRuleRequest(_Number):
    __slots__ = ()


class OptionParametersRequest(_Number):
    __slots__ = ()


class SoftDollarTiersRequest(_Number):
    __slots__ = ()


class UserInfoRequest(_Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Bare:
    """A request that says all by being sent."""


class OpenOrdersRequest(_Bare):
    __slots__ = ()


class AllOpenOrdersRequest(_Bare):
    __slots__ = ()


class NextIdRequest(_Bare):
    __slots__ = ()


class ManagedAccountsRequest(_Bare):
    __slots__ = ()


class ServerLogLevel(_Bare):
    __slots__ = ()


class CurrentTimeRequest(_Bare):
    __slots__ = ()


class CurrentTimeMillisRequest(_Bare):
    __slots__ = ()


class GlobalCancel(_Bare):
    __slots__ = ()


class PositionsRequest(_Bare):
    __slots__ = ()


class CancelPositions(_Bare):
    __slots__ = ()


class FamilyCodesRequest(_Bare):
    __slots__ = ()


class DepthExchangesRequest(_Bare):
    __slots__ = ()


class NewsProvidersRequest(_Bare):
    __slots__ = ()


class ScannerParametersRequest(_Bare):
    __slots__ = ()


class NewsBulletins(_Bare):
    """Wanted or no longer wanted: the paper gateway has none to send."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AutoOpenOrdersRequest:
    bind: bool


@dataclass(frozen=True, slots=True)
class CompletedOrdersRequest:
    api_only: bool


@dataclass(frozen=True, slots=True)
class UnservedRequest:
    """A request that IB has and the paper gateway does not serve."""

    message_id: int
    req_id: int
