"""`docs/errors.md`, written from the exception tree (`python -m trademind.api.error_docs`)."""

import sys
from collections.abc import Iterator

from trademind.errors import TradeMindError

_HEAD = """\
# Errors

Every refusal is a problem document (`application/problem+json`, RFC 9457) with `type`, `title`, `status`,
`detail`, `instance` and TradeMind's own `code`, `ib_code` (IB's code, where IB gave one), `retry_safe` (may
the same request simply be made again?), `request_id` (also in the `X-Request-ID` header and in the log)
and `errors` (which field, and what is wrong with it). Programs go by `code`; it does not change.

In Python the same errors are exceptions in `trademind.errors`, with the same attributes.

This page is generated from the exception tree (`python -m trademind.api.error_docs > docs/errors.md`).

| code | status | meaning | retry safe | Retry-After | exception |
| --- | --- | --- | --- | --- | --- |
"""


def kinds(base: type[TradeMindError] = TradeMindError) -> Iterator[type[TradeMindError]]:
    """Every error there is, parents before children, in the order of the source."""
    for kind in base.__subclasses__():
        # Another package may add its own; they are not ours to document.
        if kind.__module__ == TradeMindError.__module__:
            yield kind
            yield from kinds(kind)


def render() -> str:
    """The whole page."""
    rows = (
        f"| `{kind.code}` | {kind.status} | {kind.title} | {'yes' if kind.retry_safe else 'no'} "
        f"| {f'{kind.retry_after} s' if kind.retry_after is not None else ''} | `{kind.__name__}` |\n"
        for kind in sorted(kinds(), key=lambda kind: (kind.status, kind.code))
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(render())
