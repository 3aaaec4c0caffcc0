"""Today, the list of incidents and the room of one: what they say, in how many queries."""

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from beforehand.incidents.models import Incident
from beforehand.incidents.queries import incidents_page
from beforehand.kit.clock import travel
from beforehand.kit.rows import execute, fetch
from beforehand.promises.queries import due_held_broken
from tests.cast import Cast
from tests.console.conftest import at, bring_about_outage, room
from tests.driving import Drive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_a_stranger_is_sent_to_sign_in(client: Client, cast: Cast) -> None:
    answer = client.get("/console/incidents/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/console/incidents/")


def test_today_says_what_is_due_and_that_nobody_is_left_hanging(agent: Client, outage: Incident) -> None:
    with travel(at(4)):
        page = agent.get("/console/").content.decode()
    assert "Fibre node down" in page
    assert 'data-countdown="2026-11-23T11:0' in page
    assert "everyone knows when they hear next" in page


def test_the_list_shows_severity_affected_and_the_next_promise(agent: Client, outage: Incident) -> None:
    with travel(at(4)):
        page = agent.get("/console/incidents/").content.decode()
    assert room(outage) in page
    assert "major" in page
    assert "data-countdown" in page


def test_a_filter_shows_only_its_state(agent: Client, outage: Incident) -> None:
    assert room(outage) in agent.get("/console/incidents/?state=open").content.decode()
    assert room(outage) not in agent.get("/console/incidents/?state=resolved").content.decode()


@pytest.mark.parametrize(("state", "index"), [("", "incidents_open_first"), ("resolved", "incidents_by_state")])
def test_the_list_is_read_in_its_order_and_not_sorted(outage: Incident, state: str, index: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        incidents_page(state=state, limit=25)
    with transaction.atomic():
        execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in fetch(f"EXPLAIN {queries[0]['sql'].replace('%', '%%')}", []))
    assert index in plan
    assert "Sort" not in plan


def test_today_reads_its_promises_by_their_keys_however_many_there_were(outage: Incident, cast: Cast) -> None:
    with CaptureQueriesContext(connection) as queries:
        due_held_broken(cast.ester, since=at(0), looked_at=5)
    with transaction.atomic():
        execute(
            """
            INSERT INTO promises_promise (public_id, kind, audience, rhythm, made_at, due_at, warn_at, hold_at, made_by, kept_by, state,
                                          reason)
            SELECT gen_random_uuid(), 'update', 'incident:0', 'every_step', now(), now(), now(), now(), n, '', 'kept', ''
            FROM generate_series(1, 5000) n
            """
        )
        execute("ANALYZE promises_promise")
        plan = "\n".join(row[0] for row in fetch(f"EXPLAIN {queries[0]['sql'].replace('%', '%%')}", []))
        transaction.set_rollback(True)
    assert re.search(r"promises_promise_pkey on promises_promise .*\n +Index Cond: \(id = ", plan)


def test_the_room_says_whom_it_touches_why_and_what_we_said(agent: Client, outage: Incident) -> None:
    with travel(at(4)):
        page = agent.get(room(outage)).content.decode()
    assert "Fibre 500, Kerkstraat 12 depends on Node 7." in page
    assert "Sent: the customer&#x27;s mail provider accepted it." in page
    assert "عائشة الفاسي" in page
    assert "Elif" not in page
    assert "Promised: next update by" in page
    assert "Opened by the alert rule “node-down”" in page


def test_the_affected_list_is_filtered_by_language_state_and_search(
    agent: Client, outage: Incident, drive: Drive
) -> None:
    part = f"{room(outage)}affected/"
    names = {"ar": "عائشة الفاسي", "nl": "Bram de Vries"}
    for language, name in names.items():
        page = agent.get(part, {"language": language}).content.decode()
        assert [one for one in names.values() if one in page] == [name]
    assert "Bram" in agent.get(part, {"q": "bram"}).content.decode()
    assert "Bram" not in agent.get(part, {"q": "dana"}).content.decode()
    assert "Nobody here" in agent.get(part, {"state": "cured"}).content.decode()


def test_why_somebody_was_not_told_is_said(agent: Client, cast: Cast, drive: Drive) -> None:
    cast.chitra.contact_points.all().delete()
    outage = bring_about_outage(cast, drive)
    with travel(at(4) + timedelta(seconds=1)):
        page = agent.get(room(outage)).content.decode()
    assert "Not sent: we have no address or number of this customer for this channel." in page
