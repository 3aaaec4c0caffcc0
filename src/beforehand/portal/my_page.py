"""One customer's own page, read: what is wrong for them now and why, what we told them, what we know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _

from beforehand.accounts.installation import BrandSetting
from beforehand.customers.models import Component, ContactPoint, Customer, Holding
from beforehand.engine.contacts import USABLE
from beforehand.incidents.affected import origin_of
from beforehand.incidents.answered import answers_of
from beforehand.incidents.answers import counts_now
from beforehand.incidents.models import Affected, Answer, Incident
from beforehand.incidents.queries import NOT_ANNOUNCED
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import fetch
from beforehand.outbound.inbox import IN_THE_INBOX, PLACED, standing_among
from beforehand.outbound.media import VERIFY_URL
from beforehand.outbound.models import Channel, Message, MessageBatch
from beforehand.outbound.skeletons import compile_batch
from beforehand.outbound.templates import MailSkeleton, MailValueError, TemplateRefusedError
from beforehand.portal.preferences import NOT_WANTED
from beforehand.portal.problems import Problem, problems
from beforehand.portal.solved import WORKS_OR_NOT, Question, questions
from beforehand.portal.wording import Wording, masked, wording
from beforehand.promises.erasure import audience_of
from beforehand.promises.models import Promise

REMEMBERED = timedelta(days=30)
"""How far back the page tells; as long as a link to it lasts."""
MAX_MESSAGES = 20
SHOWN_LINK = f"{settings.BASE_URL}/my/"
"""A page that someone may show around repeats no working key."""


@dataclass(frozen=True, slots=True)
class Touch:
    """A problem that touches the customer now: through which product, and why."""

    problem: Problem
    product: str
    place: str
    because: Wording | None
    """The public name of the part that the product depends on."""
    says: str
    """What the customer says of it while it lasts: `works`, `broken`, or nothing."""
    is_about_working: bool
    reason: str
    """`component`, `unnamed`, `condition` or `by_hand`: which sentence says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of the story: what we said, or what happened."""

    at: datetime
    kind: str
    """`message`, `update`, `cured`, `mistaken`, `resolved`, `cancelled`; `works` or `broken` is what they told us."""
    title: str
    text: str = ""
    language: str = ""
    is_foreign: bool = False
    channel: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that stands in the inbox of this page."""

    id: int
    at: datetime
    title: str
    text: str
    language: str
    is_unread: bool = field(repr=False)
    """Not part of what makes the page new: it would be put in anew, and close, the message that is being read."""


@dataclass(frozen=True, slots=True)
class Now:
    """The part of the page that changes while it is open."""

    touches: tuple[Touch, ...]
    questions: tuple[Question, ...]
    next_at: datetime | None
    story: tuple[Told, ...]
    inbox: tuple[Letter, ...] = ()

    @property
    def unread(self) -> int:
        return sum(letter.is_unread for letter in self.inbox)

    @property
    def wrong(self) -> tuple[Touch, ...]:
        """What is wrong right now; what is only planned is not."""
        return tuple(touch for touch in self.touches if not touch.problem.is_coming)

    @property
    def is_being_helped(self) -> bool:
        """Nothing that we know of is wrong, but the customer says that something is, and a person looks into it."""
        return any(one.is_open for one in self.questions)


@dataclass(frozen=True, slots=True)
class Contact:
    """A way to reach the customer, masked."""

    channel: str
    address: str
    status: str
    is_working: bool
    id: int
    is_stopped: bool
    """They asked us here not to use it."""
    is_usable: bool
    may_come_first: bool
    """Another address of its channel is tried before it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of the customer that the page may show to whoever holds the link."""

    contacts: tuple[Contact, ...]
    holdings: tuple[Holding, ...]
    has_inbox: bool
    is_notified: bool
    is_reachable: bool
    channels: frozenset[str]


