"""Bars that IB keeps up to date: history whose last bar it tells again whenever that has changed.

IB says of no bar that it has ended. So one has when the next begins, or, where nothing is traded any more,
when its time is over and nothing has come of it for a while; then it is told, once. IB may leave updates out,
without a word and for minutes. But each subscription begins with the past. So after whatever could have cost
an update, and where one skips a bar, there is a new subscription, which tells how things were since the last
bar that was told. Only what is too long ago for one request is missed.
"""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Final

import ib_async
from ib_async.client import Client
from ib_async.util import parseIBDatetime

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.history import NO_DATA, SINCE_EPOCH
from trademind.brokers.ibkr.line_pacing import Pace
from trademind.brokers.ibkr.lines import SequenceLine
from trademind.brokers.ibkr.session import Session
from trademind.brokers.topics import MAX_KEPT as MAX_IN_TOPIC
from trademind.clock import Clock, speed_of
from trademind.domain import Bar, Channel, Contract, LiveBar, LiveBars
from trademind.domain.durations import bar_seconds, covering_duration, longest_request

MAX_KEPT: Final = 40
"""At once. IB allows a client 50 open requests for history, of which each of these is one for as long as it
lasts; the rest is for questions."""

QUIET: Final = 10.0
"""The market's seconds after its end, and after the last update, in which a bar may still change: IB updates
every five."""
LEAST_QUIET: Final = 1.0
"""Seconds of the world that this takes at least: a market that runs fast is still told by messages."""

MAX_BARS: Final = 10_000
"""That one request is for: a megabyte, and a week of minutes."""
MAX_TOLD: Final = MAX_IN_TOPIC * 9 // 10
"""Bars that are made up for at once: no more than a topic keeps, with those that are not read yet."""
_NO_HISTORY: Final = 162
_CANCELLED: Final = "query cancelled"

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
_OVER_EVERYWHERE: Final = timedelta(hours=12)
"""After midnight in Greenwich it is the next day in the last time zone."""


