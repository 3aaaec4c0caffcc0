"""The log's lines, as a program reads them."""

import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.http import HttpResponse
from django.test import Client

from beforehand.config.logs import logging_configuration


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_both_kinds_of_logger_write_one_json_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logging_configuration(level="INFO", is_json=True))
    logging.getLogger("uvicorn.error").info("up on %s", "8000", extra={"color_message": "\x1b[1mup"})
    structlog.get_logger("beforehand.test").warning("promise_due", incident=7)
    logging.getLogger("beforehand.test").debug("not this")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("up on 8000", "info", "uvicorn.error")
    assert "color_message" not in first
    assert (second["event"], second["level"], second["incident"]) == ("promise_due", "warning", 7)


def test_an_exception_stays_within_its_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logging_configuration(level="INFO", is_json=True))
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("beforehand.test").exception("failed")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["exc_value"] == "wrong"


def test_addresses_that_are_keys_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logging_configuration(level="INFO", is_json=False))
    logging.getLogger("httpx").info("GET https://care.example.com/my/secret-token")
    assert capsys.readouterr().err == ""


def lines_of(
    capsys: pytest.CaptureFixture[str], path: str, **headers: str
) -> tuple[HttpResponse, list[dict[str, object]]]:
    """What a request answers, and what is logged about it."""
    logging.config.dictConfig(logging_configuration(level="INFO", is_json=True))
    answer = Client(headers=headers).get(path)
    return answer, [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_request_has_a_number_in_its_answer_and_in_every_line_about_it(capsys: pytest.CaptureFixture[str]) -> None:
    answer, [line] = lines_of(capsys, "/healthz")
    assert (line["event"], line["route"], line["status"]) == ("request", "healthz", 200)
    assert line["request_id"] == answer.headers["X-Request-Id"]


def test_only_a_proxy_that_we_trust_names_the_number(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    assert lines_of(capsys, "/healthz", x_request_id="from-outside-1")[0].headers["X-Request-Id"] != "from-outside-1"
    settings.BEHIND_PROXY = True
    assert lines_of(capsys, "/healthz", x_request_id="from-proxy-1")[0].headers["X-Request-Id"] == "from-proxy-1"
    forged = lines_of(capsys, "/healthz", x_request_id="a" * 7 + "{}")[0].headers["X-Request-Id"]
    assert forged.isalnum()


@pytest.mark.django_db
def test_a_signed_link_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    _answer, lines = lines_of(capsys, "/my/secret-token.secret-signature/")
    assert "request" in {line["event"] for line in lines}
    assert "secret" not in json.dumps(lines)