def now_for(customer: Customer, *, language: str, brand: BrandSetting, now: datetime) -> Now:
    """What is wrong for this customer at `now`, and the story of the last 30 days, newest first."""
    rows = {row.incident_id: row for row in _affected(customer)}
    known = Incident.objects.filter(pk__in=rows).filter(
        Q(state=Incident.State.OPEN) | Q(ended_at__gte=now - REMEMBERED)
    )
    read = problems(
        list(known.exclude(NOT_ANNOUNCED).order_by("-id")),
        language=language,
        fallback=brand.language,
        rhythm=customer.rhythm,
    )
    own = _told_next(customer, now=now)
    read = [replace(one, next_update_at=own.get(origin_of(one.incident_id), one.next_update_at)) for one in read]
    touching = [one for one in read if one.is_open and rows[one.incident_id].state == Affected.State.AFFECTED]
    answers = answers_of(customer.pk) if rows else {}
    promised = _promised(customer)
    due = [one.next_update_at for one in touching if one.next_update_at] + list(promised.values())
    told, inbox = _messages(customer, language=language, brand=brand, now=now)
    story = [
        *told,
        *(entry for one in read for entry in _what_happened(one, rows[one.incident_id])),
        *(_what_they_said(one, answers[one.incident_id]) for one in read if one.incident_id in answers),
    ]
    return Now(
        touches=tuple(_touches(touching, rows, answers, language=language, fallback=brand.language)),
        questions=tuple(questions(read, rows, answers, promised, now=now)),
        next_at=min(due, default=None),
        story=tuple(sorted(story, key=lambda entry: entry.at, reverse=True)),
        inbox=tuple(inbox),
    )


def _told_next(customer: Customer, *, now: datetime) -> dict[str, datetime]:
    """By what it is about, the time to come that our newest word to this customer named: what they read is what holds."""
    rows = fetch(
        """
        SELECT DISTINCT ON (b.origin) b.origin, m.next_update_at
        FROM outbound_message m JOIN outbound_messagebatch b ON b.id = m.batch_id
        WHERE m.bucket = %s AND m.customer_id = %s
          AND (m.state IN ('queued', 'sent', 'uncertain') OR m.reason = 'unread')
          AND m.next_update_at IS NOT NULL
        ORDER BY b.origin, b.sequence DESC
        """,
        [bucket_of(customer.pk), customer.pk],
    )
    return {origin: at for origin, at in rows if at > now}


def _affected(customer: Customer) -> list[Affected]:
    return list(Affected.objects.filter(bucket=bucket_of(customer.pk), customer_id=customer.pk))


def _promised(customer: Customer) -> dict[int, datetime]:
    """The words that are promised to this customer alone, by their promises."""
    own = Promise.objects.filter(audience=audience_of(customer.pk), state=Promise.State.OPEN, kind=Promise.Kind.UPDATE)
    return dict(own.values_list("pk", "due_at"))


def _what_they_said(problem: Problem, answer: Answer) -> Told:
    return Told(at=answer.said_at, kind=answer.says, title=problem.title)


def _touches(
    touching: Sequence[Problem],
    rows: Mapping[int, Affected],
    answers: Mapping[int, Answer],
    *,
    language: str,
    fallback: str,
) -> list[Touch]:
    concerned = [rows[one.incident_id] for one in touching]
    holdings = Holding.objects.in_bulk([row.holding_id for row in concerned if row.holding_id])
    components = Component.objects.in_bulk([row.component_id for row in concerned if row.component_id])
    found = []
    for problem, row in zip(touching, concerned, strict=True):
        holding = holdings.get(row.holding_id or 0)
        component = components.get(row.component_id or 0)
        name = wording(component.texts, language=language, fallback=fallback) if component else None
        reason = "component" if name else "unnamed" if component else "by_hand" if row.is_by_hand else "condition"
        said = answers.get(problem.incident_id)
        found.append(
            Touch(
                problem=problem,
                product=holding.product if holding else "",
                place=holding.place if holding else "",
                because=name,
                says=said.says if said and counts_now(said, over_at=None) else "",
                is_about_working=problem.kind in WORKS_OR_NOT,
                reason=reason,
            )
        )
    return found


def _what_happened(problem: Problem, row: Affected) -> list[Told]:
    """A problem's part of the story, up to the moment at which it no longer touched this customer."""
    left_at = row.left_at if row.state != Affected.State.AFFECTED else None
    story = [
        Told(
            at=update.posted_at,
            kind="update",
            title=problem.title,
            text=update.wording.text,
            language=update.wording.language,
            is_foreign=update.wording.is_foreign,
        )
        for update in problem.updates
        if left_at is None or update.posted_at <= left_at
    ]
    if left_at is not None:
        return [*story, Told(at=left_at, kind=row.state, title=problem.title)]
    if problem.ended_at is not None:
        story.append(Told(at=problem.ended_at, kind=problem.state, title=problem.title))
    return story


