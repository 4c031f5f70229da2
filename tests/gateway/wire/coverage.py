"""What of the text protocol the paper gateway does, found out by asking: the document docs/wire-coverage.md.

    python -m tests.gateway.wire.coverage > docs/wire-coverage.md

Every request is written by a real client library and sent to a gateway; what comes back says whether it is
served. Versions come from IB's own client, outgoing messages from the modules that lay them out.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ib_async
import ibapi.server_versions
from ib_async.objects import ScannerSubscription
from ibapi.client import EClient
from ibapi.message import IN

from tests.gateway.conversation import LibraryClient, make_core
from tests.gateway.handlers.watching import move
from tests.gateway.wire.test_requests_of_ib_async import AAPL, CALLS, REQ
from trademind.gateway import wire
from trademind.gateway.wire.frames import encode_frame
from trademind.gateway.wire.requests import REQUESTS
from trademind.gateway.wire.versions import MAX_VERSION, MIN_VERSION

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "wire-coverage.md"
COMMAND = "python -m tests.gateway.wire.coverage > docs/wire-coverage.md"

SILENT: Mapping[int, str] = {
    2: "ends a stream",
    6: "ends a stream when it is sent to end it; begins one otherwise",
    11: "ends a stream",
    13: "ends a stream",
    14: "the log level is the gateway's own business",
    15: "orders to come are bound from then on",
    51: "ends a stream",
    56: "ends a computation",
    57: "ends a computation",
    58: "what is cancelled is told order by order",
    59: "holds for subscriptions to come",
    63: "ends a stream",
    64: "ends a stream",
    70: "ends a stream",
    75: "ends a stream",
    77: "ends a stream",
    90: "answers are sent at once",
    93: "ends a stream",
    95: "ends a stream",
    98: "ends a stream",
}
"""Requests that IB does not answer when all is well, and why."""

_SCAN = ScannerSubscription(instrument="STK", locationCode="STK.US", scanCode="TOP_PERC_GAIN", numberOfRows=5)
_OPTION = ib_async.Option("AAPL", "20261218", 230.0, "C", "SMART", "100", "USD")
_ORDER = (REQ, AAPL, ib_async.LimitOrder("BUY", 1, 1.0))
_STORY = "BRFG$40d7e20261120"

INSTEAD: Mapping[str, tuple[Any, ...]] = {
    "reqAccountUpdates": (True, ""),
    "reqPositionsMulti": (REQ, "", ""),
    "reqAccountUpdatesMulti": (REQ, "", "", False),
    "reqPnL": (REQ, "", ""),
    "reqPnLSingle": (REQ, "", "", AAPL.conId),
    "reqScannerSubscription": (REQ, _SCAN, [], []),
    "reqNewsArticle": (REQ, "BRFG", _STORY, []),
    "placeOrder": _ORDER,
    "cancelOrder": (REQ, ""),
    "updateDisplayGroup": (REQ, "265598@SMART"),
    "reqMktDepth": (REQ, AAPL, 5, True, []),
    "calculateImpliedVolatility": (REQ, _OPTION, 20.0, 235.0, []),
    "calculateOptionPrice": (REQ, _OPTION, 0.3, 235.0, []),
}
"""Arguments for which there is an answer, where the tests of the layout do not care."""

BEFORE: Mapping[str, tuple[tuple[str, tuple[Any, ...]], ...]] = {
    "cancelMktData": (("reqMktData", (REQ, AAPL, "", False, False, [])),),
    "cancelMktDepth": (("reqMktDepth", (REQ, AAPL, 5, True, [])),),
    "cancelRealTimeBars": (("reqRealTimeBars", (REQ, AAPL, 5, "TRADES", True, [])),),
    "cancelTickByTickData": (("reqTickByTickData", (REQ, AAPL, "Last", 0, False)),),
    "cancelAccountSummary": (("reqAccountSummary", (REQ, "All", "NetLiquidation")),),
    "cancelPositions": (("reqPositions", ()),),
    "cancelPositionsMulti": (("reqPositionsMulti", (REQ, "", "")),),
    "cancelAccountUpdatesMulti": (("reqAccountUpdatesMulti", (REQ, "", "", False)),),
    "cancelPnL": (("reqPnL", (REQ, "", "")),),
    "cancelPnLSingle": (("reqPnLSingle", (REQ, "", "", AAPL.conId)),),
    "updateDisplayGroup": (("subscribeToGroupEvents", (REQ, 1)),),
    "unsubscribeFromGroupEvents": (("subscribeToGroupEvents", (REQ, 1)),),
    "cancelOrder": (("placeOrder", _ORDER),),
    "cancelScannerSubscription": (("reqScannerSubscription", (REQ, _SCAN, [], [])),),
    "cancelHistoricalData": (
        ("reqHistoricalData", (REQ, AAPL, "", "60 S", "1 min", "TRADES", True, 1, True, [])),
    ),
}
"""What has to be asked for first, so that there is something to end."""

_REFUSED = re.compile(r"if self\.serverVersion\(\) < (MIN_SERVER_VER_\w+):\s+self\.wrapper\.error\(")

BINARY_ONLY: Mapping[int, str] = {
    106: "cancelContractData",
    107: "cancelHistoricalTicks",
}
"""Requests that clients write in the binary layout only, which begins with version 201."""

_HANDLERS = "tests/gateway/handlers/"
PROOFS: Mapping[int, str] = {
    1: _HANDLERS + "test_market_data.py::test_all_default_ticks_come_first",
    2: _HANDLERS + "test_market_data.py::test_all_default_ticks_come_first",
    4: "tests/gateway/test_gateway_core.py::test_whose_order_a_cancel_means_is_never_guessed",
    6: "tests/gateway/test_gateway_core.py::test_changes_of_prices_reach_the_account_every_three_seconds",
    7: "tests/gateway/test_with_ib_async.py::test_executions_can_be_filtered",
    10: _HANDLERS + "test_depth.py::test_the_client_has_the_book",
    11: _HANDLERS + "test_depth.py::test_the_client_has_the_book",
    12: _HANDLERS + "test_news.py::test_bulletins",
    13: _HANDLERS + "test_news.py::test_bulletins",
    15: "tests/gateway/test_orders_by_hand.py::test_orders_to_come_are_bound_on_request",
    16: "tests/gateway/test_gateway_core.py::test_answers_and_events_keep_their_order",
    20: _HANDLERS + "test_historical_bars.py::test_every_kind_of_data",
    22: _HANDLERS + "test_scanner.py::test_the_best_come_first",
    23: _HANDLERS + "test_scanner.py::test_cancelling",
    24: _HANDLERS + "test_scanner.py::test_the_parameters_are_what_is_served",
    25: _HANDLERS + "test_historical_bars.py::test_cancelling",
    50: _HANDLERS + "test_real_time_bars.py::test_a_bar_comes_every_five_seconds",
    51: _HANDLERS + "test_real_time_bars.py::test_a_bar_comes_every_five_seconds",
    52: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    53: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    54: _HANDLERS + "test_option_ticks.py::test_what_is_asked_for_is_computed",
    55: _HANDLERS + "test_option_ticks.py::test_what_is_asked_for_is_computed",
    56: _HANDLERS + "test_option_ticks.py::test_what_is_asked_for_is_computed",
    57: _HANDLERS + "test_option_ticks.py::test_what_is_asked_for_is_computed",
    58: "tests/gateway/test_gateway_core.py::test_a_global_cancel_is_finished_though_its_client_has_gone",
    59: _HANDLERS + "test_market_data.py::test_delayed_data_is_a_quarter_of_an_hour_old",
    62: "tests/gateway/test_several_accounts.py::test_the_ledger_by_currency",
    63: "tests/gateway/test_several_accounts.py::test_a_third_summary_is_one_too_many",
    65: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    66: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    67: _HANDLERS + "test_reference.py::test_what_one_client_shows_every_other_sees",
    68: _HANDLERS + "test_reference.py::test_what_one_client_shows_every_other_sees",
    69: _HANDLERS + "test_reference.py::test_what_one_client_shows_every_other_sees",
    70: _HANDLERS + "test_reference.py::test_what_one_client_shows_every_other_sees",
    72: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    73: _HANDLERS + "test_reference.py::test_fundamentals_and_verification",
    74: "tests/gateway/test_several_accounts.py::test_positions_by_account",
    76: "tests/gateway/test_several_accounts.py::test_updates_of_all_accounts_at_once",
    80: "tests/gateway/test_several_accounts.py::test_family_codes",
    81: "tests/gateway/test_with_ib_async.py::test_matching_symbols",
    84: _HANDLERS + "test_news.py::test_from_provider_to_article",
    85: _HANDLERS + "test_news.py::test_from_provider_to_article",
    86: _HANDLERS + "test_news.py::test_a_window",
    87: _HANDLERS + "test_historical_ticks.py::test_the_head_of_history",
    88: _HANDLERS + "test_historical_ticks.py::test_a_histogram_has_the_volume_of_the_bars",
    89: _HANDLERS + "test_historical_ticks.py::test_cancelling_a_histogram_that_is_not_there",
    90: _HANDLERS + "test_historical_ticks.py::test_the_head_of_history",
    92: "tests/gateway/test_with_ib_async.py::test_profit_and_loss",
    93: "tests/gateway/test_with_ib_async.py::test_profit_and_loss",
    94: "tests/gateway/test_with_ib_async.py::test_profit_and_loss",
    95: "tests/gateway/test_with_ib_async.py::test_profit_and_loss",
    96: _HANDLERS + "test_historical_ticks.py::test_every_kind_in_both_directions",
    97: _HANDLERS + "test_tick_by_tick.py::test_all_trades_make_the_volume",
    98: _HANDLERS + "test_tick_by_tick.py::test_all_trades_make_the_volume",
    99: "tests/gateway/test_order_stories.py::test_completed_orders",
    100: _HANDLERS + "test_reference.py::test_the_calendar_of_corporate_events",
    101: _HANDLERS + "test_reference.py::test_the_calendar_of_corporate_events",
    102: _HANDLERS + "test_reference.py::test_the_calendar_of_corporate_events",
    103: _HANDLERS + "test_reference.py::test_the_calendar_of_corporate_events",
}
"""The test that shows most of a request; of the others the one that sends all of them."""
FOR_ALL = "tests/gateway/wire/test_coverage.py::test_every_request_gets_an_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a request: message ids, and codes of errors."""

    messages: frozenset[int]
    errors: frozenset[int]

    @property
    def words(self) -> str:
        if self.messages:
            return "served"
        if self.errors:
            return "IB's error " + ", ".join(map(str, sorted(self.errors)))
        return ""


