"""Problems as those whom they touch read them: in the reader's language, with public names, and without customers."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from beforehand.customers.models import Customer
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Incident, IncidentScope, IncidentUpdate
from beforehand.incidents.queries import GRAVEST, MAX_PLACES, NOT_ANNOUNCED
from beforehand.kit import clock
from beforehand.outbound.localise import spoken_duration
from beforehand.portal.wording import Wording, wording
from beforehand.promises.models import Promise

MAX_OPEN = 50
MAX_ENDED = 10
ENDED_WITHIN = timedelta(days=7)
MAX_UPDATES = 200


@dataclass(frozen=True, slots=True)
class Update:
    """What a person wrote, and when."""

    posted_at: datetime
    wording: Wording


@dataclass(frozen=True, slots=True)
class Problem:
    """All that a page says of one incident: plain values, so that two readings can be compared."""

    incident_id: int
    key: str
    state: str
    kind: str
    kind_name: str
    severity: str
    title: str
    area: Wording | None
    places: tuple[Wording, ...]
    cause: Wording | None
    advice: Wording | None
    doing: str
    began_at: datetime
    ended_at: datetime | None
    lasted: str
    """How long it took, in the reader's words; empty while it goes on, so that only news change what is compared."""
    updates: tuple[Update, ...]
    next_update_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state == Incident.State.OPEN

    @property
    def is_coming(self) -> bool:
        """Planned, and not begun."""
        return self.is_open and self.kind == Incident.Kind.PLANNED and self.began_at > clock.now()

    @property
    def tone(self) -> str:
        """Red for what does not work, amber for what works badly or was announced."""
        is_grave = self.severity in (Incident.Severity.MAJOR, Incident.Severity.CRITICAL)
        return "urgent" if is_grave and self.kind != Incident.Kind.PLANNED else "warn"


@dataclass(frozen=True, slots=True)
class PublicStatus:
    """What is wrong now, and what was until lately."""

    current: tuple[Problem, ...]
    ended: tuple[Problem, ...]
    more: bool
    """Whether more is wrong than a page holds."""

    @property
    def wrong(self) -> tuple[Problem, ...]:
        """What is wrong right now: work that is planned and has not begun is announced, and wrong yet for nobody."""
        return tuple(one for one in self.current if not one.is_coming)


def public_status(*, language: str, fallback: str, now: datetime) -> PublicStatus:
    """The public incidents: those open, gravest and newest first, and those that ended within a week. Five queries."""
    public = Incident.objects.filter(is_public=True).exclude(NOT_ANNOUNCED).order_by("-id")
    current = list(public.filter(state=Incident.State.OPEN).order_by(GRAVEST, "-id")[: MAX_OPEN + 1])
    over = [Incident.State.RESOLVED, Incident.State.CANCELLED]
    lately = public.filter(state__in=over, ended_at__gte=now - ENDED_WITHIN)
    ended = list(lately.order_by("-ended_at", "-id")[:MAX_ENDED])
    read = problems([*current[:MAX_OPEN], *ended], language=language, fallback=fallback)
    return PublicStatus(
        current=tuple(
            sorted(
                (one for one in read if one.is_open),
                key=lambda one: (one.is_coming, one.tone != "urgent", -one.incident_id),
            )
        ),
        ended=tuple(one for one in read if not one.is_open),
        more=len(current) > MAX_OPEN,
    )


def newest_public(
    *, language: str, fallback: str, before: UUID | None = None, limit: int = MAX_OPEN, only_ended: bool = False
) -> list[Problem]:
    """The public incidents, open and over, newest first, from `before` (a key) on. Four queries."""
    public = Incident.objects.filter(is_public=True).exclude(NOT_ANNOUNCED).order_by("-public_id")
    if only_ended:
        public = public.exclude(state=Incident.State.OPEN)
    if before is not None:
        public = public.filter(public_id__lt=before)
    return problems(list(public[:limit]), language=language, fallback=fallback)


