"""Teams, duty roles, shifts, absences and people: on pages, by those who may, with the gaps that follow from them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client

from beforehand.accounts.actions import create_user
from beforehand.accounts.models import Absence, DutyRole, Notice, Role, Shift, Team, User
from beforehand.console.colleague_mail import written_mail
from beforehand.kit.clock import travel
from beforehand.outbound.colleagues import send_notices
from beforehand.outbound.smtp import Courier
from beforehand.outbound.smtp_handshake import SmtpServer
from tests.cast import PASSWORD, Cast
from tests.console.conftest import at
from tests.mailbox import Mailbox, text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


@pytest.fixture
def admin(signed_in: Callable[[User], Client]) -> Client:
    user = create_user(email="ada@company.example", name="Ada", role=Role.ADMIN, password=PASSWORD, actor="test")
    return signed_in(user)


def team_given(cast: Cast, **changes: object) -> dict[str, object]:
    return {
        "name": "Network operations", "members": [cast.ester.pk, cast.farid.pk], "supervisor": cast.noor.pk,
        "roles": "Duty manager\nStoringsdienst", "time_zone": "Europe/Amsterdam", **changes,
    }  # fmt: skip


@pytest.fixture
def rostered(cast: Cast, supervisor: Client) -> Team:
    """The network's team with two duty roles, of which Ester has the first this week."""
    supervisor.post("/console/teams/network-operations/change/", team_given(cast))
    shift(supervisor, cast, starts="2026-11-23T06:00", ends="2026-11-30T06:00")
    return cast.team


def shift(client: Client, cast: Cast, where: str = "teams/network-operations/shift/", **changes: object) -> str:
    role = DutyRole.objects.get(slug="duty-manager")
    given = {"person": cast.ester.pk, "role": role.pk, "place": 1, **changes}
    with travel(at(0)):
        return client.post(f"/console/{where}", given, follow=True).content.decode()


def test_a_team_is_made_with_its_people_and_its_duty_roles_in_their_order(cast: Cast, supervisor: Client) -> None:
    answer = supervisor.post(
        "/console/team/", team_given(cast, name="Zorg", slug="care", roles="Wacht\n\nالمناوب\nWacht\n")
    )
    assert answer["Location"] == "/console/teams/care/"
    team = Team.objects.get(slug="care")
    assert (team.name, team.supervisor, team.members.count()) == ("Zorg", cast.noor, 2)
    assert [role.name for role in team.duty_roles.all()] == ["Wacht", "المناوب"]
    again = supervisor.post("/console/team/", team_given(cast, slug="care")).content.decode()
    assert "There is a team of this short name already." in again
    nowhere = supervisor.post("/console/team/", team_given(cast, slug="x", time_zone="Mars/Base")).content.decode()
    assert "There is no time zone of this name." in nowhere
    assert not Team.objects.filter(slug="x").exists()


def test_a_role_that_stays_keeps_its_shifts_and_one_that_goes_takes_them_along(
    cast: Cast, rostered: Team, supervisor: Client
) -> None:
    supervisor.post("/console/teams/network-operations/change/", team_given(cast, roles="Storingsdienst\nDuty manager"))
    assert [role.name for role in rostered.duty_roles.all()] == ["Storingsdienst", "Duty manager"]
    assert Shift.objects.count() == 1
    supervisor.post("/console/teams/network-operations/change/", team_given(cast, roles="Storingsdienst"))
    assert Shift.objects.count() == 0


def test_a_shift_is_written_on_the_teams_clock_and_its_gaps_are_shown(
    cast: Cast, rostered: Team, agent: Client
) -> None:
    found = Shift.objects.get()
    assert (found.person, found.starts_at) == (cast.ester, datetime(2026, 11, 23, 5, tzinfo=UTC))
    with travel(at(0)):
        page = agent.get("/console/teams/network-operations/").content.decode()
        teams = agent.get("/console/teams/").content.decode()
    assert "nobody is on duty at 2 times" in page  # the first role next week, the second always
    assert "Swap or change" not in page
    assert teams.count("1 gap") == 2
    assert "Ester" in teams


def test_a_shift_is_swapped_moved_to_another_role_and_taken_out(cast: Cast, rostered: Team, supervisor: Client) -> None:
    found = Shift.objects.get()
    other = DutyRole.objects.get(slug="storingsdienst") if DutyRole.objects.filter(slug="storingsdienst") else None
    where = f"shifts/{found.public_id}/"
    assert 'value="2026-11-23T06:00"' in supervisor.get(f"/console/{where}").content.decode()
    shift(supervisor, cast, where, person=cast.farid.pk, starts="2026-11-23T06:00", ends="2026-11-24T06:00")
    found = Shift.objects.get()
    assert (found.person, found.ends_at) == (cast.farid, datetime(2026, 11, 24, 5, tzinfo=UTC))
    assert other is not None
    shift(supervisor, cast, where, role=other.pk, starts="2026-11-23T06:00", ends="2026-11-24T06:00")
    found = Shift.objects.get()
    assert found.role == other
    supervisor.post(f"/console/shifts/{found.public_id}/remove/")
    assert not Shift.objects.exists()


def test_a_shift_that_cannot_be_says_why(cast: Cast, rostered: Team, supervisor: Client) -> None:
    page = shift(supervisor, cast, starts="2026-11-23T06:00", ends="2026-11-23T05:00")
    assert "it ends before it begins" in page
    page = shift(supervisor, cast, starts="2026-11-23T06:00", ends="2027-11-23T05:00")
    assert "it lasts longer than 31 days" in page
    assert Shift.objects.count() == 1


