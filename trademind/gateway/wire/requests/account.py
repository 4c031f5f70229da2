"""Requests about accounts: values, positions, summary, profit and loss, advisers."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire.fields import FieldReader
from trademind.gateway.wire.requests.spec import Bare, Number, RequestSpec, account_model, bare, number


@dataclass(frozen=True, slots=True)
class AccountUpdatesRequest:
    subscribe: bool
    account: str


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


class CancelAccountSummary(Number):
    __slots__ = ()


class CancelPositionsMulti(Number):
    __slots__ = ()


class CancelAccountUpdatesMulti(Number):
    __slots__ = ()


class CancelPnL(Number):
    __slots__ = ()


class CancelPnLSingle(Number):
    __slots__ = ()


class PositionsRequest(Bare):
    __slots__ = ()


class CancelPositions(Bare):
    __slots__ = ()


class FamilyCodesRequest(Bare):
    __slots__ = ()


class SoftDollarTiersRequest(Number):
    __slots__ = ()


def _account_updates(reader: FieldReader, version: int) -> AccountUpdatesRequest:
    reader.skip()
    return AccountUpdatesRequest(reader.flag(), reader.name("account"))


def _account_summary(reader: FieldReader, version: int) -> AccountSummaryRequest:
    reader.skip()
    return AccountSummaryRequest(reader.integer(), reader.text(), reader.text())


def _pnl_single(reader: FieldReader, version: int) -> PnLSingleRequest:
    return PnLSingleRequest(
        reader.integer(), reader.name("account"), reader.name("model code"), reader.integer()
    )


REQUESTS: Mapping[int, RequestSpec] = {
    6: RequestSpec("reqAccountUpdates", None, _account_updates),
    18: RequestSpec("requestFA", None),
    19: RequestSpec("replaceFA", 4),
    61: RequestSpec("reqPositions", None, bare(PositionsRequest)),
    62: RequestSpec("reqAccountSummary", 2, _account_summary),
    63: RequestSpec("cancelAccountSummary", 2, number(CancelAccountSummary)),
    64: RequestSpec("cancelPositions", None, bare(CancelPositions)),
    74: RequestSpec("reqPositionsMulti", 2, account_model(PositionsMultiRequest)),
    75: RequestSpec("cancelPositionsMulti", 2, number(CancelPositionsMulti)),
    76: RequestSpec("reqAccountUpdatesMulti", 2, account_model(AccountUpdatesMultiRequest)),
    77: RequestSpec("cancelAccountUpdatesMulti", 2, number(CancelAccountUpdatesMulti)),
    79: RequestSpec("reqSoftDollarTiers", 1, number(SoftDollarTiersRequest, skip=0)),
    80: RequestSpec("reqFamilyCodes", None, bare(FamilyCodesRequest)),
    92: RequestSpec("reqPnL", 1, account_model(PnLRequest, skip=0)),
    93: RequestSpec("cancelPnL", 1, number(CancelPnL, skip=0)),
    94: RequestSpec("reqPnLSingle", 1, _pnl_single),
    95: RequestSpec("cancelPnLSingle", 1, number(CancelPnLSingle, skip=0)),
}
