"""An incident's affected list as a file: whom, why, how each can be reached, how sure we are of it, and our last word."""

import csv
from collections.abc import Iterator
from uuid import UUID

from django.http import StreamingHttpResponse

from beforehand.console.access import PageRequest, allowed
from beforehand.console.could_not_tell import CSV_PAGE, Echo, harmless
from beforehand.console.incidents import find_incident
from beforehand.console.reasons import not_sent, outcome, why_affected
from beforehand.customers.models import ContactPoint, Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.queries import AffectedLine, affected_page
from beforehand.outbound.queries import last_messages

HEAD = ["customer", "name", "language", "priority", "state", "joined_at", "left_at", "why", "last_word"]
OF_A_POINT = ("address", "rank", "status", "verified_at")
"""Of each channel the address that is tried first: its place among the others, whether it works, since when it is verified."""


@allowed()
def affected_csv(request: PageRequest, public_id: UUID) -> StreamingHttpResponse:
    """The whole list."""
    incident = find_incident(public_id)
    response = StreamingHttpResponse(_csv(incident.pk), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="affected-{incident.public_id}.csv"'
    return response


def _csv(incident_id: int) -> Iterator[str]:
    writer = csv.writer(Echo())
    yield "\ufeff"  # so that a spreadsheet reads it as UTF-8
    channels = list(ContactPoint.Channel.values)
    yield writer.writerow([*HEAD, *(f"{channel}_{name}" for channel in channels for name in OF_A_POINT)])
    after = None
    while found := affected_page(incident_id, after=after, limit=CSV_PAGE):
        after = (found[-1].bucket, found[-1].customer_id)
        yield "".join(writer.writerow([harmless(cell) for cell in row]) for row in _rows(incident_id, found, channels))


def _rows(incident_id: int, lines: list[AffectedLine], channels: list[str]) -> Iterator[list[str]]:
    """One page's rows: three queries, however many customers."""
    ids = [line.customer_id for line in lines]
    numbers = dict(Customer.objects.filter(pk__in=ids).values_list("pk", "external_id"))
    said = last_messages(ids, origin=origin_of(incident_id))
    first: dict[tuple[int, str], ContactPoint] = {}
    for point in ContactPoint.objects.filter(customer_id__in=ids).order_by("rank", "pk"):
        first.setdefault((point.customer_id, point.channel), point)
    for line in lines:
        message = said.get(line.customer_id)
        points = [first.get((line.customer_id, channel)) for channel in channels]
        yield [
            numbers.get(line.customer_id, ""),
            line.name,
            line.language,
            line.priority,
            line.state,
            line.joined_at.isoformat(),
            line.left_at.isoformat() if line.left_at else "",
            why_affected(line),
            outcome(message) if message else not_sent("nothing_said"),
            *(cell for point in points for cell in _point(point)),
        ]


def _point(point: ContactPoint | None) -> tuple[str, ...]:
    if point is None:
        return ("", "", "", "")
    verified_at = point.verified_at.isoformat() if point.verified_at else ""
    return (point.address, str(point.rank), point.status, verified_at)
