"""`beforehand failures`: what was set aside is shown with its reason, and tried again; Today and doctor show it too."""

import json
from typing import Any

import pytest
from django.test import Client

from beforehand.accounts.actions import create_user
from beforehand.config import doctor
from beforehand.config.cli import main
from beforehand.config.doctor import State
from beforehand.events import subscriptions
from beforehand.events.actions import append_event, note_left_out
from beforehand.events.models import SubscriptionFailure
from beforehand.events.subscriptions import StoredEvent, ensure_cursors, run_all_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


class Broken:
    """A subscriber that fails until it is mended."""

    def __init__(self) -> None:
        self.is_mended = False
        self.handled: list[int] = []

    def __call__(self, events: list[StoredEvent]) -> None:
        if not self.is_mended:
            raise ValueError("the till is stuck")
        self.handled += [event.data["number"] for event in events]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    """Two events set aside by the only subscriber there is."""
    monkeypatch.setattr(subscriptions, "_subscriptions", {})
    monkeypatch.setattr(subscriptions, "import_module", lambda _: None)
    handler = Broken()
    subscriptions.subscriber("till", types=("thing.happened",))(handler)
    ensure_cursors()
    for number in (1, 2):
        append_event(type="thing.happened", data={"number": number})
    while run_all_once():
        pass
    return handler


@pytest.fixture
def noor(client: Client) -> Client:
    client.force_login(
        create_user(email="noor@example.test", name="Noor", role="supervisor", password="x" * 20, actor="test")
    )
    return client


def test_it_lists_and_retries(broken: Broken, capsys: Any) -> None:
    assert main(["failures", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["subscriber"], row["attempts"]) for row in listed] == [("till", 1), ("till", 1)]
    assert "the till is stuck" in listed[0]["error"]

    assert main(["failures", "retry", "--json"]) == 1
    assert [row["error"] for row in json.loads(capsys.readouterr().out)] == ["the till is stuck"] * 2

    broken.is_mended = True
    assert main(["failures", "retry", str(listed[1]["id"])]) == 0
    assert broken.handled == [2]
    assert main(["failures", "retry"]) == 0
    assert broken.handled == [2, 1]
    assert main(["failures", "retry", str(listed[1]["id"])]) == 1
    assert "nothing is set aside as" in capsys.readouterr().err


def test_doctor_warns_of_it(broken: Broken) -> None:
    [finding] = doctor.check_failures()
    assert (finding.state, finding.found[:1]) == (State.WARNING, "2")
    SubscriptionFailure.objects.all().delete()
    assert [finding.state for finding in doctor.check_failures()] == [State.OK]


def test_a_person_tries_again_on_today(broken: Broken, noor: Client) -> None:
    first, second = SubscriptionFailure.objects.order_by("pk")
    page = noor.get("/console/").content.decode()
    assert f"/console/failures/{first.pk}/retry/" in page
    answer = noor.post(f"/console/failures/{first.pk}/retry/", follow=True).content.decode()
    assert "It failed again: the till is stuck" in answer
    broken.is_mended = True
    assert "It worked this time" in noor.post(f"/console/failures/{first.pk}/retry/", follow=True).content.decode()
    assert broken.handled == [1]
    assert list(SubscriptionFailure.objects.filter(solved_at=None)) == [second]
    assert noor.post("/console/failures/0/retry/").status_code == 404


def test_alerts_that_alertmanager_left_out_are_shown_on_today(noor: Client) -> None:
    assert "left alerts out" not in noor.get("/console/").content.decode()
    note_left_out(1_200)
    page = noor.get("/console/").content.decode()
    assert "Alertmanager left alerts out" in page
    assert "1,200 alerts of one group" in page
