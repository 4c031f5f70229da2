"""The commands' way to a running server: plain HTTP, and every failure as an exit code."""

from collections.abc import Callable
from types import TracebackType
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import httpx
import typer

import trademind
from trademind.cli.output import CommandFailed, Exit
from trademind.settings import load_settings

Url = Annotated[
    str | None, typer.Option("--url", help="The server, if not the one of the settings.", metavar="URL")
]

TIMEOUT = httpx.Timeout(60.0, connect=3.0)
"""Longer than the server's own deadlines, so that it is the server who says what has happened."""


class Server:
    """A client of one server.

    Raises (each method):
        CommandFailed: refused (1), unreachable or not ready (3), sent with unknown outcome (4).
    """

    def __init__(self, url: str | None) -> None:
        self.url = (_checked(url) if url else load_settings().server.url).rstrip("/")
        # A proxy of the environment is not for the machine's own server.
        agent = {"User-Agent": f"trademind-cli/{trademind.__version__}"}
        self._http = httpx.Client(base_url=self.url, timeout=TIMEOUT, trust_env=False, headers=agent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: object) -> Any:
        """The JSON answer to a GET; parameters that are None are left out."""
        given = {name: str(value) for name, value in params.items() if value is not None}
        return self._ask("GET", path, is_question=True, params=given)

    def page(self, path: str) -> str:
        """The text of a page."""
        return str(self._ask("GET", path, is_question=True, read=lambda answer: answer.text))

    def question(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a question that takes a body, and changes nothing."""
        return self._ask("POST", path, is_question=True, json=body)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer to a request that changes something."""
        return self._ask(method, path, is_question=False, json=body)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        is_question: bool,
        read: Callable[[httpx.Response], Any] = httpx.Response.json,
        **options: Any,
    ) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise CommandFailed.because(
                Exit.UNREACHABLE,
                "server_unreachable",
                f"no server answers at {self.url}; start one with `trademind server start`, "
                "or say with --url where it is",
            ) from error
        except httpx.HTTPError as error:
            raise self._broken(is_question, error) from error
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            raise CommandFailed(exit_code(answer.json()), answer.json())
        try:
            answer.raise_for_status()
            return read(answer)
        except (httpx.HTTPStatusError, ValueError) as error:
            if not is_question and answer.status_code >= 500:
                raise self._broken(is_question, httpx.HTTPError(f"HTTP {answer.status_code}")) from error
            detail = f"what answers at {self.url} is not TradeMind (HTTP {answer.status_code})"
            raise CommandFailed.because(Exit.UNREACHABLE, "not_trademind", detail) from error

    def _broken(self, is_question: bool, error: httpx.HTTPError) -> CommandFailed:
        what = str(error) or type(error).__name__
        if is_question:
            return CommandFailed.because(
                Exit.UNREACHABLE, "server_unreachable", f"{self.url} did not answer: {what}"
            )
        return CommandFailed.because(
            Exit.UNKNOWN,
            "outcome_unknown",
            f"the request was sent and the answer is missing ({what}); see `trademind orders` before "
            "you try again",
            retry_safe=False,
        )


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        detail = f"--url {url}: not an address such as http://127.0.0.1:8000"
        raise CommandFailed.because(Exit.USAGE, "usage", detail, retry_safe=False)
    return url


def exit_code(problem: dict[str, Any]) -> Exit:
    """What a problem document means for a script."""
    match problem.get("status"):
        case 503:
            return Exit.UNREACHABLE
        case 504:
            return Exit.UNREACHABLE if problem.get("retry_safe") else Exit.UNKNOWN
        case _:
            return Exit.FAILED
