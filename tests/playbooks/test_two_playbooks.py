"""Two playbooks that run for one incident: neither ends what the other has promised."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.promises.models import Promise
from tests.driving import Drive, alert, post_webhook

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def push_brief() -> None:
    """A playbook that tells once, promises nothing, and is done."""
    source, texts = read_bundle(SHIPPED / "outage")
    source = source.partition("\ntests:")[0].replace("playbook: outage", "playbook: brief", 1)
    head, _, rest = source.partition("    promise: next update in rhythm\n")
    source = f"{head}  - end: done\n\n{rest[rest.index('  - label: all-clear') :]}"
    approve_version(push_version(source=source, texts=texts, actor="test"), user=None, actor="test")


def test_one_that_is_done_leaves_what_the_other_has_promised_to_be_kept(
    worker: Drive, pushed: Callable[..., PlaybookVersion]
) -> None:
    pushed()
    push_brief()
    with travel(at(3)):
        post_webhook([alert(starts_at=at(0))])
        worker.settle()
    states = Run.objects.values_list("version__slug", "state")
    assert dict(states) == {"brief": "finished", "outage": "waiting"}
    assert [promise.state for promise in Promise.objects.all()] == ["open"]
    with travel(at(10)):
        resolve_incident(Incident.objects.get(), reason="repaired", actor="test")
        worker.settle()
    assert [promise.state for promise in Promise.objects.all()] == ["kept"]
