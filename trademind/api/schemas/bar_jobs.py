"""Downloads of bars, as jobs."""

from typing import Self

from pydantic import ConfigDict, Field

from trademind.api.schemas.base import EXCHANGE, In, Moment, Out, Time, time, time_or_none
from trademind.api.schemas.market import SHOWN, AdjustedOut
from trademind.domain import SecType
from trademind.market.bars.downloads import MAX_SYMBOLS, BarJob, Download, JobStatus


class BarJobIn(In):
    """Which bars to download."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"symbols": ["AAPL", "MSFT"], "bar_size": "1 min", "start": "2026-01-01T00:00:00Z"}]
        }
    )

    symbols: list[str] = Field(min_length=1, max_length=MAX_SYMBOLS)
    sec_type: SecType = SecType.STOCK
    exchange: str = Field(default="", description=EXCHANGE)
    currency: str = "USD"
    bar_size: str = Field(default="1 hour", description="In IB's spelling: '5 mins', '1 hour', '1 day'.")
    what_to_show: str | None = Field(default=None, description=SHOWN)
    use_rth: bool = Field(default=True, description="Regular trading hours only.")
    start: Moment = Field(description="Bars that begin at or after it.")
    end: Moment | None = Field(default=None, description="Bars that begin before it; now if left out.")

    def download(self) -> Download:
        """What is wanted, in the domain's terms. Raises `Invalid`."""
        return Download(
            symbols=tuple(self.symbols),
            sec_type=self.sec_type,
            exchange=self.exchange,
            currency=self.currency,
            bar_size=self.bar_size,
            what_to_show=self.what_to_show or "",
            use_rth=self.use_rth,
            start=self.start,
            end=self.end,
        )


class BarProgressOut(Out):
    """How far a download is."""

    requests_done: int
    requests_total: int | None = Field(description="Null until it is known what is missing.")
    bars_stored: int
    symbol: str | None = Field(description="What is being downloaded.")
    waiting_until: Time | None
    waiting_for: str | None = Field(description="Why it waits: IB's limits, or the gateway is away.")


class BarFailureOut(Out):
    """A symbol of which nothing more could be had."""

    symbol: str
    detail: str


class BarJobOut(Out):
    """A download, and how it stands."""

    id: str
    status: JobStatus = Field(
        description="`done` also where single symbols have failed; `failed` where all of them have."
    )
    symbols: list[str]
    sec_type: SecType
    exchange: str
    currency: str
    bar_size: str
    what_to_show: str
    use_rth: bool
    adjusted: AdjustedOut
    start: Time
    end: Time = Field(description="Where it ends; the moment at which it was made, unless given.")
    progress: BarProgressOut
    failures: list[BarFailureOut]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, job: BarJob) -> Self:
        wanted = job.wanted
        return cls(
            id=job.id,
            status=job.status,
            symbols=list(wanted.symbols),
            sec_type=wanted.sec_type,
            exchange=wanted.exchange,
            currency=wanted.currency,
            bar_size=wanted.bar_size,
            what_to_show=wanted.what_to_show,
            use_rth=wanted.use_rth,
            adjusted=AdjustedOut.of(wanted.what_to_show),
            start=time(wanted.start),
            end=time(job.until),
            progress=BarProgressOut(
                requests_done=job.requests_done,
                requests_total=job.requests_total,
                bars_stored=job.bars_stored,
                symbol=job.symbol,
                waiting_until=time_or_none(job.waiting_until),
                waiting_for=job.waiting_for,
            ),
            failures=[BarFailureOut(symbol=symbol, detail=why) for symbol, why in job.failures.items()],
            created_at=time(job.created_at),
            updated_at=time(job.updated_at),
        )


class BarJobsPage(Out):
    jobs: list[BarJobOut] = Field(description="Newest first.")
    next_page_token: str | None