def test_an_agent_reports_their_own_absence_and_nobody_elses(cast: Cast, rostered: Team, agent: Client) -> None:
    agent.cookies["zone"] = "Asia/Kolkata"
    given = {"starts": "2026-11-25T09:00", "ends": "2026-11-26T09:00", "person": cast.farid.pk}
    with travel(at(0)):
        page = agent.post("/console/away/", given, follow=True).content.decode()
        assert "Noted." in page
        found = Absence.objects.get()
        assert (found.person, found.starts_at) == (cast.ester, datetime(2026, 11, 25, 3, 30, tzinfo=UTC))
        assert "nobody is on duty at 3 times" in agent.get("/console/teams/network-operations/").content.decode()
        backwards = agent.post("/console/away/", {"starts": "2026-11-26T09:00", "ends": "2026-11-25T09:00"})
        assert "It ends before it begins." in backwards.content.decode()
        agent.post(f"/console/away/{found.public_id}/back/")
    assert not Absence.objects.exists()


def test_a_browser_that_has_not_said_its_zone_is_where_its_person_is(cast: Cast, rostered: Team, agent: Client) -> None:
    User.objects.filter(pk=cast.ester.pk).update(time_zone="Asia/Kolkata")
    with travel(at(0)):
        page = agent.post("/console/away/", {"starts": "2026-11-25T09:00", "ends": "2026-11-26T09:00"}, follow=True)
    assert Absence.objects.get().starts_at == datetime(2026, 11, 25, 3, 30, tzinfo=UTC)
    assert "09:00" in page.content.decode()


def test_a_supervisor_reports_somebody_elses_absence_and_an_agent_cannot_take_it_out(
    cast: Cast, agent: Client, supervisor: Client
) -> None:
    given = {"starts": "2026-11-25T09:00", "ends": "2026-11-26T09:00", "person": cast.farid.pk}
    with travel(at(0)):
        supervisor.post("/console/away/", given)
        found = Absence.objects.get()
        assert found.person == cast.farid
        assert agent.post(f"/console/away/{found.public_id}/back/").status_code == 403


def test_who_is_invited_gets_a_mail_chooses_a_password_and_signs_in(cast: Cast, admin: Client, client: Client) -> None:
    given = {
        "email": "Wim@Company.example",
        "name": "Wim",
        "role": "supervisor",
        "language": "nl",
        "teams": [cast.team.pk],
    }
    admin.post("/console/people/invite/", given)
    wim = User.objects.get(email="wim@company.example")
    assert (wim.role, wim.language, list(wim.teams.all()), wim.has_usable_password()) == (
        "supervisor", "nl", [cast.team], False,
    )  # fmt: skip
    made_at = Notice.objects.get().made_at
    with Mailbox() as box, Courier(SmtpServer.from_url(box.url), connections=1) as courier:
        from datetime import timedelta

        send_notices(courier, written_mail, now=made_at + timedelta(seconds=4))
        [mail] = box.mails_to("wim@company.example")
    link = next(word for word in text_of(mail).split() if "/accounts/password/reset/key/" in word)
    path = "/accounts/" + link.split("/accounts/", 1)[1]
    page = client.get(path, follow=True)
    client.post(page.request["PATH_INFO"], {"password1": "brand new horse 7", "password2": "brand new horse 7"})
    answer = client.post("/accounts/login/", {"login": "wim@company.example", "password": "brand new horse 7"})
    assert answer.status_code == 302
    assert client.get("/console/teams/").status_code == 200
    admin.post(f"/console/people/{wim.public_id}/again/")
    assert Notice.objects.count() == 1  # who has signed in needs no invitation


def test_an_invitation_is_sent_again_and_an_address_is_invited_once(admin: Client) -> None:
    given = {"email": "wim@company.example", "name": "Wim", "role": "agent", "language": "en"}
    admin.post("/console/people/invite/", given)
    again = admin.post("/console/people/invite/", {**given, "email": "WIM@company.example"}).content.decode()
    assert "Somebody signs in with this address already." in again
    admin.post(f"/console/people/{User.objects.get(name='Wim').public_id}/again/")
    assert Notice.objects.filter(reason="invited").count() == 2


def test_a_person_is_changed_and_let_go_but_no_administrator_by_themselves(cast: Cast, admin: Client) -> None:
    where = f"/console/people/{cast.ester.public_id}/"
    admin.post(where, {"name": "Esther", "role": "supervisor", "teams": [cast.team.pk], "is_active": "on"})
    cast.ester.refresh_from_db()
    assert (cast.ester.name, cast.ester.role, list(cast.ester.teams.all())) == ("Esther", "supervisor", [cast.team])
    admin.post(where, {"name": "Esther", "role": "supervisor"})
    cast.ester.refresh_from_db()
    assert not cast.ester.is_active
    ada = User.objects.get(name="Ada")
    page = admin.post(f"/console/people/{ada.public_id}/", {"name": "Ada", "role": "agent", "is_active": "on"})
    assert "You cannot take this from yourself" in page.content.decode()
    ada.refresh_from_db()
    assert (ada.role, ada.is_active) == (Role.ADMIN, True)


def test_who_may_not_changes_nothing(cast: Cast, rostered: Team, agent: Client, supervisor: Client) -> None:
    found = Shift.objects.get()
    for path in ("team/", "teams/network-operations/change/", "teams/network-operations/shift/",
                 f"shifts/{found.public_id}/", f"shifts/{found.public_id}/remove/"):  # fmt: skip
        assert agent.post(f"/console/{path}", {}).status_code == 403, path
    for path in ("people/invite/", f"people/{cast.ester.public_id}/", f"people/{cast.ester.public_id}/again/"):
        assert supervisor.post(f"/console/{path}", {}).status_code == 403, path
    assert supervisor.get(f"/console/people/{cast.ester.public_id}/").status_code == 200
