"""A message as its reader sees it, for pages: made anew from the batch's texts and the recipient's own values."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from django.conf import settings

from beforehand.engine.languages import fallback_chain
from beforehand.outbound.mime import MailValueError
from beforehand.outbound.models import Channel, Message, MessageBatch
from beforehand.outbound.short_texts import ShortText
from beforehand.outbound.skeletons import compile_batch, compile_short_batch
from beforehand.outbound.templates import RenderedMail, TemplateRefusedError

SHOWN_LINKS = {"my_page_url": f"{settings.BASE_URL}/my/", "verify_url": f"{settings.BASE_URL}/check"}
"""A page of ours shows no working key to a customer's page."""


def as_sent(message: Message, batch: MessageBatch) -> RenderedMail | None:
    """The message as it was, or will be, made for this customer; None where its text is gone (erased).

    A text message is its text alone, without subject and HTML.

    Raises `TemplateRefusedError` for a text that cannot be compiled, `MailValueError` for values that cannot be said.
    """
    if message.slots is None or message.language not in batch.texts:
        return None
    reader = _reader(message)
    values = {**message.slots, "code": message.code, **SHOWN_LINKS}
    if message.channel in (Channel.SMS, Channel.CALL):
        text = compile_short_batch(batch, **reader).fill(values)
        return RenderedMail(subject="", html="", text=text)
    return compile_batch(batch, **reader, large_print=message.large_print).preview(values)


def _reader(message: Message) -> dict[str, Any]:
    return {
        "language": message.language,
        "zone": message.time_zone,
        "formal": message.formal,
        "only_changes": message.only_changes,
        "next_update_at": message.next_update_at,
    }


def aloud(messages: Sequence[Message], batches: Mapping[int, MessageBatch]) -> dict[int, str]:
    """What a person who calls reads to each of these customers, by message id; left out where it can no longer be made."""
    compiled: dict[Hashable, ShortText] = {}
    said = {}
    for message in messages:
        batch = batches.get(message.batch_id)
        if batch is None or message.slots is None or message.language not in batch.texts:
            continue
        reader = _reader(message)
        key = (batch.pk, *reader.values())
        try:
            if key not in compiled:
                compiled[key] = compile_short_batch(batch, **reader)
            said[message.id] = compiled[key].fill({**message.slots, "code": message.code, **SHOWN_LINKS})
        except (TemplateRefusedError, MailValueError):
            continue
    return said


def sample(
    batch: MessageBatch, *, language: str, zone: str, formal: bool, large_print: bool, values: Mapping[str, str]
) -> RenderedMail | None:
    """What a batch that is not stored would say to one kind of reader; None if it has no text that they can be given."""
    spoken = next(iter(fallback_chain(language, batch.texts, batch.fallback_language)), None)
    if spoken is None:
        return None
    mail = compile_batch(batch, language=spoken, zone=zone, formal=formal, large_print=large_print)
    return mail.preview({**values, "code": "ABCD-EFGH", **SHOWN_LINKS})
