"""Which of a playbook's texts make long text messages: tried on a made-up reader, in the text's own language."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import OperationalError
from django.utils import translation

from beforehand.accounts.installation import BrandSetting, installation
from beforehand.engine.languages import direction
from beforehand.engine.playbooks.bundle import BLOCK, text_file
from beforehand.engine.playbooks.language import Channel, Playbook
from beforehand.engine.playbooks.problems import PlaybookProblem, ProblemReason
from beforehand.engine.segments import Segments, sms_segments
from beforehand.incidents.models import Incident
from beforehand.outbound.frame import Brand
from beforehand.outbound.localise import localised_facts
from beforehand.outbound.media import VERIFY_URL
from beforehand.outbound.mime import MailValueError
from beforehand.outbound.short_texts import compile_short
from beforehand.outbound.skeletons import SLOTS
from beforehand.outbound.templates import TemplateRefusedError, TemplateSource

MOST_PARTS = 3
"""Each part of a text message is paid for, and long ones arrive in pieces on old phones."""
_AT = datetime(2026, 9, 2, 21, 45, tzinfo=UTC)
_READER = {
    "customer.name": "Alexander Example",
    "customer.salutation": "Dear Alexander Example",
    "holding": "Fibre 500, Church Street 12",
    "code": "ABCD-EFGH",
    "my_page_url": VERIFY_URL.replace("/check", "/my/" + "x" * 40),
    "verify_url": VERIFY_URL,
}


def long_text_messages(playbook: Playbook, texts: Mapping[tuple[str, str], str]) -> Iterator[PlaybookProblem]:
    """A warning for each text that takes more than `MOST_PARTS` parts; texts with other faults have theirs already."""
    if Channel.SMS not in playbook.channels:
        return
    brand, promising = _brand(), _promising(playbook)
    for (name, language), content in sorted(texts.items()):
        if name.startswith(BLOCK):
            continue  # no message of its own
        file = text_file(name, language)
        parts = _parts(TemplateSource(file, content), language, brand, name in promising)
        if parts is not None and parts.count > MOST_PARTS:
            values = {"count": str(parts.count), "alphabet": parts.alphabet.value, "limit": str(MOST_PARTS)}
            yield PlaybookProblem(1, 1, ProblemReason.TEXT_MESSAGE_LONG, values, file=file)


@lru_cache(maxsize=1024)
def _parts(source: TemplateSource, language: str, brand: BrandSetting, is_promising: bool) -> Segments | None:
    """How long one text comes out; none if it has another fault. Kept: what is pushed is checked again when it is approved."""
    try:
        short = compile_short(
            source,
            language=language,
            direction=direction(language),
            facts=localised_facts(
                _facts(language, is_promising=is_promising),
                language=language,
                zone=brand.time_zone,
                now=_AT,
                formal=True,
            ),
            slots=SLOTS,
            brand=Brand(name=brand.name, sender="", phone=brand.phone),
        ).fill(_READER)
    except (TemplateRefusedError, MailValueError):
        return None
    return sms_segments(short)


def _brand() -> BrandSetting:
    """Who speaks; where no database answers, a new installation's, since a bundle is checked without one too."""
    try:
        return installation().brand
    except OperationalError:
        return BrandSetting()


def _promising(playbook: Playbook) -> frozenset[str]:
    """The texts that say by when there is news next."""
    said = {step.text for step in playbook.spoken_steps() if step.promise is not None}
    return frozenset(said.union(name for name in (playbook.texts.holding, playbook.texts.joined) if name))


def _facts(language: str, *, is_promising: bool) -> dict[str, Any]:
    """An incident with everything that a text may ask for, in words of an ordinary length; what is to come, on another day."""
    with translation.override(language):
        title = str(Incident.Kind.OUTAGE.label)
    at, tomorrow, work, its_end = (
        {"$time": (_AT + timedelta(hours=hours)).isoformat(), "precision": "minute"} for hours in (0, 24, 50, 54)
    )
    return {
        "incident": {
            "title": title,
            "cause": title,
            "area": "Groningen",
            "advice": "",
            "began_at": at,
            "lasted": {"$duration": 5400},
        },
        "next_update_at": tomorrow if is_promising else None,
        "restored_at": at,
        "planned": {
            "starts_at": work,
            "ends_at": its_end,
            "before": tomorrow,
            "has_started": False,
            "is_late": False,
            "how": "",
        },
        "only_changes": False,
        "now": at,
        "update": {"text": f"{title}. " * 4, "untranslated": False},
    }
