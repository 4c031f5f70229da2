"""Twelve things that go wrong with IB's API, played to a server, and what it made of each.

Every function plays one fault on a stage and returns the facts in a line: what the server answered and when,
and what is true at the gateway. Nothing in a line is known beforehand. The rows are those of the table of
IB's facts, each of which `tests/gateway/test_faults.py` plays to bare ib_async.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.side_by_side.designs import SILENT_AFTER, watching
from tests.bench.side_by_side.stage import SYMBOL, Stage, after, until

LOW: Final = "1.00"
"""A limit at which nothing is bought."""
LOOK_UPS: Final = 200
UNWATCHED: Final = 20.0
"""Seconds of silence after which a server without a watch is asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    row: int | None
    """Of the table of IB's facts; None for what is not in it."""
    play: Callable[[Stage], str]
    pacing: bool = False
    connected: bool = True
    """Whether the server is started, and connected, beforehand."""


def gateway_restarted(stage: Stage) -> str:
    """Nobody has asked anything meanwhile."""
    stage.gateway.stop()
    stage.gateway.start()
    first = stage.account()
    back = 0.0 if first.is_success else stage.works_again()
    return f"first read {first}" + ("" if first.is_success else f", reads work {after(back)}")


def gateway_killed_during_an_order(stage: Stage) -> str:
    """The order has reached the gateway, which dies before it has done anything with it."""
    stage.play({"do": "delay", "with": {"by": "60s"}, "request": "placeOrder"})
    with ThreadPoolExecutor(1) as pool:
        placing = pool.submit(stage.place, "killed", limit=LOW)
        until(stage.gateway.has_played)
        stage.gateway.stop(signal.SIGKILL)
        answer = placing.result()
    stage.gateway.start()
    return f"{answer}, {_repeated(stage, 'killed', LOW)}"


def connection_lost_after_an_order(stage: Stage) -> str:
    """The order fills at once, and its server is not told."""
    stage.play({"do": "disconnect", "with": {"after": True}, "request": "placeOrder"})
    answer = stage.place("lost")
    told = _repeated(stage, "lost")
    return f"{answer}, {told}, {_shares(stage.gateway.truth().held)} bought"


def notice_on_a_living_order(stage: Stage) -> str:
    """IB tells it before the first status of the order."""
    notice = {"code": 10349, "text": "Order TIF was set to DAY based on order preset.", "instead": False}
    stage.play({"do": "fail", "with": notice, "message": "openOrder"})
    answer = stage.place("noticed", limit=LOW)
    lives = stage.gateway.truth().count("noticed")
    if answer.is_success:
        return f"{answer}, {_orders(lives)}"
    return f"{answer}, though {_orders(lives)}; {_repeated(stage, 'noticed', LOW)}"


def end_of_positions_withheld(stage: Stage) -> str:
    """Once, of whichever request comes first."""
    stage.play({"do": "drop", "message": "positionEnd"})
    with ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(stage.positions) for _ in range(2)]
        return "; ".join(sorted(str(read.result()) for read in reads))


def link_to_ib_lost(stage: Stage) -> str:
    stage.gateway.play({"do": "lose_link"})
    until(lambda: stage.gateway.command("status")["link"] == "lost")
    health, answer = stage.health(), stage.place("unlinked", limit=LOW)
    stage.gateway.play({"do": "restore_link"})
    until(lambda: stage.health().is_success)
    return f"health {health.status}, order {answer}, {_repeated(stage, 'unlinked', LOW)}"


def half_open(stage: Stage) -> str:
    """The gateway says nothing any more and keeps the connection."""
    stage.place("heard", limit=LOW)
    stage.play({"do": "stop_answering"})
    patience = SILENT_AFTER * 2 if watching() else UNWATCHED
    try:
        noticed = f"not ready {after(until(lambda: not stage.health().is_success, patience))}"
    except TimeoutError:
        noticed = f"health still 200 after {patience:g} s"
    read, answer = stage.account(), stage.place("unheard", limit=LOW)
    stage.gateway.clear()
    back = stage.works_again()
    told = f"{noticed}; account {read}, order {answer}"
    return f"{told}; once the gateway speaks, works {after(back)}, {_repeated(stage, 'unheard', LOW)}"


def client_id_in_use(stage: Stage) -> str:
    """An earlier process still has the client id when the server starts."""
    stage.play({"do": "refuse_client_id", "times": "always"})
    stage.start(ready=False)
    read = stage.account()
    stage.gateway.clear()
    return f"account {read}; once the id is free, works {after(stage.works_again())}"


