"""Teams: groups of people who own something."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.accounts.actions import save_team
from beforehand.accounts.models import Team
from beforehand.api.operations import REFUSALS, SLUG, Given, May, actor_of
from beforehand.api.problems import invalid

router = Router(tags=["teams"])


class TeamIn(Given):
    name: str = Field(min_length=1, max_length=300)


class TeamOut(BaseModel):
    slug: str
    name: str


def find_team(slug: str, *, pointer: str) -> Team:
    """The team with this slug; raises `ApiProblem` 422 at the pointer."""
    team = Team.objects.filter(slug=slug).first()
    if team is None:
        raise invalid(f"There is no team “{slug[:50]}”.", code="unknown_team", pointer=pointer)
    return team


def _shown(team: Team) -> dict[str, Any]:
    return {"slug": team.slug, "name": team.name}


@router.get("", auth=May("settings:write"), response={200: list[TeamOut], **REFUSALS})
def list_teams(request: HttpRequest) -> Any:
    """All teams."""
    return [_shown(team) for team in Team.objects.order_by("slug")]


@router.put("/{slug}", auth=May("settings:write"), response={200: TeamOut, **REFUSALS})
def put_team(request: HttpRequest, slug: Annotated[str, Field(pattern=SLUG)], team: TeamIn) -> Any:
    """Make the team, or give it another name."""
    return _shown(save_team(slug=slug, name=team.name, actor=actor_of(request)))
