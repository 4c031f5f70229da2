"""The pulse, look by look: a quiet market that answers is never silent, and a gateway that is gone always is.

All moments are multiples of 1/16 s, which floats hold exactly, so that "at exactly" can be asked for.

How the tests were seen to fail: each of the comparisons in `look`, `is_suspect` and `_next` made strict or
lax, each of the moments in `_next` left out, the excuse for late looks left out or given to punctual ones,
and `heard` that forgets to take back the question.
"""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trademind.brokers.ibkr.liveness import LATE, SUSPECT_AFTER, Finding, Pulse

START = 1000.0
ALIVE, SILENT, DEAD = Finding.ALIVE, Finding.SILENT, Finding.DEAD

sixteenths = st.integers(1, 400).map(lambda n: n / 16)


@st.composite
def settings_of_a_pulse(draw: st.DrawFn) -> tuple[float, float]:
    """A heartbeat, and after how long a silence counts as one."""
    heartbeat = draw(sixteenths)
    return heartbeat, heartbeat + draw(sixteenths)


class Watch:
    """Somebody who looks whenever it is due, at a gateway whose signs of life are known beforehand.

    Args:
        answers_after: Seconds until the gateway answers a question; None if it never does.
        says: When it says something by itself.
    """

    def __init__(
        self,
        heartbeat: float,
        silent_after: float,
        *,
        answers_after: float | None = None,
        says: tuple[float, ...] = (),
    ) -> None:
        self.pulse = Pulse(heartbeat=heartbeat, silent_after=silent_after, now=START)
        self.answers_after = answers_after
        self.signs = sorted(says)
        self.asked: list[float] = []
        self.looks: list[tuple[float, Finding]] = []

    def look(self, now: float) -> Finding:
        """Hear what has come by `now`, and look. Signs at this very moment come first."""
        while self.signs and self.signs[0] <= now:
            self.pulse.heard(self.signs.pop(0))

        def ask() -> None:
            self.asked.append(now)
            if self.answers_after is not None:
                self.signs = sorted([*self.signs, now + self.answers_after])

        finding = self.pulse.look(now, ask)
        self.looks.append((now, finding))
        if finding is not DEAD:
            assert self.pulse.due > now, "the next look would be now or in the past"
        return finding

    def until(self, end: float) -> None:
        """Look whenever it is due, until `end` or until the gateway is given up."""
        while self.pulse.due <= end and (not self.looks or self.looks[-1][1] is not DEAD):
            self.look(self.pulse.due)

    def first(self, finding: Finding) -> float | None:
        """When that was found first, in seconds from the beginning."""
        return next((when - START for when, found in self.looks if found is finding), None)


def test_the_life_of_a_gateway_that_falls_silent() -> None:
    watch = Watch(5, 15, says=(START + 3.0,))
    watch.until(START + 100)
    assert [(when - START, finding) for when, finding in watch.looks] == [
        (5, ALIVE),  # it had said something since
        (8, ALIVE),  # asked
        (13, ALIVE),  # asked again
        (18, SILENT),  # 15 seconds after the last word; asked again
        (23, SILENT),
        (28, SILENT),
        (33, DEAD),
    ]
    assert [when - START for when in watch.asked] == [8, 13, 18, 23, 28]


def test_the_life_of_a_gateway_that_comes_back() -> None:
    watch = Watch(5, 15, says=(START + 17.5,))
    watch.until(START + 30)
    assert watch.first(SILENT) == 15
    assert [(when - START, finding) for when, finding in watch.looks][3:] == [
        (20, ALIVE),
        (22.5, ALIVE),
        (27.5, ALIVE),
    ]
    assert [when - START for when in watch.asked] == [5, 10, 15, 22.5, 27.5]


@given(settings_of_a_pulse(), st.integers(0, 400), st.lists(st.integers(0, 2000), max_size=40))
def test_a_quiet_market_that_answers_is_never_silent(
    settings: tuple[float, float], latency: int, says: list[int]
) -> None:
    """However little is said besides, as long as answers come within what is left of `silent_after`."""
    heartbeat, silent_after = settings
    assume(latency / 16 < silent_after - heartbeat)
    watch = Watch(
        heartbeat,
        silent_after,
        answers_after=latency / 16,
        says=tuple(START + moment / 16 for moment in says),
    )
    watch.until(START + 150)
    assert {finding for _, finding in watch.looks} <= {ALIVE}
    assert not watch.pulse.is_suspect(watch.pulse.heard_at + SUSPECT_AFTER)


@given(settings_of_a_pulse(), st.lists(st.integers(0, 800), max_size=20))
def test_silence_is_found_at_exactly_its_time(settings: tuple[float, float], says: list[int]) -> None:
    heartbeat, silent_after = settings
    moments = sorted(START + moment / 16 for moment in says)
    # Only words that are no further apart than that: otherwise it was silent before.
    for earlier, later in zip([START, *moments], moments, strict=False):
        assume(later - earlier < silent_after)
    last = moments[-1] if moments else START
    watch = Watch(heartbeat, silent_after, says=tuple(moments))
    watch.until(last + 3 * silent_after)
    assert watch.first(SILENT) == last + silent_after - START
    assert watch.first(DEAD) == last + 2 * silent_after - START
    questions = [when for when in watch.asked if when > last]
    expected = int(2 * silent_after / heartbeat)
    if expected * heartbeat == 2 * silent_after:
        expected -= 1  # nobody asks a dead one
    assert questions == [last + n * heartbeat for n in range(1, expected + 1)]


