"""The company's way to Beforehand: its public API over HTTP, with a token, and nothing else."""

import json
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

TRIES = 8
_PAGE = 500


class ApiRefused(Exception):
    """An answer that is not a success; the text holds what was asked and what was wrong."""


class PublicApi:
    """A connection to `/api/v1`. Waits when it is asked to (429, 503), and repeats what never arrived."""

    def __init__(self, base_url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=f"{base_url}/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            transport=httpx.HTTPTransport(retries=3),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """What is there."""
        return self._ask("GET", path, params=parameters)

    def put(self, path: str, body: Any) -> Any:
        """Make it so."""
        return self._ask("PUT", path, json=body)

    def post(self, path: str, body: Any = None, *, media_type: str = "application/json") -> Any:
        """Create or do something; sent again under the same key if no answer comes, so that it is done once."""
        headers = {"Idempotency-Key": str(uuid4()), "Content-Type": media_type}
        content = json.dumps({} if body is None else body, ensure_ascii=False).encode()
        return self._ask("POST", path, content=content, headers=headers)

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Every item of a list, page by page."""
        cursor = ""
        while True:
            page = self.get(path, limit=_PAGE, **parameters, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next"]
            if not cursor:
                return

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        for attempt in range(1, TRIES + 1):
            answer = self._client.request(method, path, **request)
            if answer.status_code in (429, 503) and attempt < TRIES:
                time.sleep(min(5.0, float(answer.headers.get("Retry-After", "1"))))
                continue
            if answer.is_success:
                return answer.json() if answer.content else None
            raise ApiRefused(f"{method} {path}: {answer.status_code} {answer.text[:1000]}")
        raise AssertionError("unreachable")
