"""A download of bars as a job: what is wanted, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Self

from trademind.domain import BarRequest, ContractQuery, SecType, default_data, default_exchange
from trademind.errors import Invalid
from trademind.market.bars.windows import count_windows, not_kept

MAX_SYMBOLS: Final = 500
MAX_REQUESTS: Final = 200_000
"""Requests that one job may come to, by the calendar: of small bars, more than IB lets pass in a month."""
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    """Everything is stored that there is; what could not be had of single symbols is told with them."""
    FAILED = "failed"
    """Of no symbol could anything be had."""
    CANCELED = "canceled"

    @property
    def is_open(self) -> bool:
        return self in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What is to be downloaded: bars of some symbols that begin from `start` to before `end`.

    Raises:
        Invalid: there is no such thing, it cannot be kept, or it is too much.
    """

    symbols: tuple[str, ...]
    start: datetime
    end: datetime | None = None
    """None for when the job is made."""
    bar_size: str = "1 hour"
    what_to_show: str = ""
    """That of `default_data` if left out."""
    use_rth: bool = True
    sec_type: SecType = SecType.STOCK
    exchange: str = ""
    """That of `default_exchange` if left out."""
    currency: str = "USD"

    def __post_init__(self) -> None:
        object.__setattr__(self, "exchange", self.exchange or default_exchange(self.sec_type))
        object.__setattr__(self, "what_to_show", self.what_to_show or default_data(self.sec_type))
        BarRequest(bar_size=self.bar_size, what_to_show=self.what_to_show, use_rth=self.use_rth)
        errors: list[tuple[str, str]] = []
        names = tuple(dict.fromkeys(symbol.strip().upper() for symbol in self.symbols))
        object.__setattr__(self, "symbols", names)
        if not 0 < len(names) <= MAX_SYMBOLS:
            errors.append(("symbols", f"give 1 to {MAX_SYMBOLS} symbols"))
        if not all(names):
            errors.append(("symbols", "one of them is empty"))
        if (refusal := not_kept(self.sec_type, self.what_to_show)) is not None:
            errors.append(refusal)
        for name, given in (("start", self.start), ("end", self.end)):
            if given is not None and given < EARLIEST:
                errors.append((name, f"must not be before {EARLIEST.year}"))
        if self.end is not None and self.start >= self.end:
            errors.append(("start", "must be before the end"))
        if errors:
            raise Invalid(errors)
        for symbol in names:
            self.query(symbol)

    def is_same(self, other: Self) -> bool:
        """Does it want what the other one wants? In which order does not matter."""
        return set(self.symbols) == set(other.symbols) and replace(self, symbols=other.symbols) == other

    def query(self, symbol: str) -> ContractQuery:
        """The contract of one of the symbols. Raises `Invalid`."""
        return ContractQuery(
            symbol=symbol, sec_type=self.sec_type, exchange=self.exchange, currency=self.currency
        )

    def until(self, now: datetime) -> datetime:
        """Its end, for one that is made now.

        Raises:
            Invalid: it begins in the future, or comes to too many requests.
        """
        until = now if self.end is None else min(self.end, now)
        if self.start >= until:
            raise Invalid([("start", "must not be in the future")])
        span = (int(self.start.timestamp()), int(until.timestamp()))
        if count_windows(self.bar_size, *span) * len(self.symbols) > MAX_REQUESTS:
            raise Invalid(
                [
                    (
                        "start",
                        f"comes to more than {MAX_REQUESTS:,} requests; take a shorter time or larger bars",
                    )
                ]
            )
        return until


@dataclass(frozen=True, slots=True, kw_only=True)
class BarJob:
    """A download, and how it stands."""

    id: str
    wanted: Download
    until: datetime
    """Its end."""
    status: JobStatus
    created_at: datetime
    updated_at: datetime
    requests_done: int = 0
    requests_total: int | None = None
    """None until it is known what is missing."""
    bars_stored: int = 0
    symbol: str | None = None
    """What is being downloaded."""
    waiting_until: datetime | None = None
    waiting_for: str | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    """By symbol, why nothing more could be had of it."""
    asked: tuple[datetime, ...] = ()
    """When what counts for IB's limits was asked."""
