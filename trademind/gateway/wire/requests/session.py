"""Requests of the session itself: its start, ids, time, what there is to see of the log-in."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import FieldReader
from trademind.gateway.wire.requests.spec import Bare, Number, RequestSpec, bare, number


@dataclass(frozen=True, slots=True)
class StartApi:
    client_id: int
    capabilities: str


class NextIdRequest(Bare):
    __slots__ = ()


class ManagedAccountsRequest(Bare):
    __slots__ = ()


class ServerLogLevel(Bare):
    __slots__ = ()


class CurrentTimeRequest(Bare):
    __slots__ = ()


class CurrentTimeMillisRequest(Bare):
    __slots__ = ()


class UserInfoRequest(Number):
    __slots__ = ()


class QueryDisplayGroups(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SubscribeToGroup:
    req_id: int
    group_id: int


@dataclass(frozen=True, slots=True)
class UpdateDisplayGroup:
    req_id: int
    contract_info: str


class UnsubscribeFromGroup(Number):
    __slots__ = ()


class Verify(Bare):
    """Asks that a third-party program be verified, in one or the other of two steps."""

    __slots__ = ()


class VerifyAndAuthenticate(Bare):
    __slots__ = ()


def _start_api(reader: FieldReader, version: int) -> StartApi:
    reader.skip()
    return StartApi(reader.integer(), reader.text() if reader.remaining else "")


def _subscribe_to_group(reader: FieldReader, version: int) -> SubscribeToGroup:
    reader.skip()
    return SubscribeToGroup(reader.integer(), reader.integer())


def _update_display_group(reader: FieldReader, version: int) -> UpdateDisplayGroup:
    reader.skip()
    return UpdateDisplayGroup(reader.integer(), reader.text())


REQUESTS: Mapping[int, RequestSpec] = {
    8: RequestSpec("reqIds", None, bare(NextIdRequest)),
    14: RequestSpec("setServerLogLevel", None, bare(ServerLogLevel)),
    17: RequestSpec("reqManagedAccts", None, bare(ManagedAccountsRequest)),
    49: RequestSpec("reqCurrentTime", None, bare(CurrentTimeRequest)),
    65: RequestSpec("verifyRequest", None, bare(Verify)),
    66: RequestSpec("verifyMessage", None, bare(Verify)),
    67: RequestSpec("queryDisplayGroups", 2, number(QueryDisplayGroups)),
    68: RequestSpec("subscribeToGroupEvents", 2, _subscribe_to_group),
    69: RequestSpec("updateDisplayGroup", 2, _update_display_group),
    70: RequestSpec("unsubscribeFromGroupEvents", 2, number(UnsubscribeFromGroup)),
    71: RequestSpec("startApi", None, _start_api),
    72: RequestSpec("verifyAndAuthRequest", None, bare(VerifyAndAuthenticate)),
    73: RequestSpec("verifyAndAuthMessage", None, bare(VerifyAndAuthenticate)),
    104: RequestSpec("reqUserInfo", 1, number(UserInfoRequest, skip=0), since=versions.USER_INFO),
    105: RequestSpec(
        "reqCurrentTimeInMillis", None, bare(CurrentTimeMillisRequest), since=versions.CURRENT_TIME_MILLIS
    ),
}
