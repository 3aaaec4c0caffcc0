"""`/metrics`: what is queued, how far behind, what is open. Read from the database, so that any process can answer.

Each figure is one statement that an index answers, whatever the tables hold: a monitoring system asks every few seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from beforehand.accounts.installation import installation
from beforehand.config.lag import work_lag
from beforehand.events.workers import live_workers
from beforehand.kit import clock
from beforehand.kit.rows import fetch
from beforehand.playbooks.queries import left_hanging

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Metric:
    """A figure; `read` answers rows of the labels' values and the figure."""

    name: str
    meaning: str
    read: Callable[[], Rows]
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"beforehand_{self.name}"


def sql(statement: str) -> Callable[[], Rows]:
    """A figure, or several with their labels, that one statement answers."""
    return partial(fetch, statement)


def one(value: Callable[[], float]) -> Callable[[], Rows]:
    """A single figure."""
    return lambda: [[value()]]


def _version() -> str:
    try:
        return version("beforehand")
    except PackageNotFoundError:
        return "unknown"


METRICS: tuple[Metric, ...] = (
    Metric("info", "This version.", lambda: [[_version(), 1]], ("version",)),
    Metric("workers", "Worker processes alive.", one(lambda: live_workers(now=clock.now()))),
    Metric(
        "work_lag_seconds",
        "How long the oldest unread event, or the run that is due longest, has waited.",
        one(work_lag),
    ),
    Metric("sending_paused", "1 while nothing goes out to customers.", one(lambda: installation().sending_paused)),
    Metric("incidents_open", "Open incidents.", sql("SELECT count(*) FROM incidents_incident WHERE state = 'open'")),
    Metric(
        "left_hanging",
        "Incidents with customers who have no next word promised, and alerts that list them.",
        one(lambda: len(left_hanging(now=clock.now()))),
    ),
    Metric("promises_open", "Open promises.", sql("SELECT count(*) FROM promises_promise WHERE state = 'open'")),
    Metric(
        "promises_overdue",
        "Open promises whose time has passed.",
        sql("SELECT count(*) FROM promises_promise WHERE state = 'open' AND due_at < now()"),
    ),
    Metric(
        "promises_broken_day",
        "Promises broken in the last 24 hours.",
        sql(
            "SELECT count(*) FROM promises_promise WHERE state = 'broken' AND due_at > now() - interval '2 days'"
            " AND ended_at > now() - interval '1 day'"
        ),
    ),
    Metric(
        "run_lag_seconds",
        "How long the run that is due longest has waited.",
        sql(
            "SELECT coalesce(extract(epoch FROM now() - min(wake_at)), 0) FROM playbooks_run"
            " WHERE state IN ('waiting', 'telling') AND wake_at <= now()"
        ),
    ),
    Metric(
        "messages_queued",
        "Messages that wait to be sent.",
        sql("SELECT channel, count(*) FROM outbound_message WHERE state = 'queued' GROUP BY 1"),
        ("channel",),
    ),
    Metric(
        "messages_due",
        "Messages that are due and not sent yet.",
        sql("SELECT channel, count(*) FROM outbound_message WHERE state = 'queued' AND due_at <= now() GROUP BY 1"),
        ("channel",),
    ),
    Metric(
        "message_lag_seconds",
        "How long the message that is due longest has waited.",
        sql(
            "SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0) FROM outbound_message"
            " WHERE state = 'queued' AND due_at <= now()"
        ),
    ),
    Metric(
        "deliveries_sending",
        "Deliveries under way at a provider.",
        sql("SELECT count(*) FROM outbound_delivery WHERE state = 'sending'"),
    ),
    Metric(
        "deliveries_minute",
        "Messages of the last whole minute, by what became of them.",
        sql(
            "SELECT split_part(type, '.', 2), count(*) FROM events_event WHERE type LIKE 'message.%%'"
            " AND customer_id IS NOT NULL AND recorded_at >= date_trunc('minute', now()) - interval '1 minute'"
            " AND recorded_at < date_trunc('minute', now()) GROUP BY 1"
        ),
        ("state",),
    ),
    Metric(
        "events_minute",
        "Events of the last whole minute.",
        sql(
            "SELECT count(*) FROM events_event WHERE recorded_at >= date_trunc('minute', now()) - interval '1 minute'"
            " AND recorded_at < date_trunc('minute', now())"
        ),
    ),
    Metric(
        "subscription_lag_seconds",
        "How long the first event that a subscriber has not read yet has waited.",
        sql(
            "SELECT c.name, coalesce(extract(epoch FROM now() - following.recorded_at), 0)"
            " FROM events_subscriptioncursor c LEFT JOIN LATERAL ("
            "   SELECT e.recorded_at FROM events_event e WHERE (e.epoch, e.xid, e.id) > "
            "     ((SELECT c.epoch), (SELECT c.xid::text::xid8), (SELECT c.event_id))"
            "   ORDER BY e.epoch, e.xid, e.id LIMIT 1) following ON true"
        ),
        ("subscriber",),
    ),
    Metric(
        "events_set_aside",
        "Events that a subscriber could not handle.",
        sql("SELECT count(*) FROM events_subscriptionfailure WHERE solved_at IS NULL"),
    ),
    Metric("database_bytes", "Size of the database.", sql("SELECT pg_database_size(current_database())")),
)


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text."""
    registry = CollectorRegistry()
    for metric in METRICS:
        gauge = Gauge(metric.full_name, metric.meaning, metric.labels, registry=registry)
        for *labels, value in metric.read():
            (gauge.labels(*labels) if labels else gauge).set(float(value))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
