"""The affected list: worked out by the thousand, alive while the incident is, with a reason per customer.

Every statement names the bucket. A list is refreshed in slices of buckets, so that no statement writes too many rows, and in
one transaction, so that nobody ever sees half of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from beforehand.customers.facts import customer_schema
from beforehand.customers.impact import Select, impact_select
from beforehand.engine.conditions import parse
from beforehand.events.actions import append_event, append_many
from beforehand.incidents.models import Affected, Incident, IncidentScope
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk, bulk_fetch, execute, fetch

SLICE_ROWS = 150_000
"""Customers of one slice, about: a second of work."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a refresh changed."""

    joined: int
    left: int


def origin_of(incident_id: int) -> str:
    """How lower floors name an incident."""
    return f"incident:{incident_id}"


_LIST_LOCK = 8


def hold_list(incident_id: int) -> None:
    """Until this transaction ends nobody joins or leaves the list: for whoever decides what those on it are told.

    Many may hold it at once. An advisory lock, because locking the rows themselves would write each of them once more.
    """
    fetch("SELECT pg_advisory_xact_lock_shared(%s, %s)", [_LIST_LOCK, incident_id % 2**31])


def _lock_list(incident_id: int) -> None:
    """Wait for those who hold the list; until this transaction ends nobody else reads or changes it."""
    fetch("SELECT pg_advisory_xact_lock(%s, %s)", [_LIST_LOCK, incident_id % 2**31])


def scope_select(*, component_id: int | None, condition: str, now: datetime) -> Select:
    """The customers whom one part of a scope reaches, with the reason; raises `ConditionError` for a faulty condition."""
    return impact_select(
        now=now,
        component_ids=[component_id] if component_id else [],
        condition=parse(condition, customer_schema()) if condition else None,
    )


def _impact(incident: Incident, *, now: datetime) -> list[tuple[IncidentScope, Select]]:
    scopes = incident.scopes.filter(removed_at=None).order_by("pk")
    return [
        (scope, scope_select(component_id=scope.component_id, condition=scope.condition, now=now)) for scope in scopes
    ]


