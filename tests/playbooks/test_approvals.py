"""Approval by the teams that a playbook names: each once, by one of its people, and in force with the last."""

from collections.abc import Callable

import pytest
from django.test import Client

from beforehand.accounts.actions import create_token, ensure_team
from beforehand.config.cli import main
from beforehand.playbooks.actions import NotTheirsToApprove, approve_version
from beforehand.playbooks.models import Approval, PlaybookVersion
from tests.api.callers import Caller, problem
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)

Push = Callable[..., PlaybookVersion]


@pytest.fixture
def version(people: Cast, pushed: Push) -> PlaybookVersion:
    """Care (Ester) and legal (Farid) must approve it."""
    ensure_team(slug="care", name="Care", actor="test").members.add(people.ester)
    ensure_team(slug="legal", name="Legal", actor="test").members.add(people.farid)
    return pushed(head="approve by: [care, legal]\n", is_approved=False)


def is_approved(version: PlaybookVersion) -> bool:
    version.refresh_from_db()
    return version.approved_at is not None


def test_it_is_approved_when_every_named_team_has_said_so(version: PlaybookVersion, people: Cast) -> None:
    assert not approve_version(version, user=people.ester, actor="test")
    assert not is_approved(version)
    assert approve_version(version, user=people.farid, actor="test")
    assert is_approved(version)
    assert list(Approval.objects.order_by("pk").values_list("team_slug", "approved_by__name")) == [
        ("care", "Ester"), ("legal", "Farid"),
    ]  # fmt: skip


def test_a_team_speaks_once_and_only_by_its_own_people(version: PlaybookVersion, people: Cast) -> None:
    approve_version(version, user=people.ester, actor="test")
    for user, team in ((people.ester, ""), (people.noor, ""), (None, ""), (people.farid, "care")):
        with pytest.raises(NotTheirsToApprove, match="legal"):
            approve_version(version, user=user, actor="test", team=team)
    assert not is_approved(version)


def test_who_belongs_to_both_teams_speaks_for_one_at_a_time(version: PlaybookVersion, people: Cast) -> None:
    people.noor.teams.set([*people.ester.teams.all(), *people.farid.teams.all()])
    assert not approve_version(version, user=people.noor, actor="test", team="legal")
    assert approve_version(version, user=people.noor, actor="test")
    assert list(Approval.objects.order_by("pk").values_list("team_slug", flat=True)) == ["legal", "care"]


def test_the_page_shows_who_is_missing_and_lets_their_people_approve(version: PlaybookVersion, people: Cast) -> None:
    page = f"/console/playbooks/outage/{version.number}/"
    agent, supervisor = Client(), Client()
    agent.force_login(people.ester)
    supervisor.force_login(people.noor)
    assert agent.get(page).content.decode().count("still missing") == 2
    assert "You approve for the team" not in supervisor.get(page).content.decode()
    assert not Approval.objects.exists()
    assert (
        "Other teams must still approve it"
        in agent.post(f"{page}approve/", {"confirmed": "yes"}, follow=True).content.decode()
    )
    shown = agent.get(page).content.decode()
    assert (shown.count("still missing"), "Ester" in shown) == (1, True)


def test_a_team_that_does_not_exist_is_named_as_such(people: Cast, pushed: Push) -> None:
    version = pushed(head="approve by: [marketing]\n", is_approved=False)
    client = Client()
    client.force_login(people.noor)
    assert "there is no such team" in client.get(f"/console/playbooks/outage/{version.number}/").content.decode()


def test_without_named_teams_a_supervisor_approves_and_an_agent_may_not(people: Cast, pushed: Push) -> None:
    version = pushed(is_approved=False)
    agent, supervisor = Client(), Client()
    agent.force_login(people.ester)
    supervisor.force_login(people.noor)
    address = f"/console/playbooks/outage/{version.number}/approve/"
    assert agent.post(address, {"confirmed": "yes"}).status_code == 403
    supervisor.post(address, {"confirmed": "yes"})
    assert is_approved(version)


def test_a_program_cannot_approve_what_people_must(version: PlaybookVersion) -> None:
    caller = Caller(create_token(name="robot", scopes=["playbooks:write"], actor="test")[1])
    answer = caller.post("/api/v1/playbooks/outage/approve", {"hash": version.hash})
    assert problem(answer, 409)["code"] == "people_approve"


def test_the_command_approves_for_somebody(version: PlaybookVersion, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "approve", "outage"]) == 1
    assert main(["playbook", "approve", "outage", "--as", "zeno@company.example"]) == 1
    assert main(["playbook", "approve", "outage", "--as", "ester@company.example"]) == 0
    assert "still needs the word of: legal" in capsys.readouterr().err
    assert main(["playbook", "approve", "outage", "--as", "farid@company.example"]) == 0
    assert is_approved(version)


def test_a_version_shows_what_changed_since_the_one_before(people: Cast, pushed: Push) -> None:
    pushed()
    version = pushed("  - wait: 1 minute\n", is_approved=False)
    client = Client()
    client.force_login(people.noor)
    shown = client.get(f"/console/playbooks/outage/{version.number}/").content.decode()
    assert "What changed since version 1" in shown
    assert "New: Waits 1 minute." in shown
    assert "What changed since" not in client.get("/console/playbooks/outage/1/").content.decode()
