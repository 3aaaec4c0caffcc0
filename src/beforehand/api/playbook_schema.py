"""The playbook language as JSON Schema, for editors: open to everyone, since it says nothing about the company."""

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from beforehand.engine.playbooks.schema import playbook_json_schema


@require_safe
@cache_control(public=True, max_age=3600)
def playbook_schema(request: HttpRequest) -> JsonResponse:
    """`/schemas/playbook.json`."""
    return JsonResponse(
        playbook_json_schema(),
        content_type="application/schema+json",
        headers={"Access-Control-Allow-Origin": "*"},
        json_dumps_params={"ensure_ascii": False},
    )
