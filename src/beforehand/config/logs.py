"""The log: one line for each thing, to standard error, for people or for programs."""

import sys
from collections.abc import MutableMapping
from typing import Any

import structlog


def logging_configuration(*, level: str, is_json: bool) -> dict[str, Any]:
    """A configuration for `logging.config.dictConfig`; structlog's own loggers go through it too."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        _without_addresses,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        renderers = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    else:
        renderers = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # httpx writes whole addresses, and a signed link is a key.
            "httpx": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
        },
    }


def _without_colours(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop uvicorn's second copy of its message, with escape codes in it."""
    event.pop("color_message", None)
    return event


def _without_addresses(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop the address from what Django says of a request: a signed link is a key. Our own line names the route."""
    if event.get("logger") in ("django.request", "django.security"):
        event.pop("request", None)
        event["event"] = str(event["event"]).partition(":")[0]
    return event
