"""What the tests of the guarantees share: a node that fails, at a time, and a playbook of another class."""

from datetime import UTC, datetime, timedelta

from tests.driving import Drive, alert, post_webhook

from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TOUCHED = {f"{name}@customers.example" for name in ("aisha", "bram", "chitra", "dana")}


def at(minutes: float, *, since: datetime = START) -> datetime:
    return since + timedelta(minutes=minutes)


def node_fails(drive: Drive, *, since: datetime = START) -> Incident:
    """Node 7 goes down at `since`; three minutes later those whom it touches are told."""
    with travel(at(3, since=since)):
        post_webhook([alert(starts_at=since)])
        drive.settle()
    return Incident.objects.order_by("-pk")[0]


def outage_playbook(message_class: str = "service-critical") -> PlaybookVersion:
    """The shipped one, approved, of another class."""
    source, texts = read_bundle(SHIPPED / "outage")
    version = push_version(
        source=source.replace("class: service-critical", f"class: {message_class}"), texts=texts, actor="test"
    )
    approve_version(version, user=None, actor="test")
    return version
