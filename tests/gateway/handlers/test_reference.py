"""Display groups, verification, and what the log-in is not entitled to, by two client libraries."""

import ib_async
import ib_async.objects
import pytest
from ibapi.common import WshEventData

from tests.gateway.conversation import AAPL_ID, LIBRARIES, LibraryClient, make_core


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_what_one_client_shows_every_other_sees(library: str, version: int) -> None:
    core = make_core()
    one = LibraryClient(core, library, version, client_id=1)
    other = LibraryClient(core, client_id=2)

    assert one.ask("queryDisplayGroups", 3) == [("displayGroupList", (3, "1|2|3|4|5|6|7"))]
    assert one.ask("subscribeToGroupEvents", 3, 4) == [("displayGroupUpdated", (3, "none"))]
    assert other.ask("subscribeToGroupEvents", 9, 4) == [("displayGroupUpdated", (9, "none"))]
    shown = f"{AAPL_ID}@SMART"
    assert one.ask("updateDisplayGroup", 3, shown) == [("displayGroupUpdated", (3, shown))]
    assert other.hear() == [("displayGroupUpdated", (9, shown))]

    assert other.ask("unsubscribeFromGroupEvents", 9) == []
    one.ask("updateDisplayGroup", 3, "none")
    assert other.hear() == []
    assert other.ask("subscribeToGroupEvents", 9, 5) == [("displayGroupUpdated", (9, "none"))]


def test_groups_that_do_not_exist() -> None:
    client = LibraryClient(make_core())

    assert client.ask("subscribeToGroupEvents", 3, 8).errors() == [(3, 321)]
    assert client.ask("updateDisplayGroup", 3, "none").errors() == [(3, 300)]
    assert client.ask("unsubscribeFromGroupEvents", 3).errors() == [(3, 300)]
    client.ask("subscribeToGroupEvents", 3, 1)
    assert client.ask("updateDisplayGroup", 3, "AAPL").errors() == [(3, 321)]
    for number in range(60):
        client.ask("subscribeToGroupEvents", 100 + number, 1)
    assert len(client.session.groups) == 50


@pytest.mark.parametrize("version", [version for library, version in LIBRARIES if library == "ib_async"])
def test_fundamentals_and_verification(version: int) -> None:
    client = LibraryClient(make_core(), "ib_async", version)

    def ask(con_id: int) -> list[tuple[int, int]]:
        contract = client.contract(con_id)
        return client.ask("reqFundamentalData", 3, contract, "ReportSnapshot", []).errors()

    assert ask(AAPL_ID) == [(3, 10358)]
    assert ask(1) == [(3, 200)]
    assert client.ask("cancelFundamentalData", 3).errors() == [(3, 300)]
    for name, args, callback in (
        ("verifyRequest", ("a", "1"), "verifyCompleted"),
        ("verifyMessage", ("a",), "verifyCompleted"),
        ("verifyAndAuthRequest", ("a", "1", "k"), "verifyAndAuthCompleted"),
        ("verifyAndAuthMessage", ("a", "x"), "verifyAndAuthCompleted"),
    ):
        ((successful, text),) = client.ask(name, *args).named(callback)
        assert not successful
        assert "not available" in text


@pytest.mark.parametrize(
    ("library", "version"), [(library, version) for library, version in LIBRARIES if version >= 161]
)
def test_the_calendar_of_corporate_events(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)
    wanted = WshEventData() if library == "ibapi" else ib_async.objects.WshEventData()

    assert client.ask("reqWshMetaData", 3).errors() == [(3, 10276)]
    assert client.ask("reqWshEventData", 3, wanted).errors() == [(3, 10276)]
    assert client.ask("cancelWshMetaData", 3).errors() == [(3, 10280)]
    assert client.ask("cancelWshEventData", 3).errors() == [(3, 10284)]
