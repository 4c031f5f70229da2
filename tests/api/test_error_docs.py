"""docs/errors.md says what the code does."""

from pathlib import Path

import trademind
from trademind import errors
from trademind.api.error_docs import kinds, render

ROOT = Path(trademind.__file__).parent.parent


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m trademind.api.error_docs > docs/errors.md"


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(codes) == len(set(codes))


def test_every_error_is_in_the_drawing() -> None:
    drawn = (errors.__doc__ or "").split()
    assert [kind.__name__ for kind in kinds() if kind.__name__ not in drawn] == []
