"""Dividends and splits from a CSV file.

The columns are `date`, `symbol`, `type` (dividend or split) and `value`: cash per share on the ex-date, or
new shares for each old one. Case does not matter, and other columns are ignored.
"""

import csv
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from trademind.domain import SecType
from trademind.errors import SettingsError
from trademind.gateway.engine.corporate_actions import CorporateAction, Dividend, Split
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.tape_files import UNREADABLE, unreadable

_COLUMNS: Final = ("date", "symbol", "type", "value")


def read_actions(path: Path, universe: Universe) -> tuple[CorporateAction, ...]:
    """The actions in a file, oldest first; those of one day in the order of the file.

    Raises:
        SettingsError: the file cannot be read as such; the text names file and line, and says what to do.
    """
    con_ids = {each.symbol: each.con_id for each in universe.instruments if each.sec_type is SecType.STOCK}
    actions: list[CorporateAction] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            missing = [name for name in _COLUMNS if name not in reader.fieldnames]
            if missing:
                raise SettingsError(
                    f"{path}:1: the column {missing[0]} is missing; the first line has to name "
                    f"{', '.join(_COLUMNS)}"
                )
            for row in reader:
                fields = {name: (row[name] or "").strip() for name in _COLUMNS}
                try:
                    actions.append(_action(fields, con_ids))
                except ValueError as error:
                    raise SettingsError(f"{path}:{reader.line_num}: {error}") from error
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    return tuple(sorted(actions, key=lambda action: action.day))


def _action(fields: Mapping[str, str], con_ids: Mapping[str, int]) -> CorporateAction:
    """Raises ValueError: what is wrong with the row, and what to do."""
    try:
        day = date.fromisoformat(fields["date"])
    except ValueError:
        raise ValueError(f"{fields['date']!r} is not a date; write it as 2026-04-15") from None
    con_id = con_ids.get(fields["symbol"].upper())
    if con_id is None:
        raise ValueError(f"there is no stock {fields['symbol']!r}; take the row out, or correct the symbol")
    try:
        value = Decimal(fields["value"])
    except InvalidOperation:
        raise ValueError(f"the value is {fields['value']!r}, which is not a number; correct it") from None
    if not value.is_finite() or value <= 0:
        raise ValueError(f"the value is {fields['value']!r}; it has to be above zero")
    match fields["type"].lower():
        case "dividend":
            return Dividend(con_id=con_id, ex_date=day, amount=value)
        case "split":
            return Split(con_id=con_id, date=day, ratio=value)
        case other:
            raise ValueError(f"the type is {other!r}; it has to be dividend or split")
