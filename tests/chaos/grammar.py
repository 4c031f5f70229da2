"""What the frames of one stream have to look like, by docs/session-contract.md.

Pure: frames go in, one by one, with the moment at which they came; what is wrong with them comes out. What
the orders and executions of the stream add up to is kept, to be compared with what the API says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from trademind.domain.orders import TRANSITIONS, OrderStatus

LOSSLESS: Final = frozenset({"account", "executions", "orders", "session"})
HEARTBEAT: Final = 10.0
"""Seconds without a frame after which a heartbeat comes."""
SKEW: Final = 1.0
"""Seconds by which two observations of one moment may differ."""
LATE: Final = 5.0
"""Seconds by which a heartbeat may be late, on a machine that others use as well."""


@dataclass(slots=True)
class StreamState:
    """One stream, as far as it has been read."""

    name: str
    opened_at: float = 0.0
    in_gap: bool = False
    gap_since: str = ""
    gap_connection: int = 0
    gaps: list[tuple[float, float | None]] = field(default_factory=list)
    """When each gap was told, and its end."""
    followed: set[str] = field(default_factory=set)
    """Channels of the last `ack`, and quotes as soon as one has come: they are followed one by one."""
    has_snapshot: set[str] = field(default_factory=set)
    unfinished: str | None = None
    """The channel of whose snapshot another page follows."""
    events: dict[str, int] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    quotes: dict[str, float] = field(default_factory=dict)
    """When each symbol's quote last came, with a price in it."""
    seq: int = 0
    """The number of the last event told, or in a snapshot."""
    last_frame: float | None = None
    longest_silence: float = 0.0
    is_ready: bool = False
    """The last session event said that it is ready, and nothing lossless has come since."""

    def take(self, frame: dict[str, Any], now: float) -> Iterator[str]:
        """One frame more. Yields what is wrong with it."""
        if self.last_frame is not None:
            self.longest_silence = max(self.longest_silence, now - self.last_frame)
        self.last_frame = now
        kind, channel = frame.get("type"), frame.get("channel")
        data: Any = frame.get("data")
        if "ts" not in frame:
            yield f"a frame without ts: {frame}"
        if self.unfinished is not None and (
            kind in ("gap", "resumed", "event") or channel not in (None, self.unfinished)
        ):
            yield f"a {kind} between the pages of the snapshot of {self.unfinished}"
        match kind:
            case "gap":
                yield from self._gap(data, now)
            case "resumed":
                yield from self._resumed(data, now)
            case "ack":
                self.followed = set(data["channels"]) | (self.followed & {"quotes"})
            case "snapshot":
                yield from self._numbered(frame)
                self._snapshot(str(channel), data, is_more=bool(frame.get("more")))
            case "event":
                if channel != "quotes":
                    yield from self._numbered(frame)
                yield from self._event(str(channel), data, now)
            case "error" | "heartbeat":
                pass
            case _:
                yield f"a frame of no known type: {frame}"

    def _numbered(self, frame: dict[str, Any]) -> Iterator[str]:
        """An event comes after all before it, and where everything is followed right after the last one."""
        seq = frame["seq"]
        if frame["type"] == "snapshot":
            if seq < self.seq:
                yield f"a snapshot as of {seq}, after event {self.seq}"
        elif seq <= self.seq:
            yield f"event {seq} after {self.seq}"
        elif seq != self.seq + 1 and self.has_snapshot >= LOSSLESS and self.followed >= LOSSLESS:
            yield f"event {seq} after {self.seq}, and what is between was not told"
        self.seq = max(self.seq, seq)

    def _gap(self, data: dict[str, Any], now: float) -> Iterator[str]:
        if self.in_gap:
            yield f"a gap within a gap: {data}"
        self.in_gap, self.gap_since, self.gap_connection = True, data["since"], data["connection_number"]
        self.is_ready = False
        self.gaps.append((now, None))

    def _resumed(self, data: dict[str, Any], now: float) -> Iterator[str]:
        if not self.in_gap:
            yield f"resumed without a gap: {data}"
            return
        if data["gap_since"] != self.gap_since:
            yield f"resumed tells of a gap since {data['gap_since']}, and the gap was since {self.gap_since}"
        if data["connection_number"] < self.gap_connection:
            yield f"connection {data['connection_number']} after {self.gap_connection}"
        told = {*data["recovered"], *data["lost"]}
        if told - {"quotes"} != self.followed - {"quotes"} or self.followed - told:
            yield f"resumed speaks of {sorted(told)}, and {sorted(self.followed)} are followed"
        if unknown := self.followed - {"quotes"} - self.has_snapshot:
            yield f"resumed, and how {sorted(unknown)} stand was never told"
        if "quotes" in data["recovered"] or set(data["lost"]) - {"quotes"}:
            yield f"resumed has recovered {data['recovered']} and lost {data['lost']}"
        self.in_gap = self.is_ready = False
        self.gaps[-1] = (self.gaps[-1][0], now)

    def _snapshot(self, channel: str, data: list[dict[str, Any]], *, is_more: bool) -> None:
        is_first = self.unfinished is None
        self.unfinished = channel if is_more else None
        self.has_snapshot.add(channel)
        if channel == "orders":
            self.orders = ({} if is_first else self.orders) | {order["id"]: order for order in data}
        elif channel == "executions":
            self.executions = ({} if is_first else self.executions) | {fill["exec_id"]: fill for fill in data}
        elif channel == "account":
            self.account = data[0]

    def _event(self, channel: str, data: dict[str, Any], now: float) -> Iterator[str]:
        self.events[channel] = self.events.get(channel, 0) + 1
        if channel == "quotes":
            self.followed.add(channel)
        if channel not in self.followed:
            yield f"an event of {channel}, and only {sorted(self.followed)} are followed"
        if channel != "quotes" and channel not in self.has_snapshot:
            yield f"an event of {channel} before its snapshot"
        if self.is_ready and "session" in self.followed:
            yield f"ready, and then an event of {channel} before resumed"
        match channel:
            case "orders":
                yield from _goes_back(self.orders.get(data["id"]), data)
                self.orders[data["id"]] = data
            case "executions":
                self.executions[data["exec_id"]] = data
            case "account":
                self.account = data
            case "quotes":
                if data["last"] is not None:
                    self.quotes[data["symbol"]] = now
            case "session":
                if data["state"] != "ready" and not self.in_gap:
                    yield f"the session is {data['state']}, and no gap was told before"
                self.is_ready = data["state"] == "ready" and self.in_gap

    def missed(self, losses: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
        """The losses of the session, from and to when they were seen, that no gap of this stream tells of."""
        for begin, end in losses:
            if begin < self.opened_at + SKEW:
                continue  # this stream came later
            if not any(
                told <= end + SKEW and (over is None or over >= begin - SKEW) for told, over in self.gaps
            ):
                yield begin, end


def _goes_back(before: dict[str, Any] | None, now: dict[str, Any]) -> Iterator[str]:
    """Whether an order has taken a step that no order takes."""
    if before is None:
        return
    old, new = OrderStatus(before["status"]), OrderStatus(now["status"])
    # A key whose order was never sent may be used again.
    is_new = old is OrderStatus.NEVER_SENT and new is OrderStatus.PENDING_SUBMIT
    if new is not old and new not in TRANSITIONS[old] and not is_new:
        yield f"order {now['id']} went from {old} to {new}"
    if Decimal(now["filled_quantity"]) < Decimal(before["filled_quantity"]):
        yield f"order {now['id']} was filled by {before['filled_quantity']}, and now {now['filled_quantity']}"
