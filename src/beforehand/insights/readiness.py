"""Readiness: worked out once an hour, or when asked, in sets; and read from what was worked out.

Customers who are alike in all that matters share a profile, so that one pass over the customers and one count per
component say everything, for every playbook that there is or will be.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from beforehand.customers.impact import EACH_WITH_THOSE_BELOW
from beforehand.customers.imports import measure_tables
from beforehand.customers.models import Component
from beforehand.customers.queries import CONSENTS_IN_FORCE
from beforehand.engine.message_classes import RULES, ConsentNeed
from beforehand.engine.readiness import Lack, Need, Profile, lacks
from beforehand.events.actions import append_event
from beforehand.insights.models import Readiness, ReadinessProfile, ReadinessRound
from beforehand.kit import clock
from beforehand.kit.rows import bulk_fetch, execute, fetch
from beforehand.outbound.media import addresses_for
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.models import PlaybookVersion

EVERY = timedelta(hours=1)
GIVEN_UP = timedelta(hours=2)
"""A round that was started so long ago and did not end died with its worker."""
SLICE = 5_000
"""Customer ids of one transaction: the log's readers wait for the oldest one, so none may take long."""
AT_ONCE = 50
"""Components counted by one statement: each reads every customer's profile once, which takes as long for one of them."""
REST = 3.0
"""Times as long as a slice took, the work rests: whoever is being told of something now goes first."""
LONGEST_REST = 2.0
"""Seconds: a slice that was slow because the machine was busy does not put off the rest for minutes."""

GoOn = Callable[[float], bool]
"""Rests for so many seconds; False when the work is to be left."""

ASKING_CLASSES = sorted(one.value for one, rule in RULES.items() if rule.consent is not ConsentNeed.NONE)

PROFILES = f"""
CREATE TEMPORARY TABLE seen ON COMMIT DROP AS
SELECT c.id AS customer_id, c.language, coalesce(p.channels, '') AS channels, coalesce(h.is_linked, false) AS is_linked,
       coalesce(a.answers, '') AS answers
FROM customers_customer c
LEFT JOIN (SELECT customer_id, string_agg(DISTINCT channel, ',' ORDER BY channel) AS channels
           FROM customers_contactpoint
           WHERE status = 'working' AND customer_id >= %(first)s AND customer_id < %(last)s
           GROUP BY customer_id) p ON p.customer_id = c.id
LEFT JOIN (SELECT h.customer_id,
                  bool_and(EXISTS (SELECT FROM customers_holdingcomponent hc WHERE hc.holding_id = h.id)) AS is_linked
           FROM customers_holding h
           WHERE (h.until IS NULL OR h.until > %(today)s) AND h.customer_id >= %(first)s AND h.customer_id < %(last)s
           GROUP BY h.customer_id) h ON h.customer_id = c.id
LEFT JOIN (SELECT customer_id, string_agg(message_class || ':' || channel || ':' || given, ','
                                          ORDER BY message_class, channel) AS answers
           FROM ({CONSENTS_IN_FORCE.format(which="customer_id >= %(first)s AND customer_id < %(last)s")}) answer
           WHERE message_class = ANY(%(asking)s)
           GROUP BY customer_id) a ON a.customer_id = c.id
WHERE c.erased_at IS NULL AND c.id >= %(first)s AND c.id < %(last)s
"""
NEW_PROFILES = """
INSERT INTO insights_readinessprofile (language, channels, is_linked, answers)
SELECT DISTINCT language, channels, is_linked, answers FROM seen ON CONFLICT DO NOTHING
"""
NOTE = """
INSERT INTO insights_customerreadiness AS r (customer_id, profile_id)
SELECT s.customer_id, p.id FROM seen s JOIN insights_readinessprofile p USING (language, channels, is_linked, answers)
WHERE NOT EXISTS (SELECT FROM insights_customerreadiness same
                  WHERE same.customer_id = s.customer_id AND same.profile_id = p.id)
ON CONFLICT (customer_id) DO UPDATE SET profile_id = excluded.profile_id WHERE r.profile_id <> excluded.profile_id
"""
FORGET = """
DELETE FROM insights_customerreadiness r WHERE customer_id >= %(first)s AND customer_id < %(last)s
  AND NOT EXISTS (SELECT FROM seen s WHERE s.customer_id = r.customer_id)
"""
ON_EACH = f"""
WITH RECURSIVE {EACH_WITH_THOSE_BELOW}, on_it AS (
    SELECT DISTINCT closure.root, hc.customer_id
    FROM closure JOIN customers_holdingcomponent hc ON hc.component_id = closure.component_id
    WHERE hc.until IS NULL OR hc.until > %(today)s::date
)
SELECT on_it.root, r.profile_id, count(*) FROM on_it JOIN insights_customerreadiness r USING (customer_id)
GROUP BY on_it.root, r.profile_id
"""
OF_ALL = "SELECT profile_id, count(*) FROM insights_customerreadiness GROUP BY profile_id"