class KeptBarLine(SequenceLine):
    PATIENCE = 30.0
    """IB answers in a few seconds, or says that there is nothing."""

    def __init__(
        self, contract: Contract, what_to_show: str, bars: LiveBars, pace: Pace, market: Clock
    ) -> None:
        super().__init__(Channel.BARS, contract, what_to_show, pace, bars)
        self._bars = bars
        self._market = market
        self._length = timedelta(seconds=bar_seconds(bars.bar_size))
        self._since: datetime | None = None
        """When it was begun to be followed, by the market's time."""
        self._last: datetime | None = None
        """The beginning of the last bar that is not told any more."""
        self._answer: list[Bar] | None = None
        """What has come of the past, until all has."""
        self._is_short = False
        """Whether less of the past was asked for than is missing."""
        self._forming: Bar | None = None
        self._updated_at = 0.0
        """When that was told, by the loop's time."""
        self._quiet: asyncio.TimerHandle | None = None

    @property
    def what(self) -> str:
        return f"{self._bars.bar_size} bars of {self.contract.symbol} ({self.topic.variant})"

    # At IB -------------------------------------------------------------------------------------

    def begin(self, session: Session, req_id: int) -> None:
        super().begin(session, req_id)
        self._since = self._since or self._market.now()
        self._answer, self._forming, self.is_in_doubt = [], None, False

    def send(self, client: Client, req_id: int) -> None:
        duration = self._duration()
        contract, use_rth, is_kept = convert.to_ib_reference(self.contract), self._bars.use_rth, True
        client.reqHistoricalData(
            req_id,
            contract,
            "",
            duration,
            self._bars.bar_size,
            self.topic.variant,
            use_rth,
            SINCE_EPOCH,
            is_kept,
            [],
        )

    def _duration(self) -> str:
        """In days there is always something, also while the market is closed. Small bars come in seconds."""
        since = self._last or self._since
        assert since is not None
        away = max(self._market.now() - since, timedelta(0))
        if self._length < _MINUTE:
            most, wanted = longest_request(self._bars.bar_size), away + 2 * self._length
            self._is_short = wanted > most
            return covering_duration(min(wanted, most), self._bars.bar_size)
        # What was a moment ago may have been on another trading day.
        wanted_days, most_days = ceil(away / _DAY) + 1, max(1, min(self._length * MAX_BARS // _DAY, 365))
        self._is_short = wanted_days > most_days
        return f"{min(wanted_days if self._last else 1, most_days)} D"

    def cancel(self, client: Client, req_id: int) -> None:
        client.cancelHistoricalData(req_id)

    def end(self, session: Session, req_id: int) -> None:
        super().end(session, req_id)
        self._stop_waiting()

    # What becomes of it ------------------------------------------------------------------------

    def heard(self, now: datetime) -> None:
        """What comes of a subscription does not tell whether some of it has been left out."""
        is_in_doubt = self.is_in_doubt
        super().heard(now)
        self.is_in_doubt = is_in_doubt

    def doubted(self, reason: str, ib_code: int | None = None) -> None:
        """It is asked for again, which makes up for what is left out."""

    def cut_off(self) -> None:
        self.is_in_doubt = True
        super().cut_off()

    @staticmethod
    def has_nothing(code: int, message: str) -> bool:
        """Does IB say that there is nothing yet? It is no refusal, but ends the subscription."""
        return code == _NO_HISTORY and NO_DATA in message

    @staticmethod
    def is_cancelled(code: int, message: str) -> bool:
        """Does IB say that it has heard a cancel?"""
        return code == _NO_HISTORY and _CANCELLED in message

    # What comes --------------------------------------------------------------------------------

    def past(self, bar: ib_async.BarData) -> None:
        """A bar of the past; the last of them may be the one that forms."""
        if self._answer is not None:
            self._answer.append(_read(bar))

    def answered(self, now: datetime) -> None:
        """All of the past has come."""
        self.heard(now)
        bars, self._answer = self._answer or [], None
        new = [(bar, after.time) for bar, after in pairwise(bars) if self._is_new(bar, after.time)]
        if self._is_short or len(new) > MAX_TOLD:
            self.tell(f"{self.what}: it was interrupted for longer than can be made up for at once")
        for bar, ended_at in new[-MAX_TOLD:]:
            self._ended(bar, ended_at)
        if bars and not self._is_old(bars[-1]):
            self._form(bars[-1])

    def update(self, now: datetime, bar: ib_async.BarData) -> bool:
        """The bar that forms has changed, or another has begun. Returns whether that can be believed; where
        it cannot, it has to be asked for again."""
        if self._answer is not None or self.is_in_doubt:
            return True
        self.heard(now)
        latest = _read(bar)
        before = self._forming.time if self._forming is not None else self._last
        if self._is_old(latest) or (before is not None and latest.time < before):
            return True
        if before is not None and latest.time - before > self._length:
            self.is_in_doubt = True
            return False
        if self._forming is not None and self._forming.time < latest.time:
            self._ended(self._forming, latest.time)
        self._form(latest)
        return True

    def _is_old(self, bar: Bar) -> bool:
        return self._last is not None and bar.time <= self._last

    def _form(self, bar: Bar) -> None:
        self._forming = bar
        self._updated_at = asyncio.get_running_loop().time()
        if self._bars.forming and self._is_new(bar, self._over_at(bar)):
            self._tell(bar, complete=False)
        if self._quiet is None:
            self._wait_for_quiet()

    def _is_new(self, bar: Bar, ended_at: datetime) -> bool:
        """Has it ended since it was followed, and was not told?"""
        assert self._since is not None
        return ended_at > self._since and not self._is_old(bar)

    def _ended(self, bar: Bar, at: datetime) -> None:
        """A bar has ended, at the latest then."""
        if self._is_new(bar, at):
            self._tell(bar, complete=True)
        if not self._is_old(bar):
            self._last = bar.time

    def _tell(self, bar: Bar, *, complete: bool) -> None:
        assert self.as_of is not None
        live = LiveBar(
            contract=self.contract,
            what_to_show=self.topic.variant,
            bar_size=self._bars.bar_size,
            bar=bar,
            complete=complete,
        )
        self.add(live, self.as_of)

    # Where nothing comes any more --------------------------------------------------------------

    def _over_at(self, bar: Bar) -> datetime:
        """When its time is over, at the latest: the last one of a session may be shorter."""
        return bar.time + self._length + (_OVER_EVERYWHERE if self._length >= _DAY else timedelta(0))

    def _wait_for_quiet(self) -> None:
        forming = self._forming
        assert forming is not None
        speed = speed_of(self._market)
        left = (self._over_at(forming) - self._market.now()).total_seconds() + QUIET
        silent_for = asyncio.get_running_loop().time() - self._updated_at
        wait = max(left / speed, max(QUIET / speed, LEAST_QUIET) - silent_for)
        if wait > 0:
            self._quiet = asyncio.get_running_loop().call_later(wait, self._look_whether_quiet)
            return
        self._forming = None
        self._ended(forming, self._over_at(forming))

    def _look_whether_quiet(self) -> None:
        self._quiet = None
        if self._forming is not None and not self.is_in_doubt:
            self._wait_for_quiet()

    def _stop_waiting(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None


def _read(bar: ib_async.BarData) -> Bar:
    """ib_async reads the times of bars only where it keeps them."""
    bar.date = parseIBDatetime(str(bar.date))
    return convert.to_bar(bar)
