"""What a batch knows when it is decided: the incident in each language, the times, the update that a person wrote.

Times and durations stay marked (`{"$time": …}`, `{"$duration": …}`); outbound writes them in each reader's zone and words.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import translation

from beforehand.accounts.installation import BrandSetting
from beforehand.engine.promises import Precision
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, IncidentUpdate, PlannedWork
from beforehand.promises.models import Promise
from beforehand.promises.queries import outcomes_to_tell


def time_fact(at: datetime | None, precision: Precision = Precision.MINUTE) -> Any:
    """An instant to be written for each reader; empty text when there is none."""
    return {"$time": at.isoformat(), "precision": precision.value} if at else ""


def batch_facts(
    incident: Incident,
    *,
    languages: Iterable[str],
    brand: BrandSetting,
    decided_at: datetime,
    next_update_at: datetime | None,
    precision: Precision,
) -> dict[str, Any]:
    """Language to the facts that every text may use."""
    update = incident.updates.order_by("-pk").first()
    ended_at = incident.ended_at
    outcomes = _outcomes(incident)
    planned = _planned(incident)
    return {
        language: {
            "brand": {"name": brand.name, "phone": brand.phone},
            "incident": {
                **_texts(incident, language),
                "began_at": time_fact(incident.began_at),
                "lasted": {"$duration": ((ended_at or decided_at) - incident.began_at).total_seconds()},
            },
            "next_update_at": time_fact(next_update_at, precision),
            "restored_at": time_fact(ended_at),
            "planned": planned,
            "now": time_fact(decided_at),
            "update": _update(update, language),
            **({"outcomes": outcomes} if outcomes else {}),
        }
        for language in languages
    }


def _planned(incident: Incident) -> dict[str, Any]:
    """The window of planned work, the one before it was last moved, and whether it has begun."""
    work = PlannedWork.objects.filter(incident_id=incident.pk).first()
    return {
        "starts_at": time_fact(work.starts_at if work else None),
        "ends_at": time_fact(work.ends_at if work else None),
        "before": time_fact(work.before_starts_at if work else None),
        "has_started": bool(work and work.started_at),
        "is_late": bool(work and work.late_at),
        "how": incident.end_reason if work else "",
    }


def _outcomes(incident: Incident) -> dict[str, Any]:
    """What was promised to be done, by its kind: by when; before a move, what had been said; and whether it was not done."""
    if incident.state != Incident.State.OPEN:
        return {}
    told: dict[str, Any] = {}
    for promise in outcomes_to_tell(origin_of(incident.pk)):
        is_broken = promise.state == Promise.State.BROKEN
        if is_broken and promise.told_at is None:
            continue  # nobody heard of it
        before = promise.moved_from if promise.told_at is None else None
        told[promise.outcome] = {
            "by": time_fact(promise.due_at),
            "before": time_fact(before.due_at if before and before.told_at else None),
            "is_broken": is_broken,
        }
    return told


def _texts(incident: Incident, language: str) -> dict[str, str]:
    own: Mapping[str, str] = incident.texts.get(language) or incident.texts.get(language.partition("-")[0]) or {}
    with translation.override(language):
        kind = str(Incident.Kind(incident.kind).label)
    return {
        "title": own.get("title") or kind,
        "cause": own.get("cause", ""),
        "area": own.get("area", ""),
        "advice": own.get("advice", ""),
    }


def _update(update: IncidentUpdate | None, language: str) -> dict[str, Any]:
    if update is None:
        return {"text": "", "untranslated": False}
    own = update.texts.get(language) or update.texts.get(language.partition("-")[0])
    if own:
        return {"text": own, "untranslated": False}
    return {"text": next(iter(update.texts.values()), ""), "untranslated": True}
