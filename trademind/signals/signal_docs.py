"""The tables of `docs/signals.md`, written from the registries (see its last line)."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from trademind.signals.catalogue import BUILT_IN
from trademind.signals.parameters import Parameter
from trademind.signals.registry import INDICATORS
from trademind.signals.rules import RuleStrategy


def strategies() -> Iterator[str]:
    """What each strategy does, and how many bars it needs."""
    yield "| strategy | what it does | strength | bars |"
    yield "| --- | --- | --- | ---: |"
    for name, kind in BUILT_IN.items():
        strength, _, _ = (kind.__doc__ or "").partition("\n\n")
        usual = kind.info("built in")
        measure = " ".join(strength.removeprefix("Strength: ").rstrip(".").split())
        yield f"| `{name}` | {usual.description} | {measure} | {usual.warm_up + 1} |"


def parameters() -> Iterator[str]:
    """The parameters of each strategy, after those that all have."""
    common = RuleStrategy.parameters()
    yield "| strategy | parameter | default | may be | what it is |"
    yield "| --- | --- | ---: | --- | --- |"
    yield from (_row("all", parameter) for parameter in common)
    for name, kind in BUILT_IN.items():
        yield from (_row(f"`{name}`", one) for one in kind.parameters() if one not in common)


def indicators() -> Iterator[str]:
    """The indicators, by group."""
    yield "| indicator | what it is | parameters | values | formula |"
    yield "| --- | --- | --- | --- | --- |"
    for group, members in groupby(INDICATORS.values(), key=lambda one: one.group):
        yield f"| **{group}** | | | | |"
        for one in members:
            settings = ", ".join(f"`{given.name}` {_default(given)}" for given in one.parameters)
            values = ", ".join(f"`{output}`" for output in one.outputs)
            name = f"`{one.name}`{'*' if one.smooths else ''}"
            yield f"| {name} | {one.title}. {one.description} | {settings} | {values} | {one.source} |"


TABLES: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "strategies": strategies,
    "parameters": parameters,
    "indicators": indicators,
}


def written(page: str) -> str:
    """The page with its tables, each between `<!-- name -->` and `<!-- end -->`, as they must be."""
    for name, table in TABLES.items():
        lines = "\n".join(table())
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}{lines}\n{end}{rest.partition(end)[2]}"
    return page


def _row(strategy: str, one: Parameter) -> str:
    return f"| {strategy} | `{one.name}` | {_default(one)} | {one.range} | {one.description} |"


def _default(one: Parameter) -> str:
    return one.default if isinstance(one.default, str) else f"{one.default:g}"


if __name__ == "__main__":
    sys.stdout.write(written(Path(sys.argv[1]).read_text(encoding="utf-8")))
