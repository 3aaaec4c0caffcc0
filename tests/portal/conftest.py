"""What the portal's tests share: the cast, an outage that touches them, and pages read as elements."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client, override_settings

from beforehand.accounts.actions import set_setting
from beforehand.incidents.actions import open_incident, refresh_wanted
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.portal.outbound import guard
from tests.cast import Cast, make_cast

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TEXTS = {
    "en": {"title": "Internet outage", "advice": "Leave your modem on."},
    "nl": {"title": "Internetstoring", "advice": "Laat uw modem aan."},
    "ar": {"title": "انقطاع الإنترنت", "advice": "اترك جهازك يعمل."},
    "hi": {"title": "इंटरनेट बंद", "advice": "मोडेम चालू रखें।"},
}


@pytest.fixture(autouse=True)
def _nobody_has_guessed() -> Iterator[None]:
    guard.forget()
    yield
    guard.forget()


@pytest.fixture
def noon() -> Iterator[None]:
    """The clock stands at the start of the story."""
    with clock.travel(START):
        yield


@pytest.fixture
def cast(db: None, noon: None) -> Cast:
    set_setting(key="brand", value={"name": "Noorderlicht", "phone": "+31 50 123 45 67"}, actor="test")
    # Nobody signs in here: a slow hash of three passwords would cost each test a second.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        return make_cast()


@pytest.fixture
def browser() -> Callable[..., Client]:
    """A browser that reads this language and accepts no errors."""
    return lambda language="en": Client(headers={"accept-language": language}, enforce_csrf_checks=True)


def outage(cast: Cast, **changes: object) -> Incident:
    """An outage of node 7, its affected list worked out."""
    incident = open_incident(
        **{
            "title": "NodeDown node-7 (internal)",
            "kind": "outage",
            "severity": "critical",
            "actor": "test",
            "began_at": START,
            "known_at": START,
            "component_ids": [cast.node.pk],
            "texts": TEXTS,
            **changes,
        }  # type: ignore[arg-type]
    )
    refresh_wanted()
    incident.refresh_from_db()
    return incident
