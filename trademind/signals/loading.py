"""The user's own strategies: Python files of a folder, and entry points of installed packages.

Loading runs their code, so the server has it done in a process apart (`worker.py`).
"""

import inspect
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

from trademind.errors import StrategyNotFound
from trademind.signals.catalogue import BrokenStrategy, strategy
from trademind.signals.evaluation import in_a_line, where_raised
from trademind.signals.strategy import NAME, Strategy, StrategyInfo

ENTRY_POINTS: Final = "trademind.strategies"
"""The group in which a package names its strategies' classes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where strategies come from: a file, or an entry point where there is no path."""

    name: str
    """The file's name without .py, or that of the entry point."""
    path: Path | None = None

    @property
    def origin(self) -> str:
        """In words."""
        return str(self.path) if self.path is not None else f"entry point {self.name}"


@dataclass(frozen=True, slots=True)
class Description:
    """What a source has to offer: strategies, or what is wrong with it."""

    strategies: tuple[StrategyInfo, ...] = ()
    broken: tuple[BrokenStrategy, ...] = ()


def sources(folder: Path | None) -> list[Source]:
    """All files of the folder but those that begin with `_`, then the entry points, each by name.

    A folder that does not exist has no files.
    """
    files = sorted(folder.glob("*.py")) if folder is not None else []
    named = sorted({point.name for point in entry_points(group=ENTRY_POINTS)})
    return [
        *(Source(path.stem, path) for path in files if not path.name.startswith("_")),
        *(Source(name) for name in named),
    ]


def load(source: Source) -> list[type[Strategy]]:
    """The strategies of a source. Runs its code, which may raise anything.

    Raises:
        ValueError: there is no strategy in it, or one that cannot be used.
    """
    if source.path is None:
        (point, *_) = entry_points(group=ENTRY_POINTS, name=source.name)
        found = [point.load()]
    else:
        module = _run(source.path)
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Strategy)
            and value.__module__ == module.__name__
            # Without on_bars and without a name it is what the others of the file are made from.
            and not (inspect.isabstract(value) and not value.name)
        ]
    if not found:
        raise ValueError("There is no subclass of trademind.signals.Strategy in it.")
    for kind in found:
        _check(kind)
    return found


def strategy_of(name: str, source: Source | None, /, **parameters: object) -> Strategy:
    """A strategy with its parameters: a built-in one where there is no source. Runs the source's code.

    Raises:
        StrategyNotFound: there is none of this name.
        Invalid: its parameters, field by field.
        Whatever the code raises.
    """
    if source is None:
        return strategy(name, **parameters)
    for kind in load(source):
        if kind.name == name:
            return kind.of(parameters)
    raise StrategyNotFound(f"There is no strategy {name!r} in {source.origin} any more.")


def describe(source: Source) -> Description:
    """What a source has to offer. Whatever it raises is in the description."""
    try:
        return Description(tuple(kind.info(source.origin) for kind in load(source)))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - somebody's file may raise what it likes
        return Description(
            broken=(
                BrokenStrategy(
                    name=source.name,
                    origin=source.origin,
                    error=in_a_line(error),
                    traceback=where_raised(),
                ),
            )
        )


def _run(path: Path) -> ModuleType:
    # Not imported: a compiled file from before an edit of the same second would be taken for the new one.
    module = ModuleType(f"trademind_strategy_{path.stem}")
    module.__file__ = str(path)
    code = compile(path.read_bytes(), str(path), "exec")
    sys.modules[module.__name__] = module  # where dataclasses look up what annotations mean
    exec(code, vars(module))
    return module


def _check(kind: object) -> None:
    if not (isinstance(kind, type) and issubclass(kind, Strategy)):
        raise ValueError(f"{kind!r} is no subclass of trademind.signals.Strategy.")
    if not NAME.fullmatch(str(kind.name)):
        raise ValueError(
            f"{kind.__name__}.name is {kind.name!r}; it must be small letters, digits and _, 40 at most."
        )
    if inspect.isabstract(kind):
        raise ValueError(f"{kind.__name__} has no on_bars.")
