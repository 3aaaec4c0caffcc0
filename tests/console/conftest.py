"""People signed in, and an incident as it stands in the middle of the main job."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from beforehand.accounts.actions import create_user
from beforehand.accounts.models import Role, User
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import PASSWORD, Cast, make_cast
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture(autouse=True)
def _surroundings(settings: Any) -> Iterator[None]:
    """Nothing remembered from the test before; passwords are hashed as slowly as need be, and here none need be."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def agent(cast: Cast, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(cast.ester)


@pytest.fixture
def supervisor(cast: Cast, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(cast.noor)


@pytest.fixture
def viewer(cast: Cast, signed_in: Callable[[User], Client]) -> Client:
    user = create_user(email="vera@company.example", name="Vera", role=Role.VIEWER, password=PASSWORD, actor="test")
    return signed_in(user)


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


@pytest.fixture
def outage(cast: Cast, drive: Drive) -> Incident:
    """Node 7 is down for three minutes, and its four customers have been told."""
    outage_rule(owner=cast.team)
    approve_shipped()
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(3)):
        drive.settle()
    return Incident.objects.get()


def room(incident: Incident) -> str:
    return f"/console/incidents/{incident.public_id}/"
