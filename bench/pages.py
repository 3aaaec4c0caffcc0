"""Server time and queries of every page over the fan-out's data: called by `python -m bench.fanout --pages`.

Each page is asked 20 times after one warm-up, in rounds over all pages, so that a moment in which the machine does something else
is not one page's alone; in this process, through Django's test client (middleware, templates and
database included, no network). The aim: at most 20 queries, 95 % under 150 ms. The pages are those that the console's and
the portal's addresses name, so that a new one is measured too or named as left out. `--plans` prints the plan of whatever statement of theirs is slow.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from bench.company import add_incidents
from bench.tools import percentile

TIMES = 20
QUERIES = 20
MILLISECONDS = 150
SLOW = 50
"""Milliseconds from which a statement's plan is worth a look."""

UNREACHED = 100
"""One in so many customers has an address that is dead: they are on the list of who could not be told."""

NOT_READ = {
    "live": "a stream",
    "calendar-feed": "read by its own key",
    "planned-feed": "read by its own key",
    "my-live": "a stream",
    "unsubscribe": "a press",
}
"""What answers no reader's question, or is no page."""
WHOLE_LISTS = frozenset(
    {
        "affected-csv",
        "could-not-tell-csv",
        "readiness-list",
        "readiness-all-list",
        "customer-export",
        "customer-export-page",
    }
)
"""Files of everything: told, but not held to a page's time, nor to its statements: a long one is read and sent in parts."""


