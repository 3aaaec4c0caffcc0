"""What happened, in words: an event of the log becomes a line of a timeline."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from beforehand.console.reasons import address_trouble, audience_name
from beforehand.console.reply_words import said_line
from beforehand.console.story_names import Entry, Known, actor_name, known_of
from beforehand.events.subscriptions import StoredEvent
from beforehand.kit.web import times
from beforehand.kit.web.mixed import apart, isolated
from beforehand.kit.web.templatetags.kit import number


def entries(events: Sequence[StoredEvent]) -> list[Entry]:
    """The lines of these events, in their order. What says nothing to a person is left out."""
    return [line for _event, line in lines_of(events)]


def lines_of(events: Sequence[StoredEvent]) -> list[tuple[StoredEvent, Entry]]:
    """Each event that says something to a person, with its line."""
    known = known_of(events)
    lines = ((event, _entry(event, known)) for event in events)
    return [(event, line) for event, line in lines if line is not None]


def _entry(event: StoredEvent, known: Known) -> Entry | None:
    make = WORDS.get(event.type)
    if make is None:
        return Entry(event.occurred_at, event.type, "info")
    return make(event, known)


Words = Callable[[StoredEvent, Known], Entry | None]


def _by(title: Promise, icon: str, tone: str = "") -> Words:
    """A line whose title names the actor as %(who)s."""

    def words(event: StoredEvent, known: Known) -> Entry:
        return Entry(event.occurred_at, str(title) % apart(who=actor_name(event.actor, known.users)), icon, tone)

    return words


def _plain(title: Promise, icon: str, tone: str = "") -> Words:
    return lambda event, known: Entry(event.occurred_at, str(title), icon, tone)


def _scope(title: Promise) -> Words:
    def words(event: StoredEvent, known: Known) -> Entry:
        names = [known.components[pk] for pk in event.data.get("components") or () if pk in known.components]
        who = actor_name(event.actor, known.users)
        return Entry(
            event.occurred_at, str(title) % apart(who=who), "place", "", ", ".join(isolated(name) for name in names)
        )

    return words


def _flapping(event: StoredEvent, known: Known) -> Entry:
    count = event.data["changes"]
    told = ngettext(
        "Its alerts come and go: %(number)s change in short time, so it stays one incident until they are quiet for longer",
        "Its alerts come and go: %(number)s changes in short time, so it stays one incident until they are quiet for longer",
        count,
    )
    return Entry(event.occurred_at, told % {"number": number(count)}, "info", "warn")


def _narrowed(event: StoredEvent, known: Known) -> Entry:
    who = apart(who=actor_name(event.actor, known.users))
    if event.data.get("reason") == "mistaken":
        return Entry(event.occurred_at, _("Scope narrowed by %(who)s: it was a mistake") % who, "place")
    return Entry(event.occurred_at, _("Scope narrowed by %(who)s: it works again") % who, "place")


def _listed(event: StoredEvent, known: Known) -> Entry | None:
    joined, left, affected = (int(event.data.get(name, 0)) for name in ("joined", "left", "affected"))
    if not joined and not left:
        return None
    title = ngettext("%(count)s customer affected", "%(count)s customers affected", affected)
    body = _("%(joined)s joined, %(left)s left") % {"joined": number(joined), "left": number(left)}
    return Entry(event.occurred_at, title % {"count": number(affected)}, "customers", "", body)


def _updated(event: StoredEvent, known: Known) -> Entry:
    texts = known.updates.get(event.data.get("update", 0), {})
    language, text = next(iter(texts.items()), ("", ""))
    title = _("Update by %(who)s") % apart(who=actor_name(event.actor, known.users))
    return Entry(event.occurred_at, title, "message", "accent", text, language)


def _decided(event: StoredEvent, known: Known) -> Entry:
    batch = known.batches.get(event.data.get("batch", 0))
    body = _("To %(audience)s") % {"audience": audience_name(batch.audience)} if batch else ""
    return Entry(
        event.occurred_at, _("“%(step)s” decided") % apart(step=event.data.get("step", "")), "send", "accent", body
    )


def _done(event: StoredEvent, known: Known) -> Entry:
    batch = known.batches.get(event.data.get("batch", 0))
    return Entry(event.occurred_at, _("“%(step)s” delivered") % apart(step=batch.step if batch else ""), "check", "ok")


def _promise(title: Promise, tone: str = "") -> Words:
    def words(event: StoredEvent, known: Known) -> Entry:
        due_at = _instant(event.data.get("due_at"))
        time = times.clock(due_at, now=event.occurred_at) if due_at else ""
        said = OUTCOMES.get((event.type, str(event.data.get("outcome") or "")), title)
        values = apart(time=time, who=known.users.get(event.data.get("person") or 0, _("somebody who left")))
        return Entry(event.occurred_at, str(said) % values, "promise", tone)

    return words


def _task(title: Promise, icon: str, tone: str = "") -> Words:
    def words(event: StoredEvent, known: Known) -> Entry:
        due_at = _instant(event.data.get("due_at"))
        said = apart(
            time=times.clock(due_at, now=event.occurred_at) if due_at else "", who=actor_name(event.actor, known.users)
        )
        return Entry(
            event.occurred_at, str(title) % said, icon, tone, isolated(known.tasks.get(event.data.get("task", 0), ""))
        )

    return words


def _instant(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _asked(event: StoredEvent, known: Known) -> Entry:
    count = int(event.data.get("affected", 0))
    title = ngettext(
        "A person must confirm before %(count)s customer is told",
        "A person must confirm before %(count)s customers are told",
        count,
    )
    return Entry(event.occurred_at, title % {"count": number(count)}, "pause", "warn")


def _failed_text(event: StoredEvent, known: Known) -> Entry:
    title = _("The text in “%(language)s” has an error; its readers get the fallback")
    return Entry(event.occurred_at, title % {"language": event.data.get("language", "")}, "alert", "urgent")


def _affected(event: StoredEvent, known: Known) -> Entry:
    part = known.components.get(event.data.get("component") or 0, "")
    return Entry(
        event.occurred_at, _("Touched by an incident"), "incident", "warn", isolated(part), "", *_incident(event, known)
    )


def _said(event: StoredEvent, known: Known) -> Entry:
    line = said_line(known.said.get(event.data["message_in"]), kind=event.data["kind"], channel=event.data["channel"])
    return Entry(event.occurred_at, line.title, "inbox", "accent", line.words, line.language, line.url, line.link)


def _left(event: StoredEvent, known: Known) -> Entry:
    is_mistake = event.data.get("as") == "mistaken"
    title = _("Was never touched by the incident") if is_mistake else _("No longer touched by the incident")
    tone = "" if is_mistake else "ok"
    return Entry(event.occurred_at, title, "check", tone, "", "", *_incident(event, known))


def _answered(event: StoredEvent, known: Known) -> Entry:
    title, icon, tone = {
        "evidence": (_("Says that it works again, while the incident is open"), "check", "accent"),
        "known": (_("Says that it is still broken"), "alert", ""),
        "confirmed": (_("Says that it works again"), "check", "ok"),
        "reopened": (_("Says that it is still broken, after the end"), "alert", "urgent"),
    }[event.data["meaning"]]
    return Entry(event.occurred_at, title, icon, tone, "", "", *_incident(event, known))


def _scored(event: StoredEvent, known: Known) -> Entry:
    score = event.data.get("score")
    title = _("Said how we did: %(score)s of 5") % {"score": number(score)} if score else _("Wrote how we did")
    return Entry(event.occurred_at, title, "message", "", "", "", *_incident(event, known))


def _contacted(event: StoredEvent, known: Known) -> Entry:
    who = apart(who=actor_name(event.actor, known.users))
    title = (
        _("%(who)s was in touch: it is settled") if event.data["is_settled"] else _("%(who)s was in touch; it goes on")
    )
    tone = "ok" if event.data["is_settled"] else "accent"
    return Entry(event.occurred_at, title % who, "phone", tone, "", "", *_incident(event, known))


def _incident(event: StoredEvent, known: Known) -> tuple[str, str]:
    """The address and the title of the incident that the event is about."""
    title, public_id = known.incidents.get(event.subject, ("", None))
    return (reverse("console:incident", args=[public_id]), title) if public_id else ("", "")


OUTCOMES = {
    ("promise.made", "restored"): gettext_lazy("Promised: it works again by %(time)s"),
    ("promise.made", "delivered"): gettext_lazy("Promised: delivered by %(time)s"),
    ("promise.made", "visited"): gettext_lazy("Promised: a visit by %(time)s"),
    **{
        (type, outcome): words
        for outcome in ("restored", "delivered", "visited")
        for type, words in (
            ("promise.kept", gettext_lazy("Promise kept: it was done by %(time)s")),
            ("promise.broken", gettext_lazy("Promise broken: it was not done by %(time)s")),
        )
    },
}
"""A promise that something is done is said in other words than a promised update."""

FIELD_NAMES = {
    "name": gettext_lazy("name"),
    "salutation": gettext_lazy("salutation"),
    "language": gettext_lazy("language"),
    "time_zone": gettext_lazy("time zone"),
    "quiet_from": gettext_lazy("quiet hours"),
    "quiet_until": gettext_lazy("quiet hours"),
    "form_of_address": gettext_lazy("form of address"),
    "rhythm": gettext_lazy("news while a problem lasts"),
    "priority": gettext_lazy("priority"),
    "access_needs": gettext_lazy("access needs"),
    "helper": gettext_lazy("helper"),
}


def _changed(event: StoredEvent, known: Known) -> Entry:
    title = _("Changed by %(who)s") % apart(who=actor_name(event.actor, known.users))
    fields = [str(FIELD_NAMES.get(name, name)) for name in event.data.get("fields") or ()]
    return Entry(event.occurred_at, title, "person", "", ", ".join(dict.fromkeys(fields)))


def _address(event: StoredEvent, known: Known) -> Entry:
    status = str(event.data.get("status", ""))
    titles = {
        "dead": _("An address was found not to exist"),
        "failing": _("An address fails for now"),
        "working": _("An address works again"),
        "blocked": _("An address wants no more messages"),
    }
    tone = {"dead": "urgent", "blocked": "urgent", "failing": "warn", "": "urgent"}.get(status, "")
    title = titles.get(status, titles["dead"])
    return Entry(event.occurred_at, title, "message", tone, address_trouble(status, str(event.data.get("reason", ""))))


WORDS: dict[str, Words] = {
    "incident.opened": _by(gettext_lazy("Opened by %(who)s"), "incident", "warn"),
    "incident.scope_widened": _scope(gettext_lazy("Scope widened by %(who)s")),
    "incident.scope_narrowed": _narrowed,
    "incident.affected_listed": _listed,
    "incident.update_posted": _updated,
    "incident.texts_changed": _by(gettext_lazy("What customers read was changed by %(who)s"), "message"),
    "incident.resolved": _by(gettext_lazy("Resolved by %(who)s"), "check", "ok"),
    "incident.cancelled": _by(gettext_lazy("Called a false alarm by %(who)s"), "close"),
    "incident.evidence_joined": _scope(
        gettext_lazy("More alerts, explained by this incident because what they are on depends on it: %(who)s")
    ),
    "incident.flapping": _flapping,
    "incident.planned": _by(gettext_lazy("Planned by %(who)s"), "clock"),
    "incident.announced": _plain(gettext_lazy("Announced to customers"), "send"),
    "incident.moved": _by(gettext_lazy("Moved by %(who)s"), "clock", "warn"),
    "incident.reminder_due": _plain(gettext_lazy("The day before: customers are reminded"), "clock"),
    "incident.started": _plain(gettext_lazy("The work began"), "incident", "warn"),
    "incident.under_way": _plain(gettext_lazy("The work goes on as planned"), "clock"),
    "incident.late": _plain(gettext_lazy("It takes longer than planned"), "clock", "urgent"),
    "customer.exported": _by(gettext_lazy("All that we hold was given out by %(who)s"), "copy"),
    "customer.erased": _by(gettext_lazy("Erased by %(who)s"), "close", "warn"),
    "incident.reopened": _by(gettext_lazy("Opened again by %(who)s"), "incident", "warn"),
    "incident.customer_affected": _affected,
    "incident.customer_left": _left,
    "incident.customer_confirmed": _answered,
    "incident.customer_still_broken": _answered,
    "incident.customer_scored": _scored,
    "incident.customer_contacted": _contacted,
    "playbook.change_wanted": _by(
        gettext_lazy("%(who)s wrote down what to change in the playbook"), "playbook", "accent"
    ),
    "playbook.change_made": _by(gettext_lazy("A change in the playbook is made, says %(who)s"), "check", "ok"),
    "run.started": lambda event, known: Entry(
        event.occurred_at,
        _("Playbook “%(playbook)s” started, version %(version)s")
        % apart(playbook=event.data.get("playbook", ""), version=event.data.get("version", "")),
        "playbook",
    ),
    "run.confirmation_asked": _asked,
    "run.confirmed": _by(gettext_lazy("Telling was confirmed by %(who)s"), "check", "accent"),
    "run.task_made": _task(gettext_lazy("A task for a person, to be done by %(time)s"), "person", "accent"),
    "run.task_done": _task(gettext_lazy("Task done, says %(who)s"), "check", "ok"),
    "run.task_overdue": _task(gettext_lazy("A task was not done by %(time)s"), "alert", "urgent"),
    "run.finished": _plain(gettext_lazy("The playbook has finished"), "playbook"),
    "run.failed": _plain(gettext_lazy("The playbook was stopped by an error"), "alert", "urgent"),
    "message.batch_decided": _decided,
    "message.batch_spread": lambda event, known: None,
    "message.batch_done": _done,
    "message.template_failed": _failed_text,
    "message.origin_held": _by(gettext_lazy("Messages held back by %(who)s"), "pause", "warn"),
    "message.origin_released": _by(gettext_lazy("Messages released by %(who)s"), "send"),
    "message.origin_cancelled": _by(gettext_lazy("What was still to be sent was stopped by %(who)s"), "close"),
    "promise.made": _promise(gettext_lazy("Promised: next update by %(time)s")),
    "promise.due_soon": _promise(gettext_lazy("Promise due soon: %(time)s"), "warn"),
    "promise.kept": _promise(gettext_lazy("Promise kept: news before %(time)s"), "ok"),
    "promise.kept_early": _promise(gettext_lazy("Promise kept early: %(time)s"), "ok"),
    "promise.broken": _promise(gettext_lazy("Promise broken: no news by %(time)s"), "urgent"),
    "promise.moved": _promise(gettext_lazy("What was promised for %(time)s gets a new time"), "warn"),
    "promise.assigned": _promise(gettext_lazy("The promise for %(time)s is now with %(who)s")),
    "promise.passed": _promise(gettext_lazy("The promise for %(time)s has passed to %(who)s"), "warn"),
    "promise.acknowledged": _promise(gettext_lazy("%(who)s has taken the promise for %(time)s"), "ok"),
    "promise.unanswered": _promise(
        gettext_lazy("Nobody has taken the promise for %(time)s, and everybody was asked"), "urgent"
    ),
    "promise.nobody_on_duty": _promise(gettext_lazy("Nobody is on duty for the promise for %(time)s"), "urgent"),
    "promise.ended": _promise(gettext_lazy("Promise for %(time)s no longer needed")),
    "promise.holding_asked": _promise(
        gettext_lazy("The update for %(time)s would be late: customers are told so, with a new time"), "warn"
    ),
    "customer.changed": _changed,
    "customer.contact_point_added": _by(gettext_lazy("An address was added by %(who)s"), "plus"),
    "customer.contact_point_preferred": _by(gettext_lazy("An address was put first by %(who)s"), "check"),
    "customer.contact_point_status_set": _address,
    "contact_point.failed": _address,
    "contact_point.recovered": _address,
    "customer.contact_point_verified": _by(gettext_lazy("An address was verified by %(who)s"), "check", "ok"),
    "consents.recorded": _plain(gettext_lazy("Answers about consent were recorded"), "check"),
    "customer.identified": _by(gettext_lazy("%(who)s checked on the telephone who it was"), "phone"),
    "conversation.message_received": _said,
    "conversation.notice_received": _said,
    "conversation.message_handled": _by(gettext_lazy("%(who)s has seen to what the customer wrote"), "check", "ok"),
    "contact.received": _plain(gettext_lazy("The customer wrote or called"), "inbox", "accent"),
}
"""How each type of event is said; a type that is not here is shown by its name."""
