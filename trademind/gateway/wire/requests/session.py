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


def _start_api(reader: FieldReader, version: int) -> StartApi:
    reader.skip()
    return StartApi(reader.integer(), reader.text() if reader.remaining else "")


REQUESTS: Mapping[int, RequestSpec] = {
    8: RequestSpec("reqIds", None, bare(NextIdRequest)),
    14: RequestSpec("setServerLogLevel", None, bare(ServerLogLevel)),
    17: RequestSpec("reqManagedAccts", None, bare(ManagedAccountsRequest)),
    49: RequestSpec("reqCurrentTime", None, bare(CurrentTimeRequest)),
    65: RequestSpec("verifyRequest", None),
    66: RequestSpec("verifyMessage", None),
    67: RequestSpec("queryDisplayGroups", 2),
    68: RequestSpec("subscribeToGroupEvents", 2),
    69: RequestSpec("updateDisplayGroup", 2),
    70: RequestSpec("unsubscribeFromGroupEvents", 2),
    71: RequestSpec("startApi", None, _start_api),
    72: RequestSpec("verifyAndAuthRequest", None),
    73: RequestSpec("verifyAndAuthMessage", None),
    104: RequestSpec("reqUserInfo", 1, number(UserInfoRequest, skip=0)),
    105: RequestSpec(
        "reqCurrentTimeInMillis", None, bare(CurrentTimeMillisRequest), since=versions.CURRENT_TIME_MILLIS
    ),
}
