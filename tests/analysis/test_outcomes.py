"""What becomes of a signal: worked by hand, and for short positions the mirror image of long ones."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.journal.test_signals import a_signal
from trademind.analysis.outcomes import follow
from trademind.domain import SignalOutcome, TrackedSignal
from trademind.domain.signals import Action
from trademind.signals import BarArrays

DAY = 86_400
BEGINS = 20_000 * DAY


def bars(*prices: tuple[float, float, float, float]) -> BarArrays:
    """Open, high, low and close of days from the signal's own on."""
    columns = np.array(prices, dtype=np.float64).T
    return BarArrays(
        symbol="AAPL",
        bar_size="1 day",
        time=BEGINS + DAY * np.arange(len(prices), dtype=np.int64),
        **dict(zip(("open", "high", "low", "close"), columns, strict=True)),
        volume=np.ones(len(prices)),
    )


def signal(**changes: Any) -> TrackedSignal:
    own = bars((100, 100, 100, 100))
    made = a_signal()
    terms: dict[str, Any] = {
        "bar_time": own.moment(0),
        "entry": 100.0,
        "stop": 98.0,
        "target": 104.0,
        "expires_at": own.moment(0) + timedelta(days=4),
    }
    return replace(made, signal=replace(made.signal, **(terms | changes)))


OWN = (100.0, 120.0, 80.0, 100.0)
"""Its own bar is past when it is made: what it reaches means nothing."""
QUIET = (100.0, 101.0, 99.0, 100.0)

CASES = [
    ([OWN], SignalOutcome.OPEN, None, None),
    ([OWN, QUIET, QUIET], SignalOutcome.OPEN, None, None),
    ([OWN, QUIET, (100, 104, 99, 103)], SignalOutcome.TARGET, 2, 104.0),
    ([OWN, (100, 103, 98, 99)], SignalOutcome.STOPPED, 1, 98.0),
    ([OWN, (100, 110, 90, 100)], SignalOutcome.STOPPED, 1, 98.0),  # both: the worse
    ([OWN, (97, 110, 90, 100)], SignalOutcome.STOPPED, 1, 97.0),  # it opens beyond the stop
    ([OWN, (105, 110, 90, 100)], SignalOutcome.TARGET, 1, 105.0),  # it opens beyond the target
    ([OWN, QUIET, QUIET, QUIET, (100, 110, 90, 100)], SignalOutcome.EXPIRED, None, None),
]


@pytest.mark.parametrize(("prices", "outcome", "place", "price"), CASES)
@pytest.mark.parametrize("is_long", [True, False])
def test_what_becomes_of_it(
    prices: list[tuple[float, float, float, float]],
    outcome: SignalOutcome,
    place: int | None,
    price: float | None,
    is_long: bool,
) -> None:
    tracked = signal()
    if not is_long:
        tracked = signal(action=Action.SELL, stop=102.0, target=96.0)
        prices = [(200 - o, 200 - low, 200 - high, 200 - c) for o, high, low, c in prices]
        price = None if price is None else 200 - price
    after = bars(*prices)
    found = follow(tracked, after, after.moment(len(after) - 1) + timedelta(days=1))
    if outcome is SignalOutcome.EXPIRED:
        assert found == replace(tracked, outcome=outcome, outcome_at=tracked.signal.expires_at)
    else:
        at = None if place is None else after.moment(place)
        assert found == replace(tracked, outcome=outcome, outcome_at=at, outcome_price=price)
    assert (
        follow(found, bars(OWN, (100, 110, 90, 100)), after.moment(0)) == found or not found.outcome.is_over
    )


def test_it_expires_only_when_all_bars_until_then_are_known() -> None:
    tracked, known = signal(), bars(OWN, QUIET)
    expires_at = tracked.signal.expires_at
    assert expires_at is not None
    assert follow(tracked, known, expires_at - timedelta(seconds=1)) == tracked
    assert follow(tracked, known, expires_at).outcome is SignalOutcome.EXPIRED


def test_what_closes_a_position_only_expires() -> None:
    tracked = signal(action=Action.CLOSE)
    assert follow(tracked, bars(OWN, (100, 200, 1, 100)), bars(OWN).moment(0)) == tracked