@given(settings_of_a_pulse(), st.lists(st.integers(0, 2000), max_size=40), st.none() | st.integers(0, 400))
def test_nobody_is_asked_more_often_than_once_a_heartbeat(
    settings: tuple[float, float], says: list[int], latency: int | None
) -> None:
    heartbeat, silent_after = settings
    watch = Watch(
        heartbeat,
        silent_after,
        answers_after=None if latency is None else latency / 16,
        says=tuple(START + moment / 16 for moment in says),
    )
    watch.until(START + 150)
    signs = sorted({START, *(START + moment / 16 for moment in says)})
    for earlier, later in zip(watch.asked, watch.asked[1:], strict=False):
        assert later - earlier >= heartbeat
    for asked in watch.asked:
        assert all(asked - sign >= heartbeat for sign in signs if sign <= asked), "it had just said something"


@given(settings_of_a_pulse(), st.integers(1, 4000))
def test_whoever_has_slept_does_not_blame_the_gateway(settings: tuple[float, float], slept: int) -> None:
    """A look that comes more than a second late: it is as if the gateway had been heard a heartbeat ago."""
    heartbeat, silent_after = settings
    watch = Watch(heartbeat, silent_after)
    woke = watch.pulse.due + LATE + slept / 16
    assert watch.look(woke) is ALIVE
    assert watch.asked == [woke]
    assert not watch.pulse.is_suspect(woke + SUSPECT_AFTER)
    watch.until(woke + 3 * silent_after)
    # From then on it has as long as ever, and no longer.
    assert watch.first(SILENT) == woke - heartbeat + silent_after - START
    assert watch.first(DEAD) == woke - heartbeat + 2 * silent_after - START


def test_a_machine_that_sleeps_while_the_gateway_is_silent_gives_it_another_chance() -> None:
    watch = Watch(5, 15)
    watch.until(START + 16)
    assert watch.first(SILENT) == 15
    assert watch.look(START + 3600) is ALIVE
    assert watch.asked[-1] == START + 3600
    watch.until(START + 3700)
    assert watch.looks[-1] == (START + 3600 - 5 + 30, DEAD)


@pytest.mark.parametrize(("late", "found"), [(0.0, SILENT), (LATE, SILENT), (LATE + 1 / 16, ALIVE)])
def test_a_little_late_is_not_late(late: float, found: Finding) -> None:
    watch = Watch(5, 15)
    watch.until(START + 10)
    assert watch.look(START + 15 + late) is found


def test_nobody_is_given_up_who_was_never_asked() -> None:
    """With spans so short that a look which is still in time comes after all of them."""
    watch = Watch(0.25, 0.5)
    assert watch.look(START + 1.125) is SILENT
    assert watch.asked == [START + 1.125]
    assert watch.look(watch.pulse.due) is DEAD


def test_a_look_before_its_time_changes_nothing() -> None:
    """News of anything makes the keeper look."""
    watch = Watch(5, 15)
    for tick in range(5 * 16):
        assert watch.look(START + tick / 16) is ALIVE
        assert watch.pulse.due == START + 5
    assert watch.asked == []


def test_suspicion_begins_two_seconds_after_a_question_and_ends_with_any_word() -> None:
    watch = Watch(5, 15)
    assert not watch.pulse.is_suspect(START + 4)
    watch.look(START + 5)
    assert not watch.pulse.is_suspect(START + 5 + SUSPECT_AFTER)
    assert watch.pulse.is_suspect(START + 5 + SUSPECT_AFTER + 1 / 16)
    watch.look(START + 10)
    assert watch.pulse.is_suspect(START + 10), "a second question does not excuse the first"
    watch.pulse.heard(START + 11)
    assert not watch.pulse.is_suspect(START + 11)
    assert not watch.pulse.is_suspect(START + 15)


@given(settings_of_a_pulse(), st.lists(st.tuples(st.booleans(), st.integers(0, 160)), max_size=60))
def test_whatever_happens_the_next_look_is_to_come_and_not_too_far_away(
    settings: tuple[float, float], script: list[tuple[bool, int]]
) -> None:
    """Looks and words at any moments, early and late."""
    heartbeat, silent_after = settings
    watch, now = Watch(heartbeat, silent_after), START
    for is_look, sixteenths_later in script:
        now += sixteenths_later / 16
        if not is_look:
            watch.pulse.heard(now)
        elif watch.look(now) is DEAD:
            break
        else:
            assert now < watch.pulse.due <= now + heartbeat
        # There is no suspicion without a question that is unanswered.
        if watch.pulse.is_suspect(now):
            assert watch.asked
            assert now - watch.asked[0] > SUSPECT_AFTER
