"""Which problems touched one customer: given out with why; at an erasure nobody of them stands on an open list."""

from collections.abc import Sequence

from beforehand.customers.holders import Erasing, Hindrance, HindranceReason, Holder, Rows, register_holder, rows_of
from beforehand.incidents.affected import origin_of, take_off_list
from beforehand.incidents.answers import forget_answers
from beforehand.incidents.models import Affected
from beforehand.incidents.queries import touching
from beforehand.kit.ids import bucket_of


def _export(customer_id: int) -> dict[str, Rows]:
    """The rows hold ids and times only, so they outlive the person; the titles say what they were about."""
    rows = rows_of(
        """
        FROM (SELECT a.*, i.title, i.kind, i.public_id AS incident, part.name AS component, h.product, h.place
              FROM incidents_affected a JOIN incidents_incident i ON i.id = a.incident_id
              LEFT JOIN customers_component part ON part.id = a.component_id
              LEFT JOIN customers_holding h ON h.id = a.holding_id
              WHERE a.bucket = %(bucket)s::smallint AND a.customer_id = %(customer)s::bigint
              ORDER BY a.joined_at, a.incident_id) t
        """,
        customer_id,
        bucket=bucket_of(customer_id),
    )
    answers = rows_of(
        """
        FROM (SELECT n.*, i.title FROM incidents_answer n JOIN incidents_incident i ON i.id = n.incident_id
              WHERE n.bucket = %(bucket)s::smallint AND n.customer_id = %(customer)s::bigint
              ORDER BY n.said_at, n.incident_id) t
        """,
        customer_id,
        bucket=bucket_of(customer_id),
    )
    return {"incidents": rows, "answers": answers}


def _erase(erasing: Erasing) -> dict[str, int]:
    left = sum(
        take_off_list(
            incident.pk,
            customer_ids=[erasing.customer_id],
            state=Affected.State.CURED,
            now=erasing.at,
            actor=erasing.actor,
        )
        for incident, _line in touching(erasing.customer_id)
    )
    forgotten = forget_answers(erasing.customer_id, at=erasing.at, actor=erasing.actor)
    return {"incidents_affected": left, "incidents_answer": forgotten}


def _hindrances(customer_id: int) -> Sequence[Hindrance]:
    return [
        Hindrance(HindranceReason.OPEN_INCIDENT, origin_of(incident.pk), incident.title)
        for incident, _line in touching(customer_id)
    ]


def register() -> None:
    """Say what this package holds."""
    register_holder(
        Holder(
            name="incidents",
            tables=frozenset({"incidents_affected", "incidents_answer"}),
            export=_export,
            erase=_erase,
            hindrances=_hindrances,
        )
    )
