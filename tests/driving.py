"""Do a worker's work by hand and in order, so that a test says when; nothing here sleeps longer than a delivery takes."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from beforehand.detection.actions import expire_alerts, revive_alerts, save_rule
from beforehand.detection.groups import settle_groups
from beforehand.detection.heartbeats import miss_beats
from beforehand.detection.mutes import release_held
from beforehand.events.actions import accept_events
from beforehand.events.intake.alertmanager import decode_webhook
from beforehand.events.intake.values import alert_event
from beforehand.events.subscriptions import ensure_cursors, run_all_once
from beforehand.incidents.actions import refresh_wanted
from beforehand.incidents.planned import tend_planned
from beforehand.kit import clock
from beforehand.kit.rows import fetch
from beforehand.outbound.actions import close_done_batches
from beforehand.outbound.delivery import DeliveryLoop
from beforehand.outbound.smtp import Courier
from beforehand.outbound.smtp_handshake import SmtpServer
from beforehand.playbooks.actions import approve_version, install_shipped
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.calls import tend_calls
from beforehand.playbooks.runs import tend_runs
from beforehand.playbooks.spreads import finish_spreads, spread_next
from beforehand.promises.watch import watch_promises
from tests.mailbox import Mailbox


def wait_until_readable(*, seconds: float = 60) -> bool:
    """Wait until the log's readers can see all that is committed; whether there was anything to wait for.

    They hold back what is younger than the oldest transaction of the whole server, so that nothing is lost; and on the
    server there may be another test, beside this one, in a database of its own.
    """
    deadline = time.monotonic() + seconds
    waited = False
    while fetch(
        "SELECT EXISTS (SELECT FROM events_event WHERE (epoch, xid) >= "
        "((SELECT max(epoch) FROM events_event), pg_snapshot_xmin(pg_current_snapshot())))"
    )[0][0]:
        waited = True
        if time.monotonic() > deadline:
            raise AssertionError("a transaction on this server holds the log's readers back")
        time.sleep(0.01)
    return waited


def until_someone_waits(*, seconds: float = 20) -> None:
    """Until a session waits for a lock that another holds; also callable inside a transaction."""
    deadline = time.monotonic() + seconds
    while not fetch("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")[0][0]:
        if time.monotonic() > deadline:
            raise AssertionError("nobody ever waited")
        time.sleep(0.005)


class Drive:
    """One worker under the test's thumb, sending into a mailbox."""

    def __init__(self, mailbox: Mailbox, courier: Courier) -> None:
        self.mailbox = mailbox
        self.loop = DeliveryLoop(courier, worker=uuid.uuid4())
        ensure_cursors()

    def settle(self, *, rounds: int = 60) -> None:
        """Work until nothing moves any more at this moment of the clock."""
        for _ in range(rounds):
            moved = self.decide()
            moved += self.deliver()
            moved += close_done_batches(now=clock.now())
            if not moved and self.loop.is_idle and not wait_until_readable():
                return
        raise AssertionError("work never came to rest")

    def decide(self) -> int:
        """Everything but the deliveries."""
        now = clock.now()
        moved = run_all_once() + refresh_wanted() + tend_planned(now=now) + tend_runs(now=now)
        moved += tend_calls(now=now)
        while spread_next(now=now):
            moved += 1
        moved += finish_spreads(now=now) + expire_alerts(now=now) + revive_alerts(now=now)
        moved += miss_beats(now=now) + release_held(now=now) + settle_groups(now=now)
        return moved + watch_promises(now=now)

    def deliver(self) -> int:
        """Deliver what is due, and wait for what is in flight."""
        moved = self.loop.step(wait=0)
        deadline = time.monotonic() + 10
        while not self.loop.is_idle and time.monotonic() < deadline:
            moved += self.loop.step(wait=0.01)
            time.sleep(0.001)
        return moved


@contextmanager
def driving(mailbox: Mailbox | None = None, *, options: str = "") -> Iterator[Drive]:
    """A drive with a mailbox of its own; `options` are the mail server's, as its URL has them."""
    with mailbox or Mailbox() as box, Courier(SmtpServer.from_url(box.url + options), connections=2) as courier:
        yield Drive(box, courier)


def approve_shipped() -> None:
    """The shipped playbooks, approved, so that they speak without asking; but for those that people of teams approve."""
    for version in install_shipped():
        if not playbook_of(version.pk).approve_by:
            approve_version(version, user=None, actor="test")


def outage_rule(**changes: Any) -> None:
    """A rule under which NodeDown of a node is an outage, over as soon as the alert is and however often it comes back."""
    save_rule(
        **{
            "slug": "node-down",
            "name": "Fibre node down",
            "condition": 'labels.alertname == "NodeDown"',
            "group_by": ["alertname", "node"],
            "component_labels": ["node"],
            "resolve_after_seconds": 300,
            "hold_down_seconds": 0,
            "flap_changes": 0,
            "texts": {"en": {"title": "Internet outage"}, "nl": {"title": "Internetstoring"}},
            "actor": "test",
            **changes,
        }
    )


def alert(
    *, status: str = "firing", node: str = "node-7", starts_at: datetime, ends_at: datetime | None = None, **labels: str
) -> dict[str, Any]:
    """One alert as Alertmanager's webhook carries it."""
    return {
        "status": status,
        "labels": {"alertname": "NodeDown", "node": node, "severity": "critical", **labels},
        "annotations": {"summary": "node is down"},
        "startsAt": starts_at.isoformat(),
        "endsAt": (ends_at or datetime(1, 1, 1, tzinfo=UTC)).isoformat(),
        "generatorURL": "http://prometheus.example/graph",
    }


def post_webhook(alerts: Sequence[dict[str, Any]], *, truncated: int = 0) -> None:
    """Take in a webhook as the HTTP door does."""
    import orjson

    body = orjson.dumps(
        {
            "version": "4",
            "groupKey": '{}:{alertname="NodeDown"}',
            "truncatedAlerts": truncated,
            "status": "firing",
            "receiver": "beforehand",
            "groupLabels": {},
            "commonLabels": {},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "alerts": list(alerts),
        }
    )
    webhook = decode_webhook(body, source="alertmanager", received_at=clock.now())
    accept_events(
        [alert_event(one) for one in webhook.alerts],
        body=body,
        content_type="application/json",
        intake="alertmanager",
        ends_at=[one.expires_at for one in webhook.alerts],
    )
