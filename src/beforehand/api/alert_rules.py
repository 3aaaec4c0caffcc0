"""Alert rules: which alerts mean that customers are touched."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.accounts.models import Team
from beforehand.api.incident_texts import IncidentTexts, Language, plain_texts
from beforehand.api.operations import (
    REFUSALS,
    SLUG,
    USUAL_LIMIT,
    Given,
    Limit,
    May,
    Page,
    actor_of,
    paged,
    read_cursor,
)
from beforehand.api.problems import from_condition, not_found
from beforehand.api.teams import find_team
from beforehand.detection.actions import save_rule
from beforehand.detection.models import (
    FLAP_CHANGES,
    FLAP_HOLD_DOWN_SECONDS,
    FLAP_WINDOW_SECONDS,
    HOLD_DOWN_SECONDS,
    RESOLVE_AFTER_SECONDS,
    AlertRule,
)
from beforehand.engine.alerts import KEPT_CHANGES
from beforehand.engine.conditions import ConditionError
from beforehand.incidents.models import Incident

DAY = 24 * 3600
router = Router(tags=["alert rules"])
Slug = Annotated[str, Field(pattern=SLUG)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class RuleIn(Given):
    name: str = Field(min_length=1, max_length=300)
    condition: str = Field(max_length=4000, description='CEL over the alert, such as labels.severity == "critical".')
    group_by: list[Label] = Field([], max_length=20, description="Alerts with equal values here are one problem.")
    component_labels: list[Label] = Field([], max_length=20, description="Their values name the components.")
    kind: Incident.Kind = Incident.Kind.OUTAGE
    severity: Incident.Severity = Incident.Severity.MAJOR
    texts: dict[Language, IncidentTexts] = {}
    resolve_after_seconds: int = Field(RESOLVE_AFTER_SECONDS, ge=1, le=30 * DAY)
    hold_down_seconds: int = Field(
        HOLD_DOWN_SECONDS, ge=0, le=DAY, description="Quiet for so long before the problem counts as over."
    )
    flap_changes: int = Field(
        FLAP_CHANGES,
        ge=0,
        le=KEPT_CHANGES,
        description="So many changes within the window: it comes and goes; 0: never.",
    )
    flap_window_seconds: int = Field(FLAP_WINDOW_SECONDS, ge=1, le=7 * DAY)
    flap_hold_down_seconds: int = Field(
        FLAP_HOLD_DOWN_SECONDS, ge=0, le=DAY, description="The hold-down of a problem that comes and goes."
    )
    owner: str | None = Field(None, description="The slug of a team.")
    is_enabled: bool = True


class RuleOut(BaseModel):
    id: str
    slug: str
    name: str
    condition: str
    group_by: list[str]
    component_labels: list[str]
    kind: str
    severity: str
    texts: dict[str, dict[str, str]]
    resolve_after_seconds: int
    hold_down_seconds: int
    flap_changes: int
    flap_window_seconds: int
    flap_hold_down_seconds: int
    owner: str | None
    is_enabled: bool


def save(slug: str, rule: RuleIn, *, owner: Team | None, actor: str) -> AlertRule:
    """Make or change the rule as its fields state it; raises `ConditionError`."""
    return save_rule(
        slug=slug,
        name=rule.name,
        condition=rule.condition,
        group_by=rule.group_by,
        component_labels=rule.component_labels,
        kind=rule.kind.value,
        severity=rule.severity.value,
        texts=plain_texts(rule.texts),
        resolve_after_seconds=rule.resolve_after_seconds,
        hold_down_seconds=rule.hold_down_seconds,
        flap_changes=rule.flap_changes,
        flap_window_seconds=rule.flap_window_seconds,
        flap_hold_down_seconds=rule.flap_hold_down_seconds,
        owner=owner,
        is_enabled=rule.is_enabled,
        actor=actor,
    )


def shown_rule(rule: AlertRule) -> dict[str, Any]:
    """A rule as it is answered."""
    return {name: getattr(rule, name) for name in RuleOut.model_fields if name not in ("id", "owner")} | {
        "id": str(rule.public_id),
        "owner": rule.owner.slug if rule.owner else None,
    }


@router.get("", auth=May("incidents:read"), response={200: Page[RuleOut], **REFUSALS})
def list_rules(request: HttpRequest, limit: Limit = USUAL_LIMIT, cursor: str = "") -> Any:
    """Rules in the order in which they are asked."""
    place = read_cursor("alert-rules", cursor, int)
    found = AlertRule.objects.select_related("owner").order_by("pk").filter(pk__gt=place[0] if place else 0)
    return paged("alert-rules", list(found[: limit + 1]), limit=limit, shown=shown_rule, place=lambda rule: (rule.pk,))


@router.get("/{slug}", auth=May("incidents:read"), response={200: RuleOut, **REFUSALS})
def read_rule(request: HttpRequest, slug: Slug) -> Any:
    """One rule."""
    rule = AlertRule.objects.select_related("owner").filter(slug=slug).first()
    if rule is None:
        raise not_found("such rule")
    return shown_rule(rule)


@router.put("/{slug}", auth=May("settings:write"), response={200: RuleOut, **REFUSALS})
def put_rule(request: HttpRequest, slug: Slug, rule: RuleIn) -> Any:
    """Make the rule, or change it; alerts that come from now on are judged by it."""
    owner = find_team(rule.owner, pointer="/owner") if rule.owner else None
    try:
        return shown_rule(save(slug, rule, owner=owner, actor=actor_of(request)))
    except ConditionError as error:
        raise from_condition(error, pointer="/condition") from None
