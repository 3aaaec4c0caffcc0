"""Compiled texts of the batches that are being sent: one per language, zone and form of address, made once."""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import transaction

from beforehand.accounts.installation import BrandSetting, installation
from beforehand.engine.languages import direction
from beforehand.events.actions import append_event
from beforehand.outbound.claims import Claim
from beforehand.outbound.localise import localised_facts
from beforehand.outbound.models import MessageBatch
from beforehand.outbound.short_texts import ShortText, compile_short
from beforehand.outbound.templates import (
    NEXT_UPDATE,
    Brand,
    MailSkeleton,
    TemplateRefusedError,
    TemplateSource,
    Variant,
    compile_mail,
)

log = structlog.get_logger()

_COMPILING = threading.Lock()
"""The Markdown parser's tables are filled on first use, without care for a second thread in the middle of it."""

SLOTS = ("customer.name", "customer.salutation", "holding", "code", "my_page_url", "verify_url")
"""What is filled in per recipient; a text may only print it."""
KEPT = 128


Made = TypeVar("Made")
MadeAs = TypeVar("MadeAs", covariant=True)


class Compiler(Protocol[MadeAs]):
    """Makes a batch's text for one kind of reader; raises `TemplateRefusedError`."""

    def __call__(
        self,
        batch: MessageBatch,
        *,
        language: str,
        zone: str,
        formal: bool,
        large_print: bool = ...,
        only_changes: bool = ...,
        next_update_at: datetime | None = ...,
    ) -> MadeAs: ...


@dataclass(frozen=True, slots=True)
class Compiled(Generic[Made]):
    """A text ready to be filled, and whether it is in another language because the reader's own text is faulty."""

    text: Made
    language: str
    is_fallback: bool


class Skeletons(Generic[Made]):
    """A small cache; the key names everything that the bytes depend on."""

    def __init__(self, make: Compiler[Made]) -> None:
        self._make = make
        self._batches: dict[int, MessageBatch] = {}
        self._compiled: OrderedDict[Hashable, Compiled[Made] | None] = OrderedDict()

    def load(self, batch_ids: Iterable[int]) -> None:
        """Fetch the batches that are not known yet."""
        missing = set(batch_ids) - self._batches.keys()
        if missing:
            if len(self._batches) > KEPT:
                self._batches.clear()
            self._batches.update(MessageBatch.objects.in_bulk(list(missing | set(batch_ids))))

    def batch(self, batch_id: int) -> MessageBatch:
        return self._batches[batch_id]

    def skeleton(self, one: Claim, *, now: datetime) -> Compiled[Made] | None:
        """The text for this recipient's language, zone, form of address, and the time that they are promised.

        A text that cannot be compiled is reported once, and its readers get the fallback language rather than nothing; None
        if that is faulty too.
        """
        reader = (one.language, one.time_zone, one.formal, one.large_print, one.only_changes, one.next_update_at)
        key = (one.batch_id, *reader)
        if key not in self._compiled:
            with _COMPILING:
                self._compiled[key] = self._compile(one, now)
            if len(self._compiled) > KEPT:
                self._compiled.popitem(last=False)
        return self._compiled[key]

    def _compile(self, one: Claim, now: datetime) -> Compiled[Made] | None:
        batch = self._batches[one.batch_id]
        for language in dict.fromkeys([one.language, batch.fallback_language]):
            if language not in batch.texts:
                continue
            try:
                text = self._make(
                    batch,
                    language=language,
                    zone=one.time_zone,
                    formal=one.formal,
                    large_print=one.large_print,
                    only_changes=one.only_changes,
                    next_update_at=one.next_update_at,
                )
            except TemplateRefusedError as error:
                _report(batch, language, error)
                continue
            return Compiled(text, language, is_fallback=language != one.language)
        return None


def compile_batch(
    batch: MessageBatch,
    *,
    language: str,
    zone: str,
    formal: bool,
    large_print: bool = False,
    only_changes: bool = False,
    next_update_at: datetime | None = None,
    brand: BrandSetting | None = None,
) -> MailSkeleton:
    """The batch's mail for one kind of reader; raises `TemplateRefusedError` naming file and line.

    `next_update_at` is what this reader is promised, where it is not what the batch says.
    `brand` is the installation's; whoever compiles many passes it, and it is not read anew for each.
    """
    brand = brand or installation().brand
    return compile_mail(
        **_common(batch, brand, _facts(batch, language, only_changes, next_update_at), language, zone, formal),
        variant=Variant.LARGE_PRINT if large_print else Variant.NORMAL,
        headers={"Feedback-ID": f"{batch.pk}:{batch.step}:{batch.message_class}:beforehand"},
    )


def compile_short_batch(
    batch: MessageBatch,
    *,
    language: str,
    zone: str,
    formal: bool,
    large_print: bool = False,
    only_changes: bool = False,
    next_update_at: datetime | None = None,
    brand: BrandSetting | None = None,
) -> ShortText:
    """The batch's text message for one kind of reader (a phone sets its own size of print); raises as `compile_batch`."""
    brand = brand or installation().brand
    facts = _facts(batch, language, only_changes, next_update_at)
    return compile_short(**_common(batch, brand, facts, language, zone, formal))


def _facts(batch: MessageBatch, language: str, only_changes: bool, next_update_at: datetime | None) -> dict[str, Any]:
    """The batch's facts with the reader's own: what they want to hear, and by when they are promised the next word."""
    facts = {**batch.facts.get(language, {}), "only_changes": only_changes}
    said = facts.get(NEXT_UPDATE)
    if next_update_at is not None and isinstance(said, dict):
        facts[NEXT_UPDATE] = {**said, "$time": next_update_at.isoformat()}
    return facts


def _common(
    batch: MessageBatch, brand: BrandSetting, facts: dict[str, Any], language: str, zone: str, formal: bool
) -> dict[str, Any]:
    return {
        "source": TemplateSource(name=f"{batch.step}.{language}.md", text=batch.texts[language]),
        "language": language,
        "direction": direction(language),
        "facts": localised_facts(facts, language=language, zone=zone, now=batch.decided_at, formal=formal),
        "slots": SLOTS,
        "brand": Brand(
            name=brand.name, sender=settings.MAIL_FROM, sender_name=brand.sender_name or brand.name, phone=brand.phone
        ),
    }


def _report(batch: MessageBatch, language: str, error: TemplateRefusedError) -> None:
    log.error("template_failed", batch=batch.pk, language=language, error=str(error))
    with transaction.atomic():
        append_event(
            type="message.template_failed",
            actor="outbound",
            subject=batch.origin,
            data={"batch": batch.pk, "language": language},
            private={"error": str(error)},
        )
