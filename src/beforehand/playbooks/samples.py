"""Samples: what a playbook's text says to a reader, before anything is said."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.engine.playbooks.language import Playbook
from beforehand.engine.promises import Precision, spoken_precision, spoken_time
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.kit.ids import BUCKETS
from beforehand.kit.rows import bulk_fetch
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.reading import sample
from beforehand.outbound.templates import RenderedMail
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.facts import batch_facts
from beforehand.playbooks.models import PlaybookVersion, Run
from beforehand.playbooks.promising import owed_if_told
from beforehand.playbooks.queries import asked_step


@dataclass(frozen=True, slots=True)
class SampleReader:
    """Somebody to try a text on."""

    name: str
    salutation: str
    formal: bool
    zone: str
    large_print: bool
    holding: str


READER = """
SELECT c.name, c.salutation, c.form_of_address = 'formal', c.time_zone, c.access_needs @> '["large_print"]'::jsonb,
       h.product, h.place
FROM incidents_affected a JOIN customers_customer c ON c.id = a.customer_id
LEFT JOIN customers_holding h ON h.id = a.holding_id
WHERE a.bucket = ANY(%(buckets)s::smallint[]) AND a.incident_id = %(incident)s::bigint AND a.state = 'affected'
  AND c.language = %(language)s::text
LIMIT 1
"""


def reader_among(incident: Incident, language: str) -> SampleReader:
    """One of the affected who reads this language, or somebody made up."""
    rows = bulk_fetch(READER, {"buckets": list(range(BUCKETS)), "incident": incident.pk, "language": language})
    if not rows:
        return made_up_reader(language)
    name, salutation, formal, zone, large_print, product, place = rows[0]
    holding = ", ".join(part for part in (product, place) if part)
    return SampleReader(name, salutation or _greeting(language) % {"name": name}, formal, zone, large_print, holding)


@lru_cache(maxsize=64)
def _greeting(language: str) -> str:
    with translation.override(language):
        return _("Dear %(name)s")


def made_up_reader(language: str) -> SampleReader:
    """A reader who is nobody's customer, with a name in the language's own words."""
    with translation.override(language):
        # Translators: a made-up customer's full name and product, to show what a message looks like.
        name, holding = _("Alex Example"), _("Fibre 500, Church Street 12")
    return SampleReader(
        name, _greeting(language) % {"name": name}, True, installation().brand.time_zone, False, holding
    )


def planned_mail(run: Run, language: str, *, now: datetime) -> RenderedMail | None:
    """The mail that a run asks a person to confirm, to one of those affected who reads this language.

    None if it asks nothing. Raises `TemplateRefusedError` for a text that cannot be compiled.
    """
    playbook = playbook_of(run.version_id)
    step = asked_step(run, playbook)
    if step is None:
        return None
    owed = owed_if_told(playbook, step, run=run, now=now)
    return _mail(
        playbook,
        run.version.texts.get(step.text, {}),
        incident=run.incident,
        step=step.id,
        reader=reader_among(run.incident, language),
        language=language,
        promise=owed.next_at - now if owed else None,
        now=now,
    )


def text_sample(version: PlaybookVersion, name: str, language: str, *, now: datetime) -> RenderedMail | None:
    """One of a version's texts, tried on a made-up incident and reader; None if it has no such text."""
    texts = version.texts.get(name, {})
    if language not in texts:
        return None
    playbook = playbook_of(version.pk)
    steps = [step for step in playbook.spoken_steps() if step.text == name]
    promised = [owed.next_at - now for step in steps if (owed := owed_if_told(playbook, step, run=None, now=now))]
    incident = Incident(
        pk=0, kind=Incident.Kind.OUTAGE, began_at=now - timedelta(minutes=12), known_at=now, ended_at=now, title=""
    )
    return _mail(
        playbook,
        texts,
        incident=incident,
        step=name,
        reader=made_up_reader(language),
        language=language,
        promise=next(iter(promised), timedelta(hours=1)),
        now=now,
    )


def _mail(
    playbook: Playbook,
    texts: dict[str, str],
    *,
    incident: Incident,
    step: str,
    reader: SampleReader,
    language: str,
    promise: timedelta | None,
    now: datetime,
) -> RenderedMail | None:
    due_at = spoken_time(now + promise, promise) if promise else None
    batch = MessageBatch(
        step=step,
        texts=texts,
        fallback_language=playbook.fallback_language,
        decided_at=now,
        message_class=playbook.message_class.value,
        origin=origin_of(incident.pk),
        facts=batch_facts(
            incident,
            languages=texts,
            brand=installation().brand,
            decided_at=now,
            next_update_at=due_at,
            precision=spoken_precision(promise) if promise else Precision.MINUTE,
        ),
    )
    return sample(
        batch,
        language=language,
        zone=reader.zone,
        formal=reader.formal,
        large_print=reader.large_print,
        values={"customer.name": reader.name, "customer.salutation": reader.salutation, "holding": reader.holding},
    )
