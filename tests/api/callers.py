"""A program that uses the API with a token, and what it reads from a refusal."""

from typing import Any

import orjson
from django.test import Client


class Caller:
    """A program that uses the API with one token."""

    def __init__(self, secret: str | None) -> None:
        self.client = Client(raise_request_exception=True)
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    def send(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> Any:
        """Send a body: bytes as they are, anything else as JSON. Header names are written with `_` for `-`."""
        data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(method, path, data, content_type=content_type, headers={**self.headers, **named})

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **rest: Any) -> Any:
        return self.send("POST", path, body, **rest)

    def put(self, path: str, body: Any = None, **rest: Any) -> Any:
        return self.send("PUT", path, body, **rest)

    def patch(self, path: str, body: Any = None, **rest: Any) -> Any:
        return self.send("PATCH", path, body, **rest)

    def delete(self, path: str, **rest: Any) -> Any:
        return self.send("DELETE", path, **rest)


def problem(response: Any, status: int) -> dict[str, Any]:
    """The problem details of a refusal with this status."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    assert response.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = orjson.loads(response.content)
    assert found["status"] == status
    assert found["title"]
    assert found["code"]
    assert found["detail"]
    return found
