"""docs/signals.md says what the code does."""

import re
from pathlib import Path

import trademind
from tests.signals.prices import real
from trademind.signals import Outcome, evaluate
from trademind.signals.loading import Source, load
from trademind.signals.signal_docs import TABLES, written

PAGE = Path(trademind.__file__).parent.parent / "docs" / "signals.md"


def test_the_tables_are_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in page for name in TABLES)
    assert page == written(page), "run: python -m trademind.signals.signal_docs docs/signals.md, and save it"


def test_every_outcome_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [outcome for outcome in Outcome if f"| `{outcome}` |" not in page] == []


def test_the_strategy_on_the_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    (code,) = [block for block in blocks if "class ThreeDown" in block]
    path = tmp_path / "page.py"
    path.write_text(code)
    (kind,) = load(Source("page", path))
    found = evaluate(kind(), real("AAPL"))
    assert (found.outcome, found.error) == (Outcome.DONE, None)
    assert found.signals
