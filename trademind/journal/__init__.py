"""The journal: what the server writes down before it acts, and everything that happened.

async with open_journal("data/journal.db") as journal:
    earlier = await journal.accept(intent)  # on disk before the wire sees anything
    journal.follow(feed)  # which is told of every event once it is on disk
    journal.note(OrderChanged("new", order))
    page = await journal.reading.orders(working=True)
"""

from trademind.journal.backup import Copy, backup, restore
from trademind.journal.bar_export import stored_bars
from trademind.journal.bar_writes import (
    BarJobSet,
    BarJobsForgotten,
    BarRow,
    BarSeries,
    BarsStored,
    SeriesAnchored,
    SeriesDropped,
    Span,
    in_parts,
    row_of,
)
from trademind.journal.bars import BarReader, StoredSeries
from trademind.journal.entries import StoredEvent
from trademind.journal.export import Exported, export
from trademind.journal.journal import Journal, open_journal
from trademind.journal.location import Location
from trademind.journal.reading import AuditEntry, Cursor, EquityPoint, Page, Reader
from trademind.journal.records import fingerprint
from trademind.journal.signals import SignalReader
from trademind.journal.verify import Finding, Report, verify
from trademind.journal.writer import Follower, Statistics
from trademind.journal.writes import (
    AccountChanged,
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Intent,
    Marker,
    OrderChanged,
    SessionChanged,
    SignalChanged,
    SignalTold,
    StateSet,
    Write,
)

__all__ = [
    "AccountChanged",
    "AccountSnapshot",
    "Audit",
    "AuditEntry",
    "BarJobSet",
    "BarJobsForgotten",
    "BarReader",
    "BarRow",
    "BarSeries",
    "BarsStored",
    "CommissionReported",
    "Copy",
    "Cursor",
    "EquityPoint",
    "ExecutionReported",
    "Exported",
    "Finding",
    "Follower",
    "Intent",
    "Journal",
    "Location",
    "Marker",
    "OrderChanged",
    "Page",
    "Reader",
    "Report",
    "SeriesAnchored",
    "SeriesDropped",
    "SessionChanged",
    "SignalChanged",
    "SignalReader",
    "SignalTold",
    "Span",
    "StateSet",
    "Statistics",
    "StoredEvent",
    "StoredSeries",
    "Write",
    "backup",
    "export",
    "fingerprint",
    "in_parts",
    "open_journal",
    "restore",
    "row_of",
    "stored_bars",
    "verify",
]
