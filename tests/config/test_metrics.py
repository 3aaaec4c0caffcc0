"""`/metrics`: every figure is there, true, and asked of an index."""

from datetime import timedelta

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from tests.driving import wait_until_readable

from beforehand.accounts.actions import create_user, ensure_team, set_setting
from beforehand.accounts.models import Role
from beforehand.config import doctor
from beforehand.config.doctor import State, check_workers
from beforehand.config.metrics import METRICS
from beforehand.config.worker import Worker
from beforehand.events import subscriptions
from beforehand.events.actions import append_event, month_of, prepare_partitions
from beforehand.events.models import SubscriptionCursor, SubscriptionFailure, WorkerBeat
from beforehand.events.subscriptions import ensure_cursors, run_all_once
from beforehand.kit import clock
from beforehand.kit.rows import execute
from beforehand.promises.models import Promise

pytestmark = pytest.mark.django_db(transaction=True)


def figures() -> dict[tuple[str, ...], float]:
    """Each sample, by its name and the values of its labels."""
    text = Client().get("/metrics").content.decode()
    return {
        (sample.name.removeprefix("beforehand_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def promise(key: str, *, minutes: int, state: str = "open") -> None:
    due_at = clock.now() + timedelta(minutes=minutes)
    Promise.objects.create(
        audience="incident:1",
        made_by=key,
        made_at=due_at,
        due_at=due_at,
        warn_at=due_at,
        hold_at=due_at,
        state=state,
        owner=ensure_team(slug="care", name="Care", actor="test"),
        ended_at=None if state == "open" else clock.now(),
    )


def test_every_figure_is_told_with_its_meaning() -> None:
    text = Client().get("/metrics").content.decode()
    for metric in METRICS:
        assert f"# HELP {metric.full_name} {metric.meaning}" in text


def test_promises_are_counted_open_overdue_and_broken() -> None:
    promise("a", minutes=10)
    promise("b", minutes=-10)
    promise("c", minutes=-20, state="broken")
    found = figures()
    assert [found[name,] for name in ("promises_open", "promises_overdue", "promises_broken_day")] == [2, 1, 1]


def test_a_subscriber_that_is_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "_subscriptions", {})
    monkeypatch.setattr(subscriptions, "import_module", lambda _: None)
    subscriptions.subscriber("till", types=("thing.happened",))(lambda events: None)
    ensure_cursors()
    append_event(type="thing.happened")
    execute("UPDATE events_event SET recorded_at = now() - interval '90 seconds'")
    assert 89 < figures()["subscription_lag_seconds", "till"] < 120
    wait_until_readable()
    while run_all_once():
        pass
    assert figures()["subscription_lag_seconds", "till"] == 0


def test_how_far_behind_the_work_is_stands_in_the_beat_on_today_and_in_the_figures(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.setattr(subscriptions, "_subscriptions", {})
    monkeypatch.setattr(subscriptions, "import_module", lambda _: None)
    subscriptions.subscriber("till", types=("thing.happened",))(lambda events: None)
    ensure_cursors()
    SubscriptionCursor.objects.create(name="nobody-any-more")
    worker = Worker()
    worker._measure()
    worker._beat()
    assert set(WorkerBeat.objects.values_list("lag_seconds", flat=True)) == {0.0}
    append_event(type="thing.happened")
    execute("UPDATE events_event SET recorded_at = now() - interval '90 seconds'")
    worker._measure()
    worker._beat()
    assert all(89 < lag < 120 for lag in WorkerBeat.objects.values_list("lag_seconds", flat=True))
    assert 89 < figures()["work_lag_seconds",] < 120
    found = check_workers()
    assert (found.state, "s behind" in found.found) == (State.WARNING, True)
    client.force_login(
        create_user(email="a@b.example", name="A", role=Role.ADMIN, password="long enough, 7", actor="t")
    )
    html = client.get("/console/").content.decode()
    assert "The work is behind" in html
    assert "has waited for 1 minute" in html
    wait_until_readable()
    while run_all_once():
        pass
    worker._measure()
    worker._beat()
    assert "The work is behind" not in client.get("/console/").content.decode()


def test_messages_of_the_last_minute_are_counted_by_what_became_of_them() -> None:
    for type_ in ("message.sent", "message.sent", "message.failed"):
        append_event(type=type_, customer_id=1)
    append_event(type="message.batch_done")
    execute("UPDATE events_event SET recorded_at = date_trunc('minute', now()) - interval '30 seconds'")
    found = figures()
    assert (found["deliveries_minute", "sent"], found["deliveries_minute", "failed"]) == (2, 1)
    assert found["events_minute",] == 4


def test_what_is_set_aside_and_whether_sending_is_paused_are_figures_too() -> None:
    SubscriptionFailure.objects.create(subscriber="till", event_id=1, event_recorded_at=clock.now(), error="")
    set_setting(key="sending.paused", value=True, actor="test")
    found = figures()
    assert (found["events_set_aside",], found["sending_paused",], found["workers",]) == (1, 1, 0)


def test_doctor_says_that_sending_is_paused_that_nobody_works_and_that_a_month_is_not_prepared() -> None:
    prepare_partitions(today=month_of(clock.now()))
    assert doctor.check_sending().state is State.OK
    set_setting(key="sending.paused", value=True, actor="test")
    assert doctor.check_sending().state is State.WARNING
    assert doctor.check_workers().state is State.WARNING
    assert doctor.check_partitions().state is State.OK
    execute("INSERT INTO events_event (type, recorded_at) VALUES ('thing.happened', '1999-01-01')")
    assert doctor.check_partitions().state is State.WARNING
