"""The high-water marks of order ids: an id that was used once is never handed out again.

"A restart" is another `OrderIds` on the same file; the first is left as it is, as a killed process leaves it.
The disk is full where `os.fsync` says so, and the process dies where a step of the writing raises something
that nobody catches.

How the tests were seen to fail: marks written after the id counts as used, or without a step; a file written
in place instead of beside, or of nothing but what this process knows; names without the client id or without
the account; a highest id that goes back; a failed write that counts; damage taken for an empty file.
"""

import errno
import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.brokers.order_ids import STEP, OrderIds
from trademind.errors import StateNotKept, Unavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "order-ids.json"


def no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Died(BaseException):
    """The process is no more."""


def test_what_nobody_has_used_is_not_known(path: Path) -> None:
    assert OrderIds(path).highest("DU1", 1) == 0
    assert OrderIds().highest("DU1", 1) == 0
    assert not path.exists(), "reading makes no file"


def test_ids_are_remembered_over_a_restart(path: Path) -> None:
    ids = OrderIds(path)
    for order_id in (7, 8, 9):
        ids.use("DU1", 1, order_id)
        assert ids.highest("DU1", 1) == order_id
    assert OrderIds(path).highest("DU1", 1) >= 9


def test_without_a_file_they_are_remembered_for_the_life_of_the_object() -> None:
    ids = OrderIds()
    ids.use("DU1", 1, 500)
    ids.use("DU1", 1, 3)
    assert ids.highest("DU1", 1) == 500


def test_it_is_written_once_in_a_hundred_orders(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    sync = os.fsync

    def noting_sync(file: int) -> None:
        written.append(file)
        sync(file)

    monkeypatch.setattr(os, "fsync", noting_sync)
    ids = OrderIds(path)
    for order_id in range(1, 10 * STEP + 1):
        ids.use("DU1", 1, order_id)
    assert len(written) == 10
    assert OrderIds(path).highest("DU1", 1) == 10 * STEP


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["DU1", "DU2", "U9"]), st.sampled_from([0, 1, 12]), st.integers(1, 1000))
        | st.none(),
        max_size=60,
    )
)
def test_whatever_is_used_in_whatever_order_is_never_handed_out_again(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int, int] | None]
) -> None:
    """Several accounts and clients, ids that go back, and a restart at every None."""
    path = tmp_path_factory.mktemp("ids") / "order-ids.json"
    ids, used = OrderIds(path), dict[tuple[str, int], int]()
    for step in (*script, None):
        if step is None:
            ids = OrderIds(path)
            # A restart may leave a part of a step unused, of this name and no other.
            for (account, client), highest in used.items():
                assert highest <= ids.highest(account, client) < highest + STEP
                used[account, client] = ids.highest(account, client)
        else:
            account, client, order_id = step
            ids.use(account, client, order_id)
            used[account, client] = max(order_id, used.get((account, client), 0))
        for (account, client), highest in used.items():
            assert ids.highest(account, client) == highest


def test_ids_as_they_are_really_handed_out_rise_over_any_number_of_restarts(path: Path) -> None:
    handed_out: list[int] = []
    for _ in range(5):
        ids = OrderIds(path)
        next_id = ids.highest("DU1", 1) + 1
        for order_id in range(next_id, next_id + 150):
            ids.use("DU1", 1, order_id)
            handed_out.append(order_id)
    assert all(earlier < later for earlier, later in pairwise(handed_out))
    assert handed_out[-1] < 5 * 150 + 5 * STEP, "more than a step was left unused"


def test_servers_that_share_a_directory_keep_each_others_marks(path: Path) -> None:
    """Each under a client id of its own, as the second is told to take one."""
    first, second = OrderIds(path), OrderIds(path)
    for order_id in range(1, 500, 50):
        first.use("DU1", 1, order_id)
        second.use("DU1", 2, 10 * order_id)
        first.use("DU2", 1, 7 * order_id)
    after = OrderIds(path)
    assert after.highest("DU1", 1) >= 451
    assert after.highest("DU1", 2) >= 4510
    assert after.highest("DU2", 1) >= 7 * 451


