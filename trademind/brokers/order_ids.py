"""The order ids that have been used, remembered over restarts.

IB's next valid id can go back, after its settings were reset or on another machine, and an order sent with an
id that was used before changes the old order instead of making a new one. So the highest id is kept on disk.
It is written in steps of a hundred: a restart leaves a part of a step unused, which costs nothing.
"""

import json
import os
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from trademind.errors import StateNotKept

STEP: Final = 100


class OrderIds:
    """The high-water mark of each account and client id.

    Args:
        path: The file it is kept in; None keeps it for the life of this object only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._marks = self._read()
        """Up to where ids are written down as used."""
        self._used = dict(self._marks)
        """Up to where they have been used, as far as this process knows."""

    def highest(self, account_id: str, client_id: int) -> int:
        """No id up to this one may be used again; 0 where none is known."""
        return self._used.get(_name(account_id, client_id), 0)

    def use(self, account_id: str, client_id: int, order_id: int) -> None:
        """An order is about to be sent with `order_id`.

        Raises:
            StateNotKept: the id cannot be remembered, so the order must not be sent.
        """
        name = _name(account_id, client_id)
        if order_id > self._marks.get(name, 0):
            mark = order_id + STEP - 1
            self._write(name, mark)
            self._marks[name] = mark
        self._used[name] = max(order_id, self._used.get(name, 0))

    def _read(self) -> dict[str, int]:
        if self._path is None:
            return {}
        try:
            found = json.loads(self._path.read_bytes())
            if not isinstance(found, dict) or not all(
                type(mark) is int and mark >= 0 for mark in found.values()
            ):
                raise ValueError("it does not hold numbers by name")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise StateNotKept(
                f"{self._path} cannot be read ({error}). It keeps the order ids that were used: restore it, "
                "or, if no order placed from here is working, delete it"
            ) from error
        return found

    def _write(self, name: str, mark: int) -> None:
        if self._path is None:
            return
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Another server may share the directory, under a client id of its own.
            with FileLock(self._path.with_suffix(".lock"), timeout=1):
                found = self._read()
                found[name] = max(mark, found.get(name, 0))
                with beside.open("w") as file:
                    json.dump(found, file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self._path)
        except (OSError, Timeout) as error:
            raise StateNotKept(
                f"the order id cannot be remembered in {self._path}: {error}. Nothing was sent."
            ) from error


def _name(account_id: str, client_id: int) -> str:
    return f"{account_id}/{client_id}"
