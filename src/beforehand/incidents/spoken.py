"""What somebody says on the telephone about an incident: forty words in the caller's language, fit to read aloud."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from beforehand.accounts.installation import BrandSetting
from beforehand.customers.models import Component
from beforehand.engine.languages import fallback_chain
from beforehand.engine.spoken import Sentence, said_within
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import place_names, public_now
from beforehand.outbound.localise import spoken_at
from beforehand.promises.queries import next_promises

MOST_INCIDENTS = 3
"""So many are announced at once; who waits longer hangs up."""
MOST_WORDS = 40
"""What somebody takes in at one hearing, before they ask."""


def words_on(
    incident: Incident,
    *,
    language: str,
    zone: str,
    now: datetime,
    next_at: datetime | None,
    what: str = "",
    places: Sequence[str] = (),
) -> str:
    """What is wrong, why, when they hear more and what they can do, in at most forty words of this language.

    `what` is the product or service of the one who listens, `places` the names of the parts for who listens unknown.
    """
    own = stated_in(incident, language)
    with translation.override(language):
        sentences = [
            Sentence(_what_is_wrong(incident.kind), 0),
            Sentence(_("It affects %(what)s.") % {"what": what}, 1) if what else None,
            Sentence(
                _("Where: %(area)s.")
                % {"area": own.get("area") or pgettext("between the parts of a list", ", ").join(places)},
                2,
            )
            if not what and (own.get("area") or places)
            else None,
            Sentence(_("The cause: %(cause)s.") % {"cause": own["cause"].rstrip(".।")}, 4)
            if own.get("cause")
            else None,
            Sentence(_next(next_at, language=language, zone=zone, now=now), 1),
            Sentence(own["advice"], 3) if own.get("advice") else None,
        ]
    return said_within([one for one in sentences if one is not None and one.text], MOST_WORDS)


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a telephone says before anybody picks it up: words on one incident, and when there is news of it."""

    incident: Incident
    words: str
    next_at: datetime | None


def announcements(
    component: Component | None, *, language: str, brand: BrandSetting, now: datetime
) -> list[Announcement]:
    """What is publicly known of a component, or of everything, in words fit for a telephone's menu."""
    incidents = public_now(component, limit=MOST_INCIDENTS)
    promises = next_promises(origin_of(incident.pk) for incident in incidents)
    found = []
    for incident in incidents:
        promise = promises.get(origin_of(incident.pk))
        next_at = promise.due_at if promise else None
        named = place_names(incident)
        places = [named[code] for code in fallback_chain(language, named, language)[:1]]
        words = words_on(incident, language=language, zone=brand.time_zone, now=now, next_at=next_at, places=places)
        found.append(Announcement(incident, words, next_at))
    return found


def nothing_known(language: str) -> str:
    """What is said where no incident is known."""
    with translation.override(language):
        return _("We know of no problem there at the moment.")


def stated_in(incident: Incident, language: str) -> Mapping[str, str]:
    """What is stated of the incident in this language; nothing in another one, for it is to be read aloud."""
    texts: Mapping[str, Mapping[str, str]] = incident.texts
    chain = [code for code in fallback_chain(language, texts, language) if texts[code]]
    return texts[chain[0]] if chain else {}


def _what_is_wrong(kind: str) -> str:
    match kind:
        case Incident.Kind.OUTAGE:
            return _("There is an outage in our network.")
        case Incident.Kind.DEGRADED:
            return _("Our service works only in part at the moment.")
        case Incident.Kind.PLANNED:
            return _("We are working on our network, as announced.")
        case Incident.Kind.RECALL:
            return _("We are recalling a product: please stop using it.")
        case Incident.Kind.DATA:
            return _("There has been an incident with personal data.")
        case Incident.Kind.DELIVERY:
            return _("Deliveries are later than promised.")
        case _:
            return _("There is a problem, and we are working on it.")


def _next(next_at: datetime | None, *, language: str, zone: str, now: datetime) -> str:
    if next_at is None or next_at <= now:
        return ""  # a time that has passed is no promise to read out
    at = spoken_at(next_at, language=language, zone=ZoneInfo(zone), now=now)
    return _("The next news comes by %(time)s at the latest.") % {"time": at}
