"""Is it solved? What customers answer on their own page, and what follows: evidence, or a question that a person settles."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from beforehand.accounts.installation import installation
from beforehand.accounts.models import Team
from beforehand.customers.models import Customer
from beforehand.engine.answers import AnswerMeaning, answer_meaning, contact_due
from beforehand.events.actions import append_event
from beforehand.incidents.affected import origin_of
from beforehand.incidents.models import Affected, Answer, Incident
from beforehand.kit.ids import bucket_of
from beforehand.kit.rows import bulk, bulk_fetch
from beforehand.promises.personal import end_word, keep_word, promise_word

ASKED_FOR = timedelta(days=30)
"""So long after its end a customer may say that it is not solved; as long as the link in the last message opens."""
COMMENT_LIMIT = 1000


class AnswerRefused(Exception):
    """An answer that cannot be taken; `code` names why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def over_since(incident: Incident, row: Affected) -> datetime | None:
    """Since when it is over for this customer, as far as we know; None while it is not."""
    if row.state != Affected.State.AFFECTED:
        return row.left_at
    return incident.ended_at if incident.state != Incident.State.OPEN else None


def counts_now(answer: Answer | None, *, over_at: datetime | None) -> bool:
    """Whether this is an answer to what we ask now: one given before the end says nothing about the time after it."""
    if answer is None or answer.was_over != (over_at is not None):
        return False
    return over_at is None or answer.said_at >= over_at


@transaction.atomic
def give_answer(
    incident: Incident, customer: Customer, *, says: Answer.Says, owner: Team | None, now: datetime, actor: str
) -> Answer:
    """The customer says whether it works for them; the same answer again changes nothing.

    “Still broken” after the end makes an open question: `owner` is to be in touch by a promised time. Raises
    `AnswerRefused`: not_asked (it never concerned them, or is long over).
    """
    row = Affected.objects.filter(
        bucket=bucket_of(customer.pk), incident_id=incident.pk, customer_id=customer.pk
    ).first()
    over_at = over_since(incident, row) if row is not None else None
    if row is None or (over_at is not None and over_at < now - ASKED_FOR):
        raise AnswerRefused("not_asked")
    answer, is_new = _held(incident.pk, customer.pk, says=says, over_at=over_at, now=now)
    if not is_new and answer.says == says and counts_now(answer, over_at=over_at):
        return answer
    meaning = answer_meaning(works=says is Answer.Says.WORKS, is_over=over_at is not None)
    answer.says, answer.said_at, answer.was_over = says, now, over_at is not None
    if meaning is AnswerMeaning.REOPENED and not _is_open(answer):
        answer.asked_at, answer.settled_at, answer.settled_how, answer.settled_by = now, None, "", ""
        _promise(answer, customer, owner=owner, now=now, actor=actor)
    elif says is Answer.Says.WORKS and _is_open(answer):
        end_word(answer.promise_id, at=now, actor=actor)
        _settle(answer, Answer.Settled.WORKS, now=now, actor=actor)
    answer.save()
    append_event(
        type="incident.customer_confirmed" if says is Answer.Says.WORKS else "incident.customer_still_broken",
        actor=actor,
        subject=origin_of(incident.pk),
        customer_id=customer.pk,
        data={"incident": incident.pk, "meaning": meaning.value, "component": row.component_id},
    )
    return answer


@transaction.atomic
def give_score(
    incident: Incident, customer: Customer, *, score: int | None, comment: str, now: datetime, actor: str
) -> Answer:
    """How we did, 1 to 5, and perhaps a sentence; each replaces what was said before. Raises `AnswerRefused`: not_asked."""
    answer = _answers(incident.pk, customer.pk).select_for_update().first()
    if answer is None or (score is not None and not 1 <= score <= 5):
        raise AnswerRefused("not_asked")
    comment = comment.replace("\0", "").strip()[:COMMENT_LIMIT]
    before = (answer.score, answer.comment)
    answer.score, answer.comment = score or answer.score, comment or answer.comment
    if (answer.score, answer.comment) == before:
        return answer
    answer.scored_at = now
    answer.save(update_fields=["score", "comment", "scored_at"])
    append_event(
        type="incident.customer_scored",
        actor=actor,
        subject=origin_of(incident.pk),
        customer_id=customer.pk,
        data={"incident": incident.pk, "score": answer.score, "has_comment": bool(answer.comment)},
        private={"comment": answer.comment} if answer.comment else None,
    )
    return answer


@transaction.atomic
def note_contact(
    incident_id: int,
    customer: Customer,
    *,
    note: str,
    next_at: datetime | None,
    owner: Team | None,
    now: datetime,
    actor: str,
) -> bool:
    """A person was in touch: what was promised is kept. With `next_at` it goes on, and that is promised; else it is settled.

    False if somebody else has settled it meanwhile.
    """
    answer = _answers(incident_id, customer.pk).select_for_update().first()
    if answer is None or not _is_open(answer):
        return False
    keep_word(answer.promise_id, at=now, actor=actor)
    answer.note = note.replace("\0", "").strip()[:COMMENT_LIMIT]
    if next_at is None:
        _settle(answer, Answer.Settled.CONTACTED, now=now, actor=actor)
    else:
        _promise(answer, customer, owner=owner, now=now, actor=actor, due_at=next_at)
    answer.save()
    append_event(
        type="incident.customer_contacted",
        actor=actor,
        subject=origin_of(incident_id),
        customer_id=customer.pk,
        data={"incident": incident_id, "is_settled": next_at is None},
        private={"note": answer.note} if answer.note else None,
    )
    return True