def ask(name: str, args: tuple[Any, ...], version: int) -> Answer:
    """Send one request, as a client library writes it, to a fresh gateway.

    Its answer is what comes at once and with the market's next move.
    """
    library = "ib_async" if version <= 178 else "ibapi"
    # Some of it is for the client 0 only.
    client = LibraryClient(make_core(), library, version, client_id=0)
    for before, its_args in BEFORE.get(name, ()):
        client.ask(before, *its_args)
    client.post(name, *args)
    client.settle()
    data = client.session.connection.data_to_send()
    if not data:
        move(client.core, 5)
        data = client.session.connection.data_to_send()
    if name == "startApi":
        # The one that counts is the one that it begins with.
        data = b"".join(encode_frame(payload) for payload in client.greeting[1:])
    messages, errors = set(), set()
    while data:
        size = int.from_bytes(data[:4], "big")
        fields = data[4 : 4 + size].split(b"\0")
        data = data[4 + size :]
        if fields[0] == b"4":
            errors.add(int(fields[3] if version < 194 else fields[2]))
        else:
            messages.add(int(fields[0]))
    # Warnings come beside an answer and are none.
    return Answer(frozenset(messages), frozenset(code for code in errors if not 2100 <= code < 2200))


@cache
def requests() -> Mapping[int, tuple[str, tuple[Any, ...], int]]:
    """A plausible request of every kind: its name, its arguments, and the version it is written at."""
    found: dict[int, tuple[str, tuple[Any, ...], int]] = {}
    calls = [(name, INSTEAD.get(name, args), 178) for name, args, _ in CALLS]
    calls += [("startApi", (), 178), ("reqCurrentTimeInMillis", (), 200)]
    for name, args, version in calls:
        client = LibraryClient(make_core(), "ib_async" if version <= 178 else "ibapi", version)
        fields = client.written(name, *args)
        found[int(fields[0])] = (name, args, version)
    return found


