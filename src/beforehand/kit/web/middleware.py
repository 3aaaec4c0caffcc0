"""What every answer carries: a number for the log, a policy that runs no foreign code, and times in the reader's zone."""

import re
import time
import uuid
from collections.abc import Callable
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils import timezone

from beforehand.kit.zones import time_zones

log = structlog.get_logger()
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{8,64}")

POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class RequestLogMiddleware:
    """Gives each request a number, which every line that is logged about it has, and the answer too; and a line of its own.

    The line names the route and not the address: a signed link is a key. A trusted proxy's number is taken over.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "") if settings.BEHIND_PROXY else ""
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            took = round((time.monotonic() - started) * 1000)
            log.info("request", method=request.method, route=route, status=response.status_code, ms=took)
        response.headers["X-Request-Id"] = request_id
        return response


class ContentSecurityMiddleware:
    """Forbids inline and foreign scripts, styles and frames; a view that sets its own policy keeps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class ReaderZoneMiddleware:
    """Shows times in the zone that the browser named in its `zone` cookie; unknown or missing: the installation's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request.COOKIES.get("zone", "").replace("%2F", "/")
        if name not in time_zones():
            return self.get_response(request)
        with timezone.override(ZoneInfo(name)):
            return self.get_response(request)


class CompressionMiddleware(GZipMiddleware):
    """Pages go compressed, with a length that tells a guesser nothing (BREACH); what streams goes as it comes."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The answer, compressed if it is whole and the browser takes it."""
        return response if response.streaming else super().process_response(request, response)
