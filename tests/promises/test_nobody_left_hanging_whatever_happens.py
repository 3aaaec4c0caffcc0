"""Whatever happens in whatever order: told once, an end for everyone who was told, and always a next word promised.

Hypothesis makes up the story; the engine is driven by hand over a travelled clock, against the real database and a real SMTP
conversation. Each story has a node and customers of its own, so that nothing needs to be cleared between them.
"""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.company import make_company
from tests.driving import Drive, alert, approve_shipped, driving, outage_rule, post_webhook
from tests.mailbox import Mailbox, parsed

from beforehand.customers.models import Customer
from beforehand.incidents.actions import post_update, reopen_incident, resolve_incident
from beforehand.incidents.affected import put_on_list, take_off_list
from beforehand.incidents.models import Affected, Incident
from beforehand.kit.clock import travel
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.models import Delivery, Message, MessageBatch
from beforehand.playbooks.models import Run
from beforehand.promises.models import Promise

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

SIZE = 5
STORIES = count(1)

DEEDS = st.one_of(
    st.just(("fire", 0)),
    st.just(("resolve", 0)),
    st.just(("reopen", 0)),
    st.just(("update", 0)),
    st.just(("crash", 0)),
    st.just(("server", 0)),
    st.tuples(st.sampled_from(["join", "cured", "mistaken"]), st.integers(0, SIZE - 1)),
    st.tuples(st.just("jump"), st.sampled_from([1, 4, 30, 54, 58, 61, 130])),
)


class Script:
    """A mail server that can be told to put everything off."""

    is_refusing = False

    def __call__(self, command: str, nth: int) -> str | None:
        return "451 4.3.0 not now" if self.is_refusing and command.startswith("MAIL") else None


class Story:
    def __init__(self, drive: Drive, script: Script) -> None:
        number = next(STORIES)
        self.drive, self.script = drive, script
        self.node = f"node-{number}"
        self.began = datetime(2026, 11, 1, 9, tzinfo=UTC) + timedelta(days=3 * number)
        self.now = self.began
        first = number * 100
        make_company(SIZE, first=first, node=self.node)
        names = [f"c{first + i}" for i in range(SIZE)]
        self.customers = list(Customer.objects.filter(external_id__in=names).order_by("pk"))
        self.fire()
        self.incident = Incident.objects.order_by("-pk")[0]
        self.jump(4)

    def settle(self) -> None:
        with travel(self.now):
            self.drive.settle()

    def post(self, **changes: object) -> None:
        with travel(self.now):
            post_webhook([alert(starts_at=self.began, node=self.node, **changes)])  # type: ignore[arg-type]
        self.settle()

    def fire(self) -> None:
        self.post()

    def resolve(self) -> None:
        self.post(status="resolved", ends_at=self.now)

    def jump(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.settle()

    def do(self, deed: str, which: int) -> None:
        self.now += timedelta(seconds=5)
        with travel(self.now):
            scope = self.incident.scopes.order_by("pk")[0]
            self.incident.refresh_from_db()
            is_open = self.incident.state == Incident.State.OPEN
            who = {"customer_ids": [self.customers[which % SIZE].pk], "now": self.now, "actor": "test"}
            match deed:
                case "reopen":
                    reopen_incident(self.incident, actor="test")
                case "update" if is_open:
                    post_update(self.incident, texts={"en": "News"}, author=None, actor="test")
                case "join" if is_open:
                    put_on_list(self.incident.pk, scope_id=scope.pk, **who)
                case "cured" | "mistaken" if is_open:
                    take_off_list(self.incident.pk, state=Affected.State(deed), **who)
                case "server":
                    self.script.is_refusing = not self.script.is_refusing
                case "crash":
                    self.crash()
        match deed:
            case "fire":
                self.fire()
            case "resolve":
                self.resolve()
            case "jump":
                self.jump(which)
            case _:
                self.settle()

    def crash(self) -> None:
        """The worker dies with mails in flight; another finds what it left."""
        self.drive.decide()
        self.drive.loop.step(wait=0)
        dead = self.drive.loop
        self.drive.loop = DeliveryLoop(dead._courier, worker=uuid.uuid4())
        while dead._courier.idle() < dead._courier.connections:
            pass  # what had left the house arrives
        recover_dead(dead._worker, now=self.now)

    # What must be so after every deed

    def check(self) -> None:
        self.incident.refresh_from_db()
        batches = MessageBatch.objects.filter(origin=f"incident:{self.incident.pk}")
        waiting = Message.objects.filter(batch_id__in=batches.values("pk"), state="queued")
        if self.incident.state != Incident.State.OPEN:
            kept = batches.filter(why__is_end=True).values_list("pk", flat=True)
            assert not waiting.exclude(batch_id__in=list(kept)).exists(), "speaks after the exit"
            return
        run = Run.objects.get(incident=self.incident)
        assert run.state != Run.State.FAILED, run.error
        is_told = run.position["told_at"] is not None
        if is_told and self.incident.affected_count:
            owed = Promise.objects.filter(audience=f"incident:{self.incident.pk}", state="open", due_at__gt=self.now)
            assert owed.exists(), "nobody knows when they hear next"
            assert not Affected.objects.filter(
                incident_id=self.incident.pk, state="affected", told_sequence=0
            ).exists(), "not told"

    def end(self) -> None:
        self.script.is_refusing = False
        with travel(self.now):
            reopen_incident(self.incident, actor="test")
        self.settle()
        self.jump(4)
        self.check()
        with travel(self.now):
            resolve_incident(self.incident, reason="repaired", actor="test")  # what was reopened by hand, a hand closes
        self.settle()
        self.jump(241)

    def heard(self) -> dict[str, list[str]]:
        """What each customer got, in order: N for a notice, E for an end; a repeat of one in doubt once."""
        ends = set(MessageBatch.objects.filter(why__is_end=True).values_list("pk", flat=True))
        seen: Counter[str] = Counter()
        story: dict[str, list[str]] = {}
        for accepted in self.drive.mailbox.accepted:
            mail = parsed(accepted.data)
            seen[str(mail["Message-ID"])] += 1
            if seen[str(mail["Message-ID"])] == 1:
                batch = int(str(mail["Feedback-ID"]).partition(":")[0])
                story.setdefault(accepted.recipient, []).append("E" if batch in ends else "N")
        twice = sum(times - 1 for times in seen.values())
        assert twice <= Delivery.objects.filter(state="uncertain").count()
        return story


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(deeds=st.lists(DEEDS, min_size=3, max_size=7))
def _tell(drive: Drive, script: Script, deeds: list[tuple[str, int]]) -> None:
    drive.mailbox.accepted.clear()
    story = Story(drive, script)
    for deed, which in deeds:
        story.do(deed, which)
        story.check()
    story.end()
    for recipient, heard in story.heard().items():
        text = "".join(heard)
        rounds = text.split("E")
        assert text.endswith("E"), f"{recipient} was left without an end: {text} after {deeds}"
        assert all("N" in notices for notices in rounds[:-1]), f"{recipient} got an end too many: {text} after {deeds}"


def test_whatever_happens_everyone_told_gets_one_end_and_knows_when_they_hear_next(
    transactional_db: None, script: Script
) -> None:
    outage_rule(resolve_after_seconds=100_000)
    approve_shipped()
    with driving(Mailbox(script)) as drive:
        _tell(drive, script)
