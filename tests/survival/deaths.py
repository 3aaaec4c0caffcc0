"""A worker that dies between two statements: whatever it had not committed is gone, and it never hears of what it had."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import psycopg
import pytest


class DeathError(BaseException):
    """Nobody catches it, as nobody catches a kill."""


@contextmanager
def dying(after: int) -> Iterator[None]:
    """In this thread, die before the statement that comes after so many; a commit counts before it and behind it."""
    mine, left = threading.get_ident(), after

    def step() -> None:
        nonlocal left
        if threading.get_ident() == mine:
            left -= 1
            if left == -1:
                raise DeathError

    def before(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def mortal(*args: Any, **kwargs: Any) -> Any:
            step()
            return function(*args, **kwargs)

        return mortal

    def commit(connection: "psycopg.Connection[Any]") -> None:
        try:
            step()
        except DeathError:
            connection.rollback()  # what the server does when its client is gone
            raise
        committed(connection)
        step()

    committed = psycopg.Connection.commit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", before(psycopg.Cursor.execute))
        patch.setattr(psycopg.Cursor, "executemany", before(psycopg.Cursor.executemany))
        patch.setattr(psycopg.Cursor, "copy", before(psycopg.Cursor.copy))
        patch.setattr(psycopg.Connection, "commit", commit)
        yield
