"""Spans of time, half-open, in whole seconds since 1970. Pure."""

from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""From when (inclusive) to when (exclusive); never empty."""


def union(spans: Iterable[Span]) -> list[Span]:
    """The same seconds in as few spans as possible, in order: none overlaps with another, or touches it."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        elif since < until:
            joined.append((since, until))
    return joined


def gaps(wanted: Span, known: Sequence[Span]) -> list[Span]:
    """What of `wanted` is not in `known`, which is in order and does not overlap; oldest first."""
    found: list[Span] = []
    since, until = wanted
    for first, last in known:
        if last <= since:
            continue
        if first >= until:
            break
        if first > since:
            found.append((since, first))
        since = max(since, last)
    if since < until:
        found.append((since, until))
    return found


def known_from(second: int, known: Sequence[Span]) -> int:
    """Until when everything from `second` on is known; `second` itself where it is not."""
    return next((last for first, last in known if first <= second < last), second)
