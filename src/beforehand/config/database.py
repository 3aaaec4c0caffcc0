"""Django's DATABASES from a libpq URL, pooled and health-checked."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

from beforehand.config.environment import Environment

TAKEN = {"dbname", "user", "password", "host", "port"}


def databases(environment: Environment) -> dict[str, dict[str, Any]]:
    """The one database. Connections live a while and are checked before use, so a restarted server is no error."""
    parts = conninfo_to_dict(environment.resolved_database_url())
    rest = {key: value for key, value in parts.items() if key not in TAKEN and value is not None}
    return {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.get("dbname") or "beforehand",
            "USER": parts.get("user") or "",
            "PASSWORD": parts.get("password") or "",
            "HOST": parts.get("host") or "",
            "PORT": parts.get("port") or "",
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": rest,
        }
    }


POOL = {"min_size": 2, "max_size": 10, "timeout": 10}
"""Connections of one web process. Who waits longer than `timeout` seconds for one is told that the database is away."""


def pool_connections() -> None:
    """Let this process's threads share connections; call it before the first query.

    Under ASGI Django runs each request in a thread of its own, so a connection kept per thread is opened anew for
    every request: 25 ms where the pool needs none. Workers have few threads that live long, and keep their own.
    """
    from django.db import connections

    database = connections.databases["default"]
    database["CONN_MAX_AGE"] = 0
    database["OPTIONS"] = {**database["OPTIONS"], "pool": POOL}
