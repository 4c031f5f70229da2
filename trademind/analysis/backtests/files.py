"""Backtests on disk: of each how it stands, and once it is done its report, as JSON and as a page.

They are files and not tables: a report has some hundred kilobytes, which the journal, that orders wait for,
had better not carry.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from trademind.analysis.backtests.job import Backtest
from trademind.errors import StateNotKept, TradeMindError

log = logging.getLogger(__name__)

JOB, REPORT, PAGE = ".job.json", ".report.json", ".html"
_NEW: Final = ".new"
_BACKTEST: Final = TypeAdapter(Backtest)


class BacktestFiles:
    """The backtests of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def stem(self, job_id: str) -> Path:
        """What the paths of a backtest's files begin with."""
        return self._folder / job_id

    def load(self) -> list[Backtest]:
        """All that can be read, the oldest first; files that belong to none of them are removed."""
        found: list[Backtest] = []
        for path in self._folder.glob("*" + JOB):
            try:
                found.append(_BACKTEST.validate_json(path.read_bytes()))
            except (OSError, ValidationError, TradeMindError) as error:
                log.warning("%s cannot be read and is passed over: %s", path, error)
        names = {each.id for each in found}
        for path in self._folder.glob("*"):
            is_orphan = path.name.endswith((REPORT, PAGE)) and path.name.partition(".")[0] not in names
            if is_orphan or path.suffix == _NEW:
                with suppress(OSError):
                    path.unlink()
        return sorted(found, key=lambda each: (each.created_at, each.id))

    def save(self, job: Backtest) -> None:
        """Write down how a backtest stands. Raises `StateNotKept`."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write(self.stem(job.id), JOB, _BACKTEST.dump_json(job))
        except OSError as error:
            raise StateNotKept(f"the backtest cannot be kept in {self._folder}: {error}") from error

    def read(self, job_id: str, kind: str) -> bytes:
        """The `REPORT` or the `PAGE` of one that is done. Raises `StateNotKept`."""
        path = _path(self.stem(job_id), kind)
        try:
            return path.read_bytes()
        except OSError as error:
            raise StateNotKept(f"the report of the backtest cannot be read: {error}") from error

    def remove(self, job_id: str) -> None:
        """Forget a backtest; what cannot be removed now is with the next start."""
        for kind in (JOB, REPORT, PAGE):
            with suppress(OSError):
                _path(self.stem(job_id), kind).unlink(missing_ok=True)


def write(stem: Path, kind: str, data: bytes) -> None:
    """Make a file whole, or not at all. Raises `OSError`."""
    path = _path(stem, kind)
    new = path.with_name(path.name + _NEW)
    with new.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def _path(stem: Path, kind: str) -> Path:
    return stem.with_name(stem.name + kind)