@cache
def answers() -> Mapping[int, Answer]:
    return {number: ask(*request) for number, request in sorted(requests().items())}


def since(name: str) -> int | None:
    """The version that brought a request, as IB's client says that older ones do not have it."""
    method = getattr(EClient, name, None)
    if method is None:
        return None
    refused = _REFUSED.search(inspect.getsource(method))
    return getattr(ibapi.server_versions, refused[1]) if refused else None


@cache
def sent_messages() -> Mapping[int, str]:
    """The messages that the wire's modules lay out for the gateway: ids, and what lays them out.

    What nothing of the gateway calls does not count.
    """
    found: dict[int, str] = {}
    used = _used_names()
    for path in sorted(Path(wire.__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name in used:
                for number in _ids(node):
                    found.setdefault(number, f"{path.stem}.{node.name}")
    return dict(sorted(found.items()))


def _used_names() -> frozenset[str]:
    """Every name that the gateway's code reads; importing or defining one is no use of it."""
    return frozenset(
        node.id if isinstance(node, ast.Name) else node.attr
        for path in Path(wire.__file__).parents[1].rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name | ast.Attribute)
    )


def _ids(node: ast.ClassDef | ast.FunctionDef) -> Iterator[int]:
    """The ids that messages begin with in a class or function."""
    is_message = isinstance(node, ast.FunctionDef)
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef) and each.name == "fields":
            # Each return is a message; of what is yielded, only the beginning says which one it is.
            yielded = [part for part in ast.walk(each) if isinstance(part, ast.Yield | ast.YieldFrom)]
            returned = [part for part in ast.walk(each) if isinstance(part, ast.Return)]
            for part in (*returned, *sorted(yielded, key=lambda part: part.lineno)[:1]):
                yield from _first_number(part.value)
        elif is_message and isinstance(each, ast.keyword) and each.arg == "values":
            yield from _first_number(each.value)
        elif isinstance(each, ast.Constant) and isinstance(each.value, bytes):
            begins = re.match(rb"(\d{1,3})\0", each.value)
            if begins and is_message:
                yield int(begins[1])


