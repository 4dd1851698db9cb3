"""What Prometheus reads at /metrics.

The service is several processes. The dialer and its media process count for themselves and hand the figures on with
the live state (autodialer/dialing/vitals.py); the API counts its requests; what waits is looked up. All of it is put
together here, when it is asked for. Not by prometheus-client's own way over processes: that is a folder of mapped
files, which a dead child leaves behind and which every count on the tick would touch.

No label is free text from a client or a peer but the name of a trunk, and no number of a person is in any of them.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from autodialer.campaign.breaker import BreakerState
from autodialer.config import Settings
from autodialer.errors import Unavailable
from autodialer.histogram import Histogram, histogram_of
from autodialer.model import MediaState
from autodialer.sip.registration import RegistrationState
from autodialer.store import Busy, DialerSeen, Store

MOST_TRUNKS = 200
"""Trunks told of, the oldest first."""
NO_ROUTE = "none"
"""There is no such path: a label of what a stranger asked for would grow without bound."""
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
REQUEST_BOUNDS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
DATABASE_UP = "Whether the database answers the API."
REGISTERED = (RegistrationState.REGISTERED, RegistrationState.REFRESHING)


class Requests:
    """The requests that the API has answered since its start. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, str, str], int] = {}
        self._times: dict[str, Histogram] = {}

    def count(self, method: str, route: str | None, status: str, took_s: float) -> None:
        """An answer has begun. `route` is the path with its variables in <>; None: there is no such path."""
        route = route or NO_ROUTE
        key = method if method in METHODS else "other", route, status
        with self._lock:
            self._answers[key] = self._answers.get(key, 0) + 1
            times = self._times.get(route)
            if times is None:
                times = self._times[route] = Histogram(REQUEST_BOUNDS_S)
            times.add(took_s)

    def metrics(self) -> Iterator[Metric]:
        """As Prometheus wants them."""
        answers = CounterMetricFamily(
            "dialer_http_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        times = HistogramMetricFamily(
            "dialer_http_request_seconds", "From a request to the beginning of its answer.", labels=["route"]
        )
        with self._lock:
            for key, count in self._answers.items():
                answers.add_metric(key, count)
            for route, found in self._times.items():
                times.add_metric([route], buckets=found.cumulative(), sum_value=found.total)
        yield answers
        yield times


class Metrics(Collector):
    """All metrics of one service."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        imported_rows: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        """`imported_rows` answers (into what, how it went) -> rows of imports since the start."""
        self._settings = settings
        self._store = store
        self._imported_rows = imported_rows
        self.requests = Requests()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The text format 0.0.4, which every Prometheus reads."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing: else the registry would ask the database for all of it when this is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What there is now. A database that does not answer is told, and takes only what it knows with it."""
        yield from self.requests.metrics()
        yield from self._imports()
        yield from self._disk()
        busy = {"api": self._store.busy}
        try:
            # Read whole before any of it is told: a metric must not be told twice, as up and then as down.
            found = [*self._from_the_database(busy)]
        except Unavailable:
            found = [_gauge("dialer_database_up", DATABASE_UP, 0)]
        yield from found
        yield from _database(busy)

    def _from_the_database(self, busy: dict[str, Busy]) -> Iterator[Metric]:
        """Puts how busy the database is for the dialer into `busy`. Raises Unavailable."""
        dialer = self._store.live.dialer()
        yield from self._waiting(dialer)
        if dialer is not None:
            yield from self._trunks()
            yield from _of_the_dialer(dialer.vitals)
            busy["dialer"] = _busy_of(dialer.vitals)

    def _disk(self) -> Iterator[Metric]:
        try:
            free = shutil.disk_usage(self._settings.data).free
        except OSError:
            return  # a disk that is gone has no figure; /readyz says so
        yield _gauge("dialer_disk_free_bytes", "Left on the disk of the data folder.", free)

    def _imports(self) -> Iterator[Metric]:
        rows = CounterMetricFamily(
            "dialer_import_rows", "Rows of tables whose import has ended.", labels=["into", "result"]
        )
        for key, count in self._imported_rows().items():
            rows.add_metric(key, count)
        yield rows

    def _waiting(self, dialer: DialerSeen | None) -> Iterator[Metric]:
        queue = self._store.load.queue()
        yield _gauge("dialer_database_up", DATABASE_UP, 1)
        yield _gauge("dialer_up", "Whether a dialer is at work.", int(dialer is not None))
        yield _gauge("dialer_campaigns_running", "Campaigns in state running.", queue.running)
        yield _gauge("dialer_jobs_queued", "Call jobs of running campaigns that wait, due or not.", queue.queued)
        yield _gauge("dialer_jobs_due", "Call jobs that may be dialled now by time, window and retry rule.", queue.due)
        yield _gauge(
            "dialer_oldest_due_job_seconds", "For how long the oldest of them has been due.", queue.oldest_due_s
        )
        deliveries = self._store.deliveries.count_waiting()
        yield _gauge("dialer_webhook_deliveries_waiting", "Deliveries that have not arrived yet.", deliveries)

    def _trunks(self) -> Iterator[Metric]:
        info = InfoMetricFamily("dialer_trunk", "The trunks by name.", labels=["trunk"])
        active = GaugeMetricFamily("dialer_trunk_active_calls", "Calls that are up or being made.", labels=["trunk"])
        registered = GaugeMetricFamily(
            "dialer_trunk_registered", "1: the provider knows us; only of trunks that register.", labels=["trunk"]
        )
        breaker = GaugeMetricFamily(
            "dialer_trunk_breaker", "1 for the state of the breaker.", labels=["trunk", "state"]
        )
        for trunk in self._store.load.trunks(limit=MOST_TRUNKS):
            name = str(trunk.id)
            info.add_metric([name], {"name": trunk.name})
            active.add_metric([name], trunk.active_calls)
            if trunk.registers:
                registered.add_metric([name], int(trunk.registration_state in REGISTERED))
            for state in BreakerState:
                breaker.add_metric([name, state.value], int(trunk.breaker_state == state.value))
        yield from (info, active, registered, breaker)


