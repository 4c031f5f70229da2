"""The audit of commands: who asked for what, when, from where, and what came of it.

Entries are written after the command, and never hold one up: a cancel passes although the journal's disk is
full. What must be on disk before anything is sent is the intent (see `entry`).
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from trademind.errors import StateNotKept, TradeMindError
from trademind.journal import Audit, Journal

log = logging.getLogger(__name__)

DONE: Final = "done"
CUT_SHORT: Final = "cut_short"
"""Whoever asked was gone, or the server stopped, before the outcome was known."""
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who gives a command."""

    actor: str
    """What the caller says it is, such as the name of a program."""
    origin: str
    """Where it comes from: "http" with an address, or the name of a strategy."""


@dataclass(slots=True)
class Command:
    """A command under way; what it is about may become known only as it is carried out."""

    subject: str | None
    detail: str | None = None


class Auditor:
    """Writes down every command that is given."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @contextmanager
    def command(
        self, by: Caller, action: str, subject: str | None = None, request: Mapping[str, Any] | None = None
    ) -> Iterator[Command]:
        """A command is carried out in the `with` block; how that ends is written down.

        Args:
            action: What is done, as in "place_order".
            subject: The id of what it is done to.
            request: The terms, JSON-ready.
        """
        command = Command(subject)
        outcome = FAILED
        try:
            yield command
            outcome = DONE
        except TradeMindError as error:
            outcome, command.detail = error.code, error.detail
            raise
        except asyncio.CancelledError:
            outcome = CUT_SHORT
            raise
        finally:
            entry = Audit(
                actor=by.actor,
                origin=by.origin,
                action=action,
                subject=command.subject,
                request=request,
                outcome=outcome,
                detail=command.detail,
            )
            try:
                self._journal.note(entry)
            except StateNotKept as error:
                log.warning("%s of %s by %s is not in the audit: %s", action, subject, by, error.detail)
