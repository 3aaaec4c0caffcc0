"""Fixtures for every ring."""

import os
import uuid
from collections.abc import Iterator
from typing import Never

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import TransactionTestCase
from django.utils import timezone, translation

from tests.emptying import empty_tables


def pytest_configure(config: pytest.Config) -> None:
    """Passwords hashed quickly: what is slow on purpose for an attacker would be slow for every test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    TransactionTestCase._fixture_teardown = lambda _case: empty_tables()  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def nobodys_language_or_zone() -> None:
    """Each test begins in the house's own language and zone: a request of the test before leaves its reader's behind."""
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a playbook where no database answers: it is checked on a laptop too."""

    def away() -> Never:
        raise OperationalError("no database answers here")

    monkeypatch.setattr("beforehand.playbooks.text_lengths.installation", away)


@pytest.fixture(scope="session")
def server_url() -> str:
    """The URL of the suite's server, as superuser."""
    return os.environ["BEFOREHAND_TEST_SERVER_URL"]


@pytest.fixture(scope="session")
def database_url(server_url: str) -> Iterator[str]:
    """The URL of an empty database of its own, gone afterwards."""
    name = f"own_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        parts = psycopg.conninfo.conninfo_to_dict(server_url)
        yield psycopg.conninfo.make_conninfo("", **{**parts, "dbname": name})
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the database is of the database's ring, marked or not."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") or "database_url" in fixtures:
            item.add_marker(pytest.mark.database)
        if "own_server" in fixtures:
            item.add_marker(pytest.mark.embedded)
