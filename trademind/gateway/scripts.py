"""Scripted faults as text: YAML files, and the JSON of the admin command.

    steps:
      - {do: drop, message: openOrderEnd}
      - {do: delay, with: {by: 2s}, message: position, times: always}
      - {do: fail, with: {code: 162, text: pacing violation}, request: reqHistoricalData, skip: 2}
      - {do: lose_link, at: 5s}
      - {do: restore_link, with: {data_lost: true}, at: 10s}

`do` names an action of `faults.py`, `with` has its parameters, everything else is the step's condition.
Durations are `500ms`, `2s`, `1m`, `1h`, or a number of seconds. Every mistake is reported with its place.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from trademind.gateway import faults
from trademind.gateway.faults import Action, ScriptError, Step

MAX_SIZE: Final = 1 << 20
"""Bytes of a script file."""
ALWAYS: Final = "always"

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([+-]?\d{1,9}(?:\.\d{1,6})?) *(ms|s|m|h)?")
_CONFIG = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


def _duration(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value!r} is no duration, such as 500ms, 2s or 1m")
        return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and not _DURATION.fullmatch(value.strip()):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is neither a duration, such as 2s, nor a moment") from None
    return _duration(value)


def _times(value: Any) -> Any:
    return None if value == ALWAYS else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Moment = Annotated[timedelta | datetime | None, BeforeValidator(_moment)]


class _StepText(BaseModel):
    """A step as it is written."""

    model_config = _CONFIG

    do: str
    parameters: dict[str, Any] = Field(default_factory=dict, alias="with")
    at: Moment = None
    until: Moment = None
    request: str | None = None
    message: str | None = None
    fields: dict[int, str] = Field(default_factory=dict)
    having: tuple[str, ...] = ()
    client: int | None = None
    skip: int = 0
    times: Annotated[int | None, BeforeValidator(_times)] = 1


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _actions() -> dict[str, type]:
    groups = (faults.OnTraffic, faults.Standing, faults.AtOnce)
    return {_snake(kind.__name__): kind for group in groups for kind in get_args(group)}


ACTIONS: Final[Mapping[str, type]] = _actions()
"""The actions by their names in a script."""


def _model(kind: type) -> type[BaseModel]:
    """What the parameters of an action must be."""
    hints = get_type_hints(kind)
    parameters: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        hint = Duration if hints[each.name] is timedelta else hints[each.name]
        parameters[each.name] = (hint, ... if each.default is dataclasses.MISSING else each.default)
    return create_model(kind.__name__, __config__=_CONFIG, **parameters)


_MODELS = {name: _model(kind) for name, kind in ACTIONS.items()}


class _Misplaced(ScriptError):
    """A mistake, and where it is."""

    def __init__(self, path: Sequence[str | int], problem: str) -> None:
        self.path = tuple(path)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        super().__init__(f"{where}: {problem}" if where else problem)


def read_steps(script: Any, check: Callable[[Step], None] | None = None) -> list[Step]:
    """The steps of a script: a list of steps, or a mapping with the list under `steps`.

    Args:
        check: Raises ValueError for a step that the market has nothing to do with.

    Raises:
        ScriptError: names the place, and what is wrong there.
    """
    path: tuple[str | int, ...] = ()
    if isinstance(script, dict):
        for name in script:
            if name != "steps":
                raise _Misplaced((str(name),), "a script has `steps` only")
        script, path = script.get("steps"), ("steps",)
    if not isinstance(script, list):
        raise _Misplaced(path, "a script is a list of steps")
    return [_step((*path, number), each, check) for number, each in enumerate(script)]


def _step(path: tuple[str | int, ...], text: Any, check: Callable[[Step], None] | None) -> Step:
    try:
        written = _StepText.model_validate(text)
    except ValidationError as error:
        raise _misplaced(path, error) from error
    model = _MODELS.get(written.do)
    if model is None:
        raise _Misplaced((*path, "do"), f"{written.do!r} is none of {', '.join(ACTIONS)}")
    try:
        parameters = model.model_validate(written.parameters)
    except ValidationError as error:
        raise _misplaced((*path, "with"), error) from error
    condition = {name: getattr(written, name) for name in type(written).model_fields}
    del condition["do"], condition["parameters"]
    try:
        step = Step(do=ACTIONS[written.do](**dict(parameters)), **condition)
        if check is not None:
            check(step)
    except ValueError as error:
        raise _Misplaced(path, str(error)) from error
    return step


def _misplaced(path: tuple[str | int, ...], error: ValidationError) -> _Misplaced:
    first = error.errors(include_url=False)[0]
    # What follows the name of a field is a branch of its type, which means nothing to who wrote it.
    place = first["loc"][:1]
    return _Misplaced((*path, *place), first["msg"].removeprefix("Value error, "))


def load_script(file: Path, check: Callable[[Step], None] | None = None) -> list[Step]:
    """The steps of a YAML file; `check` as in `read_steps`.

    Raises:
        ScriptError: names the file, the line and the field, and what is wrong there.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_SIZE + 1)
    except OSError as error:
        raise ScriptError(f"{file}: {error.strerror or error}") from error
    if len(data) > MAX_SIZE:
        raise ScriptError(f"{file}: longer than {MAX_SIZE} bytes")
    try:
        root = yaml.compose(data, Loader=yaml.SafeLoader)
        script = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ScriptError(f"{file}{line}: {getattr(error, 'problem', None) or error}") from error
    try:
        return read_steps(script, check)
    except _Misplaced as error:
        raise ScriptError(f"{file}, line {_line(root, error.path)}: {error}") from error


def _line(node: Any, path: Sequence[str | int]) -> int:
    """The line of the innermost part of a path that there is."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            node = found[0][1]
            line = found[0][0].start_mark.line + 1
            continue
        else:
            break
        line = node.start_mark.line + 1
    return int(line)


def write_step(step: Step) -> dict[str, Any]:
    """A step as it would be written, in values that JSON has."""
    written: dict[str, Any] = {"do": _snake(type(step.do).__name__)}
    if parameters := _written(step.do):
        written["with"] = parameters
    written |= {name: value for name, value in _written(step).items() if name != "do"}
    if step.times is None:
        written["times"] = ALWAYS
    return written


def _written(value: Action | Step) -> dict[str, Any]:
    """The fields that are not what they are by default."""
    return {
        each.name: _plain(getattr(value, each.name))
        for each in dataclasses.fields(value)
        if getattr(value, each.name) not in (each.default, {}) and each.name != "do"
    }


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return {str(key): each for key, each in value.items()} if isinstance(value, Mapping) else value
