"""The schema says what the API does: checked in, valid, and held to by requests made from it."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from beforehand.accounts.actions import SCOPES, create_token
from beforehand.api import access
from beforehand.api.schema import schema_text
from beforehand.api.urls import api, urlpatterns
from beforehand.playbooks.actions import install_shipped
from tests.cast import make_cast
from tests.emptying import empty_tables
from tests.snapshots import Rows, put_rows, take_rows

pytestmark = pytest.mark.django_db

CHECKED_IN = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
DOCUMENTED = CHECKED_IN.with_name("api.md")


def test_the_checked_in_schema_is_that_of_the_code() -> None:
    assert CHECKED_IN.read_text(encoding="utf-8") == schema_text(), (
        "Run: .venv/bin/python -m beforehand.api.schema > docs/openapi.json"
    )


def test_the_schema_is_valid_openapi_3_1() -> None:
    document = json.loads(schema_text())
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in _references(value)]
    return [found for value in part for found in _references(value)] if isinstance(part, list) else []


def test_every_operation_names_a_scope_that_exists() -> None:
    document = json.loads(schema_text())
    for path in document["paths"].values():
        for operation in path.values():
            ((scope,),) = [one["token"] for one in operation["security"]]
            assert scope in SCOPES


def test_every_operation_stands_in_the_documentation() -> None:
    page = DOCUMENTED.read_text(encoding="utf-8")
    for path, operations in json.loads(schema_text())["paths"].items():
        shown = path.removeprefix("/api/v1")
        for method in operations:
            assert f"`{method.upper()} {shown}`" in page, f"{method.upper()} {shown} is not in docs/api.md"
    for scope in SCOPES:
        assert f"`{scope}`" in page


def test_every_door_stands_in_the_schema() -> None:
    routed = {str(pattern.pattern) for pattern in urlpatterns if getattr(pattern, "name", "")}
    documented = {
        path.removeprefix("/").replace("{source}", "<path:source>") for path in api.get_openapi_schema()["paths"]
    }
    # The same door as below intake/prometheus; and two for the SMS provider alone, in that provider's own form.
    assert routed - documented == {"api/v2/alerts", "hooks/sms/status", "hooks/sms/message"}


@cache
def operations() -> dict[str, Any]:
    """Every operation by its name, ready to be asked in this process."""
    described = schemathesis.openapi.from_dict(json.loads(schema_text()))
    described.app = get_wsgi_application()
    found = [result.ok() for result in described.get_all_operations()]
    return {operation.label: operation for operation in found}


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """As Django's own test client does: a request does not close the connection that the test's transaction is on."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="session")
def stock(django_db_setup: None, django_db_blocker: Any) -> Rows:
    """Everybody, and the playbooks that ship: stored once, and put back for each operation."""
    with django_db_blocker.unblock():
        make_cast()
        install_shipped()
        rows = take_rows()
        empty_tables()
    return rows


@pytest.mark.usefixtures("_one_connection")
@pytest.mark.parametrize("label", sorted(operations()))
def test_requests_made_from_the_schema_are_answered_as_it_says(
    label: str, stock: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "BURST", 1e9)
    put_rows(stock)
    secret = create_token(name="everything", scopes=SCOPES, actor="test")[1]

    @given(case=operations()[label].as_strategy())
    @settings(
        max_examples=8,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: Any) -> None:
        case.call_and_validate(
            # Within this process nobody unpacks what comes compressed.
            headers={"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"},
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    answers()
