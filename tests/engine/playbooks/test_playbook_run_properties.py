"""Whatever happens, in whatever order: nobody is told twice, nobody is left hanging, an exit is an exit."""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.engine.playbooks.playbook_samples import NOON, OUTAGE, REPEAT, sample

from beforehand.engine.playbooks.language import Audience
from beforehand.engine.playbooks.moves import Phase, Position, Reach
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.run import advance, on_event, restart, start

FIRST = "  - tell: first\n    promise: next update within 60 minutes\n"
WAITS = "  - wait: { until: incident.confirmed, at most: 10 minutes }\n"
SLOW_END = "  - label: over\n  - wait: 10 minutes\n  - tell: all-clear\n    to: told\n  - end: resolved\n"
TWO_KINDS = REPEAT + "      incident.eta_changed: { tell: new-time, promise: next update within 60 minutes }\n"
PLAYBOOKS = [
    parse_playbook(text)
    for text in (
        OUTAGE,
        sample(REPEAT),
        sample(WAITS + FIRST + WAITS + TWO_KINDS, tail=SLOW_END),
        sample(FIRST + "  - wait: 55 minutes\n" + FIRST.replace("first", "second") + WAITS + REPEAT),
    )
]
EVENTS = [
    "incident.resolved",
    "incident.cancelled",
    "incident.reopened",
    "incident.update_posted",
    "incident.eta_changed",
    "incident.confirmed",
    "incident.renamed",
]


class Runs(RuleBasedStateMachine):
    @initialize(
        playbook=st.sampled_from(PLAYBOOKS),
        began=st.integers(-600, 60),
        lead=st.integers(0, 3_000),
        count=st.sampled_from([10, 30_000]),
    )
    def begin(self, playbook, began, lead, count):
        self.playbook, self.now, self.lead, self.reach = playbook, NOON, timedelta(seconds=lead), Reach(count)
        self.keys = set()
        self.exited = self.finished = False
        self.take(start(playbook, now=NOON, reach=self.reach, began_at=NOON + timedelta(seconds=began), lead=self.lead))

    def take(self, result):
        assert len(result.tells) <= 1
        for tell in result.tells:
            assert (tell.step, tell.turn) not in self.keys
            self.keys.add((tell.step, tell.turn))
            assert not self.finished
            assert (tell.audience is Audience.TOLD) == self.exited
            assert result.position.phase is Phase.TELLING
        self.decided_at = self.now
        self.last, self.position = result, Position.from_json(result.position.to_json())
        if result.finished:
            self.finished = True

    def moment(self):
        return {"now": self.now, "reach": self.reach, "lead": self.lead}

    @rule(seconds=st.one_of(st.integers(0, 120), st.integers(0, 20_000), st.integers(-4_000, -1)))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.last.wake_at is not None and self.last.wake_at > self.now)
    @rule(late=st.integers(0, 90))
    def time_passes_until_the_run_wakes(self, late):
        self.now = self.last.wake_at + timedelta(seconds=late)

    @rule(told=st.booleans())
    def a_timer_fires(self, told):
        before = self.position
        result = advance(self.playbook, before, told=told, **self.moment())
        if result.reason in ("too early", "still telling", "already finished"):
            assert result.position == before
            assert not result.tells
        self.take(result)

    @rule(event=st.sampled_from(EVENTS))
    def an_event_comes(self, event):
        is_exit = event in ("incident.resolved", "incident.cancelled") and not self.exited
        is_restart = event == "incident.reopened" and self.exited and not self.finished
        result = on_event(self.playbook, self.position, event_type=event, **self.moment())
        if result is None:
            assert not is_exit
            assert not is_restart
            return
        assert event in self.last.listens
        assert not self.finished
        if is_exit or is_restart:
            self.exited = is_exit
        self.take(result)

    @precondition(lambda self: self.finished)
    @rule()
    def it_is_restarted_on_purpose(self):
        result = restart(self.playbook, self.position, **self.moment())
        self.finished = self.exited = False
        self.take(result)

    @rule()
    def a_person_confirms(self):
        self.reach = Reach(self.reach.count, is_confirmed=True)

    @invariant()
    def nobody_is_left_hanging(self):
        if self.finished:
            assert self.position.phase is Phase.FINISHED
            assert (self.last.wake_at, self.last.listens) == (None, frozenset())
            return
        owed_at = self.position.owed_at
        if self.position.told_step is not None:
            assert self.last.wake_at is not None
        if owed_at is not None and owed_at > self.decided_at:
            assert self.last.wake_at <= owed_at
        if self.last.wake_at is None:
            assert self.position.phase is Phase.CONFIRMING


Runs.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestRuns = Runs.TestCase
