"""What a stream of events carries: what has changed, and where something was missed.

A stream never pretends to be complete. When the session can no longer vouch for what it says, every stream
gets a `Gap`; when it can again, a `Resumed` that tells what was made up for and what is lost for good.
"""

from dataclasses import dataclass
from datetime import datetime

from trademind.domain.account import Account
from trademind.domain.channels import Channel
from trademind.domain.executions import Execution
from trademind.domain.orders import Order
from trademind.domain.session import SessionInfo
from trademind.domain.signals import TrackedSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How everything in a channel stands: the first item of each channel that is followed."""

    channel: Channel
    time: datetime
    values: tuple[Order | Execution | SessionInfo | Account | TrackedSignal, ...]
    seq: int | None = None
    """The number of the last event in it, where events are told from the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something has changed: `data` is how it stands now."""

    channel: Channel
    time: datetime
    data: Order | Execution | SessionInfo | Account | TrackedSignal
    seq: int | None = None
    """Its number in the journal, where it is told from there: one for all channels, without gaps."""
    name: str | None = None
    """What happened, where it is told from the journal: new, accepted, fill …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """From `since` on nothing is vouched for, until a `Resumed` comes."""

    time: datetime
    since: datetime
    """When the gateway was last heard, which is before the loss was noticed."""
    reason: str
    connection_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The stream is whole again. What `recovered` channels missed has been sent since the gap, as events."""

    time: datetime
    gap_since: datetime
    connection_number: int
    """Greater than the gap's where a new connection had to be made."""
    recovered: tuple[Channel, ...]
    """Nothing of these is missing: fills and orders are listed by IB, figures are sent anew."""


StreamItem = State | Event | Gap | Resumed