def cancel_behind_data(stage: Stage) -> str:
    """Each look-up is one message; that there is no such symbol (404) is an answer, too."""
    order_id = stage.design.order_id(stage.place("flooded", limit=LOW).body)
    with ThreadPoolExecutor(LOOK_UPS) as pool:
        asked = [pool.submit(stage.ask, "GET", stage.design.look_up(f"X{n}")) for n in range(LOOK_UPS)]
        until(lambda: any(each.done() for each in asked))
        start = time.monotonic()
        cancel = stage.cancel(order_id)
        until(lambda: not any(order.is_working for order in stage.gateway.truth().orders))
        gone = time.monotonic() - start
        answers = Counter(str(each.result().status or "no answer") for each in asked)
    answered = answers.pop("200", 0) + answers.pop("404", 0)
    refused = "".join(f", {count} x {status}" for status, count in sorted(answers.items()))
    told = f"cancel {cancel}, gone at the gateway {after(gone)}"
    return f"{told}; {answered} of {LOOK_UPS} look-ups answered{refused}"


def filled_while_disconnected(stage: Stage) -> str:
    stage.place("filled", limit=LOW)
    stage.play({"do": "disconnect"})
    stage.gateway.play(
        {"do": "refuse_connections", "until": "2s", "times": "always"},
        {"do": "set_price", "with": {"symbol": SYMBOL, "price": LOW}, "at": "1s"},
    )
    until(stage.gateway.has_played)
    shown = until(lambda: stage.held() == 10)
    order = stage.listed("filled")
    told = "its order is not listed any more" if order is None else f"its order is {order.status}"
    return f"position of {_shares(stage.gateway.truth().held)} shown {after(shown)}, {told}"


def ids_rolled_back(stage: Stage) -> str:
    stage.place("first", limit=LOW)
    stage.play({"do": "roll_back_ids", "with": {"to": 1}, "times": "always"}, {"do": "disconnect"})
    stage.works_again()
    answer = stage.repeat("second", limit="2.00")
    truth = stage.gateway.truth()
    kept = "the first one is there" if truth.count("first") else "the first one is gone"
    return f"second order {answer}; {_orders(len(truth.orders))}, {kept}"


def sentinels(stage: Stage) -> str:
    """No market: IB says -1 for a price that there is not."""
    none = {"do": "replace", "message": "tickPrice", "times": "always"}
    for kind in ("1", "2"):
        stage.play(none | {"with": {"pattern": ".*", "by": "-1", "field": 4}, "fields": {3: kind}})
    stage.gateway.command("halt", symbol=SYMBOL)
    quote = stage.ask("GET", stage.design.quote(SYMBOL))
    stage.place("halted")
    order = stage.listed("halted")
    bid, ask = stage.design.bid_and_ask(quote.body) if quote.is_success else (quote, quote)
    limit = "?" if order is None else order.limit
    return f"bid {_value(bid)}, ask {_value(ask)}; limit of a market order {_value(limit)}"


# What they have in common


def _repeated(stage: Stage, ref: str, limit: str | None = None) -> str:
    """What comes of the same order again, as a careful caller makes it: once the server can be read."""
    stage.works_again()
    answer = stage.repeat(ref, limit=limit)
    said = f" ({answer.body['status']})" if answer.is_success else ""
    return f"repeated {answer.status}{said}, {_orders(stage.gateway.truth().count(ref))}"


def _orders(count: int) -> str:
    return f"{count} order" if count == 1 else f"{count or 'no'} orders"


def _shares(count: float) -> str:
    return f"{count:g} shares"


def _value(value: Any) -> str:
    return "null" if value is None else str(value)


FAULTS: Final = (
    Fault("gateway restarted while idle", None, gateway_restarted),
    Fault("gateway killed with an order unanswered", 7, gateway_killed_during_an_order),
    Fault("connection lost after an order was received", 7, connection_lost_after_an_order),
    Fault("notice 10349 on an order that lives", 1, notice_on_a_living_order),
    Fault("end of positions withheld, two reads at once", 3, end_of_positions_withheld),
    Fault("1100, an order, 1102", 14, link_to_ib_lost),
    Fault("half-open: silence on an open connection", 16, half_open),
    Fault("client id in use at the start", 17, client_id_in_use, connected=False),
    Fault(f"a cancel behind {LOOK_UPS} look-ups, 50 messages/s", 6, cancel_behind_data, pacing=True),
    Fault("a fill while disconnected", 10, filled_while_disconnected),
    Fault("order ids rolled back after a reconnect", 8, ids_rolled_back),
    Fault("-1 for no price, a market order's limit", 23, sentinels),
)