Counts = Mapping[int, int]
"""Profile to how many customers."""


def needs() -> dict[str, Need]:
    """What each playbook that is in force needs, by its name."""
    return {
        version.slug: _need(version) for version in PlaybookVersion.objects.filter(is_current=True).order_by("slug")
    }


def _need(version: PlaybookVersion) -> Need:
    playbook = playbook_of(version.pk)
    languages = [set(texts) for texts in version.texts.values()]
    return Need(
        channels=addresses_for(channel.value for channel in playbook.channels),
        message_class=playbook.message_class,
        languages=frozenset(set.intersection(*languages) if languages else ()),
    )


def profiles() -> dict[int, Profile]:
    """Every profile, by id; a few hundred."""
    return {
        row.pk: Profile(
            language=row.language,
            channels=frozenset(filter(None, row.channels.split(","))),
            is_linked=row.is_linked,
            answers=frozenset(_answers(row.answers)),
        )
        for row in ReadinessProfile.objects.all()
    }


def _answers(text: str) -> Iterable[tuple[str, str, bool]]:
    for part in filter(None, text.split(",")):
        message_class, channel, given = part.split(":")
        yield message_class, channel, given == "true"


# --- working it out ----------------------------------------------------------------------------------------------------


@transaction.atomic
def ask_readiness(*, actor: str) -> ReadinessRound:
    """Ask for everything to be worked out now; who asks while a round waits or runs gets that one."""
    waiting = ReadinessRound.objects.filter(_under_way(clock.now())).order_by("-pk").first()
    if waiting is not None:
        return waiting
    asked = ReadinessRound.objects.create(asked_by=actor, asked_at=clock.now())
    append_event(type="readiness.asked", actor=actor, subject=f"readiness:{asked.pk}")
    return asked


def _under_way(now: datetime) -> Q:
    return Q(ended_at=None) & (Q(started_at=None) | Q(started_at__gt=now - GIVEN_UP))


def tend_readiness(*, now: datetime, go_on: GoOn = lambda _seconds: True) -> int:
    """Do a round that was asked for, or the hour's; how many were done. One worker does it, the others pass.

    A round that is left in its middle waits for the next worker.
    """
    claimed = _claim(now)
    if claimed is None:
        return 0
    if work_out(claimed, now=now, go_on=go_on):
        return 1
    ReadinessRound.objects.filter(pk=claimed.pk).update(started_at=None)
    return 0


@transaction.atomic
def _claim(now: datetime) -> ReadinessRound | None:
    if not fetch("SELECT pg_try_advisory_xact_lock(%s)", [91])[0][0]:
        return None
    last = ReadinessRound.objects.order_by("-pk").first()
    if last is None or (last.ended_at is not None and last.ended_at <= now - EVERY):
        last = ReadinessRound.objects.create(asked_by="readiness", asked_at=now)
    elif last.ended_at is not None or (last.started_at is not None and last.started_at > now - GIVEN_UP):
        return None
    last.started_at = now
    last.save(update_fields=["started_at"])
    return last


