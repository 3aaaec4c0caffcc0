"""Whatever happens in whatever order, and wherever a worker dies over it: the guarantees hold after each step.

Hypothesis makes up the story. `BEFOREHAND_TEST_STORIES` asks for more of them than the suite has time for, made up anew at
each run and cut down to what matters when one fails.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from beforehand.accounts.shifts import ShiftGiven, put_absence, put_shifts, save_roles, save_team_duty
from beforehand.customers.actions import upsert_holdings
from beforehand.customers.models import Consent
from beforehand.detection.mutes import create_mute
from beforehand.incidents.actions import (
    IncidentError,
    cancel_incident,
    narrow_scope,
    post_update,
    reopen_incident,
    resolve_incident,
    widen_scope,
)
from beforehand.incidents.affected import origin_of, put_on_list, take_off_list
from beforehand.incidents.models import Affected, Incident, PlannedWork
from beforehand.incidents.planned import cancel_work, finish_work, move_work, plan_work, start_work
from beforehand.outbound.reports import take_report
from beforehand.outbound.sms import SmsCourier
from beforehand.playbooks.actions import approve_version, finish_task, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion, Run, RunTask
from beforehand.playbooks.runs import confirm_run
from beforehand.promises.duty import acknowledge
from beforehand.promises.models import Promise
from tests.cast import Cast, make_cast
from tests.desk import spoken_over
from tests.driving import Drive, approve_shipped, driving, outage_rule
from tests.mailbox import Mailbox
from tests.playbooks.conftest import TASK
from tests.sms_gateway import Answer, FakeSmsGateway
from tests.survival import guarantees
from tests.survival.world import Whims, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

STORIES = int(os.environ.get("BEFOREHAND_TEST_STORIES", "0"))

DEATHS = st.lists(st.integers(0, 160), max_size=2)
ACT_DEATH = st.one_of(st.none(), st.integers(0, 12))
WHICH = st.sampled_from("ab")
PLACE = st.integers(0, 5)
MINUTES = st.sampled_from([1, 4, 20, 54, 58, 61, 130, 600, 1450])
BEGINNINGS = st.sampled_from(
    [
        datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
        datetime(2026, 10, 24, 22, 50, tzinfo=UTC),  # Europe puts its clocks back two hours later
        datetime(2027, 3, 28, 0, 20, tzinfo=UTC),  # and here forward
        datetime(2026, 11, 1, 5, 20, tzinfo=UTC),  # New York puts them back
        datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
    ]
)


@dataclass(frozen=True)
class Setting:
    cast: Cast
    drive: Drive
    gateway: FakeSmsGateway
    texter: SmsCourier
    whims: Whims


@pytest.fixture
def setting(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=10_000_000)
    save_roles(cast.team, [("duty-manager", "Duty manager")], actor="test")
    save_team_duty(cast.team, time_zone="Europe/Amsterdam", supervisor=cast.noor, members=None, actor="test")
    approve_shipped()
    whims = Whims()
    with (
        FakeSmsGateway() as gateway,
        driving(Mailbox(whims)) as drive,
        SmsCourier(gateway.gateway, connections=2) as sms,
    ):
        monkeypatch.setattr(django_settings, "SMS_GATEWAY", gateway.gateway)
        yield Setting(cast, drive, gateway, sms, whims)


def outage_playbook(message_class: str, *, change: str = "words") -> PlaybookVersion:
    """The outage playbook of a class, over mail, then text, then the inbox; perhaps with a task before its end, or not approved."""
    source, texts = read_bundle(SHIPPED / "outage")
    source = source.partition("\ntests:")[0].replace("class: service-critical", f"class: {message_class}")
    source = spoken_over(source, "[email, sms, inbox]")
    if change == "task":
        source = source.replace("  - repeat: still", f"{TASK}  - repeat: still", 1)
    version = push_version(source=source + (" # to be confirmed" if change == "ask" else ""), texts=texts, actor="test")
    if version.approved_at is None and change != "ask":
        approve_version(version, user=None, actor="test")
    PlaybookVersion.objects.filter(slug=version.slug).update(is_current=False)
    PlaybookVersion.objects.filter(pk=version.pk).update(is_current=True)
    return version


class Vexing(RuleBasedStateMachine):
    """A story: what happens, and where workers and servers die over it."""

    setting: Setting

    @initialize(began=BEGINNINGS, message_class=st.sampled_from(["service-critical", "service", "care"]))
    def begin(self, began: datetime, message_class: str) -> None:
        setting = self.setting
        outage_playbook(message_class)
        setting.whims.mood, setting.gateway.whims.always = "usual", None
        self.world = World(setting.cast, setting.drive, setting.gateway, setting.texter, setting.whims, began=began)
        world = self.world
        put_shifts(
            setting.cast.team,
            [
                ShiftGiven("e", "ester@company.example", began - timedelta(hours=4), began + timedelta(hours=6)),
                ShiftGiven(
                    "f", "farid@company.example", began - timedelta(hours=4), began + timedelta(hours=9), place=2
                ),
            ],
            actor="test",
        )
        world.fire("a")
        world.settle()
        world.jump(4)

    def _incident(self, which: int, *, is_open: bool = True) -> Incident | None:
        found = [one for one in self.world.incidents if (one.state == Incident.State.OPEN) == is_open]
        return found[which % len(found)] if found else None

    @rule(which=WHICH, dies=ACT_DEATH, deaths=DEATHS)
    def an_alert_fires(self, which: str, dies: int | None, deaths: list[int]) -> None:
        self.world.fire(which, dies_after=dies)
        self.world.settle(deaths)

    @rule(which=WHICH, dies=ACT_DEATH, deaths=DEATHS)
    def an_alert_is_over(self, which: str, dies: int | None, deaths: list[int]) -> None:
        self.world.fall_silent(which, dies_after=dies)
        self.world.settle(deaths)

    @rule(which=PLACE, dies=ACT_DEATH, deaths=DEATHS)
    def a_person_writes(self, which: int, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which)
        if incident is not None:
            self.world.act(lambda: post_update(incident, texts={"en": "News"}, author=None, actor="t"), dies_after=dies)
            self.world.settle(deaths)

    @rule(which=PLACE, is_mistake=st.booleans(), dies=ACT_DEATH, deaths=DEATHS)
    def a_person_closes(self, which: int, is_mistake: bool, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which)
        if incident is not None:
            end = cancel_incident if is_mistake else resolve_incident
            self.world.act(lambda: end(incident, reason="repaired", actor="test"), dies_after=dies)
            self.world.settle(deaths)

    @rule(which=PLACE, dies=ACT_DEATH, deaths=DEATHS)
    def it_was_not_over(self, which: int, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which, is_open=False)
        if incident is not None:

            def reopen() -> None:
                with suppress(IncidentError):  # the same problem is open already
                    reopen_incident(incident, actor="test")

            self.world.act(reopen, dies_after=dies)
            self.world.settle(deaths)

    @rule(which=PLACE, part=WHICH, dies=ACT_DEATH, deaths=DEATHS)
    def it_is_wider(self, which: int, part: str, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which)
        if incident is not None:
            ids = [self.world.component(part).pk]
            self.world.act(lambda: widen_scope(incident, component_ids=ids, actor="test"), dies_after=dies)
            self.world.settle(deaths)

    @rule(which=PLACE, reason=st.sampled_from(["cured", "mistaken"]), dies=ACT_DEATH, deaths=DEATHS)
    def it_is_narrower(self, which: int, reason: str, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which)
        parts = list(incident.scopes.filter(removed_at=None).order_by("pk")) if incident else []
        if len(parts) > 1:
            self.world.act(lambda: narrow_scope(parts[0], reason=reason, actor="test"), dies_after=dies)
            self.world.settle(deaths)

    @rule(which=PLACE, who=PLACE, how=st.sampled_from(["join", "cured", "mistaken"]), dies=ACT_DEATH, deaths=DEATHS)
    def somebody_joins_or_leaves(self, which: int, who: int, how: str, dies: int | None, deaths: list[int]) -> None:
        incident = self._incident(which)
        if incident is None:
            return
        world = self.world
        given = {"customer_ids": [world.customers[who].pk], "now": world.now + timedelta(seconds=5), "actor": "test"}
        if how == "join":
            scope = incident.scopes.order_by("pk")[0]
            world.act(lambda: put_on_list(incident.pk, scope_id=scope.pk, **given), dies_after=dies)
        else:
            world.act(lambda: take_off_list(incident.pk, state=Affected.State(how), **given), dies_after=dies)
        world.settle(deaths)

    @rule(which=WHICH, deaths=DEATHS)
    def an_alert_comes_and_goes(self, which: str, deaths: list[int]) -> None:
        for _ in range(2):
            self.world.fire(which)
            self.world.fall_silent(which)
        self.world.fire(which)
        self.world.settle(deaths)

    @rule(which=WHICH, minutes=st.sampled_from([5, 90, 700]), dies=ACT_DEATH)
    def alerts_are_muted(self, which: str, minutes: int, dies: int | None) -> None:
        world, part = self.world, self.world.component(which)
        until = world.now + timedelta(minutes=minutes)
        world.act(
            lambda: create_mute(starts_at=world.now, ends_at=until, reason="Work", actor="test", component=part),
            dies_after=dies,
        )
        world.settle()

    @rule(starts=st.sampled_from([0, 30, 1500]), lasts=st.sampled_from([45, 240]), dies=ACT_DEATH, deaths=DEATHS)
    def work_is_planned(self, starts: int, lasts: int, dies: int | None, deaths: list[int]) -> None:
        world = self.world
        begin = world.now + timedelta(minutes=starts)
        ids = [world.component("b").pk]

        def plan() -> None:
            end = begin + timedelta(minutes=lasts)
            plan_work(
                title="Work", starts_at=begin, ends_at=end, component_ids=ids, owner=world.cast.team, actor="test"
            )

        world.act(plan, dies_after=dies)
        world.settle(deaths)

    @rule(
        which=PLACE,
        verb=st.sampled_from(["move", "start", "finish", "call off"]),
        minutes=st.sampled_from([30, 300, 1500]),
        dies=ACT_DEATH,
        deaths=DEATHS,
    )
    def planned_work_changes(self, which: int, verb: str, minutes: int, dies: int | None, deaths: list[int]) -> None:
        world = self.world
        works = list(PlannedWork.objects.filter(incident__in=world.incidents, incident__state="open").order_by("pk"))
        if not works:
            return
        work = works[which % len(works)]
        later = timedelta(minutes=minutes)

        def change() -> None:
            with suppress(IncidentError):  # it has not begun, say
                match verb:
                    case "move":
                        starts_at = work.starts_at if work.started_at else max(work.starts_at, world.now) + later
                        move_work(work, starts_at=starts_at, ends_at=max(work.ends_at, starts_at) + later, actor="test")
                    case "start":
                        start_work(work, actor="test")
                    case "finish":
                        finish_work(work, actor="test")
                    case "call off":
                        cancel_work(work, actor="test")

        world.act(change, dies_after=dies)
        world.settle(deaths)

    @rule(who=PLACE, which=WHICH, dies=ACT_DEATH, deaths=DEATHS)
    def a_customer_moves(self, who: int, which: str, dies: int | None, deaths: list[int]) -> None:
        world = self.world
        name = world.names[who]
        row = {"external_id": f"{name}-a", "customer": name, "product": "Fibre", "components": [world.node(which)]}
        world.act(lambda: upsert_holdings([row], actor="test", source="test"), dies_after=dies)
        world.settle(deaths)

    @rule(who=PLACE, given=st.booleans())
    def a_customer_answers_whether_we_may(self, who: int, given: bool) -> None:
        world = self.world
        for channel in ("email", "sms"):
            Consent.objects.create(
                customer=world.customers[who],
                message_class="care",
                channel=channel,
                given=given,
                answered_at=world.now,
                wording="May we?",
                how="form",
            )

    @rule(
        message_class=st.sampled_from(["service-critical", "service", "care"]),
        change=st.sampled_from(["words", "task", "ask"]),
    )
    def the_playbook_is_changed(self, message_class: str, change: str) -> None:
        outage_playbook(message_class, change=change)

    @rule(who=st.sampled_from(["ester", "noor"]), deaths=DEATHS)
    def a_task_is_done(self, who: str, deaths: list[int]) -> None:
        world = self.world
        task = RunTask.objects.filter(run__incident__in=world.incidents, done_at=None).order_by("pk").first()
        if task is not None:
            person = getattr(world.cast, who)
            world.act(lambda: finish_task(task.pk, user=person, note="", actor="test", now=world.now))
            world.settle(deaths)

    @rule(dies=ACT_DEATH, deaths=DEATHS)
    def two_supervisors_confirm(self, dies: int | None, deaths: list[int]) -> None:
        world = self.world
        run = Run.objects.filter(incident__in=world.incidents, state="confirming").order_by("pk").first()
        if run is not None:
            answers: list[bool] = []

            def confirm() -> None:
                answers.append(confirm_run(run.pk, actor="test", now=world.now))

            world.act(confirm, dies_after=dies)
            world.act(confirm)
            assert answers.count(True) <= 1
            world.settle(deaths)

    @rule(who=st.sampled_from(["ester", "farid"]), minutes=MINUTES)
    def somebody_is_away(self, who: str, minutes: int) -> None:
        world = self.world
        person, until = getattr(world.cast, who), world.now + timedelta(minutes=minutes)
        world.act(lambda: put_absence(person, starts=world.now, ends=until, zone="UTC", actor="test"))
        world.settle()

    @rule(status=st.sampled_from(["delivered", "undelivered", "failed"]), dies=ACT_DEATH, deaths=DEATHS)
    def the_gateway_reports_what_became_of_a_text(self, status: str, dies: int | None, deaths: list[int]) -> None:
        world = self.world
        key = world.last_text()
        if key is not None:
            code = "" if status == "delivered" else "30003"
            world.act(lambda: take_report(key, status=status, code=code, now=world.now), dies_after=dies)
            world.settle(deaths)

    @rule(nth=PLACE, dies=ACT_DEATH, deaths=DEATHS)
    def a_customer_opens_a_message_on_their_page(self, nth: int, dies: int | None, deaths: list[int]) -> None:
        self.world.act(lambda: self.world.open_inbox(nth=nth), dies_after=dies)
        self.world.settle(deaths)

    @rule(mood=st.sampled_from([None, Answer(503), Answer(hang=True), Answer(400, code=21211)]))
    def the_gateway_changes_its_mood(self, mood: Answer | None) -> None:
        self.world.gateway.whims.always = mood

    @rule(mood=st.sampled_from(["usual", "puts off", "no such user", "takes and hangs up"]))
    def the_mail_server_changes_its_mood(self, mood: str) -> None:
        self.world.whims.mood = mood

    @rule(who=st.sampled_from(["ester", "farid"]))
    def somebody_takes_a_promise(self, who: str) -> None:
        world = self.world
        person = getattr(world.cast, who)
        mine = [origin_of(one.pk) for one in world.incidents]
        warned = Promise.objects.filter(audience__in=mine, state="open", warned_at__isnull=False, acknowledged_at=None)
        promise = warned.order_by("pk").first()
        if promise is not None:
            world.act(lambda: acknowledge(promise.pk, person=person, actor="test", now=world.now))
            world.settle()

    @rule(minutes=MINUTES, deaths=DEATHS)
    def time_passes(self, minutes: int, deaths: list[int]) -> None:
        self.world.jump(minutes, deaths)

    @invariant()
    def the_guarantees_hold(self) -> None:
        if hasattr(self, "world"):
            guarantees.check(self.world)

    def teardown(self) -> None:
        """All ends well: what is over is over for everybody."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.whims.mood, world.gateway.whims.always = "usual", None
        for which in list(world.firing):
            world.fall_silent(which)
        for incident in world.incidents:
            world.act(lambda incident=incident: resolve_incident(incident, reason="repaired", actor="test"))
        world.settle()
        world.jump(2000)
        guarantees.check(world)


def test_the_guarantees_hold_whatever_happens_and_wherever_a_worker_dies(setting: Setting) -> None:
    Vexing.setting = setting
    in_the_suite = settings(
        max_examples=STORIES or 2,
        stateful_step_count=30 if STORIES else 8,
        derandomize=not STORIES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if STORIES else [])],
        print_blob=True,
    )
    run_state_machine_as_test(Vexing, settings=in_the_suite)


def test_a_worker_may_die_before_any_statement_of_telling_and_of_the_end(setting: Setting) -> None:
    """Each in a world of its own: before the first statement, before the second, and so on until one gets to the end."""
    outage_playbook("service-critical")
    began = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    for after in count(0, 1 if STORIES else 150):
        world = World(setting.cast, setting.drive, setting.gateway, setting.texter, setting.whims, began=began)
        world.fire("a")
        world.jump(4, [after])
        guarantees.check(world)
        world.fall_silent("a")
        world.settle([after])
        world.jump(10, [after])
        guarantees.check(world)
        assert {one.state for one in world.incidents} == {Incident.State.RESOLVED}
        if not world.deaths:
            break
    assert after > 100
