"""Say what a run says: the batch, its work, and the promise that it makes; to all, and to who joined or left."""

from dataclasses import replace
from datetime import datetime

from beforehand.accounts.installation import installation
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.playbooks.language import Audience, Playbook
from beforehand.engine.playbooks.moves import Phase, Position, Tell, joined_tell, leaving_tell
from beforehand.engine.promises import CustomerRhythm, Precision, spoken_precision, spoken_time
from beforehand.incidents.affected import origin_of
from beforehand.outbound.actions import create_batch
from beforehand.outbound.models import MessageBatch
from beforehand.playbooks.audiences import BatchAudience, buckets_waiting
from beforehand.playbooks.facts import batch_facts
from beforehand.playbooks.models import Run
from beforehand.playbooks.promising import promise_word
from beforehand.playbooks.spreads import open_spread
from beforehand.promises.actions import SPEAKS_TO_ALL
from beforehand.promises.models import Promise
from beforehand.promises.queries import outcomes_to_tell


def effect_key(run: Run, step: str, turn: int) -> str:
    """The key under which a run says something once."""
    return f"{effect_keys(run)}{step}:{turn}"


def effect_keys(run: Run) -> str:
    """How all of a run's keys begin."""
    return f"run:{run.pk}:"


def speak(
    run: Run,
    playbook: Playbook,
    tell: Tell,
    audience: BatchAudience,
    *,
    now: datetime,
    cause: str,
    buckets: list[int] | None = None,
    due_at: datetime | None = None,
    rare_at: datetime | None = None,
    is_end: bool = False,
) -> None:
    """Make the batch, put up its work, and enter the promise that it makes. `is_end`: nothing more is owed after it."""
    texts = run.version.texts.get(tell.text, {})
    precision = Precision.MINUTE
    if tell.promise is not None:
        due_at = spoken_time(now + tell.promise, tell.promise)
        precision = spoken_precision(tell.promise)
        if tell.rare is not None:
            rare_at = spoken_time(now + tell.rare, tell.rare)
    elif due_at is not None:
        precision = spoken_precision(due_at - now)
    batch, is_new = create_batch(
        effect_key=effect_key(run, tell.step, tell.turn),
        origin=origin_of(run.incident_id),
        step=tell.step,
        audience=audience.value,
        message_class=MessageClass(playbook.message_class.value),
        channels=[channel.value for channel in playbook.channels],
        texts=texts,
        fallback_language=playbook.fallback_language,
        facts=batch_facts(
            run.incident,
            languages=texts,
            brand=installation().brand,
            decided_at=now,
            next_update_at=due_at,
            precision=precision,
        ),
        next_update_at=due_at,
        rare_update_at=rare_at,
        is_routine=tell.is_routine and not _has_news_of_outcomes(origin_of(run.incident_id)),
        why={
            **({"is_end": True} if is_end else _called(playbook)),
            "incident": run.incident_id,
            "run": run.pk,
            "playbook": run.version.slug,
            "version": run.version.number,
            "cause": cause,
        },
        decided_at=now,
        actor=f"run:{run.pk}",
    )
    if not is_new:
        return
    open_spread(batch, run, buckets=buckets)
    if tell.promise is not None and due_at is not None:
        promise_word(batch, run, due_at=due_at, made_at=now, rhythm=CustomerRhythm.EVERY_STEP)


def _called(playbook: Playbook) -> dict[str, str]:
    return {"call_first": playbook.call_first.value} if playbook.call_first else {}


def _has_news_of_outcomes(origin: str) -> bool:
    """Whether something that is promised to be done is new since the last word to everyone: promised, moved, or not done."""
    outcomes = outcomes_to_tell(origin)
    broken = [promise.ended_at for promise in outcomes if promise.told_at and promise.ended_at]
    if any(promise.told_at is None and promise.ended_at is None for promise in outcomes):
        return True
    words = MessageBatch.objects.filter(origin=origin, audience__in=SPEAKS_TO_ALL, is_routine=False)
    last = words.order_by("-sequence").values_list("decided_at", flat=True).first()
    return bool(broken) and (last is None or max(broken) > last)


def attend_joiners_and_leavers(
    run: Run, playbook: Playbook, position: Position, *, now: datetime, leaving_only: bool = False
) -> None:
    """Speak to who joined or left since the list was last looked at. Not in the middle of telling: that finds joiners itself."""
    changed_at = run.incident.affected_at
    is_news = changed_at is not None and (run.list_seen_at is None or changed_at > run.list_seen_at)
    if position.told_step is None or not is_news or (position.phase is Phase.TELLING and not leaving_only):
        return
    waiting = buckets_waiting(run.incident_id)
    for audience, buckets in waiting.items():
        if audience is BatchAudience.JOINED and leaving_only:
            continue
        tell = _side_tell(playbook, position, audience)
        if tell is None:
            continue
        run.side_turn += 1
        due_at = rare_at = None
        if audience is BatchAudience.JOINED:
            due_at = _running(run, CustomerRhythm.EVERY_STEP)
            rare_at = _running(run, CustomerRhythm.ONLY_CHANGES)
            if rare_at is None and position.rare_at is not None:
                rare_at = spoken_time(position.rare_at, position.rare_at - now)
        speak(
            run,
            playbook,
            replace(tell, step=audience.value.replace(" ", "-"), turn=run.side_turn, promise=None),
            audience,
            now=now,
            cause="incident.affected_listed",
            buckets=buckets,
            due_at=due_at,
            rare_at=rare_at,
            is_end=audience is not BatchAudience.JOINED,
        )
    if not leaving_only:
        run.list_seen_at = changed_at


def _running(run: Run, rhythm: CustomerRhythm) -> datetime | None:
    """By when everyone of this rhythm is promised the next word already."""
    open_words = Promise.objects.filter(
        audience=origin_of(run.incident_id), state=Promise.State.OPEN, kind=Promise.Kind.UPDATE, rhythm=rhythm
    )
    return open_words.order_by("due_at").values_list("due_at", flat=True).first()


def _side_tell(playbook: Playbook, position: Position, audience: BatchAudience) -> Tell | None:
    if audience is BatchAudience.JOINED:
        return joined_tell(playbook, position)
    left = Audience.LEFT_CURED if audience is BatchAudience.LEFT_CURED else Audience.LEFT_MISTAKEN
    return leaving_tell(playbook, audience=left, turn=0)