def test_a_mark_on_disk_never_goes_back(path: Path) -> None:
    """Whatever a program knows that was started before."""
    early, late = OrderIds(path), OrderIds(path)
    late.use("DU1", 1, 5000)
    early.use("DU1", 1, 10)
    assert OrderIds(path).highest("DU1", 1) >= 5000


# Files that cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xfe",
        b'{"DU1/1": 1',
        b'{"DU1/1": 199}}',
        b"null",
        b"[]",
        b"199",
        b'{"DU1/1": "199"}',
        b'{"DU1/1": null}',
        b'{"DU1/1": 199.5}',
        b'{"DU1/1": NaN}',
        b'{"DU1/1": {"mark": 199}}',
    ],
)
def test_a_damaged_file_is_said_to_be_one_and_left_alone(path: Path, content: bytes) -> None:
    """Taken for an empty one, it would let ids be used again."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StateNotKept, match=r"order-ids\.json.*delete it") as failure:
        OrderIds(path)
    assert isinstance(failure.value, Unavailable)
    assert path.read_bytes() == content


def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StateNotKept, match=r"order-ids\.json"):
        OrderIds(path)


# Files that cannot be written ------------------------------------------------------------------


def check_that_nothing_was_used(ids: OrderIds, path: Path, before: int, *, on_disk: int) -> None:
    assert ids.highest("DU1", 1) == before
    assert OrderIds(path).highest("DU1", 1) == on_disk


def test_an_id_that_cannot_be_remembered_must_not_be_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = OrderIds(path)
    ids.use("DU1", 1, 1)
    for order_id in range(2, STEP + 1):
        ids.use("DU1", 1, order_id)
    content = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        for _ in range(3):
            with pytest.raises(StateNotKept, match=r"No space left.*Nothing was sent"):
                ids.use("DU1", 1, STEP + 1)
        with pytest.raises(StateNotKept):
            ids.use("DU2", 1, 1)
    assert path.read_bytes() == content
    check_that_nothing_was_used(ids, path, STEP, on_disk=STEP)
    ids.use("DU1", 1, STEP + 1)  # there is room again
    assert OrderIds(path).highest("DU1", 1) == 2 * STEP


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A file where the data directory should be: whoever runs the tests may write into any directory."""
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(StateNotKept):
        OrderIds(tmp_path / "data" / "order-ids.json").use("DU1", 1, 1)


@pytest.mark.parametrize("step", ["open", "replace"])
def test_a_directory_that_is_read_only(path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    ids = OrderIds(path)
    ids.use("DU1", 1, 1)
    really = getattr(Path, step)

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if self.suffix == ".new":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return really(self, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, refuse)
        for order_id in (1000, 1001):
            with pytest.raises(StateNotKept, match="Permission denied"):
                ids.use("DU1", 1, order_id)
    check_that_nothing_was_used(ids, path, 1, on_disk=STEP)


@pytest.mark.parametrize("where", ["while it is written", "before it is on disk", "before it is renamed"])
def test_a_process_that_dies_while_writing_leaves_the_old_marks(
    path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    ids = OrderIds(path)
    ids.use("DU1", 1, 1)

    def die(*_: Any, **__: Any) -> Any:
        raise Died

    def die_half_way(marks: Any, file: Any) -> None:
        file.write(json.dumps(marks)[:7])
        raise Died

    with monkeypatch.context() as patched:
        match where:
            case "while it is written":
                patched.setattr(json, "dump", die_half_way)
            case "before it is on disk":
                patched.setattr(os, "fsync", die)
            case _:
                patched.setattr(Path, "replace", die)
        with pytest.raises(Died):
            ids.use("DU1", 1, 1000)
    assert path.read_bytes() == b'{"DU1/1": %d}' % STEP
    after = OrderIds(path)
    assert after.highest("DU1", 1) == STEP
    after.use("DU1", 1, 2000)  # what the dead one has left beside it is no obstacle
    assert OrderIds(path).highest("DU1", 1) >= 2000


def test_it_is_on_disk_before_it_takes_the_old_ones_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut could leave a file of that name with nothing in it."""
    steps: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noting_sync(file: int) -> None:
        steps.append("sync")
        sync(file)

    def noting_replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        assert json.loads(self.read_bytes()) == {"DU1/1": 1 + STEP - 1}
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    OrderIds(path).use("DU1", 1, 1)
    assert steps[:2] == ["sync", "replace"]