def problems(
    incidents: Sequence[Incident],
    *,
    language: str,
    fallback: str,
    rhythm: str = Customer.Rhythm.EVERY_STEP,
) -> list[Problem]:
    """These incidents in the reader's language, in their order, with the next word as they want it. Three queries."""
    ids = [incident.pk for incident in incidents]
    places = _places(ids, language=language, fallback=fallback)
    updates = _updates(ids, language=language, fallback=fallback)
    open_ones = [origin_of(incident.pk) for incident in incidents if incident.state == Incident.State.OPEN]
    promised = next_promises(open_ones, rhythm=rhythm)
    return [
        Problem(
            incident_id=incident.pk,
            key=str(incident.public_id),
            state=incident.state,
            kind=incident.kind,
            kind_name=str(Incident.Kind(incident.kind).label),
            severity=incident.severity,
            title=_title(incident, language=language, fallback=fallback),
            area=_said(incident, "area", language=language, fallback=fallback),
            places=tuple(places[incident.pk]),
            cause=_said(incident, "cause", language=language, fallback=fallback),
            advice=_said(incident, "advice", language=language, fallback=fallback),
            doing=_doing(incident),
            began_at=incident.began_at,
            ended_at=incident.ended_at,
            lasted=spoken_duration(incident.ended_at - incident.began_at, language=language)
            if incident.ended_at
            else "",
            updates=tuple(updates[incident.pk]),
            next_update_at=promised.get(origin_of(incident.pk)),
        )
        for incident in incidents
    ]


def _said(incident: Incident, what: str, *, language: str, fallback: str) -> Wording | None:
    texts: Mapping[str, Mapping[str, str]] = incident.texts
    return wording({code: said.get(what, "") for code, said in texts.items()}, language=language, fallback=fallback)


def _title(incident: Incident, *, language: str, fallback: str) -> str:
    """Its own title in the reader's language, else what kind of thing it is: never the title that the console shows."""
    own = _said(incident, "title", language=language, fallback=fallback)
    if own is not None and not own.is_foreign:
        return own.text
    kind = str(Incident.Kind(incident.kind).label)
    return kind[:1].upper() + kind[1:]


def _doing(incident: Incident) -> str:
    match incident.kind:
        case Incident.Kind.OUTAGE:
            return _("Our engineers are locating the fault and repairing it.")
        case Incident.Kind.DEGRADED:
            return _("Our engineers are finding out what slows things down.")
        case Incident.Kind.PLANNED if incident.began_at > clock.now():
            return _("It has not begun. We tell you when it begins, and when it is done.")
        case Incident.Kind.PLANNED:
            return _("We are carrying out the work that we announced.")
        case Incident.Kind.RECALL:
            return _("We are taking the product off sale, and telling everybody whom we know to have one.")
        case Incident.Kind.DATA:
            return _("We are limiting the harm, and telling everybody whose data it concerns.")
        case Incident.Kind.DELIVERY:
            return _("We ask every working day where the orders are, and press for them to go on.")
        case _:
            return _("We are working on it.")


def _places(incident_ids: Sequence[int], *, language: str, fallback: str) -> dict[int, list[Wording]]:
    """The public names of what each incident is on; a component that has none stays unnamed."""
    found: dict[int, list[Wording]] = defaultdict(list)
    rows = IncidentScope.objects.filter(incident_id__in=incident_ids, removed_at=None).exclude(component__texts={})
    for incident_id, texts in rows.order_by("pk").values_list("incident_id", "component__texts")[:500]:
        name = wording(texts or {}, language=language, fallback=fallback)
        names = found[incident_id]
        if name is not None and name not in names and len(names) < MAX_PLACES:
            names.append(name)
    return found


def _updates(incident_ids: Sequence[int], *, language: str, fallback: str) -> dict[int, list[Update]]:
    """What people wrote about each, newest first."""
    found: dict[int, list[Update]] = defaultdict(list)
    rows = IncidentUpdate.objects.filter(incident_id__in=incident_ids).order_by("-posted_at", "-pk")
    for incident_id, texts, posted_at in rows.values_list("incident_id", "texts", "posted_at")[:MAX_UPDATES]:
        text = wording(texts, language=language, fallback=fallback)
        if text is not None:
            found[incident_id].append(Update(posted_at, text))
    return found


def next_promises(audiences: Iterable[str], *, rhythm: str = Customer.Rhythm.EVERY_STEP) -> dict[str, datetime]:
    """By audience, when the next word is due at the latest that we promised to customers of this rhythm.

    Where there is none to them, the one to the others: who chose anew is still told what they were promised before.
    """
    rows = Promise.objects.filter(
        audience__in=list(audiences),
        state=Promise.State.OPEN,
        kind=Promise.Kind.UPDATE,
        rhythm__in=Customer.Rhythm.values,
    ).order_by("-due_at")
    promised: dict[str, dict[str, datetime]] = {value: {} for value in Customer.Rhythm.values}
    for audience, of, due_at in rows.values_list("audience", "rhythm", "due_at"):
        promised[of][audience] = due_at
    own = promised.pop(rhythm)
    (others,) = promised.values()
    return others | own