def refresh_affected(incident_id: int, *, now: datetime, actor: str) -> Movement:
    """Work the list out anew: who is in scope and not on it joins, who is on it and no longer in scope leaves.

    Someone whom a person took off the list by name stays off. The caller sees to it that no other worker is at it.
    """
    joined = left = 0
    with transaction.atomic():
        incident = Incident.objects.get(pk=incident_id)
        if incident.state != Incident.State.OPEN:
            return Movement(0, 0)
        impacts = _impact(incident, now=now)
        _stage(impacts)
        ((expected,),) = fetch("SELECT count(*) FROM impact")
        _lock_list(incident_id)
        is_first = not _has_list(incident_id)  # then nobody can leave, and that is not looked for
        if not is_first:
            _move_to_present_scopes(incident_id)
        slices = max(1, min(BUCKETS, expected // SLICE_ROWS + 1))
        for number in range(slices):
            buckets = [bucket for bucket in range(BUCKETS) if bucket % slices == number]
            joined += _join(incident_id, buckets, now=now, actor=actor)
            if not is_first:
                left += _leave(incident_id, buckets, now=now, actor=actor)
        execute("DROP TABLE impact")
        _finish(incident_id, joined=joined, left=left, now=now, actor=actor)
    return Movement(joined, left)


def _has_list(incident_id: int) -> bool:
    """Whether anybody is, or ever was, on the list."""
    ((found,),) = bulk_fetch(
        """
        SELECT EXISTS (SELECT FROM incidents_affected WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint)
        """,
        [list(range(BUCKETS)), incident_id],
    )
    return bool(found)


def _stage(impacts: Sequence[tuple[IncidentScope, Select]]) -> None:
    """All whom any part of the scope reaches, once each, with the first reason that reached them."""
    execute("DROP TABLE IF EXISTS impact")
    execute(
        "CREATE TEMPORARY TABLE impact (bucket smallint, customer_id bigint, scope_id bigint, component_id bigint, "
        "holding_id bigint) ON COMMIT DROP"
    )
    for scope, impact in impacts:
        bulk(
            f"""
            INSERT INTO impact
            SELECT (i.customer_id %% {BUCKETS})::smallint, i.customer_id, %(scope)s::bigint, i.component_id, i.holding_id
            FROM ({impact.sql}) i
            """,
            {**impact.params, "scope": scope.pk},
        )
    execute("CREATE INDEX ON impact (bucket, customer_id)")
    execute("ANALYZE impact")


def _join(incident_id: int, buckets: Sequence[int], *, now: datetime, actor: str) -> int:
    parameters = {"incident": incident_id, "buckets": list(buckets), "now": now, "actor": actor}
    joined = bulk(
        """
        INSERT INTO incidents_affected AS a
            (bucket, incident_id, customer_id, state, scope_id, component_id, holding_id, joined_at)
        SELECT DISTINCT ON (i.bucket, i.customer_id)
               i.bucket, %(incident)s::bigint, i.customer_id, 'affected', i.scope_id, i.component_id, i.holding_id,
               %(now)s::timestamptz
        FROM impact i WHERE i.bucket = ANY(%(buckets)s::smallint[])
        ORDER BY i.bucket, i.customer_id, i.scope_id
        ON CONFLICT (bucket, incident_id, customer_id) DO UPDATE
            SET state = 'affected', scope_id = excluded.scope_id, component_id = excluded.component_id,
                holding_id = excluded.holding_id, joined_at = excluded.joined_at, left_at = NULL
            WHERE a.state <> 'affected' AND NOT a.is_by_hand
        """,
        {"incident": incident_id, "buckets": list(buckets), "now": now},
    )
    if joined:
        append_many(
            """
            SELECT 'incident.customer_affected', %(actor)s::text, 'incident:' || a.incident_id, a.customer_id,
                   jsonb_build_object('scope', a.scope_id, 'component', a.component_id, 'holding', a.holding_id),
                   a.joined_at
            FROM incidents_affected a
            WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
              AND a.state = 'affected' AND a.joined_at = %(now)s::timestamptz
            """,
            parameters,
        )
    return joined


def _move_to_present_scopes(incident_id: int) -> None:
    """Whom a part of the scope reached that was taken away, and another still reaches, is on the list because of that one."""
    if not IncidentScope.objects.filter(incident_id=incident_id, removed_at__isnull=False).exists():
        return
    bulk(
        """
        UPDATE incidents_affected a
        SET scope_id = i.scope_id, component_id = i.component_id, holding_id = i.holding_id
        FROM (SELECT DISTINCT ON (bucket, customer_id) * FROM impact ORDER BY bucket, customer_id, scope_id) i,
             incidents_incidentscope s
        WHERE a.bucket = i.bucket AND a.customer_id = i.customer_id AND a.bucket = ANY(%s::smallint[])
          AND a.incident_id = %s::bigint AND a.state = 'affected' AND s.id = a.scope_id AND s.removed_at IS NOT NULL
        """,
        [list(range(BUCKETS)), incident_id],
    )


def _leave(incident_id: int, buckets: Sequence[int], *, now: datetime, actor: str) -> int:
    """Who is no longer in scope leaves: as `mistaken` if the part of the scope that reached them was a mistake."""
    left = bulk(
        """
        UPDATE incidents_affected a
        SET state = CASE WHEN s.removed_reason = 'mistaken' THEN 'mistaken' ELSE 'cured' END,
            left_at = %(now)s::timestamptz
        FROM incidents_incidentscope s
        WHERE s.id = a.scope_id AND a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
          AND a.state = 'affected' AND NOT a.is_by_hand
          AND NOT EXISTS (SELECT FROM impact i WHERE i.bucket = a.bucket AND i.customer_id = a.customer_id)
        """,
        {"incident": incident_id, "buckets": list(buckets), "now": now},
    )
    if left:
        _log_leaving(incident_id, buckets, now=now, actor=actor)
    return left


def _log_leaving(
    incident_id: int, buckets: Sequence[int], *, now: datetime, actor: str, customer_ids: Sequence[int] | None = None
) -> None:
    append_many(
        """
        SELECT 'incident.customer_left', %(actor)s::text, 'incident:' || a.incident_id, a.customer_id,
               jsonb_build_object('as', a.state), a.left_at
        FROM incidents_affected a
        WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
          AND a.state <> 'affected' AND a.left_at = %(now)s::timestamptz
          AND (%(customers)s::bigint[] IS NULL OR a.customer_id = ANY(%(customers)s::bigint[]))
        """,
        {
            "incident": incident_id,
            "buckets": list(buckets),
            "now": now,
            "actor": actor,
            "customers": None if customer_ids is None else list(customer_ids),
        },
    )


def _finish(incident_id: int, *, joined: int, left: int, now: datetime, actor: str) -> None:
    count = count_affected(incident_id)
    # Always later than before, also when two changes have one time: whoever attends to the list compares these.
    execute(
        """
        UPDATE incidents_incident
        SET affected_count = %s, affected_at = greatest(%s, affected_at + interval '1 microsecond') WHERE id = %s
        """,
        [count, now, incident_id],
    )
    append_event(
        type="incident.affected_listed",
        actor=actor,
        subject=origin_of(incident_id),
        data={"affected": count, "joined": joined, "left": left},
        occurred_at=now,
    )


def count_affected(incident_id: int) -> int:
    """How many customers the incident touches now."""
    ((count,),) = bulk_fetch(
        """
        SELECT count(*) FROM incidents_affected
        WHERE bucket = ANY(%s::smallint[]) AND incident_id = %s::bigint AND state = 'affected'
        """,
        [list(range(BUCKETS)), incident_id],
    )
    return int(count)


@transaction.atomic
def take_off_list(
    incident_id: int, *, customer_ids: Sequence[int], state: Affected.State, now: datetime, actor: str
) -> int:
    """A person or a system says of these customers that they are cured, or were never touched; how many left."""
    _lock_list(incident_id)
    left = bulk(
        """
        UPDATE incidents_affected SET state = %(state)s::text, left_at = %(now)s::timestamptz, is_by_hand = true
        WHERE bucket = ANY(%(buckets)s::smallint[]) AND incident_id = %(incident)s::bigint
          AND customer_id = ANY(%(customers)s::bigint[]) AND state = 'affected'
        """,
        {
            "state": state.value,
            "now": now,
            "incident": incident_id,
            "customers": list(customer_ids),
            "buckets": sorted({customer_id % BUCKETS for customer_id in customer_ids}),
        },
    )
    if left:
        _log_leaving(incident_id, range(BUCKETS), now=now, actor=actor, customer_ids=customer_ids)
        _finish(incident_id, joined=0, left=left, now=now, actor=actor)
    return left


@transaction.atomic
def put_on_list(incident_id: int, *, customer_ids: Sequence[int], scope_id: int, now: datetime, actor: str) -> int:
    """A person or a system says that these customers are touched too; how many joined."""
    _lock_list(incident_id)
    joined = bulk(
        """
        INSERT INTO incidents_affected AS a
            (bucket, incident_id, customer_id, state, scope_id, joined_at, is_by_hand)
        SELECT (c %% 64)::smallint, %(incident)s::bigint, c, 'affected', %(scope)s::bigint, %(now)s::timestamptz, true
        FROM unnest(%(customers)s::bigint[]) c
        ON CONFLICT (bucket, incident_id, customer_id) DO UPDATE
            SET state = 'affected', joined_at = excluded.joined_at, left_at = NULL, is_by_hand = true
            WHERE a.state <> 'affected'
        """,
        {"incident": incident_id, "customers": list(customer_ids), "scope": scope_id, "now": now},
    )
    if joined:
        append_many(
            """
            SELECT 'incident.customer_affected', %(actor)s::text, 'incident:' || a.incident_id, a.customer_id,
                   '{"by_hand": true}'::jsonb, a.joined_at
            FROM incidents_affected a
            WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint
              AND a.state = 'affected' AND a.joined_at = %(now)s::timestamptz AND a.is_by_hand
              AND a.customer_id = ANY(%(customers)s::bigint[])
            """,
            {
                "incident": incident_id,
                "buckets": list(range(BUCKETS)),
                "now": now,
                "actor": actor,
                "customers": list(customer_ids),
            },
        )
        _finish(incident_id, joined=joined, left=0, now=now, actor=actor)
    return joined
