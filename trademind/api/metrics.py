"""What Prometheus is told, in its text format.

Nothing is counted here. Everything is read when it is asked for, from the session, the journal and the loop's
watch, so a metric cannot differ from what the API says. Each app has its own registry; nothing is global.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import isinf

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

import trademind
from trademind.brokers.base import Broker
from trademind.domain import LineUsage, SessionInfo, SessionState
from trademind.journal import Journal
from trademind.loopwatch import LoopWatch
from trademind.market.hub import Hub, HubStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The version of the format that every Prometheus reads."""

USABLE_FARMS = frozenset({"ok", "inactive"})
"""An inactive farm is at rest until it is needed."""


class Metrics:
    """The metrics of one app."""

    def __init__(self, broker: Broker, journal: Journal, watch: LoopWatch, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(broker, journal, watch, hub))
        # CPU time, memory, start time and open files, where the system tells them (Linux).
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of them, as they are now."""
        return generate_latest(self._registry)


class _Collector(Collector):
    def __init__(self, broker: Broker, journal: Journal, watch: LoopWatch, hub: Hub) -> None:
        self._broker = broker
        self._journal = journal
        self._watch = watch
        self._hub = hub

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("trademind_build", "TradeMind itself.", {"version": trademind.__version__})
        yield from _session(self._broker.session)
        yield from _journal(self._journal)
        yield from _loop(self._watch)
        yield from _lines(self._broker.line_usage())
        yield from _market(self._hub.statistics)


def _session(session: SessionInfo) -> Iterator[Metric]:
    """Whatever else a session comes to know about itself belongs here."""
    yield _gauges(
        "trademind_session_state",
        "1 for the state that the session is in.",
        "state",
        {state.value: float(state is session.state) for state in SessionState},
    )
    yield GaugeMetricFamily(
        "trademind_session_state_since_seconds",
        "When the session came to be in its state, in Unix time.",
        session.since.timestamp(),
    )
    yield CounterMetricFamily(
        "trademind_session_connections", "Connections made with the gateway.", session.connection_number
    )
    yield _gauges(
        "trademind_session_queued",
        "Messages that wait for their turn within IB's limit of 50 a second.",
        "priority",
        session.queued,
    )
    yield _gauges(
        "trademind_farm_up",
        "0 for a data farm of IB that cannot be used, 1 for one that can be.",
        "farm",
        {farm: float(state in USABLE_FARMS) for farm, state in session.farms.items()},
    )


def _journal(journal: Journal) -> Iterator[Metric]:
    statistics = journal.statistics
    yield GaugeMetricFamily(
        "trademind_journal_available",
        "1 where the journal takes orders, 0 where it cannot be written to.",
        float(journal.is_available),
    )
    yield SummaryMetricFamily(
        "trademind_journal_commit_seconds",
        "What groups of writes took until they were on disk.",
        count_value=statistics.commits,
        sum_value=statistics.commit_seconds,
    )
    yield CounterMetricFamily("trademind_journal_writes", "Writes that are on disk.", statistics.written)
    yield GaugeMetricFamily("trademind_journal_queued", "Writes that are not on disk yet.", statistics.queued)
    yield CounterMetricFamily(
        "trademind_journal_failures", "Attempts to write that failed.", statistics.failures
    )
    yield GaugeMetricFamily("trademind_journal_last_seq", "The last event on disk.", journal.last_seq)


def _loop(watch: LoopWatch) -> Iterator[Metric]:
    lag = watch.lag
    yield HistogramMetricFamily(
        "trademind_loop_lag_seconds",
        "How long whatever became due had to wait for the event loop, measured evenly over time.",
        buckets=[("+Inf" if isinf(bound) else str(bound), count) for bound, count in lag.buckets],
        sum_value=lag.sum,
    )
    if lag.max is not None:
        yield GaugeMetricFamily("trademind_loop_lag_max_seconds", "The longest of these waits.", lag.max)
    yield CounterMetricFamily(
        "trademind_loop_stalls",
        "Callbacks that held the event loop for more than 0.1 s; the log has their names.",
        watch.stall_count,
    )
    yield CounterMetricFamily(
        "trademind_loop_pauses",
        "How often the event loop stood still without a callback to blame, as on a suspended machine.",
        watch.pause_count,
    )


def _lines(lines: Iterable[LineUsage]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "trademind_market_lines",
        "Market data lines: what IB grants, what is subscribed, and what of it somebody follows.",
        labels=["channel", "which"],
    )
    for line in lines:
        family.add_metric([line.channel, "limit"], line.limit)
        family.add_metric([line.channel, "used"], line.used)
        family.add_metric([line.channel, "held"], line.held)
    yield family


def _market(hub: HubStatistics) -> Iterator[Metric]:
    yield GaugeMetricFamily("trademind_stream_clients", "Clients that follow market data.", hub.clients)
    yield GaugeMetricFamily(
        "trademind_stream_topics", "Kinds of data of an instrument that are followed.", hub.topics
    )
    yield CounterMetricFamily("trademind_stream_flushes", "Batches sent to clients.", hub.flushes)
    yield CounterMetricFamily(
        "trademind_stream_encoded", "Values written, each once for all clients.", hub.encoded
    )
    yield CounterMetricFamily("trademind_stream_delivered", "Values sent to clients.", hub.delivered)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """One gauge for each value of `label`."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
