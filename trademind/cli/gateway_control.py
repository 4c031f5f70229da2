"""What can be done to a running paper gateway: faults, prices, halts. Asked over its admin socket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from trademind.cli.output import CommandFailed, Exit, Json, print_json, print_table, reporting
from trademind.errors import SettingsError
from trademind.settings import load_settings

fault = typer.Typer(help="Script what goes wrong on a running paper gateway.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option(help="Where the gateway's account is kept, if not as the settings say.")
]
Symbol = Annotated[str, typer.Argument(help="A symbol, or a contract id.")]


def _ask(data_dir: Path | None, command: str, **parameters: Any) -> dict[str, Any]:
    # Loaded here, so that the other commands answer without it.
    from trademind.gateway.admin import AdminError, ask

    directory = load_settings().data_dir if data_dir is None else data_dir
    try:
        return ask(directory, command, **parameters)
    except AdminError as error:
        exit_code = Exit.UNREACHABLE if isinstance(error.__cause__, OSError) else Exit.FAILED
        raise CommandFailed.because(exit_code, "gateway_command_failed", str(error)) from error


def script(file: Path, check: Callable[[Any], None] | None = None) -> list[Any]:
    """The steps of a script; `check` raises ValueError for one that the market has nothing to do with.

    Raises:
        SettingsError: the file is not one, and where it is wrong.
    """
    from trademind.gateway.faults import ScriptError
    from trademind.gateway.scripts import load_script

    try:
        return load_script(file, check)
    except ScriptError as error:
        raise SettingsError(str(error)) from error


@contextmanager
def _doing(as_json: bool, words: str) -> Iterator[dict[str, Any]]:
    """Report what a command's answer was: the whole of it, or in words."""
    answer: dict[str, Any] = {}
    with reporting(as_json):
        yield answer
        if as_json:
            print_json(answer)
        else:
            typer.echo(words.format(**answer))


@fault.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="A YAML file of steps; docs/faults.md says what they are.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put the steps of a file in force, from now on."""
    with _doing(as_json, "In force: {numbers}") as answer:
        from trademind.gateway.scripts import write_step

        answer |= _ask(data_dir, "faults.add", steps=[write_step(step) for step in script(file)])


@fault.command("list")
def show(data_dir: DataDir = None, as_json: Json = False) -> None:
    """The steps that are in force."""
    with reporting(as_json):
        faults = _ask(data_dir, "faults.list")["faults"]
        if as_json:
            print_json({"faults": faults})
            return
        known = ("number", "left", "do", "with")
        rows = []
        for step in faults:
            condition = ", ".join(f"{name} {value}" for name, value in step.items() if name not in known)
            parameters = ", ".join(f"{name} {value}" for name, value in step.get("with", {}).items())
            rows.append((step["number"], step["do"], parameters, condition, step["left"]))
        print_table((">No.", "Do", "With", "When", ">Left"), rows)


@fault.command("clear")
def clear(
    number: Annotated[int | None, typer.Argument(help="Of the step; without, all of them.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take a step, or all of them, out of force."""
    with _doing(as_json, "Cleared: {cleared}") as answer:
        answer |= _ask(data_dir, "faults.clear", number=number)


def price(
    symbol: Symbol,
    at: Annotated[str | None, typer.Argument(help="The price; without, the feed makes it again.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put the market of a symbol at a price, where it stays."""
    with _doing(as_json, f"{symbol}: {at or 'released'}") as answer:
        answer |= _ask(data_dir, "price", symbol=symbol, price=at)


def halt(symbol: Symbol, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Stop trading in a symbol: orders rest, nothing fills."""
    with _doing(as_json, f"{symbol}: halted") as answer:
        answer |= _ask(data_dir, "halt", symbol=symbol)


def resume(symbol: Symbol, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let trading in a symbol go on."""
    with _doing(as_json, f"{symbol}: trading") as answer:
        answer |= _ask(data_dir, "resume", symbol=symbol)


def status(data_dir: DataDir = None, as_json: Json = False) -> None:
    """How a running paper gateway is: its clients, its link to IB, what is put and halted."""
    with reporting(as_json):
        answer = _ask(data_dir, "status")
        if as_json:
            print_json(answer)
        else:
            print_table(("What", "Is"), [(name, value) for name, value in answer.items()])


def register(app: typer.Typer) -> None:
    """Add these commands to those of the gateway."""
    app.add_typer(fault, name="fault")
    for command in (price, halt, resume, status):
        app.command()(command)
