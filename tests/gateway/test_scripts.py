"""Scripts of faults as text: what is read is what is meant, and every mistake is found where it is."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trademind.gateway.connectivity import Farm, FarmState
from trademind.gateway.faults import (
    Delay,
    Disconnect,
    Drop,
    Duplicate,
    Fail,
    Halt,
    LoseLink,
    Notify,
    RefuseClientId,
    Reorder,
    Replace,
    RestoreLink,
    RollBackIds,
    Say,
    ScriptError,
    SetFarm,
    SetPrice,
    SkewClock,
    Step,
    StopAnswering,
)
from trademind.gateway.scripts import ACTIONS, load_script, read_steps, write_step

SECOND = timedelta(seconds=1)

SCRIPT = """
# A bad morning.
steps:
  - {do: drop, message: openOrderEnd}
  - do: delay
    with: {by: 500ms}
    message: position
    times: always
    client: 7
  - {do: fail, with: {code: 162, text: pacing violation}, request: reqHistoricalData, skip: 2}
  - {do: lose_link, at: 1m}
  - {do: restore_link, with: {data_lost: true}, at: 2026-11-23T15:30:00Z}
  - {do: set_price, with: {symbol: AAPL, price: 189.5}, at: 10}
  - {do: say, with: {fields: [4, 2, -1, 2100, hello]}}
  - {do: replace, with: {pattern: ^1$, by: 66, field: 3}, message: tickPrice, fields: {3: 1}, having: [12]}
"""

MEANT = [
    Step(do=Drop(), message="openOrderEnd"),
    Step(do=Delay(SECOND / 2), message="position", times=None, client=7),
    Step(do=Fail(162, "pacing violation"), request="reqHistoricalData", skip=2),
    Step(do=LoseLink(), at=60 * SECOND),
    Step(do=RestoreLink(data_lost=True), at=datetime(2026, 11, 23, 15, 30, tzinfo=UTC)),
    Step(do=SetPrice("AAPL", Decimal("189.5")), at=10 * SECOND),
    Step(do=Say(("4", "2", "-1", "2100", "hello"))),
    Step(do=Replace("^1$", "66", 3), message="tickPrice", fields={3: "1"}, having=("12",)),
]


def test_a_script(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(SCRIPT)
    assert load_script(file) == MEANT


EVERY: list[Step] = [
    *MEANT,
    Step(do=Duplicate(3), request="placeOrder"),
    Step(do=Reorder(behind="commissionReport"), message="execDetails"),
    Step(do=Disconnect(after=True), request="placeOrder"),
    Step(do=StopAnswering(), until=30 * SECOND),
    Step(do=RefuseClientId(), times=3),
    Step(do=RollBackIds(5)),
    Step(do=SkewClock(-90 * SECOND)),
    Step(do=Notify(1300, "gone")),
    Step(do=SetFarm(Farm.MARKET, FarmState.BROKEN)),
    Step(do=SetPrice("AAPL", None)),
    Step(do=Halt("AAPL")),
]


@pytest.mark.parametrize("step", EVERY, ids=lambda step: type(step.do).__name__)
def test_what_is_written_is_read_again(step: Step) -> None:
    assert read_steps(json.loads(json.dumps([write_step(step)]))) == [step]


def test_the_documentation_names_every_action() -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    assert [name for name in ACTIONS if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("steps: 5", 1, ["steps", "a list"]),
        ("- {do: drop}\n", 1, ["[0]", "needs a request or a message"]),
        ("steps:\n- {do: lose_link}\n- {do: explode}", 3, ["steps[1].do", "'explode'", "drop"]),
        ("steps:\n- {do: lose_link, att: 5s}", 2, ["steps[0].att", "not permitted"]),
        ("steps:\n- do: delay\n  message: position\n  with: {by: soon}", 4, ["with.by", "'soon'", "500ms"]),
        ("steps:\n- do: delay\n  message: position", 1 + 1, ["steps[0].with.by", "required"]),
        ("steps:\n- do: drop\n  request: placeorder", 2, ["steps[0]", "'placeOrder'"]),
        ("steps:\n- do: drop\n  with: {by: 1}\n  request: placeOrder", 3, ["with.by", "not permitted"]),
        ("steps:\n- do: lose_link\n  at: tomorrow", 3, ["steps[0].at", "'tomorrow'"]),
        ("steps:\n- do: lose_link\n  times: -1", 2, ["1 or more"]),
        ("steps:\n- [do", 2, ["expected"]),
        ("steps:\n- do: lose_link\n  at: 99999999h", 2, ["steps[0]", "3650 days"]),
        ("steps:\n- do: drop\n  message: error\n  fields: {-50: x}", 2, ["steps[0]", "from 0"]),
        (
            "steps:\n- do: replace\n  message: error\n  with: {pattern: a, by: '\\9'}",
            2,
            ["cannot replace", "group"],
        ),
        ("actions: []", 1, ["actions", "`steps` only"]),
    ],
)
def test_a_mistake_is_found_where_it_is(tmp_path: Path, text: str, line: int, words: list[str]) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(ScriptError) as failure:
        load_script(file)
    said = str(failure.value)
    assert said.startswith(f"{file}, line {line}: ")
    assert [word for word in words if word not in said] == []


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="No such file"):
        load_script(tmp_path / "none.yaml")
    big = tmp_path / "big.yaml"
    big.write_text("#" * ((1 << 20) + 1))
    with pytest.raises(ScriptError, match="longer"):
        load_script(big)
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    with pytest.raises(ScriptError, match="a list of steps"):
        load_script(empty)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(ScriptError, match="binary"):
        load_script(binary)


@pytest.mark.parametrize(
    "junk", [None, 1, "x", {}, [None], [[]], [{"do": None}], [{"do": "drop", "with": []}]]
)
def test_junk_is_refused(junk: Any) -> None:
    with pytest.raises(ScriptError):
        read_steps(junk)
