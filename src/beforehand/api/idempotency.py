"""A POST that creates may carry an Idempotency-Key: the same key with the same body gets the same answer, once done.

The key's row, what the request does and the answer are one transaction. Whoever comes second with the same key waits
for that transaction, and then reads its answer: so nothing is done twice, and nothing is left half done.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from ninja.decorators import decorate_view
from psycopg.errors import LockNotAvailable
from psycopg.types.json import Jsonb

from beforehand.accounts.actions import forget_answers
from beforehand.api.access import bearer_of
from beforehand.api.problems import ApiProblem, invalid
from beforehand.kit import clock
from beforehand.kit.rows import execute, fetch

KEPT = timedelta(hours=24)
WAITED_SECONDS = 10
SECRETS = ("secret",)
"""Members that are shown once and kept nowhere: a repeated answer has null in their place."""


def _once(run: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return run(request, *args, **kwargs)
        if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
            raise invalid("An Idempotency-Key has 1 to 255 printable ASCII characters.", header="Idempotency-Key")
        token_id = bearer_of(request).token_id
        asked = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.body).hexdigest()
        try:
            with transaction.atomic():
                return _answered(token_id, key, asked) or _done(run, request, token_id, key, args, kwargs)
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise ApiProblem(
                    409,
                    "still_working",
                    "A request with this Idempotency-Key is under way.",
                    headers={"Retry-After": "5"},
                ) from None
            raise

    return once


creates = decorate_view(_once)
"""Put under the route's own decorator: the operation honours Idempotency-Key."""


def _answered(token_id: int, key: str, asked: str) -> HttpResponse | None:
    """The answer that this key already has; None after the key was taken for this request, in this transaction."""
    forget_answers(older_than=clock.now() - KEPT, token_id=token_id, key=key)
    execute(f"SET LOCAL lock_timeout = '{WAITED_SECONDS}s'")
    taken = execute(
        """
        INSERT INTO accounts_idempotentanswer (token_id, key, request_hash, created_at) VALUES (%s, %s, %s, %s)
        ON CONFLICT (token_id, key) DO NOTHING
        """,
        [token_id, key, asked, clock.now()],
    )
    execute("SET LOCAL lock_timeout = 0")
    if taken:
        return None
    ((before, status, body),) = fetch(
        "SELECT request_hash, status, body::text FROM accounts_idempotentanswer WHERE token_id = %s AND key = %s",
        [token_id, key],
    )
    if before != asked:
        raise ApiProblem(422, "key_used_before", "This Idempotency-Key was used with another request.")
    content = b"" if body is None else orjson.dumps(orjson.loads(body))
    return HttpResponse(
        content, status=status, content_type="application/json", headers={"Idempotent-Replayed": "true"}
    )


def _done(
    run: Callable[..., HttpResponse], request: HttpRequest, token_id: int, key: str, args: Any, kwargs: Any
) -> HttpResponse:
    """Do it and keep the answer; what is refused leaves nothing behind, so that it can be put right and sent again."""
    response = run(request, *args, **kwargs)
    if response.status_code >= 300:
        transaction.set_rollback(True)
        return response
    body = orjson.loads(response.content) if response.content else None
    if isinstance(body, dict):
        body |= {name: None for name in SECRETS if name in body}
    execute(
        "UPDATE accounts_idempotentanswer SET status = %s, body = %s WHERE token_id = %s AND key = %s",
        [response.status_code, Jsonb(body), token_id, key],
    )
    return response
