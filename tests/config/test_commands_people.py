"""`beforehand user` and `beforehand token`: who may come in, made from a terminal."""

import io
import json

import pytest

from beforehand.accounts.actions import token_hash
from beforehand.accounts.models import ApiToken, User
from beforehand.config.cli import main

pytestmark = pytest.mark.django_db(transaction=True)

NOOR = ["user", "create", "noor@service.example", "--name", "Noor"]


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_a_user_made_with_a_password_on_standard_input_can_sign_in_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long sentence for Noor\n"))
    assert main([*NOOR, "--role", "supervisor", "--password-stdin"]) == 0
    user = User.objects.get(email="noor@service.example")
    assert (user.role, user.check_password("a long sentence for Noor")) == ("supervisor", True)


def test_without_a_terminal_a_password_is_made_and_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NOOR, "--role", "admin", "--json"]) == 0
    assert User.objects.get().check_password(answer(capsys)["password"])


def test_a_user_belongs_to_the_teams_that_are_named_made_if_need_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NOOR, "--team", "care", "--team", "legal", "--json"]) == 0
    assert list(User.objects.get().teams.order_by("slug").values_list("slug", "name")) == [
        ("care", "Care"),
        ("legal", "Legal"),
    ]
    assert main(["user", "create", "b@service.example", "--name", "Bo", "--team", "care", "--json"]) == 0
    assert User.objects.filter(teams__slug="care").count() == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--role", "boss"], "choose one of viewer, agent, supervisor, admin"),
        (["--team", "Our Team"], "write small letters, digits and hyphens"),
        (["--language", "xx"], "choose one of en, nl, ar, hi"),
        (["--time-zone", "Mars/Olympus"], "write it like Europe/Amsterdam"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert main([*NOOR, *words, "--json"]) == 1
    refused = capsys.readouterr().err
    assert (says in refused, refused.count("\n")) == (True, 1)
    assert not User.objects.exists()


def test_a_password_that_anybody_guesses_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("password12\n"))
    assert main([*NOOR, "--password-stdin"]) == 1
    assert "too common" in capsys.readouterr().err


def test_nobody_is_made_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*NOOR, "--json"]) == 0
    assert main(["user", "create", "NOOR@service.example", "--name", "Noor", "--json"]) == 1
    assert User.objects.count() == 1


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "create", "prometheus", "--scope", "events:write,incidents:read", "--json"]) == 0
    made = answer(capsys)
    token = ApiToken.objects.get()
    assert (token.hash, token.scopes) == (token_hash(made["token"]), ["events:write", "incidents:read"])
    assert main(["token", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert ("prometheus" in listed, made["token"] in listed) == (True, False)
    assert main(["token", "revoke", "prometheus"]) == 0
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert main(["token", "revoke", made["id"]]) == 0  # by its id, and again without harm


def test_an_unknown_scope_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "create", "x", "--scope", "everything"]) == 1
    assert "events:write" in capsys.readouterr().err


def test_of_two_tokens_with_one_name_none_is_revoked_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["token", "create", "shop", "--scope", "events:write"]) == 0
    assert main(["token", "revoke", "shop"]) == 1
    assert "several tokens" in capsys.readouterr().err
    assert ApiToken.objects.filter(revoked_at=None).count() == 2


def test_a_token_for_some_days_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "create", "trial", "--scope", "events:write", "--days", "30"]) == 0
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).days in (29, 30)
    assert main(["token", "create", "trial", "--scope", "events:write", "--days", "0"]) == 1


def test_the_list_of_tokens_can_be_read_by_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "list"]) == 0
    assert "makes one" in capsys.readouterr().err
    assert main(["token", "create", "shop", "--scope", "events:write"]) == 0
    assert main(["token", "list"]) == 0
    assert "never" in capsys.readouterr().out
