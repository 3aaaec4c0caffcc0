"""Settings, tokens and the log: what a company decides, with who decided it, and everything that happened."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from beforehand.accounts.actions import create_user, set_setting, token_hash
from beforehand.accounts.installation import KEYS, SettingRefused, installation, parse_setting
from beforehand.accounts.models import ApiToken, Role, SettingVersion, User
from beforehand.console.log_words import KINDS
from beforehand.console.setting_words import MEANINGS
from beforehand.customers.actions import upsert_customers
from beforehand.customers.models import Customer
from beforehand.events import browsing
from beforehand.events.actions import append_event
from beforehand.events.browsing import LogFilter, newest_events
from beforehand.events.models import Event
from beforehand.kit.rows import bulk_fetch, execute, fetch

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def amira() -> User:
    return create_user(email="amira@company.example", name="Amira", role=Role.ADMIN, password="x" * 20, actor="test")


@pytest.fixture
def admin(amira: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(amira)


def page(client: Client, where: str, **query: str) -> str:
    answer = client.get(where, query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_setting_has_its_meaning_and_can_be_changed_on_its_page(admin: Client) -> None:
    assert set(MEANINGS) == set(KEYS)
    for key in KEYS:
        assert reverse("console:setting", args=[key]) in page(admin, "/console/settings/")
        assert "<form" in page(admin, f"/console/settings/{key}/")
    assert admin.get("/console/settings/nonsense/").status_code == 404


def test_a_changed_setting_holds_at_once_and_says_who_changed_it(admin: Client, amira: User) -> None:
    assert admin.post("/console/settings/mail.rate/", {"value": "2.5"}).status_code == 302
    assert admin.post("/console/settings/quiet_hours.from/", {"value": "21:30"}).status_code == 302
    assert admin.post("/console/settings/sending.paused/", {"value": "on"}).status_code == 302
    now = installation()
    assert (now.mail_rate, f"{now.quiet_from:%H:%M}", now.sending_paused) == (2.5, "21:30", True)
    admin.post("/console/settings/sending.paused/", {})
    assert not installation().sending_paused
    history = page(admin, "/console/settings/sending.paused/")
    assert history.count("Amira") >= 3  # two versions, and the menu
    assert set(SettingVersion.objects.values_list("set_by", flat=True)) == {f"user:{amira.pk}"}


@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("mail.rate", {"value": "-1"}),
        ("mail.rate", {"value": "fast"}),
        ("caps.care", {"value": "101"}),
        ("mail.connections", {"value": "0"}),
        ("quiet_hours.from", {"value": "25:00"}),
        ("brand", {"name": "N", "languages": ["nl"], "language": "en", "time_zone": "Europe/Amsterdam"}),
        ("brand", {"name": "", "languages": ["nl"], "language": "nl", "time_zone": "Europe/Amsterdam"}),
        ("brand", {"name": "N", "languages": ["nl"], "language": "nl", "time_zone": "Mars/Olympus"}),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field_and_stays_typed(
    admin: Client, key: str, typed: dict[str, object]
) -> None:
    answer = admin.post(f"/console/settings/{key}/", typed)
    assert answer.status_code == 200
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not SettingVersion.objects.exists()


def test_a_brand_is_saved_whole(admin: Client) -> None:
    typed = {
        "name": "Noord Fiber",
        "phone": "+31 20 123 4567",
        "sender_name": "",
        "languages": ["nl", "ar"],
        "language": "nl",
        "time_zone": "Europe/Amsterdam",
    }
    assert admin.post("/console/settings/brand/", typed).status_code == 302
    brand = installation().brand
    assert (brand.name, brand.languages, brand.language) == ("Noord Fiber", ("nl", "ar"), "nl")


@pytest.mark.parametrize(
    "value", [{"language": "en", "languages": ["nl"]}, {"time_zone": "Mars/Olympus"}, {"colour": "red"}, "brand", 7]
)
def test_a_brand_that_cannot_be_is_refused_over_the_api_too(value: object) -> None:
    with pytest.raises(SettingRefused, match="brand"):
        parse_setting("brand", value)


@pytest.mark.parametrize("value", ["true", 1, None])
def test_a_switch_is_true_or_false_and_nothing_like_it(value: object) -> None:
    with pytest.raises(SettingRefused, match=r"sending\.paused"):
        parse_setting("sending.paused", value)


def test_a_token_is_shown_once_used_and_revoked(admin: Client, amira: User) -> None:
    answer = admin.post(
        "/console/settings/tokens/new/", {"name": "Prometheus", "scopes": ["events:write"], "days": "30"}
    )
    token = ApiToken.objects.get()
    assert token.created_by == amira
    assert token.expires_at is not None
    secret = next(
        word
        for word in answer.content.decode().replace('"', " ").replace("<", " ").replace(">", " ").split()
        if word.startswith("bfh_")
    )
    assert token_hash(secret) == token.hash
    assert "no-store" in answer.headers["Cache-Control"]
    assert secret not in page(admin, "/console/settings/tokens/")
    assert secret not in page(admin, "/console/settings/tokens/new/")
    where = f"/console/settings/tokens/{token.public_id}/revoke/"
    admin.post(where)
    token.refresh_from_db()
    assert token.revoked_at is None  # nobody had confirmed
    admin.post(where, {"confirmed": "yes"})
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert list(Event.objects.filter(actor=f"user:{amira.pk}").order_by("id").values_list("type", flat=True)) == [
        "token.created",
        "token.revoked",
    ]


def test_a_token_that_may_nothing_is_refused(admin: Client) -> None:
    admin.post("/console/settings/tokens/new/", {"name": "Nothing"})
    admin.post("/console/settings/tokens/new/", {"name": "Too much", "scopes": ["everything"]})
    assert not ApiToken.objects.exists()


def test_settings_are_the_administrators_and_the_audit_is_the_supervisors(
    supervisor: Client, agent: Client, admin: Client
) -> None:
    for where in ("/console/settings/", "/console/settings/tokens/", "/console/settings/mail.rate/"):
        assert supervisor.get(where).status_code == 403
    assert "/console/settings/" not in page(supervisor, "/console/")
    assert "/console/settings/" in page(admin, "/console/")
    changes = {"view": "changes"}
    assert agent.get("/console/events/", changes).status_code == 403
    assert supervisor.get("/console/events/", changes).status_code == 200
    assert "view=changes" not in page(agent, "/console/events/")


def test_who_changed_what_shows_what_people_did_and_nothing_else(admin: Client, amira: User) -> None:
    append_event(type="promise.kept", actor="watchdog", subject="incident:1")
    set_setting(key="mail.rate", value=3, actor=f"user:{amira.pk}")
    shown = page(admin, "/console/events/", view="changes")
    assert "A setting was changed" in shown
    assert "Promise kept" not in shown
    assert "Promise kept" in page(admin, "/console/events/")
    assert "A setting was changed" in page(admin, "/console/events/", view="changes", person=str(amira.pk))


def test_the_log_is_filtered_by_kind_customer_and_day(admin: Client) -> None:
    upsert_customers(
        [{"external_id": "K-1", "name": "Ko"}, {"external_id": "K-2", "name": "Ka"}], actor="test", source="t"
    )
    ko, ka = Customer.objects.order_by("external_id")
    append_event(type="contact.received", customer_id=ko.pk)
    append_event(type="contact.received", customer_id=ka.pk)
    append_event(type="mute.created", actor="command")
    shown = page(admin, "/console/events/", customer="K-1")
    assert (">Ko<" in shown, ">Ka<" in shown) == (True, False)
    kind = next(value for value, _label in KINDS if "mute" in value)
    shown = page(admin, "/console/events/", kind=kind)
    assert ("Alerts were muted" in shown, "The customer wrote or called" in shown) == (True, False)
    assert "There is no customer with this number." in page(admin, "/console/events/", customer="K-9")
    assert "Nothing fits" in page(admin, "/console/events/", until="2001-01-01")


def test_an_event_is_shown_whole_with_what_came_from_outside(admin: Client) -> None:
    append_event(type="contact.received", source="shop", data={"channel": "phone"}, private={"words": "Où est-il ?"})
    shown = page(admin, "/console/events/")
    where = next(part for part in shown.split('"') if part.startswith("/console/events/") and part[-2].isdigit())
    whole = page(admin, where)
    assert "channel" in whole
    assert "Où est-il ?" in whole
    assert admin.get("/console/events/1/1/").status_code == 404


def test_pages_of_the_log_follow_each_other_without_a_gap(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(23):
        append_event(type="thing.happened" if number % 3 else "thing.else", data={"number": number})
    execute("UPDATE events_event SET recorded_at = now() + id * interval '1 microsecond'")
    monkeypatch.setattr(browsing, "NEAR", 3)
    monkeypatch.setattr(browsing, "WINDOW", 7)
    wanted = LogFilter(types=("thing.else",))
    seen: list[int] = []
    before, pages = None, 0
    while True:
        found = newest_events(wanted, limit=4, before=before)
        seen += [event.data["number"] for event in found.events]
        pages += 1
        before = found.next
        if before is None:
            break
    assert seen == [number for number in reversed(range(23)) if number % 3 == 0]
    assert pages == 4  # each ends where seven rows were looked through, before four were found
    assert len(newest_events(LogFilter(types=("thing.",)), limit=50).events) == 7
    assert not newest_events(LogFilter(types=("thing",)), limit=50).events


def test_no_more_of_the_log_is_looked_through_than_a_page_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        append_event(type="thing.happened" if number else "thing.rare", actor="command")
    looked_at: list[int] = []

    def noted(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        looked_at.append(values["window"])
        return bulk_fetch(sql, values)

    monkeypatch.setattr(browsing, "bulk_fetch", noted)
    monkeypatch.setattr(browsing, "NEAR", 5)
    assert len(newest_events(LogFilter(), limit=4).events) == 4
    assert len(newest_events(LogFilter(is_audit=True), limit=4).events) == 4
    assert looked_at == [4, 4]
    assert len(newest_events(LogFilter(types=("thing.happened",)), limit=4).events) == 4
    assert looked_at == [4, 4, 5]
    assert len(newest_events(LogFilter(types=("thing.rare",)), limit=4).events) == 1
    assert looked_at == [4, 4, 5, 5, browsing.WINDOW]


def test_a_page_does_not_walk_through_the_files_of_the_time_zones(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_setting(key="brand", value={"name": "Noorderlicht", "time_zone": "Asia/Kolkata"}, actor="test")
    page(admin, "/console/events/")  # what is read once is read by now

    def walked(*_args: Any, **_named: Any) -> Any:
        raise AssertionError("a folder of files was walked through")

    monkeypatch.setattr(os, "walk", walked)
    page(admin, "/console/events/")
    page(admin, "/status/")


def test_who_changed_what_is_read_from_its_own_index() -> None:
    execute("SET LOCAL enable_seqscan = off")
    rows = fetch(
        f"EXPLAIN SELECT 1 FROM events_event WHERE {browsing.BY_PEOPLE} ORDER BY recorded_at DESC, id DESC", {}
    )
    assert "_idx" in "\n".join(row[0] for row in rows)
