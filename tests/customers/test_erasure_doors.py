"""The doors to a customer's data: the API, the console's pages, and the command."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.api.callers import Caller
from tests.cast import PASSWORD, Cast, make_cast

from beforehand.accounts.actions import create_token, create_user
from beforehand.accounts.models import Role
from beforehand.config.commands import customer as command
from beforehand.customers.erasure import erase_customer
from beforehand.customers.models import Customer
from beforehand.incidents.actions import open_incident, refresh_wanted
from beforehand.kit import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def in_trouble(cast: Cast) -> Cast:
    """A problem touches everybody on node 7."""
    now = clock.now()
    open_incident(
        title="No internet",
        kind="outage",
        severity="major",
        actor="test",
        began_at=now,
        known_at=now,
        component_ids=[cast.node.pk],
    )
    refresh_wanted()
    return cast


def caller(*scopes: str) -> Caller:
    return Caller(create_token(name="some", scopes=scopes, actor="test")[1])


def admin() -> Client:
    user = create_user(email="ada@company.example", name="Ada", role=Role.ADMIN, password=PASSWORD, actor="test")
    client = Client()
    client.force_login(user)
    return client


def test_the_api_erases_only_with_the_scope_for_it_and_says_what_hinders(in_trouble: Cast) -> None:
    assert (
        caller("customers:read", "customers:write").post("/api/v1/customers/bram/erase", {"reason": "x"}).status_code
        == 403
    )
    api = caller("customers:erase")
    assert api.get("/api/v1/customers/bram/export").json()["customer"][0]["name"] == "Bram de Vries"
    hindered = api.post("/api/v1/customers/bram/erase", {"reason": "asked"})
    assert hindered.status_code == 409
    assert hindered.json()["errors"] == [{"code": "open_incident", "detail": "No internet"}]
    assert api.post("/api/v1/customers/bram/erase", {"reason": " ", "force": True}).status_code == 422
    done = api.post("/api/v1/customers/bram/erase", {"reason": "asked", "force": True})
    assert done.status_code == 200, done.content
    assert done.json()["rows"]["customers_contactpoint"] == 1
    assert api.get("/api/v1/customers/bram/export").status_code == 404


def test_an_administrator_reads_and_erases_on_the_page_and_an_agent_does_not(in_trouble: Cast) -> None:
    address = f"/console/customers/{in_trouble.bram.public_id}/"
    agent = Client()
    agent.force_login(in_trouble.ester)
    for path in ("erase/", "export.json", "export.html"):
        assert agent.get(address + path).status_code == 403
    assert "Erase" not in agent.get(address).content.decode()

    client = admin()
    assert "Erase" in client.get(address).content.decode()
    page = client.get(address + "export.html").content.decode()
    assert "bram@customers.example" in page
    assert "Kerkstraat 12" in page
    assert json.loads(client.get(address + "export.json").content)["contact_points"]
    assert "No internet" in client.get(address + "erase/").content.decode()

    typed: dict[str, Any] = {"reason": "asked", "number": "somebody-else", "is_forced": "on"}
    assert "not the number" in client.post(address + "erase/", typed).content.decode()
    refused = client.post(address + "erase/", {"reason": "asked", "number": "bram"}).content.decode()
    assert "still going on" in refused
    assert Customer.objects.get(pk=in_trouble.bram.pk).erased_at is None
    assert client.post(address + "erase/", {**typed, "number": "bram"}).status_code == 302
    assert Customer.objects.get(pk=in_trouble.bram.pk).erased_at is not None
    assert client.get(address).status_code == 200
    assert client.get(address + "erase/").status_code == 404


def test_who_was_erased_cannot_be_erased_anew_and_their_number_is_free(cast: Cast) -> None:
    first = erase_customer(cast.bram.pk, reason="asked", actor="test")
    again = erase_customer(cast.bram.pk, reason="asked", actor="test")
    assert (again.at, again.rows) == (first.at, {})
    api = caller("customers:write")
    answer = api.post("/api/v1/customers", {"rows": [{"external_id": "bram", "name": "Bram the second"}]})
    assert answer.json()["created"] == 1


def test_the_command_writes_the_export_and_erases(
    cast: Cast, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    given = argparse.Namespace(customer="bram", to=tmp_path / "bram.json", html=tmp_path / "bram.html")
    assert command._export(command._customer("bram"), given) == 0
    assert json.loads(given.to.read_text())["customer"][0]["external_id"] == "bram"
    assert "Bram de Vries" in given.html.read_text()
    erase = argparse.Namespace(customer="bram", reason="asked", force=False, json=True)
    assert command._erase(command._customer(str(cast.bram.public_id)), erase) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["customers_contactpoint"] == 1
    with pytest.raises(command.CommandError, match="no customer bram"):
        command._customer("bram")