SAID = [Message.State.SENT, Message.State.UNCERTAIN, Message.State.FAILED]


def _messages(
    customer: Customer, *, language: str, brand: BrandSetting, now: datetime
) -> tuple[list[Told], list[Letter]]:
    """What we told this customer elsewhere, as it was worded, or at least when; and what stands in their inbox."""
    own = Message.objects.filter(bucket=bucket_of(customer.pk), customer_id=customer.pk)
    said = own.filter(Q(state__in=SAID) | Q(PLACED), created_at__gte=now - REMEMBERED)
    newest = list(said.order_by("-id")[:MAX_MESSAGES])
    batches = MessageBatch.objects.in_bulk([message.batch_id for message in newest]) if newest else {}
    standing = standing_among(customer.pk, [one.id for one in newest]) if newest else {}
    story, inbox = [], []
    for message in newest:
        subject, text = _as_said(message, batches.get(message.batch_id), brand=brand)
        placed = standing.get(message.id)
        if placed is not None:
            at = placed.since or message.ended_at or message.created_at
            spoken = message.language if subject else language
            title = subject or _("A message from us")
            inbox.append(Letter(message.id, at, title, text, spoken, is_unread=not placed.is_read))
            continue
        story.append(
            Told(
                at=message.ended_at or message.created_at,
                kind="message",
                title=subject or _("A message from us"),
                text=text,
                language=message.language if subject else language,
                channel=str(Channel(message.channel).label),
                state=message.state,
            )
        )
    return story, inbox


def _as_said(message: Message, batch: MessageBatch | None, *, brand: BrandSetting) -> tuple[str, str]:
    """Subject and text, made anew as they were made to be sent; both empty where that can no longer be done."""
    if batch is None or message.language not in batch.texts:
        return "", ""
    values = {**(message.slots or {}), "code": message.code, "my_page_url": SHOWN_LINK, "verify_url": VERIFY_URL}
    try:
        told = (message.only_changes, message.next_update_at)
        mail = _compiled(batch, message.language, message.time_zone, message.formal, told, brand)
        said = mail.preview(values)
    except (TemplateRefusedError, MailValueError):
        return "", ""
    return said.subject, said.text


@lru_cache(maxsize=256)
def _compiled(
    batch: MessageBatch,
    language: str,
    zone: str,
    formal: bool,
    told: tuple[bool, datetime | None],
    brand: BrandSetting,
) -> MailSkeleton:
    """Kept, because the many who look at their page in an outage were told the same in few languages and zones.

    A batch never changes once it is decided, and two of one key are equal.
    """
    only_changes, next_update_at = told
    return compile_batch(
        batch,
        language=language,
        zone=zone,
        formal=formal,
        only_changes=only_changes,
        next_update_at=next_update_at,
        brand=brand,
    )


def known_of(customer: Customer, *, now: datetime) -> Known:
    """What we know of the customer: contact points masked, products that they have today. Two queries."""
    today = now.date()
    points = list(customer.contact_points.order_by("channel", "rank", "id")[:20])
    usable = {point.channel for point in points if point.status in USABLE}
    contacts = [point for point in points if point.channel not in IN_THE_INBOX]
    first: dict[str, int] = {}
    for point in contacts:
        if point.status in USABLE:
            first.setdefault(point.channel, point.pk)
    return Known(
        contacts=tuple(
            Contact(
                channel=str(ContactPoint.Channel(point.channel).label),
                address=masked(point),
                status=str(ContactPoint.Status(point.status).label),
                is_working=point.status == ContactPoint.Status.WORKING,
                id=point.pk,
                is_stopped=point.status == ContactPoint.Status.BLOCKED and point.status_reason == NOT_WANTED,
                is_usable=point.status in USABLE,
                may_come_first=point.status in USABLE and first[point.channel] != point.pk,
            )
            for point in contacts
        ),
        holdings=tuple(customer.holdings.filter(Q(until=None) | Q(until__gt=today)).order_by("-since", "-id")[:50]),
        has_inbox=ContactPoint.Channel.INBOX in usable,
        is_notified=ContactPoint.Channel.PUSH in usable,
        is_reachable=bool(usable),
        channels=frozenset(point.channel for point in points),
    )
