"""What customers answered on their page: how many, who waits for a person, and where several say the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import JSONField, QuerySet
from django.db.models.expressions import RawSQL

from beforehand.engine.answers import PATTERN_FROM
from beforehand.incidents.models import Answer, Incident
from beforehand.kit.ids import BUCKETS, bucket_of
from beforehand.kit.rows import bulk_fetch


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """Of one incident: what was said while it lasted, what after it was over, and how we did."""

    works_before: int = 0
    broken_before: int = 0
    works: int = 0
    broken: int = 0
    waiting: int = 0
    """Who said that it is still broken, and has not been helped yet."""
    scored: int = 0
    score_sum: int = 0

    @property
    def any(self) -> bool:
        return bool(self.works_before or self.broken_before or self.works or self.broken)

    @property
    def score(self) -> float | None:
        """The mean, 1 to 5."""
        return self.score_sum / self.scored if self.scored else None


COUNTS = """
SELECT jsonb_build_array(
    count(*) FILTER (WHERE NOT n.was_over AND n.says = 'works'), count(*) FILTER (WHERE NOT n.was_over AND n.says = 'broken'),
    count(*) FILTER (WHERE n.was_over AND n.says = 'works'), count(*) FILTER (WHERE n.was_over AND n.says = 'broken'),
    count(*) FILTER (WHERE n.asked_at IS NOT NULL AND n.settled_at IS NULL), count(n.score), coalesce(sum(n.score), 0))
FROM incidents_answer n WHERE n.bucket = ANY(%s::smallint[]) AND n.incident_id = {incident}
"""


def answer_counts(incident_id: int) -> AnswerCounts:
    """What its customers answered. One statement."""
    ((counts,),) = bulk_fetch(COUNTS.format(incident="%s::bigint"), [list(range(BUCKETS)), incident_id])
    return AnswerCounts(*counts)


def with_answers(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """The incidents with what their customers answered, in the same query: see `answers_with`."""
    counts = COUNTS.format(incident="incidents_incident.id")
    return incidents.annotate(answered=RawSQL(f"({counts})", [list(range(BUCKETS))], output_field=JSONField()))  # noqa: S611


def answers_with(incident: Incident) -> AnswerCounts:
    """The counts that came with an incident."""
    counts: list[int] = incident.answered  # type: ignore[attr-defined]
    return AnswerCounts(*counts)


def answers_of(customer_id: int) -> Mapping[int, Answer]:
    """A customer's answers, by incident."""
    own = Answer.objects.filter(bucket=bucket_of(customer_id), customer_id=customer_id)
    return {answer.incident_id: answer for answer in own}


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A customer who says that it is still broken after the end: who, where, what they own, and by when they hear from us."""

    incident_id: int
    incident: Any
    title: str
    customer_id: int
    customer: Any
    name: str
    language: str
    priority: str
    product: str
    place: str
    component: str
    asked_at: datetime
    due_at: datetime | None
    promise: Any
    team: str
    person: str
    is_taken: bool
    on_same_part: int
    """How many of this incident's open questions hang on the same component."""


OPEN = """
SELECT n.incident_id, i.public_id, i.title, n.customer_id, c.public_id, c.name, c.language, c.priority,
       coalesce(h.product, ''), coalesce(h.place, ''), coalesce(part.name, ''), n.asked_at, p.due_at, p.public_id,
       coalesce(t.name, ''), coalesce(u.name, ''), p.acknowledged_at IS NOT NULL,
       count(*) OVER (PARTITION BY n.incident_id, a.component_id)
FROM incidents_answer n
JOIN incidents_incident i ON i.id = n.incident_id
JOIN customers_customer c ON c.id = n.customer_id
LEFT JOIN incidents_affected a ON a.bucket = n.bucket AND a.incident_id = n.incident_id AND a.customer_id = n.customer_id
LEFT JOIN customers_holding h ON h.id = a.holding_id
LEFT JOIN customers_component part ON part.id = a.component_id
LEFT JOIN promises_promise p ON p.id = n.promise_id
LEFT JOIN accounts_team t ON t.id = p.owner_id
LEFT JOIN accounts_user u ON u.id = p.assignee_id
WHERE n.bucket = ANY(%(buckets)s::smallint[]) AND n.asked_at IS NOT NULL AND n.settled_at IS NULL
  AND (%(incident)s::bigint IS NULL OR n.incident_id = %(incident)s::bigint)
  AND (%(customer)s::bigint IS NULL OR n.customer_id = %(customer)s::bigint)
ORDER BY c.priority = 'care_alarm' DESC, p.due_at NULLS FIRST, n.asked_at, n.customer_id
LIMIT %(limit)s::int
"""


def open_questions(*, limit: int, incident_id: int | None = None, customer_id: int | None = None) -> list[OpenQuestion]:
    """Who waits for a person: care alarms first, then who was promised the earliest time."""
    buckets = list(range(BUCKETS)) if customer_id is None else [bucket_of(customer_id)]
    values = {"buckets": buckets, "incident": incident_id, "customer": customer_id, "limit": limit}
    return [OpenQuestion(*row) for row in bulk_fetch(OPEN, values)]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Several customers on one network part who say that it is still broken: perhaps it is not over there."""

    incident: Any
    title: str
    component: str
    customers: int


def patterns(questions: Iterable[OpenQuestion]) -> list[Pattern]:
    """Where several of those who wait hang on the same part, most first."""
    found = {
        (one.incident_id, one.component): Pattern(one.incident, one.title, one.component, one.on_same_part)
        for one in questions
        if one.component and one.on_same_part >= PATTERN_FROM
    }
    return sorted(found.values(), key=lambda one: -one.customers)


@dataclass(frozen=True, slots=True)
class Comment:
    """What one customer wrote about how we did."""

    customer: Any
    name: str
    language: str
    score: int | None
    comment: str
    scored_at: datetime


COMMENTS = """
SELECT c.public_id, c.name, c.language, n.score, n.comment, n.scored_at
FROM incidents_answer n JOIN customers_customer c ON c.id = n.customer_id
WHERE n.bucket = ANY(%(buckets)s::smallint[]) AND n.incident_id = %(incident)s::bigint AND n.comment <> ''
ORDER BY n.scored_at DESC, n.customer_id LIMIT %(limit)s::int
"""


def comments(incident_id: int, *, limit: int) -> list[Comment]:
    """What its customers wrote, newest first."""
    values = {"buckets": list(range(BUCKETS)), "incident": incident_id, "limit": limit}
    return [Comment(*row) for row in bulk_fetch(COMMENTS, values)]
