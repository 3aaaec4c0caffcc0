"""Addresses of the API. The doors for events stand before the routers, since they are plain views."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import structlog
from django.db import DataError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import HttpError, ValidationError

from beforehand.api import (
    affected,
    alert_rules,
    components,
    consents,
    conversations,
    could_not_tell,
    customer_data,
    customers,
    heartbeats,
    holdings,
    incidents,
    intake,
    messages,
    mutes,
    planned,
    playbooks,
    promises,
    readiness,
    roster,
    run_tasks,
    runs,
    say_this,
    segments,
    settings,
    sms_hooks,
    teams,
    tokens,
    updates,
)
from beforehand.api.openapi import DocumentedAPI
from beforehand.api.operations import JsonParser, JsonRenderer, refuse_unusable
from beforehand.api.problems import (
    ApiProblem,
    database_unavailable,
    from_intake,
    from_validation,
    not_found,
)
from beforehand.events.intake.errors import IntakeError

log = structlog.get_logger()

api = DocumentedAPI(
    title="Beforehand",
    version="1",
    description="Customer service that speaks first. Every operation needs a bearer token with the scope it names.",
    openapi_url="openapi.json",
    docs_url="docs",
    parser=JsonParser(),
    renderer=JsonRenderer(),
)
api.add_router("customers", customers.router)
api.add_router("customers", consents.history)
api.add_router("customers", customer_data.router)
api.add_router("holdings", holdings.router)
api.add_router("attributes", holdings.attributes)
api.add_router("components", components.router)
api.add_router("consents", consents.router)
api.add_router("conversations", conversations.router)
api.add_router("segments", segments.router)
api.add_router("alert-rules", alert_rules.router)
api.add_router("mutes", mutes.router)
api.add_router("heartbeats", heartbeats.router)
api.add_router("incidents", incidents.router)
api.add_router("incidents", updates.router)
api.add_router("incidents", affected.router)
api.add_router("incidents", could_not_tell.router)
api.add_router("messages", messages.router)
api.add_router("planned-work", planned.router)
api.add_router("promises", promises.router)
api.add_router("playbooks", playbooks.router)
api.add_router("runs", runs.router)
api.add_router("readiness", readiness.router)
api.add_router("run-tasks", run_tasks.router)
api.add_router("say-this", say_this.router)
api.add_router("settings", settings.router)
api.add_router("teams", teams.router)
api.add_router("teams", roster.router)
api.add_router("tokens", tokens.router)


@api.exception_handler(ApiProblem)
def _problem(request: HttpRequest, error: ApiProblem) -> HttpResponse:
    return error.response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    return from_validation(error.errors).response()


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: HttpError) -> HttpResponse:
    if isinstance(error.__cause__, ApiProblem):
        return error.__cause__.response()
    if isinstance(error.__cause__, IntakeError):
        return from_intake(error.__cause__).response()
    return ApiProblem(error.status_code, "refused", str(error)).response()


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return not_found("such thing").response()


@api.exception_handler(DataError)
def _unstorable(request: HttpRequest, error: DataError) -> HttpResponse:
    log.warning("api_data_error", path=request.path, error=str(error))
    return ApiProblem(422, "invalid", "A value is beyond what can be stored.").response()


@api.exception_handler(OperationalError)
def _away(request: HttpRequest, error: OperationalError) -> HttpResponse:
    log.error("api_database", path=request.path, error=str(error))
    return database_unavailable().response()


def _guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Around every route: what none can use is refused first, and a wrong method is told as any other refusal."""

    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            refuse_unusable(request)
            response = view(request, *args, **kwargs)
        except ApiProblem as problem:
            return problem.response()
        except OperationalError as error:
            return _away(request, error)
        if response.status_code == 405:
            allowed = response.headers.get("Allow", "")
            return ApiProblem(
                405, "method_not_allowed", f"Answered here: {allowed}.", headers={"Allow": allowed}
            ).response()
        return response

    return guarded


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """Whatever stands under /api/ and is no address of ours."""
    return not_found(f"address {request.path[:100]}").response()


api.refuse_unknown_parameters()
_routes, _app_name, _namespace = api.urls
for _route in _routes:
    _route.callback = _guarded(cast(Callable[..., HttpResponse], _route.callback))

urlpatterns = [
    path("hooks/sms/status", sms_hooks.sms_status, name="sms-status"),
    path("hooks/sms/message", sms_hooks.sms_message, name="sms-message"),
    path("api/v1/events", intake.events, name="api-events"),
    path("api/v1/intake/alertmanager", intake.alertmanager, name="api-alertmanager"),
    # Prometheus adds /api/v2/alerts to its `path_prefix`; without one it asks at the root, as of any Alertmanager.
    path("api/v1/intake/prometheus/api/v2/alerts", intake.prometheus, name="api-prometheus"),
    path("api/v2/alerts", intake.prometheus, name="api-prometheus-root"),
    path("api/v1/intake/<path:source>", intake.mapped, name="api-intake"),
    path("api/v1/", (_routes, _app_name, _namespace)),
    re_path("^api/", nothing_here),
]