class Filled:
    """The company in the middle of an outage: somebody on duty, a task, outcomes promised, work planned, readiness known."""

    def __init__(self, user: Any) -> None:
        from django.utils import timezone

        from beforehand.customers.models import Component, Customer
        from beforehand.detection.actions import save_rule
        from beforehand.incidents.models import Affected
        from beforehand.outbound.models import Message
        from beforehand.playbooks.models import PlaybookVersion, Run, RunTask

        self.now = timezone.now()
        self.user = user
        self._remember_incidents()
        self.incident = incident = self._open_and_tell()
        self.run = Run.objects.get(incident=incident)
        touched = Affected.objects.filter(bucket=7, incident_id=incident.pk).first()
        assert touched is not None
        self.customer = Customer.objects.get(pk=touched.customer_id)
        message = Message.objects.filter(bucket=7, customer_id=self.customer.pk).first()
        version = PlaybookVersion.objects.order_by("pk").first()
        assert message is not None
        assert version is not None
        self.message, self.version = message, version
        self.region = Component.objects.get(external_id="region-0")
        self.task = RunTask.objects.create(
            run=self.run,
            step="look",
            turn=1,
            title="Look whether it is real",
            team_slug="network-operations",
            made_at=self.now,
            due_at=self.now + timedelta(minutes=20),
        )
        self._promise_and_plan(user)
        save_rule(slug="node-down", name="Node down", condition='labels.alertname == "NodeDown"', actor="bench")
        self.readiness_seconds, self.longest_slice = self._work_out_readiness()

    def _remember_incidents(self) -> None:
        """What a company of this size has had: 10,000 incidents in a year, fifty of them still open."""
        from django.db import connection

        from beforehand.customers.models import Customer

        connection.ensure_connection()
        add_incidents(
            connection.connection, customers=Customer.objects.count(), still_open=50, ended=9_950, each=200, apart=50
        )

    def _open_and_tell(self) -> Any:
        """An incident that stays open: everyone on the region is told, but for those whose address has died."""
        from beforehand.customers.models import Component
        from beforehand.incidents.actions import open_incident
        from beforehand.kit.rows import execute
        from beforehand.outbound.models import MessageBatch

        execute("UPDATE customers_contactpoint SET status = 'dead' WHERE customer_id %% %s = 0", [UNREACHED])
        incident = open_incident(
            title="Fibre node down",
            kind="outage",
            severity="critical",
            actor="bench",
            began_at=self.now,
            known_at=self.now,
            component_ids=[Component.objects.get(external_id="region-0").pk],
            texts={"nl": {"title": "Internetstoring"}, "en": {"title": "Internet outage"}},
        )
        told = MessageBatch.objects.filter(origin=f"incident:{incident.pk}", done_at__isnull=False)
        deadline = time.monotonic() + 600
        while not told.exists():
            if time.monotonic() > deadline:
                raise SystemExit("the fan-out for the pages did not end")
            time.sleep(0.5)
        execute("ANALYZE")
        incident.refresh_from_db()
        return incident

    def _promise_and_plan(self, user: Any) -> None:
        from beforehand.accounts.models import Shift, Team
        from beforehand.accounts.shifts import ShiftGiven, put_shifts, save_roles
        from beforehand.customers.models import Component
        from beforehand.incidents.planned import plan_work
        from beforehand.promises.outcomes import make_outcome

        team = Team.objects.get(slug="network-operations")
        save_roles(team, [("duty-manager", "Duty manager")], actor="bench")
        shifts = [
            ShiftGiven(f"s{day}", user.email, self.now + timedelta(days=day), self.now + timedelta(days=day, hours=20))
            for day in range(-1, 14)
        ]
        put_shifts(team, shifts, actor="bench")
        self.shift = Shift.objects.order_by("pk")[0]
        due_at = self.now + timedelta(hours=3)
        audience = f"incident:{self.incident.pk}"
        self.outcome = make_outcome(
            audience=audience, outcome="restored", due_at=due_at, now=self.now, owner=team, actor="bench"
        )
        for day in range(1, 31):
            self.work = plan_work(
                title=f"Work on node {day}",
                starts_at=self.now + timedelta(days=day),
                ends_at=self.now + timedelta(days=day, hours=4),
                component_ids=[Component.objects.get(external_id=f"node-{day}").pk],
                owner=team,
                actor="bench",
            )

    def _work_out_readiness(self) -> tuple[float, float]:
        """Seconds of the whole round, without the rests between its slices, and of its longest piece."""
        from beforehand.insights.models import ReadinessRound
        from beforehand.insights.readiness import REST, work_out

        pieces: list[float] = []

        def no_rest(seconds: float) -> bool:
            pieces.append(seconds / REST)
            return True

        ours = ReadinessRound.objects.create(asked_by="bench", asked_at=self.now, started_at=self.now)
        began = time.perf_counter()
        work_out(ours, now=self.now, go_on=no_rest)
        return time.perf_counter() - began, max(pieces, default=0.0)

    def value(self, page: str, name: str) -> Any:
        """What stands for this part of the page's address; None if there is no example of it here."""
        from beforehand.kit.links import page_link

        owner: Any = self.incident
        for prefix, one in (
            ("readiness", self.region),
            ("run-task", self.task),
            ("run-", self.run),
            ("customer", self.customer),
            ("planned-", self.work.incident),
            ("person", self.user),
            ("shift", self.shift),
            ("caller", self.customer),
            ("answer-contact", None),
            ("reply", None),
            ("mute", None),
        ):
            if page.startswith(prefix):
                owner = one
                break
        return {
            "public_id": owner and owner.public_id,
            "customer_id": self.customer.public_id,
            "promise_id": self.outcome.public_id,
            "scope_id": self.incident.scopes.order_by("pk")[0].pk,
            "slug": {"playbook": self.version.slug, "alert": "node-down"}.get(page.partition("-")[0]),
            "number": self.version.number,
            "bucket": self.message.bucket,
            "message_id": self.message.id,
            "name": "first-notice",
            "language": "ar",
            "failure_id": 1,
            "token": page_link(self.customer.pk, now=self.now).rstrip("/").rpartition("/")[2],
        }.get(name)


