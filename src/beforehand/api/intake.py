"""The doors by which events come in. A 2xx means that all of the request is committed; any other answer, none of it.

These are lean views outside the routers: thousands of events a second pass here, so nothing is checked twice.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, cast

import orjson
import structlog
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from beforehand.api import access, bodies, mappings
from beforehand.api.problems import ApiProblem, database_unavailable, from_intake, not_found
from beforehand.detection.queries import open_starts
from beforehand.events.actions import accept_events, note_left_out
from beforehand.events.intake.alertmanager import decode_alerts, decode_webhook
from beforehand.events.intake.body import read_json
from beforehand.events.intake.cloudevents import decode_request
from beforehand.events.intake.errors import IntakeError
from beforehand.events.intake.mapping import apply_mapping
from beforehand.events.intake.values import IncomingAlert, IncomingEvent, alert_event, with_known_start
from beforehand.kit import clock

log = structlog.get_logger()

SCOPE = "events:write"
ALLOWED_A_MINUTE = int(access.REQUESTS_PER_SECOND * 60)

Arguments = ParamSpec("Arguments")
Door = Callable[Concatenate[HttpRequest, bytes, Arguments], HttpResponse]


def door(view: Door[Arguments]) -> Callable[Concatenate[HttpRequest, Arguments], HttpResponse]:
    """A view that only POST reaches, with a token that may send events; it gets the body and raises what it refuses."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
        try:
            if request.method != "POST":
                raise ApiProblem(405, "method_not_allowed", "Only POST is answered here.", headers={"Allow": "POST"})
            access.authorise(request, SCOPE)
            return view(request, bodies.read_body(request), *args, **kwargs)
        except ApiProblem as problem:
            return problem.response()
        except IntakeError as error:
            return from_intake(error).response()
        except OperationalError:  # nothing is stored; whoever sends should try again
            log.exception("intake_database")
            return database_unavailable().response()

    return cast(Callable[Concatenate[HttpRequest, Arguments], HttpResponse], guarded)


@door
def _post_events(request: HttpRequest, body: bytes) -> HttpResponse:
    content_type = request.META.get("CONTENT_TYPE", "")
    events = decode_request(body, content_type=content_type, headers=request.headers, max_bytes=bodies.MAX_BODY_BYTES)
    return _accept(events, body=body, content_type=content_type, intake="cloudevents")


@csrf_exempt
def events(request: HttpRequest) -> HttpResponse:
    """CloudEvents 1.0, structured, batched or binary; OPTIONS is the handshake of its web hook specification."""
    return _handshake(request) if request.method == "OPTIONS" else _post_events(request)


@door
def alertmanager(request: HttpRequest, body: bytes) -> HttpResponse:
    """The webhook of Alertmanager (or of Grafana), verbatim."""
    _require_json(request)
    group = decode_webhook(body, received_at=clock.now(), max_bytes=bodies.MAX_BODY_BYTES)
    answer = _accept(group.alerts, body=body, content_type="application/json", intake="alertmanager")
    if group.truncated:
        note_left_out(group.truncated)
        log.warning("alertmanager_truncated", left_out=group.truncated, group=group.group_key)
    return answer


@door
def prometheus(request: HttpRequest, body: bytes) -> HttpResponse:
    """What a Prometheus server posts to its Alertmanager: API v2, `POST /api/v2/alerts`."""
    _require_json(request)
    alerts = decode_alerts(body, received_at=clock.now(), max_bytes=bodies.MAX_BODY_BYTES)
    return _accept(alerts, body=body, content_type="application/json", intake="prometheus")


@door
def mapped(request: HttpRequest, body: bytes, source: str) -> HttpResponse:
    """Any JSON, made into events by the mapping of this name: one of ours, or one of the company's."""
    mapping = mappings.find(source)
    if mapping is None:
        known = ["alertmanager", *mappings.names()]
        raise not_found(f"mapping “{source[:100]}”; known here are {', '.join(sorted(known))}")
    _require_json(request)
    read = read_json(body, max_bytes=bodies.MAX_BODY_BYTES)
    made = apply_mapping(mapping, read, received_at=clock.now())
    return _accept(made, body=body, content_type="application/json", intake=source)


def _accept(
    items: Sequence[IncomingEvent | IncomingAlert], *, body: bytes, content_type: str, intake: str
) -> HttpResponse:
    """Store what was decoded and say how much of it was new."""
    alerts = [item for item in items if isinstance(item, IncomingAlert)]
    without_start = {(alert.source, alert.fingerprint) for alert in alerts if not alert.starts_at_given}
    starts = open_starts(without_start, now=clock.now()) if without_start else {}
    events: list[IncomingEvent] = []
    ends = []
    for item in items:
        if isinstance(item, IncomingAlert):
            alert = item
            if not item.starts_at_given:
                alert = with_known_start(item, known_start=starts.get((item.source, item.fingerprint)))
                # Of two in one body, the second repeats the first.
                starts.setdefault((item.source, item.fingerprint), alert.starts_at)
            events.append(alert_event(alert))
            ends.append(alert.expires_at)
        else:
            events.append(item)
            ends.append(None)
    accepted = accept_events(
        events, body=body, content_type=content_type[:200], intake=intake, ends_at=ends if alerts else None
    )
    answer = {"accepted": accepted.accepted, "duplicates": accepted.duplicates}
    return HttpResponse(orjson.dumps(answer), status=202, content_type="application/json")


def _require_json(request: HttpRequest) -> None:
    media_type, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    media_type = media_type.strip().lower()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if not is_json or charset not in ("", "utf-8", "utf8", "us-ascii"):
        shown = media_type[:80] or "none"
        raise ApiProblem(
            415, "unsupported_media_type", f"Send application/json in UTF-8; the Content-Type here is {shown}."
        )


def _handshake(request: HttpRequest) -> HttpResponse:
    """CloudEvents web hooks §4: whoever asks may send, with a token; the rate is in requests a minute."""
    response = HttpResponse(status=200, headers={"Allow": "POST, OPTIONS"})
    origin = request.headers.get("WebHook-Request-Origin")
    if origin:
        response.headers["WebHook-Allowed-Origin"] = origin
        asked = request.headers.get("WebHook-Request-Rate", "")
        granted = min(int(asked), ALLOWED_A_MINUTE) if asked.isascii() and asked.isdecimal() else ALLOWED_A_MINUTE
        response.headers["WebHook-Allowed-Rate"] = str(granted)
    return response