def renew_promise(answer: Answer, customer: Customer, *, owner: Team | None, now: datetime, actor: str) -> datetime:
    """Nobody was in touch in time: the new time by which somebody will be. Inside the caller's transaction."""
    due_at = _promise(answer, customer, owner=owner, now=now, actor=actor)
    answer.save(update_fields=["rounds", "promise_id"])
    return due_at


def question_of_promise(promise_id: int, *, customer_id: int) -> Answer | None:
    """The open question that this promise was made for; its row is held."""
    return (
        Answer.objects.select_for_update()
        .filter(bucket=bucket_of(customer_id), customer_id=customer_id, promise_id=promise_id, settled_at=None)
        .exclude(asked_at=None)
        .first()
    )


REOPENED = """
UPDATE incidents_answer n SET settled_at = %(now)s::timestamptz, settled_how = 'reopened', settled_by = %(actor)s::text
FROM incidents_affected a
WHERE n.bucket BETWEEN 0 AND 63 AND n.incident_id = %(incident)s::bigint AND n.asked_at IS NOT NULL AND n.settled_at IS NULL
  AND a.bucket = n.bucket AND a.incident_id = n.incident_id AND a.customer_id = n.customer_id AND a.state = 'affected'
RETURNING n.promise_id
"""


@transaction.atomic
def settle_by_reopening(incident_id: int, *, now: datetime, actor: str) -> int:
    """It is open again, so those whom it touches are told with everybody: their own questions are settled; how many."""
    rows = bulk_fetch(REOPENED, {"incident": incident_id, "now": now, "actor": actor})
    for (promise_id,) in rows:
        end_word(promise_id, at=now, actor=actor)
    return len(rows)


def forget_answers(customer_id: int, *, at: datetime, actor: str) -> int:
    """An erasure: what they wrote, and what was noted, is blanked; their answers stay, with ids and times; how many rows."""
    for answer in Answer.objects.select_for_update().filter(
        bucket=bucket_of(customer_id), customer_id=customer_id, settled_at=None
    ):
        if _is_open(answer):
            end_word(answer.promise_id, at=at, actor=actor)
            _settle(answer, Answer.Settled.ERASED, now=at, actor=actor)
            answer.save()
    return bulk(
        """
        UPDATE incidents_answer SET comment = '', note = ''
        WHERE bucket = %s::smallint AND customer_id = %s::bigint AND (comment <> '' OR note <> '')
        """,
        [bucket_of(customer_id), customer_id],
    )


def _answers(incident_id: int, customer_id: int) -> "QuerySet[Answer]":
    return Answer.objects.filter(bucket=bucket_of(customer_id), incident_id=incident_id, customer_id=customer_id)


def _held(
    incident_id: int, customer_id: int, *, says: Answer.Says, over_at: datetime | None, now: datetime
) -> tuple[Answer, bool]:
    """Their row, locked, and whether it is new: of two presses at once one writes it, the other waits."""
    made = bulk(
        """
        INSERT INTO incidents_answer (bucket, incident_id, customer_id, says, said_at, was_over)
        VALUES (%s::smallint, %s::bigint, %s::bigint, %s::text, %s::timestamptz, %s::boolean) ON CONFLICT DO NOTHING
        """,
        [bucket_of(customer_id), incident_id, customer_id, says.value, now, over_at is not None],
    )
    return _answers(incident_id, customer_id).select_for_update().get(), bool(made)


def _is_open(answer: Answer) -> bool:
    return answer.asked_at is not None and answer.settled_at is None


def _settle(answer: Answer, how: Answer.Settled, *, now: datetime, actor: str) -> None:
    answer.settled_at, answer.settled_how, answer.settled_by = now, how, actor


def _promise(
    answer: Answer,
    customer: Customer,
    *,
    owner: Team | None,
    now: datetime,
    actor: str,
    due_at: datetime | None = None,
) -> datetime:
    """Promise the next word to this one customer, and note it on the answer, which the caller saves."""
    standard = installation()
    due_at = due_at or contact_due(
        now,
        within=timedelta(minutes=standard.contact_minutes),
        before=answer.rounds,
        zone=customer.time_zone,
        quiet_from=customer.quiet_from or standard.quiet_from,
        quiet_to=customer.quiet_until or standard.quiet_until,
    )
    answer.rounds += 1
    promise = promise_word(
        customer_id=customer.pk,
        due_at=due_at,
        made_at=now,
        made_by=f"answer:{answer.incident_id}:{answer.rounds}",
        owner=owner,
        actor=actor,
    )
    answer.promise_id = promise.pk
    return due_at
