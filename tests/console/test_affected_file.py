"""The affected list as a file: everybody on it, how each can be reached, and how sure we are of that."""

import csv
import io

import pytest
from django.test import Client

from beforehand.customers.actions import add_contact_point, change_customer, verify_contact_point
from beforehand.incidents.models import Incident
from tests.cast import Cast
from tests.console.conftest import room

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def rows(client: Client, outage: Incident) -> dict[str, dict[str, str]]:
    body = b"".join(client.get(f"{room(outage)}affected.csv")).decode("utf-8-sig")  # type: ignore[arg-type]
    return {row["customer"]: row for row in csv.DictReader(io.StringIO(body))}


def test_it_has_everybody_with_rank_and_verification_of_the_address_that_is_tried_first(
    cast: Cast, outage: Incident, agent: Client
) -> None:
    add_contact_point(cast.dana.pk, channel="sms", address="+447700900123", actor="test", rank=2)
    second = add_contact_point(cast.dana.pk, channel="sms", address="+447700900124", actor="test", rank=1)
    verify_contact_point(second.pk, actor="test")
    found = rows(agent, outage)
    assert set(found) == {"aisha", "bram", "chitra", "dana"}
    dana = found["dana"]
    assert (dana["sms_address"], dana["sms_rank"], dana["sms_status"]) == ("+447700900124", "1", "working")
    second.refresh_from_db()
    assert second.verified_at is not None
    assert dana["sms_verified_at"] == second.verified_at.isoformat()
    assert (dana["email_address"], dana["email_verified_at"]) == ("dana@customers.example", "")
    assert found["bram"]["sms_address"] == found["bram"]["sms_rank"] == ""


def test_no_name_becomes_a_formula_in_a_spreadsheet(cast: Cast, outage: Incident, agent: Client) -> None:
    change_customer(cast.bram.pk, changes={"name": "=HYPERLINK(1)"}, actor="test")
    assert rows(agent, outage)["bram"]["name"] == "'=HYPERLINK(1)"