def work_out(claimed: ReadinessRound, *, now: datetime, go_on: GoOn) -> bool:
    """One pass over the customers, slice by slice, then the components, some dozens at once; each slice a transaction of its own.

    False if it was left before its end.
    """
    measure_tables()  # loaded over the API just now, they pass for empty, and a slice takes minutes
    first, last = fetch("SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM customers_customer")[0]
    for start in range(first, last + 1, SLICE):
        began = time.monotonic()
        _note_slice(start, start + SLICE, now=now)
        if not go_on(_rest_after(began)):
            return False
    known, needed = profiles(), needs()
    lacking = {name: {pk: lacks(profile, need) for pk, profile in known.items()} for name, need in needed.items()}
    everyone: Counts = dict(bulk_fetch(OF_ALL))
    rows = _rows(None, everyone, lacking, now=now)
    component_ids = list(Component.objects.order_by("pk").values_list("pk", flat=True))
    for at in range(0, len(component_ids), AT_ONCE):
        began = time.monotonic()
        for component_id, counts in count_on(component_ids[at : at + AT_ONCE], now=now).items():
            rows += _rows(component_id, counts, lacking, now=now)
        if not go_on(_rest_after(began)):
            return False
    _replace(rows, claimed, customers=sum(everyone.values()), components=len(component_ids))
    return True


def _rest_after(began: float) -> float:
    return min(REST * (time.monotonic() - began), LONGEST_REST)


@transaction.atomic
def _note_slice(first: int, last: int, *, now: datetime) -> None:
    values: dict[str, Any] = {"first": first, "last": last, "today": now.date(), "asking": ASKING_CLASSES}
    execute(PROFILES, values)
    execute(NEW_PROFILES)
    execute(NOTE)
    execute(FORGET, {"first": first, "last": last})
    execute("DROP TABLE seen")


def count_on(component_ids: Sequence[int], *, now: datetime) -> Mapping[int, Counts]:
    """How many customers of each profile are on each component, or on what depends on it. One statement."""
    found: dict[int, dict[int, int]] = {}
    for component_id, profile, count in bulk_fetch(ON_EACH, {"component_ids": component_ids, "today": now.date()}):
        found.setdefault(component_id, {})[profile] = count
    return found


def _rows(
    component_id: int | None,
    counts: Counts,
    lacking: Mapping[str, Mapping[int, frozenset[Lack]]],
    *,
    now: datetime,
) -> list[Readiness]:
    total = sum(counts.values())
    if not total:
        return []

    def having(missing: Mapping[int, frozenset[Lack]], lack: Lack) -> int:
        return sum(count for profile, count in counts.items() if lack not in missing.get(profile, ()))

    return [
        Readiness(
            component_id=component_id,
            playbook=name,
            customers=total,
            linked=having(missing, Lack.LINK),
            reachable=having(missing, Lack.ADDRESS),
            spoken=having(missing, Lack.LANGUAGE),
            allowed=having(missing, Lack.CONSENT),
            ready=sum(count for profile, count in counts.items() if not missing.get(profile)),
            worked_out_at=now,
        )
        for name, missing in lacking.items()
    ]


@transaction.atomic
def _replace(rows: Sequence[Readiness], claimed: ReadinessRound, *, customers: int, components: int) -> None:
    Readiness.objects.all().delete()
    Readiness.objects.bulk_create(rows, batch_size=2_000)
    claimed.customers, claimed.components, claimed.ended_at = customers, components, clock.now()
    claimed.save(update_fields=["customers", "components", "ended_at"])
    ReadinessRound.objects.filter(pk__lt=claimed.pk - 100).delete()
    append_event(
        type="readiness.worked_out",
        actor="readiness",
        subject=f"readiness:{claimed.pk}",
        data={"customers": customers, "components": components},
    )
