"""What colleagues are to hear of by mail: written in the transaction that gave cause, mailed later and together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db.models import QuerySet

from beforehand.accounts.access import ALLOWED
from beforehand.accounts.models import MailAbout, Notice, User
from beforehand.accounts.rosters import answering_rosters
from beforehand.engine.roster import asked_first
from beforehand.kit.rows import fetch

GATHER = timedelta(seconds=3)
"""What comes at once goes into one mail."""
REST = timedelta(minutes=1)
"""Nobody gets a second mail sooner than this after the last; what comes meanwhile waits and goes together."""
LEASE = timedelta(minutes=2)
"""So long a mail under way is nobody else's; after that its sender is taken for dead, and it goes once more."""
IN_ONE_MAIL = 200
LONGEST_WAIT = timedelta(minutes=10)
GIVEN_UP_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is asked, and whether it is one person's or the whole team's to see to."""

    people: tuple[int, ...]
    is_team: bool


def whom_to_ask(team_id: int | None, *, now: datetime, action: str = "incident:write") -> Asked:
    """Whom of a team to ask for something that needs this right: who is on duty, else the deputy, else the supervisor.

    Where none of them is there, or the team has no duty roles, the team is asked.
    """
    roster = answering_rosters([team_id or 0], since=now, until=now + timedelta(seconds=1)).get(team_id or 0)
    if roster is not None:
        may = set(_those_who(action).values_list("pk", flat=True))
        first = asked_first(roster.duty_at(now), supervisor=roster.supervisor, among=may)
        if first is not None:
            return Asked((first,), is_team=False)
    return whole_team(team_id, action=action)


def whole_team(team_id: int | None, *, action: str = "incident:write") -> Asked:
    """Everybody of a team who may do this; where there is nobody (or no team), all who decide in this installation."""
    may = _those_who(action).order_by("pk")
    members = tuple(may.filter(teams=team_id).values_list("pk", flat=True)) if team_id is not None else ()
    return Asked(members or tuple(_those_who("run:confirm").values_list("pk", flat=True)), is_team=True)


def _those_who(action: str) -> QuerySet[User]:
    return User.objects.filter(
        is_active=True, role__in=[role for role, actions in ALLOWED.items() if action in actions]
    )


def give_notice(asked: Asked, *, about: str, reason: str, once: str, now: datetime) -> int:
    """Note that these people are to hear of something; how many will. The same `once` again changes nothing."""
    unwanted = [MailAbout.NONE, MailAbout.OWN] if asked.is_team else [MailAbout.NONE]
    people = User.objects.filter(pk__in=asked.people, is_active=True).exclude(mail_about__in=unwanted)
    made = Notice.objects.bulk_create(
        (
            Notice(person=person, about=about, reason=reason, once=once, made_at=now, due_at=now + GATHER)
            for person in people
        ),
        ignore_conflicts=True,
    )
    return len(made)


# The person's row is what is locked, so that two workers never put one person's notices into two mails. A mail that was
# begun is taken up as it was: its notices, under its key, without those that came since.
CLAIM = """
WITH chosen AS (
    SELECT u.id, (SELECT n.mail_key FROM accounts_notice n WHERE n.person_id = u.id AND n.done_at IS NULL AND n.due_at <= %(now)s
                  ORDER BY n.mail_key NULLS LAST LIMIT 1) AS mail_key
    FROM accounts_user u
    WHERE EXISTS (SELECT FROM accounts_notice n WHERE n.person_id = u.id AND n.done_at IS NULL AND n.due_at <= %(now)s)
      AND NOT EXISTS (SELECT FROM accounts_notice n WHERE n.person_id = u.id AND n.outcome = 'sent' AND n.done_at > %(rested)s)
    ORDER BY u.id LIMIT 1 FOR NO KEY UPDATE OF u SKIP LOCKED
)
UPDATE accounts_notice n SET due_at = %(lease)s, attempts = attempts + 1, mail_key = coalesce(n.mail_key, %(key)s)
FROM chosen
WHERE n.id IN (SELECT id FROM accounts_notice m
               WHERE m.person_id = chosen.id AND m.done_at IS NULL AND m.due_at <= %(now)s
                 AND m.mail_key IS NOT DISTINCT FROM chosen.mail_key ORDER BY id LIMIT %(limit)s)
  AND n.done_at IS NULL AND n.due_at <= %(now)s  -- asked of the row as it is now: another worker may just have taken it
RETURNING n.id
"""


@dataclass(frozen=True, slots=True)
class NoticeMail:
    """One mail to be written: to whom, under which key, and what it is about, the oldest first."""

    person: User
    key: UUID
    notices: tuple[Notice, ...]


def claim_mail(*, now: datetime) -> NoticeMail | None:
    """The next mail to a colleague that is due, taken so that no other worker sends it; None if none is."""
    parameters = {"now": now, "lease": now + LEASE, "rested": now - REST, "key": uuid4(), "limit": IN_ONE_MAIL}
    ids = [row[0] for row in fetch(CLAIM, parameters)]
    notices = tuple(Notice.objects.filter(pk__in=ids).select_related("person").order_by("pk"))
    if not notices or notices[0].mail_key is None:
        return None
    return NoticeMail(notices[0].person, notices[0].mail_key, notices)


def settle_notices(notices: Iterable[Notice], outcome: Notice.Outcome, *, answer: str = "", now: datetime) -> None:
    """These are done with."""
    ids = [notice.pk for notice in notices]
    Notice.objects.filter(pk__in=ids).update(outcome=outcome.value, answer=answer, done_at=now)


def put_off_notices(notices: Sequence[Notice], *, answer: str, now: datetime) -> None:
    """The mail server would not take the mail now: later again, each time with more patience; after a day no more."""
    old = [notice for notice in notices if notice.made_at < now - GIVEN_UP_AFTER]
    settle_notices(old, Notice.Outcome.REFUSED, answer=answer, now=now)
    wait = min(LONGEST_WAIT, timedelta(seconds=5 * 2 ** min(10, max((one.attempts for one in notices), default=1))))
    ids = [notice.pk for notice in notices]
    Notice.objects.filter(pk__in=ids, done_at=None).update(due_at=now + wait, answer=answer)


def forget_notices(*, older_than: datetime) -> int:
    """Delete what was done with before then; how many."""
    return Notice.objects.filter(done_at__lt=older_than).delete()[0]
