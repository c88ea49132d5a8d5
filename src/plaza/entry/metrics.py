"""Numbers for operators, at `/metrics` in Prometheus' format; no label names a person or an organisation."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from plaza.entry.http import Request, Send, respond
from plaza.kernel.errors import locate
from plaza.kernel.outbox import LiveEvent
from plaza.realtime import Ingress

log = structlog.get_logger("plaza.request")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

FRESH_SECONDS = 1.0
"""How long an answer of `/metrics` is given again: everybody waits while one is made."""


@dataclass(slots=True)
class Measured:
    """What is known of a request when it is over."""

    route: str = "none"
    status: int = 200


class OutboxGauges:
    """What waits in the outbox; set by the process that leads the relay, 0 in every other."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows = Gauge("plaza_outbox_rows", "Facts that wait for the relay.", registry=registry)
        self._age = Gauge("plaza_outbox_oldest_age_seconds", "Age of the oldest of them.", registry=registry)
        self._unknown = Gauge(
            "plaza_outbox_unknown_rows", "Facts of kinds that this version does not have.", registry=registry
        )
        self._failed = Gauge("plaza_outbox_failed_rows", "Facts in outbox_failed.", registry=registry)

    def set(self, *, rows: int, age: float, unknown: int, failed: int) -> None:
        """Sets all of them."""
        self._rows.set(rows)
        self._age.set(age)
        self._unknown.set(unknown)
        self._failed.set(failed)


class IngressCollector:
    """The numbers of an `Ingress` at the time of a scrape."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for."""
        yield GaugeMetricFamily("plaza_connections", "Open connections.", value=self._ingress.connections)
        closed = CounterMetricFamily(
            "plaza_connections_closed", "Connections closed for breaking a bound (docs/limits.md).", labels=["reason"]
        )
        for reason, count in self._ingress.closed.items():
            closed.add_metric([reason], count)
        yield closed


class Meter:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rendered = b""
        self._stale_at = float("-inf")
        self._requests = Histogram(
            "plaza_request_seconds",
            "Seconds of HTTP requests.",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._statements = Histogram(
            "plaza_statement_seconds", "Seconds of statements.", ["name"], buckets=SECONDS, registry=self._registry
        )
        self._events = Counter(
            "plaza_socket_events", "Socket events of clients.", ["event", "outcome"], registry=self._registry
        )
        self._refusals = Counter("plaza_refusals", "Refusals by their reason.", ["reason"], registry=self._registry)
        self._facts_failed = Counter(
            "plaza_relay_facts_failed", "Tries of facts that failed.", ["kind"], registry=self._registry
        )
        self._facts_parked = Counter(
            "plaza_relay_facts_parked", "Facts moved to outbox_failed.", ["kind"], registry=self._registry
        )
        self._presenters = Counter(
            "plaza_presenter_failures",
            "Live events left out, since presenting failed.",
            ["event"],
            registry=self._registry,
        )
        self._presenters_logged: dict[str, float] = {}
        self.outbox = OutboxGauges(self._registry)
        self.sockets = Gauge("plaza_sockets", "Sockets that are connected.", registry=self._registry)

    def watch(self, ingress: Ingress) -> None:
        """Shows the numbers of connections too."""
        self._registry.register(IngressCollector(ingress))

    @contextlib.contextmanager
    def request(self, request: Request) -> Iterator[Measured]:
        """Measures and logs one request: what was asked and how it ended, never a token or a body."""
        begun = time.perf_counter()
        measured = Measured()
        yield measured
        seconds = time.perf_counter() - begun
        self._requests.labels(_method(request.method), measured.route, measured.status).observe(seconds)
        log.info(
            "request",
            request=request.id,
            method=_method(request.method),
            route=measured.route,
            status=int(measured.status),
            ms=round(seconds * 1000, 2),
        )

    def statement(self, name: str, seconds: float) -> None:
        """Notes one statement."""
        self._statements.labels(name).observe(seconds)

    def event(self, event: str, outcome: str) -> None:
        """Notes one socket event of a client."""
        self._events.labels(event, outcome).inc()

    def refusal(self, reason: str) -> None:
        """Notes one refusal, of a request, an event or a handshake."""
        self._refusals.labels(reason).inc()

    def fact_failed(self, kind: str, count: int) -> None:
        """Counts facts that failed in one try."""
        self._facts_failed.labels(kind).inc(count)

    def fact_parked(self, kind: str, count: int) -> None:
        """Counts facts that failed in every try."""
        self._facts_parked.labels(kind).inc(count)

    def presenter_failed(self, event: LiveEvent, error: Exception) -> None:
        """Counts a live event that is left out; logs one a second for each name, never what the error says."""
        self._presenters.labels(event.name).inc()
        now = time.monotonic()
        if now - self._presenters_logged.get(event.name, float("-inf")) >= 1:
            self._presenters_logged[event.name] = now
            log.error("presenter.failed", name=event.name, org=event.org, error=locate(error))

    def exposition(self) -> bytes:
        """All numbers as they are, which takes tens of milliseconds."""
        return generate_latest(self._registry)

    async def page(self, request: Request, send: Send) -> None:
        """Answers `/metrics` with numbers that are a second old at most."""
        now = time.monotonic()
        if now >= self._stale_at:
            self._rendered = self.exposition()
            self._stale_at = now + FRESH_SECONDS
        await respond(send, request, 200, self._rendered, media=CONTENT_TYPE_LATEST.encode())


def _method(method: str) -> str:
    return method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS") else "other"
