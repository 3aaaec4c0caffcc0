"""How large a request may be: refused by its announced length, or as it streams in, before it fills memory or disk."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from beforehand.api.problems import MEDIA_TYPE, ApiProblem

MAX_BODY_BYTES = 10 * 1024 * 1024

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[None]]


def too_large() -> ApiProblem:
    """The answer to a body above the limit."""
    return ApiProblem(413, "too_large", f"A request may have at most {MAX_BODY_BYTES:,} bytes; send it in parts.")


def read_body(request: HttpRequest) -> bytes:
    """The request's body; raises `ApiProblem` 413 for one above the limit, 400 for one that broke off."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise too_large()
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_large() from None
    except UnreadablePostError:
        raise ApiProblem(400, "body_broken_off", "The body broke off before its end.") from None
    if len(body) > MAX_BODY_BYTES:
        raise too_large()
    return body


class BodyLimit:
    """An ASGI application around another: under `/api/` it answers 413 instead of letting a large body in.

    Django reads a body to its end before any view runs, to a file if it is large; so the limit stands in front of it.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self.application(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            await _refuse(send)
            return
        received, is_refused = 0, False

        async def counted() -> Message:
            nonlocal received, is_refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES and not is_refused:
                is_refused = True
                await _refuse(send)
            return {"type": "http.disconnect"} if is_refused else message

        async def sent(message: Message) -> None:
            if not is_refused:
                await send(message)

        await self.application(scope, counted, sent)


async def _refuse(send: Send) -> None:
    body = orjson.dumps(too_large().as_json())
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
