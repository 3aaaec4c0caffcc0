"""Erasure and export of one customer's data: all of it, and nothing that names them afterwards."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from psycopg.types.json import Jsonb
from tests.api.callers import Caller
from tests.cast import Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.customers.actions import add_contact_point, change_customer, record_consents
from beforehand.customers.erasure import (
    ErasureHindered,
    ReasonMissing,
    erase_again,
    erase_customer,
    export_customer,
)
from beforehand.customers.holders import holders
from beforehand.customers.models import Customer
from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.models import Affected, Incident
from beforehand.kit import clock
from beforehand.kit.clock import travel
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import Xid8Field, execute, fetch
from beforehand.outbound.models import Message
from beforehand.promises.models import Promise

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NEEDLES = ("Bram de Vries", "bram@customers.example", "+31612345678", "Beste heer De Vries", "Prinsengracht 263")
CODES = {
    "customers_customer": {"kind", "form_of_address", "language", "time_zone", "skill_level", "priority"},
    "customers_consent": {"message_class", "channel"},
    "customers_contactpoint": {"channel", "status"},
    "customers_holding": {"product"},
    "events_event": {"type", "source", "source_id", "actor", "subject", "data"},
    "outbound_message": {"passed_over", "channel", "language", "time_zone", "code", "state", "reason"},
    "outbound_delivery": {"reported", "channel", "state", "enhanced"},
    "outbound_toldbyperson": {"origin", "how", "told_by"},
    "incidents_affected": {"state"},
    "conversations_messagein": {"channel", "kind", "origin", "matched_by", "language"},
    "conversations_incoming": {"channel", "key", "state", "kind", "reason"},
    "incidents_answer": {"says", "settled_how", "settled_by"},
    "promises_promise": {"outcome", "rung", "kind", "audience", "rhythm", "made_by", "kept_by", "state", "reason"},
}
"""Columns of the customers' tables that hold codes of ours and never a person's words. Whoever adds a column decides."""
BY_A_NAME_OF_ITS_OWN = {"outbound_delivery": "message_id", "promises_promise": "audience"}
"""Tables that know the customer otherwise than by `customer_id`."""


def names_a_customer(model: type[models.Model]) -> bool:
    return any(
        field.name == "customer_id" or field.related_model is Customer
        for field in model._meta.get_fields()
        if isinstance(field, models.Field)
    )


def held_tables() -> set[str]:
    return {table for holder in holders() for table in holder.tables}


def test_every_table_that_names_a_customer_has_a_holder() -> None:
    named = {model._meta.db_table for model in apps.get_models() if names_a_customer(model)}
    assert named - held_tables() == set()


def found_in(needles: tuple[str, ...]) -> set[str]:
    """The tables, of all that the database has, in which one of these texts stands."""
    tables = fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    )
    assert len(tables) > 30
    found = set()
    for (table,) in tables:
        for needle in needles:
            written = json.dumps(needle, ensure_ascii=False)[1:-1]
            row = "to_jsonb(t)::text ILIKE '%%' || %s || '%%' OR to_jsonb(t)::text LIKE '%%' || %s || '%%'"
            if fetch(f'SELECT EXISTS (SELECT FROM "{table}" t WHERE {row})', [written, needle.encode().hex()])[0][0]:
                found.add(table)
    return found


counter = itertools.count(1_000_000)


def planted(model: type[models.Model], customer_id: int) -> None:
    """A row of this customer with a name in every column that is not known to hold codes only."""
    codes = CODES.get(model._meta.db_table, set())
    values: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        name = field.attname
        if field.related_model is Customer or name == "customer_id":
            values[name] = customer_id
        elif name == "score":
            values[name] = 3
        elif name == "bucket":
            values[name] = bucket_of(customer_id)
        elif name == BY_A_NAME_OF_ITS_OWN.get(model._meta.db_table):
            values[name] = 77 if name == "message_id" else f"customer:{customer_id}"
        elif isinstance(field, models.JSONField):
            values[name] = {} if name in codes else {"x": NEEDLES[0]}
        elif isinstance(field, models.TextField) and name in codes:
            values[name] = (
                field.choices[-1][0] if field.choices else f"code{next(counter)}"  # type: ignore[index]
            )
        elif isinstance(field, models.TextField):
            values[name] = f"{NEEDLES[0]} {next(counter)}"
        elif isinstance(field, models.BinaryField):
            values[name] = NEEDLES[0].encode()
        elif isinstance(field, models.ForeignKey) and field.null:
            values[name] = None
        elif isinstance(field, models.DateTimeField):
            values[name] = None if name in ("erased_at", "left_at") else clock.now()
        elif isinstance(field, models.UUIDField):
            values[name] = field.get_default() or "00000000-0000-7000-8000-000000000001"
        elif isinstance(field, models.BooleanField):
            values[name] = False
        elif isinstance(field, Xid8Field):
            continue
        elif isinstance(field, models.IntegerField) and not field.primary_key:
            values[name] = 77 if name == "id" else next(counter) % 30_000
    columns = {field.attname: field.column for field in model._meta.concrete_fields}
    values = {columns[name]: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    names = ", ".join(f'"{name}"' for name in values)
    execute(
        f'INSERT INTO "{model._meta.db_table}" ({names}) VALUES ({", ".join(["%s"] * len(values))})',
        list(values.values()),
    )


@pytest.mark.django_db
def test_no_column_of_a_customers_tables_keeps_a_name() -> None:
    customer = make_cast().bram
    own = {field.attname: field for field in Customer._meta.concrete_fields}
    texts = {name for name, field in own.items() if isinstance(field, models.TextField)} - CODES["customers_customer"]
    lists = {name for name, field in own.items() if isinstance(field, models.JSONField)}
    assert {"name", "salutation", "external_id"} <= texts
    Customer.objects.filter(pk=customer.pk).update(
        **dict.fromkeys(texts, NEEDLES[0]), **{name: {"x": NEEDLES[0]} for name in lists}
    )
    tables = [model for model in apps.get_models() if model._meta.db_table in held_tables() and model is not Customer]
    for model in tables:
        planted(model, customer.pk)
    assert found_in(NEEDLES[:1]) >= {
        "customers_consent",
        "outbound_message",
        "outbound_delivery",
        "events_eventprivate",
    }
    erase_customer(customer.pk, reason="asked us to", actor="test", is_forced=True)
    assert found_in(NEEDLES[:1]) == set()


def fill(cast: Cast) -> None:
    """Whatever the product may come to hold on Bram, through its own doors."""
    caller = Caller(create_token(name="everything", scopes=SCOPES, actor="test")[1])
    add_contact_point(cast.bram.pk, channel="sms", address="+31612345678", actor="test")
    change_customer(cast.bram.pk, changes={"salutation": "Beste heer De Vries"}, actor="test")
    change_customer(cast.aisha.pk, changes={"helper": "bram"}, actor="test")
    record_consents(
        [
            {
                "customer": "bram",
                "message_class": "marketing",
                "channel": "email",
                "given": True,
                "wording": "May we, Bram de Vries?",
                "how": "called +31612345678",
            }
        ],
        actor="test",
        source="test",
    )
    row = {
        "external_id": "bram",
        "name": "Bram de Vries",
        "email": "bram@customers.example",
        "post": "Prinsengracht 263",
    }
    for path, body in (
        ("customers", {"rows": [row]}),
        ("holdings", {"rows": [{"external_id": "tv-bram", "customer": "bram", "product": "TV", "place": NEEDLES[4]}]}),
    ):
        answer = caller.post(f"/api/v1/{path}", body, Idempotency_Key=f"key-{path}-0123456789")
        assert answer.status_code == 200, answer.content
    for number, customer in enumerate(("bram", "somebody-whom-nobody-knows")):
        event = {
            "specversion": "1.0",
            "id": f"order-{number}",
            "source": "https://shop.example",
            "type": "order.delayed",
            "customer": customer,
            "data": {"to": "Bram de Vries, Prinsengracht 263", "mail": "BRAM@customers.example"},
        }
        answer = caller.post("/api/v1/events", event, content_type="application/cloudevents+json")
        assert answer.status_code < 300, answer.content


def outage(drive: Drive) -> Incident:
    approve_shipped()
    outage_rule()
    post_webhook([alert(starts_at=clock.now())])
    drive.settle()
    return Incident.objects.get()


@pytest.mark.django_db(transaction=True)
def test_after_an_erasure_nothing_in_any_table_names_the_customer_and_that_they_were_told_stays() -> None:
    with travel(START), driving() as drive:
        cast = make_cast()
        fill(cast)
        incident = outage(drive)
    with travel(START + timedelta(minutes=4)), driving() as drive:
        drive.settle()
        told = Message.objects.get(bucket=bucket_of(cast.bram.pk), customer_id=cast.bram.pk)
        assert told.state == "sent"
        assert found_in(NEEDLES) >= {"customers_customer", "customers_contactpoint", "outbound_message"}

        with pytest.raises(ErasureHindered) as hindered:
            erase_customer(cast.bram.pk, reason="asked us to", actor="test")
        assert [one.title for one in hindered.value.hindrances] == [incident.title]
        assert Customer.objects.get(pk=cast.bram.pk).erased_at is None

        exported = json.dumps(export_customer(cast.bram.pk, actor="test"), ensure_ascii=False)
        for needle in (*NEEDLES, "May we, Bram de Vries?", incident.title, "order.delayed"):
            assert needle in exported
        assert told.code in exported

        resolve_incident(incident, reason="test", actor="test")
        drive.settle()
        erased = erase_customer(cast.bram.pk, reason="Bram de Vries asked us to", actor="test")
        assert erased.mentions > 0
        assert found_in(NEEDLES) == set()
        drive.settle()
        assert found_in(NEEDLES) == set()

    assert Message.objects.filter(customer_id=cast.bram.pk, state="sent").count() == 2  # first notice, all-clear
    assert Affected.objects.filter(customer_id=cast.bram.pk).count() == 1
    assert not Customer.objects.filter(helper_id=cast.bram.pk).exists()
    assert Customer.objects.get(pk=cast.aisha.pk).name == cast.aisha.name
    logged = fetch("SELECT data FROM events_event WHERE type = 'customer.erased' AND customer_id = %s", [cast.bram.pk])
    assert logged[0][0]["despite"] == []
    assert logged[0][0]["rows"]["outbound_message"] == 2


@pytest.mark.django_db(transaction=True)
def test_a_forced_erasure_in_the_middle_of_a_problem_stops_what_was_still_to_be_said() -> None:
    with travel(START), driving() as drive:
        cast = make_cast()
        incident = outage(drive)
        with pytest.raises(ReasonMissing):
            erase_customer(cast.bram.pk, reason="  ", actor="test", is_forced=True)
        erase_customer(cast.bram.pk, reason="a judge says so", actor="test", is_forced=True)
        drive.settle()
    with travel(START + timedelta(minutes=4)), driving() as drive:
        drive.settle()
        incident.refresh_from_db()
        assert incident.affected_count == 3
        assert not drive.mailbox.mails_to("bram@customers.example")
        assert drive.mailbox.mails_to("dana@customers.example")


@pytest.mark.django_db
def test_a_promise_to_the_customer_alone_hinders_and_ends_when_forced() -> None:
    bram = make_cast().bram
    now = clock.now()
    promise = Promise.objects.create(
        audience=f"customer:{bram.pk}", made_at=now, due_at=now, warn_at=now, hold_at=now, made_by="test"
    )
    with pytest.raises(ErasureHindered):
        erase_customer(bram.pk, reason="asked us to", actor="test")
    erase_customer(bram.pk, reason="asked us to", actor="test", is_forced=True)
    promise.refresh_from_db()
    assert promise.state == "ended"


@pytest.mark.django_db
def test_what_comes_in_after_the_erasure_is_blanked_too() -> None:
    bram = make_cast().bram
    erase_customer(bram.pk, reason="asked us to", actor="test")
    planted(Message, bram.pk)
    assert found_in(NEEDLES[:1]) == {"outbound_message"}
    assert erase_again(now=clock.now()) == 1
    assert found_in(NEEDLES[:1]) == set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbound_message")
        assert cursor.fetchone() == (1,)