def addresses(filled: Filled) -> Iterator[tuple[str, str | None]]:
    """Name and address of every page, with an incident that touches many, one of its customers, one of its messages.

    None: nothing here that it could show.
    """
    from django.urls import reverse

    from beforehand.console.urls import urlpatterns as console
    from beforehand.portal.urls import urlpatterns as portal

    for space, patterns in (("console", console), ("portal", portal)):
        for pattern in patterns:
            page = pattern.name
            if page is None or page in NOT_READ:
                continue
            wanted = {name: filled.value(page, name) for name in pattern.pattern.converters}
            has_example = None not in wanted.values()
            yield page, reverse(f"{space}:{page}", kwargs=wanted) if has_example else None
    for page, query in (
        ("customers", "?q=Mary"),
        ("customers", "?q=c4711"),
        ("messages", "?state=refused"),
        ("incidents", "?state=resolved"),
        ("readiness-part", "?lack=address"),
        ("readiness-part", "?lack=link"),
        ("readiness-all", "?lack=address"),
        ("readiness-all", "?lack=consent"),
    ):
        wanted = {"public_id": filled.region.public_id} if page == "readiness-part" else {}
        yield page, reverse(f"console:{page}", kwargs=wanted) + query


def explain_slow_statements(page: Callable[[], object], name: str) -> None:
    """Ask for a page once more, and print the plan of whatever statement of it takes longer than `SLOW` milliseconds."""
    from django.db import connection

    def printed(notice: Any) -> None:
        print(f"\n{name}\n{notice.message_primary[:6000]}")

    with connection.cursor() as cursor:
        cursor.execute("LOAD 'auto_explain'")
        cursor.execute(f"SET auto_explain.log_min_duration = {SLOW}; SET auto_explain.log_analyze = on")
        cursor.execute("SET client_min_messages = log")
    connection.connection.add_notice_handler(printed)
    try:
        page()
    finally:
        connection.connection.remove_notice_handler(printed)
        with connection.cursor() as cursor:
            cursor.execute("SET auto_explain.log_min_duration = -1; SET client_min_messages = notice")


def measure_pages(*, plans: bool) -> dict[str, str]:
    """Page to "p95 ms (median), queries"; says which miss the aim. `plans` prints those of slow statements."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from beforehand.accounts.actions import create_user
    from beforehand.kit import rows

    user = create_user(email="noor@bench.example", name="Noor", role="admin", password="x" * 20, actor="bench")
    filled = Filled(user)
    bound: list[int] = []  # Django's own counter does not see the cursors that bind in the server
    bound_cursor = rows.bound_cursor

    def counted() -> Any:
        bound.append(1)
        return bound_cursor()

    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(user)
    asked: dict[str, tuple[str, int]] = {}
    results = {
        "readiness, all customers": f"{filled.readiness_seconds:.1f} s without its rests, longest transaction "
        f"{filled.longest_slice:.2f} s"
    }
    for page, address in addresses(filled):
        if address is None:
            results[page] = "left out: nothing here that it could show"
            continue
        with CaptureQueriesContext(connection) as captured, patch.object(rows, "bound_cursor", counted):
            bound.clear()
            began = time.perf_counter()
            answer = client.get(address)
            read = sum(len(part) for part in answer) if answer.streaming else len(answer.content)
            first = (time.perf_counter() - began) * 1000
            queries = len(captured) + len(bound)
        shown = f"{page}: {address if len(address) < 60 else address[:57] + '…'}"
        if answer.status_code == 405:
            continue  # a press, no page
        if answer.status_code not in (200, 302):
            results[shown] = f"answered {answer.status_code}"
            continue
        if plans:
            explain_slow_statements(partial(client.get, address), shown)
        if page in WHOLE_LISTS:
            results[shown] = f"{first:.0f} ms for all of its {read / 1000:,.0f} kB, {queries} queries"
            continue
        asked[shown] = (address, queries)
    taken: dict[str, list[float]] = {shown: [] for shown in asked}
    for _ in range(TIMES):
        for shown, (address, _queries) in asked.items():
            began = time.perf_counter()
            client.get(address)
            taken[shown].append((time.perf_counter() - began) * 1000)
    for shown, (_address, queries) in asked.items():
        median, p95 = percentile(taken[shown], 0.5), percentile(taken[shown], 0.95)
        miss = "  ✗" if p95 > MILLISECONDS or queries > QUERIES else ""
        results[shown] = f"{p95:.0f} ms (median {median:.0f}), {queries} queries{miss}"
    return results
