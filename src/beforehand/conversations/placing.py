"""Which message of ours a mail speaks of: by names that we signed, and by nothing else.

A subject, a number, or a header that is missing never says so. What looks like a name of ours and is not signed by us is
forged, and worth a look.
"""

import re
from collections.abc import Iterable

from django.conf import settings

from beforehand.engine.incoming.mime import Mail
from beforehand.engine.thread_ids import MessagePlace as Place
from beforehand.engine.thread_ids import message_places, reply_place
from beforehand.outbound.models import Message

ENVELOPE = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "x-forwarded-to")
"""Where servers note whom a mail was really for; a bounce's own To may say anything."""
RECIPIENTS = (*ENVELOPE, "to", "cc", "resent-to", "apparently-to")
_LOOKS_SIGNED = re.compile(r"[^\s<>@]*\+b\d{1,5}\.\d{1,19}\.[a-z2-7]{26}@", re.IGNORECASE)
_ANY_SIGNED = re.compile(r"[^\s<>@,;:\"']*\+b\d{1,5}\.\d{1,19}\.[a-z2-7]{26}@[^\s<>,;:\"']+", re.IGNORECASE)


def _secrets() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def addressed_place(mail: Mail) -> tuple[Place | None, bool]:
    """The message whose own reply address this mail was sent to; and whether there is one that only looks like it."""
    written = [address for name in RECIPIENTS for address in mail.addresses(name)]
    return _first(written), any(_LOOKS_SIGNED.match(address) for address in written)


def referred_place(mail: Mail) -> Place | None:
    """The message of ours that it answers, by In-Reply-To, or by the newest of References."""
    for name in ("in-reply-to", "references"):
        places = message_places(" ".join(mail.headers.get(name, ())), _secrets())
        if places:
            return places[-1]
    return None


def bounced_place(mail: Mail) -> Place | None:
    """The message that a report speaks of: by the address it came back to, or by what it sends back with it."""
    place, _is_forged = addressed_place(mail)
    if place is not None:
        return place
    sent_back = f"{mail.returned}\n{mail.text}"[:100_000]
    referred = referred_place(mail)
    places = message_places(sent_back, _secrets())
    return referred or (places[0] if places else _first(_ANY_SIGNED.findall(sent_back)))


def _first(addresses: Iterable[str]) -> Place | None:
    secrets = _secrets()
    return next((place for place in (reply_place(one, secrets) for one in addresses) if place), None)


def message_at(place: Place) -> Message | None:
    """The message of this place, if it is still there."""
    return Message.objects.filter(bucket=place.bucket, id=place.message_id).first()
