"""The teams that playbooks name: made with what ships, empty ones said, and a promise without a team is never silent."""

from collections.abc import Callable

import pytest
from django.test import Client

from beforehand.accounts.actions import create_user, join_team
from beforehand.accounts.models import Role, Team, User
from beforehand.config.cli import main
from beforehand.kit.clock import travel
from beforehand.playbooks.actions import install_shipped, make_named_teams
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import PlaybookVersion
from beforehand.playbooks.queries import named_teams
from beforehand.promises.models import Promise
from tests.cast import PASSWORD, Cast
from tests.driving import Drive, alert, outage_rule, post_webhook
from tests.playbooks.test_tasks import at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]
SHIPPED_TEAMS = {"care", "data-protection", "legal", "logistics", "network-operations", "product-team"}


def test_what_ships_brings_the_teams_that_it_names_with_nobody_in_them() -> None:
    install_shipped()
    assert set(Team.objects.values_list("slug", flat=True)) == SHIPPED_TEAMS
    for version in PlaybookVersion.objects.all():
        assert all(team.is_known and not team.members for team in named_teams(playbook_of(version.pk)))
    install_shipped()
    assert Team.objects.count() == len(SHIPPED_TEAMS)


def test_a_team_is_named_once_and_counts_those_who_may_sign_in() -> None:
    install_shipped()
    version = PlaybookVersion.objects.get(slug="data-incident")
    people = [
        create_user(email=f"{name}@company.example", name=name, role=Role.AGENT, password=PASSWORD, actor="test")
        for name in ("ann", "bob")
    ]
    for person in people:
        join_team(user=person, team=Team.objects.get(slug="legal"), actor="test")
    User.objects.filter(pk=people[1].pk).update(is_active=False)
    found = [(team.slug, team.members) for team in named_teams(playbook_of(version.pk))]
    assert found == [("data-protection", 0), ("legal", 1), ("care", 0)]


def test_a_supervisor_makes_the_missing_teams_by_one_press(people: Cast) -> None:
    install_shipped()
    Team.objects.filter(slug__in=["legal", "care"]).delete()
    client, page = Client(), "/console/playbooks/data-incident/1/"
    client.force_login(people.noor)
    assert client.get(page).content.decode().count("there is no such team") >= 2
    assert client.post(f"{page}teams/", follow=True).status_code == 200
    shown = client.get(page).content.decode()
    assert "Make the missing teams" not in shown
    assert shown.count("nobody is in it") == 3
    assert not make_named_teams(playbook_of(PlaybookVersion.objects.get(slug="data-incident").pk), actor="test")
    client.force_login(people.ester)
    assert client.post(f"{page}teams/").status_code == 403


def test_the_command_that_approves_says_which_teams_lack_people_and_what_puts_somebody_in(
    people: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    install_shipped()
    assert main(["playbook", "approve", "data-incident"]) == 1
    said = capsys.readouterr().err
    assert "beforehand user join EMAIL --team legal" in said
    for team in ("legal", "care"):
        assert main(["user", "join", people.noor.email, "--team", team, "--json"]) == 0
    capsys.readouterr()
    assert main(["playbook", "approve", "data-incident", "--as", people.noor.email, "--team", "legal"]) == 0
    assert "--team legal" not in capsys.readouterr().err
    assert main(["user", "join", "nobody@company.example", "--team", "legal"]) == 1
    assert "nobody signs in as" in capsys.readouterr().err


def test_a_promise_that_no_team_owns_stands_on_today(
    people: Cast, worker: Drive, pushed: Callable[..., PlaybookVersion]
) -> None:
    pushed()
    outage_rule()
    Team.objects.all().delete()
    with travel(at(4)):
        post_webhook([alert(starts_at=at(0))])
        worker.settle()
        promise = Promise.objects.get()
        client = Client()
        client.force_login(people.noor)
        page = client.get("/console/").content.decode()
    assert promise.owner is None
    assert "No team owns a promise" in page
    assert f"/console/promises/{promise.public_id}/" in page
