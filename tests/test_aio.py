"""Single flight: one question under way, however many ask it."""

import asyncio

import pytest

from trademind.aio import SingleFlight
from trademind.errors import TradeMindError


class Question:
    """One that is answered when the test says so, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.asked += 1
        return await self.answer


async def test_all_who_ask_get_one_answer_and_the_next_asks_anew() -> None:
    flight: SingleFlight[str, str] = SingleFlight(TradeMindError)
    question = Question()
    both = asyncio.gather(*(flight.ask("key", question, name="test") for _ in range(2)))
    other = asyncio.ensure_future(flight.ask("other", question, name="test"))  # noqa: TID251
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    question.answer.set_result("yes")
    assert await both == ["yes", "yes"]
    assert await other == "yes"
    assert question.asked == 2
    await flight.ask("key", question, name="test")
    assert question.asked == 3


async def test_whoever_stops_waiting_stops_nobody_else() -> None:
    flight: SingleFlight[str, str] = SingleFlight(TradeMindError)
    question = Question()
    first, second = (asyncio.ensure_future(flight.ask("key", question, name="test")) for _ in range(2))  # noqa: TID251
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    question.answer.set_result("yes")
    assert await second == "yes"
    assert first.cancelled()


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    flight: SingleFlight[str, str] = SingleFlight(TradeMindError)
    question = Question()
    both = [asyncio.ensure_future(flight.ask("key", question, name="test")) for _ in range(2)]  # noqa: TID251
    await asyncio.sleep(0)
    question.answer.set_exception(TradeMindError("no"))
    for asked in both:
        with pytest.raises(TradeMindError, match="no"):
            await asked
    again = Question()
    again.answer.set_result("yes")
    assert await flight.ask("key", again, name="test") == "yes"
