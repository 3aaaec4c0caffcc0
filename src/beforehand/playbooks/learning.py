"""What a team wants to change in a playbook after an incident: wanted, owned, done; and who still has what to do."""

from datetime import date, datetime

from django.db import transaction
from django.db.models import F, QuerySet

from beforehand.accounts.models import User
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.playbooks.models import WantedChange


@transaction.atomic
def want_change(
    incident: Incident, *, slug: str, text: str, owner: User, due_on: date, by: User | None, now: datetime, actor: str
) -> WantedChange:
    """Write down what is to change in a playbook, who sees to it, and by which day."""
    change = WantedChange.objects.create(
        incident=incident, slug=slug, text=text, owner=owner, due_on=due_on, wanted_by=by, wanted_at=now
    )
    append_event(
        type="playbook.change_wanted",
        actor=actor,
        subject=origin_of(incident.pk),
        data={"change": change.pk, "playbook": slug, "person": owner.pk, "due_on": due_on.isoformat()},
    )
    return change


@transaction.atomic
def finish_change(change_id: int, *, by: User | None, now: datetime, actor: str) -> bool:
    """It is done; False if somebody had said so already."""
    change = WantedChange.objects.select_for_update().get(pk=change_id)
    if change.done_at is not None:
        return False
    change.done_at, change.done_by = now, by
    change.save(update_fields=["done_at", "done_by"])
    append_event(
        type="playbook.change_made",
        actor=actor,
        subject=origin_of(change.incident_id),
        data={"change": change.pk, "playbook": change.slug},
    )
    return True


def changes_from(incident_id: int) -> list[WantedChange]:
    """What this incident taught: open ones first, by their day."""
    return _listed(WantedChange.objects.filter(incident_id=incident_id))


def changes_of(slug: str) -> list[WantedChange]:
    """What is to change in this playbook, and what was changed lately."""
    return _listed(WantedChange.objects.filter(slug=slug))


def changes_due(owner: User) -> list[WantedChange]:
    """What this person still has to change, the one that is due first at the top."""
    return _listed(WantedChange.objects.filter(owner=owner, done_at=None))


def _listed(changes: QuerySet[WantedChange]) -> list[WantedChange]:
    order = (F("done_at").desc(nulls_first=True), "due_on", "pk")
    return list(changes.select_related("incident", "owner", "done_by").order_by(*order)[:50])
