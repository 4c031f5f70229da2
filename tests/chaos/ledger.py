"""The traders' own account of what they have sent, and of what they were told: claims to be checked later."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.calls import Answer

NOTHING_SENT: Final = frozenset({
    "not_connected", "not_synchronised", "connection_lost", "upstream_lost", "gateway_silent", "no_answer",
    "pacing_violation", "order_not_working", "invalid", "malformed", "contract_not_found", "duplicate_order",
})  # fmt: skip
"""Codes that say that this request has placed nothing (docs/session-contract.md: only
`order_outcome_unknown` leaves it open; `order_rejected` says that it was sent and refused)."""


@dataclass(slots=True)
class Attempt:
    """One POST with a key."""

    body: dict[str, Any]
    answer: Answer | None
    """None where whoever sent it went away before it was answered."""


@dataclass(slots=True)
class Intent:
    """Everything that was sent under one key."""

    key: str
    attempts: list[Attempt] = field(default_factory=list)
    changes: int = 0
    """Changes that were sent, whatever became of them."""

    def statuses(self) -> Counter[int]:
        return Counter(attempt.answer.status for attempt in self.attempts if attempt.answer is not None)

    @property
    def placed(self) -> list[Attempt]:
        """The attempts that were told that they have made the order."""
        return [each for each in self.attempts if each.answer is not None and each.answer.status == 201]

    @property
    def may_exist(self) -> bool:
        """Whether any answer leaves room for an order."""
        return any(each.answer is None or each.answer.code not in NOTHING_SENT for each in self.attempts)

    def told(self) -> str:
        """The attempts, for a report."""
        return ", ".join(
            "no answer waited for" if each.answer is None
            else f"{each.answer.status} {each.answer.code or each.answer.body.get('status')}"
            for each in self.attempts
        )  # fmt: skip


class Ledger:
    def __init__(self) -> None:
        self.intents: dict[str, Intent] = {}
        self.nameless: dict[str, Answer] = {}
        """Orders that were sent without a key, by the id that the answer gave them."""
        self.nameless_lost = 0
        """Orders without a key whose answer told no id, though they may exist."""

    def note(self, key: str | None, body: dict[str, Any], answer: Answer | None) -> None:
        """A POST has been answered, or its answer was not waited for."""
        if key is not None:
            self.intents.setdefault(key, Intent(key)).attempts.append(Attempt(body, answer))
            return
        name = None if answer is None else answer.body.get("id") or answer.body.get("order_id")
        if answer is not None and name is not None:
            self.nameless[str(name)] = answer
        elif answer is None or answer.code not in NOTHING_SENT:
            self.nameless_lost += 1
