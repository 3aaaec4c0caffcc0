"""People signed in, and an incident as it stands in the middle of the main job."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
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
from tests.emptying import empty_tables
from tests.outbound.scripted_server import Accepted
from tests.snapshots import Rows, put_rows, take_rows

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


def bring_about_outage(cast: Cast, drive: Drive) -> Incident:
    """Node 7 is down for three minutes, and its four customers have been told."""
    outage_rule(owner=cast.team)
    approve_shipped()
    with travel(at(0)):
        post_webhook([alert(starts_at=at(0))])
        drive.settle()
    with travel(at(3)):
        drive.settle()
    return Incident.objects.get()


@dataclass(frozen=True)
class Scene:
    """Where the tests of the pages begin: everybody, then an outage of which those whom it touches have been told."""

    cast: Cast
    people: Rows
    outage: Rows
    mails: list[Accepted]


@pytest.fixture(scope="session")
def scene(django_db_setup: None, django_db_blocker: Any) -> Scene:
    """Brought about once, by the product; each test that asks for it gets the rows back as they then were."""
    with django_db_blocker.unblock():
        cast = make_cast()
        people = take_rows()
        with driving() as drive:
            bring_about_outage(cast, drive)
            mails = list(drive.mailbox.accepted)
        outage = take_rows().since(people)
        empty_tables()
    return Scene(cast, people, outage, mails)


@pytest.fixture
def cast(scene: Scene) -> Cast:
    put_rows(scene.people)
    return deepcopy(scene.cast)


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
def outage(cast: Cast, drive: Drive, scene: Scene) -> Incident:
    """That outage as the scene has it; where somebody is changed before, `bring_about_outage` makes another."""
    assert take_rows().holds(scene.people, but=("accounts_user",)), "this test has changed the scene: see above"
    put_rows(scene.outage)
    drive.mailbox.accepted.extend(scene.mails)
    return Incident.objects.get()


def room(incident: Incident) -> str:
    return f"/console/incidents/{incident.public_id}/"