def _of_the_dialer(vitals: Mapping[str, Any]) -> Iterator[Metric]:
    """What it counted. Each is left out where an older or newer dialer has written it in another form."""
    yield _gauge("dialer_active_calls", "Calls that are up or being made.", _number(vitals, "active_calls"))
    yield _counter("dialer_calls_started", "Calls handed to a phone.", _number(vitals, "started"))
    put_back = "Calls that could not leave this machine, so that their jobs went back to the queue."
    yield _counter("dialer_calls_put_back", put_back, _number(vitals, "put_back"))
    calls = CounterMetricFamily("dialer_calls", "Calls that ended.", labels=["trunk", "disposition"])
    for trunk, disposition, count in vitals.get("ended", ()):
        calls.add_metric([trunk, disposition], count)
    yield calls
    codes = CounterMetricFamily("dialer_sip_responses", "Calls by the SIP code that ended them.", labels=["code"])
    for code, count in vitals.get("sip_codes", {}).items():
        codes.add_metric([code], count)
    yield codes
    yield from _histogram("dialer_tick_seconds", "A turn of the dialer, every 0.04 s.", vitals.get("ticks"))
    yield from _of_the_media(vitals.get("media", {}))


def _of_the_media(media: Mapping[str, Any]) -> Iterator[Metric]:
    state = media.get("state")
    if state in (MediaState.RUNNING, MediaState.DOWN):
        yield _gauge("dialer_media_up", "Whether the media process runs.", int(state == MediaState.RUNNING))
    late = "How late the packets of a slot left, against the grid of 20 ms."
    yield from _histogram("dialer_media_lateness_seconds", late, media.get("slots"))
    if "packets" in media:
        yield _counter("dialer_media_packets", "RTP packets of sounds that were due.", _number(media, "packets"))
        yield _counter("dialer_media_packets_late", "Those that left over 10 ms late.", _number(media, "late"))


def _busy_of(vitals: Mapping[str, Any]) -> Busy:
    found = vitals.get("database", {})
    return Busy(
        transactions=int(_number(found, "transactions")),
        waited_s=_number(found, "waited_s"),
        refused=int(_number(found, "refused")),
    )


def _database(busy: Mapping[str, Busy]) -> Iterator[Metric]:
    labels = ["process"]
    transactions = CounterMetricFamily("dialer_database_transactions", "Write transactions begun.", labels=labels)
    waited = CounterMetricFamily(
        "dialer_database_wait_seconds", "What they waited for other processes to write.", labels=labels
    )
    refused = CounterMetricFamily(
        "dialer_database_refused", "Transactions that failed: locked too long, disk full.", labels=labels
    )
    for process, found in busy.items():
        transactions.add_metric([process], found.transactions)
        waited.add_metric([process], found.waited_s)
        refused.add_metric([process], found.refused)
    yield from (transactions, waited, refused)


def _number(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _histogram(name: str, text: str, written: Any) -> Iterator[Metric]:
    found = histogram_of(written)
    if found is not None:
        yield HistogramMetricFamily(name, text, buckets=found.cumulative(), sum_value=found.total)
