"""From a run to its report: the last checks, which need the whole of it, and the sections."""

import re
from collections import Counter
from typing import Final

from tests.chaos import logs
from tests.chaos.report import Section
from tests.chaos.run import Run
from tests.chaos.world import Usage
from trademind.journal.database import READERS

MB: Final = 1024 * 1024
GROWTH: Final = 0.05
"""By how much memory may have grown between the first calm after a minute and the last one."""
PER_ORDER: Final = 6 * 1024
"""Bytes that the book keeps by design for an order of this day, its fills and its request."""
SOCKETS: Final = 8
"""Sockets that may be open beyond those at the beginning: the followers' and this program's calls."""
THREADS: Final = 2 + READERS
"""Threads likewise: each connection of the journal's readers has one, and is made when it is first needed."""
FIRST_MINUTE: Final = 60.0
LONG: Final = 240.0
"""Seconds between two calms that a judgement on leaks needs: a burst raises memory once, a leak goes on."""
LOOP: Final = re.compile(r"trademind_loop_(lag_max_seconds|stalls_total|pauses_total) ")
SHORT_GROWTH: Final = 40 * MB
"""What a run that is too short for that may add to an idle server. It is not a matter of leaks but of first
times: models and connections are made once, and buffers grow to the largest burst."""


def finish(run: Run) -> list[Section]:
    """Check what can only be checked in the end, and tell all of it."""
    for process in (run.server, run.gateway):
        records = list(logs.unexpected(process.log))
        alike = Counter(map(logs.gist, records))
        for gist, count in alike.items():
            example = next(record for record in records if logs.gist(record) == gist)
            times = f"{count} times, such as " if count > 1 else ""
            run.findings.violation(f"nothing unexpected in the {process.name}'s log", f"{times}{example}")
    return [
        Section(f"Chaos, seed {run.plan.seed}", [f"{run.findings.now:.0f} s, {len(run.plan.acts)} act(s)"]),
        _faults(run),
        _calls(run),
        _streams(run),
        _orders(run),
        _recoveries(run),
        _usage(run),
    ]


def _faults(run: Run) -> Section:
    played = Counter(each.kind for each in run.player.played)
    lines = [f"{kind:12} {count}" for kind, count in sorted(played.items())]
    lines.append(
        f"the gateway was started {run.gateway.starts} times; {run.proxy.connections} connections to it"
    )
    if run.player.left_out:
        lines.append(f"could not be played: {dict(run.player.left_out)}")
    return Section("Faults played", lines)


def _calls(run: Run) -> Section:
    lines = []
    for name, tally in sorted(run.api.tallies.items()):
        outcomes = ", ".join(f"{outcome}: {count}" for outcome, count in tally.outcomes.most_common())
        lines.append(f"{name:12} longest {tally.longest:5.2f} s   {outcomes}")
    lines.append(f"this program was late by {run.watch.worst_lag:.2f} s at most")
    return Section("Calls", lines)


def _streams(run: Run) -> Section:
    streams = run.streams
    closed = Counter(f"{each.name.split()[0]} {each.code}" for each in streams.ended)
    lines = [
        f"opened: {dict(streams.opened)}",
        f"ended by the server: {dict(closed)}, of which {streams.stuffed} had read nothing for too long",
        f"frames: {dict(streams.frames)}",
        f"longest silence of a follower: {streams.longest_silence:.1f} s",
    ]
    for state in streams.followers.values():
        lines.append(f"{state.name}: {len(state.gaps)} gaps, events {dict(sorted(state.events.items()))}")
    return Section("Streams", lines)


def _orders(run: Run) -> Section:
    statuses = Counter(order["status"] for order in run.agreement.orders)
    intents = run.ledger.intents.values()
    return Section("Orders", [
        f"keys used: {len(intents)}, POSTs with a key: {sum(len(each.attempts) for each in intents)}, "
        f"orders without a key: {len(run.ledger.nameless)}",
        f"in the book: {len(run.agreement.orders)}: {dict(statuses.most_common())}",
        f"executions: {len(run.agreement.fills)}; another program's orders: {run.stranger.orders}",
        f"book and gateway agreed {run.agreement.reached} times",
    ])  # fmt: skip


def _recoveries(run: Run) -> Section:
    lines = []
    recoveries = run.watch.recoveries(run.player.played)
    for fault, took, allowed in recoveries:
        if took > allowed:
            run.findings.violation(
                "readiness",
                f"{took:.1f} s after {fault.kind} ended at {fault.end:.1f} s; {allowed:.1f} s allowed",
            )
    lost = sum(end - begin for begin, end in run.watch.losses)
    longest: dict[str, float] = {}
    for fault, took, _ in recoveries:
        longest[fault.kind] = max(took, longest.get(fault.kind, 0.0))
    lines.append(f"not ready {len(run.watch.losses)} times, {lost:.1f} s in all")
    lines += [
        f"{kind:12} longest recovery {took:4.1f} s after its end" for kind, took in sorted(longest.items())
    ]
    return Section("Readiness", lines)


def _usage(run: Run) -> Section:
    first, last = run.calms[0], run.calms[-1]
    late = [usage for usage in run.calms if usage.at >= FIRST_MINUTE]
    lines = [_told(usage) for usage in run.calms]
    if late and late[-1].at - late[0].at >= LONG:
        # Orders that came after the first of these calms; how many there were then nobody has counted, so
        # they are taken to have come evenly.
        share = (late[-1].at - late[0].at) / late[-1].at
        by_design = round(len(run.agreement.orders) * share) * PER_ORDER
        growth = (late[-1].rss - by_design) / late[0].rss - 1
        lines.append(
            f"memory grew by {late[-1].rss / late[0].rss - 1:.1%} from {late[0].at:.0f} s on; "
            f"without what the book keeps by design ({by_design / MB:.1f} MB): {growth:.1%}"
        )
        if growth > GROWTH:
            run.findings.violation(
                "nothing leaks", f"memory grew by {growth:.1%}: {[_told(u) for u in run.calms]}"
            )
    else:
        lines.append(
            f"too short for a judgement on leaks; {SHORT_GROWTH // MB} MB more than idle are allowed"
        )
        if last.rss - first.rss > SHORT_GROWTH:
            run.findings.violation("nothing leaks", f"{_told(first)}, then {_told(last)}")
    end = run.last or last
    if end.sockets > first.sockets + SOCKETS or end.threads > first.threads + THREADS:
        run.findings.violation("nothing leaks", f"{_told(first)}, and in the end {_told(end)}")
    if run.watch.usages:
        lines.append(f"at most {max(usage.rss for usage in run.watch.usages) / MB:.1f} MB")
    loop = [line for line in run.metrics.splitlines() if LOOP.match(line)]
    lines += [f"{name} {float(value):.3f}" for name, value in (line.split() for line in loop)]
    if run.stopped_in is not None:
        lines.append(f"stopped in {run.stopped_in:.1f} s")
    return Section("Memory, sockets, threads", lines)


def _told(usage: Usage) -> str:
    return (
        f"{usage.at:6.1f} s  {usage.rss / MB:6.1f} MB, {usage.sockets} sockets, {usage.files} files, "
        f"{usage.threads} threads"
    )