def _first_number(value: ast.expr | None) -> Iterator[int]:
    if isinstance(value, ast.Tuple) and value.elts:
        value = value.elts[0]
    if isinstance(value, ast.Constant) and type(value.value) is int:
        yield value.value


def document() -> str:
    """The whole of docs/wire-coverage.md."""
    lines = [
        "# What of the wire protocol is covered",
        "",
        f"Made by `{COMMAND}`; a test fails when it is stale.",
        f"The paper gateway speaks the text protocol, versions {MIN_VERSION} to {MAX_VERSION}, each message",
        "laid out for the version agreed on.",
        "",
        "## Requests",
        "",
        "Every request of ib_async's client and of the text protocol of IB's own. *Since* is the version",
        "that brought it, by IB's own client; *answer* is what a plausible request to a fresh gateway gets.",
        "",
        "| id | request | since | answer | shown by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for number, spec in REQUESTS.items():
        first = since(spec.name) or spec.since or "always"
        shown = PROOFS.get(number, FOR_ALL).removeprefix("tests/gateway/").replace("::", " ")
        lines.append(f"| {number} | {spec.name} | {first} | {_words(number)} | {shown} |")
    lines += [
        "",
        "## Messages",
        "",
        "What gateways send, by IB's names, and which part of `trademind/gateway/wire` lays it out.",
        "",
        "| id | message | sent by |",
        "| --- | --- | --- |",
    ]
    sent = sent_messages()
    names = {each.value: each.name for each in IN} | {51: "FUNDAMENTAL_DATA"}
    for number, name in sorted(names.items()):
        if number not in (110, 111):  # in the binary protocol only
            lines.append(f"| {number} | {name} | {sent.get(number, 'not sent')} |")
    return "\n".join(lines) + "\n"


def _words(number: int) -> str:
    if number in BINARY_ONLY:
        return "from version 201 on; in text, IB's error 300"
    words = answers()[number].words
    return words or f"silent, as at IB: {SILENT[number]}"


if __name__ == "__main__":
    sys.stdout.write(document())
