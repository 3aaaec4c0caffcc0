"""A small world to be vexed: two nodes, seven customers who are reached in different ways, a team, providers with whims.

Everything happens through the product's own actions, on a travelled clock, against the real database, a real SMTP
conversation and an SMS gateway over a socket. Each world has nodes and customers of its own.
"""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.db import connection

from beforehand.customers.actions import upsert_components, upsert_customers, upsert_holdings
from beforehand.customers.models import Component, Customer
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.inbox import open_message
from beforehand.outbound.media import InboxMedium, SmsMedium
from beforehand.outbound.models import Delivery, Message
from beforehand.outbound.sms import SmsCourier
from tests.cast import Cast
from tests.driving import Drive, alert, post_webhook
from tests.mailbox import parsed
from tests.outbound.scripted_server import Act
from tests.sms_gateway import FakeSmsGateway
from tests.survival.deaths import DeathError, dying

NUMBERS = count(1)

PEOPLE: tuple[dict[str, Any], ...] = (
    {"language": "nl", "time_zone": "Europe/Amsterdam", "has_mail": True, "has_phone": True, "nodes": "a"},
    {"language": "en", "time_zone": "Europe/London", "has_mail": True, "has_phone": False, "nodes": "a"},
    {"language": "ar", "time_zone": "Africa/Casablanca", "has_mail": False, "has_phone": True, "nodes": "ab"},
    {"language": "hi", "time_zone": "Asia/Kolkata", "has_mail": True, "has_phone": False, "nodes": "ab"},
    {"language": "en", "time_zone": "America/New_York", "has_mail": True, "has_phone": True, "nodes": "b"},
    {"language": "en", "time_zone": "Europe/London", "has_mail": False, "has_phone": False, "nodes": "ab"},
    {"language": "nl", "time_zone": "Europe/Amsterdam", "has_mail": False, "has_phone": False, "nodes": "ab"},
)
READS_THEIR_PAGE = 6
"""The place of the one who has an inbox, and nothing else."""


class Whims:
    """What the mail server does to whoever talks to it."""

    mood = "usual"

    def __call__(self, command: str, nth: int) -> str | Act | None:
        if self.mood == "puts off" and command.startswith("MAIL"):
            return "451 4.3.0 not now"
        if self.mood == "no such user" and command.startswith("RCPT"):
            return "550 5.1.1 no such user"
        if self.mood == "takes and hangs up" and command == ".":
            return Act.ACCEPT_AND_CLOSE
        return None


@dataclass(frozen=True)
class Heard:
    """One message that a provider took: when, for whom, and of which message."""

    at: datetime
    address: str
    channel: str
    batch_id: int
    message_id: int


class World:
    """One worker, what it works on, and what customers heard."""

    def __init__(
        self, cast: Cast, drive: Drive, gateway: FakeSmsGateway, texter: SmsCourier, whims: Whims, *, began: datetime
    ) -> None:
        self.cast, self.drive, self.gateway, self.texter, self.whims = cast, drive, gateway, texter, whims
        self.texts = DeliveryLoop(texter, worker=uuid.uuid4(), medium=SmsMedium())
        self.inboxes = DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=InboxMedium())
        self.number = next(NUMBERS)
        self.now = began + timedelta(milliseconds=self.number)  # no two worlds have an alert of one time
        self.heard: list[Heard] = []
        self.mails_read, self.texts_read = len(drive.mailbox.accepted), len(gateway.taken)
        self.first_text = self.texts_read
        self.posted: set[tuple[str, str]] = set()
        self.firing: dict[str, datetime] = {}
        self.closed_before: set[int] = set()
        self.deaths = 0
        self._people()

    def _people(self) -> None:
        mark = self.number
        self.names = [f"w{mark}-{place}" for place in range(len(PEOPLE))]
        nodes = [{"external_id": self.node(which), "kind": "node", "name": self.node(which)} for which in "ab"]
        upsert_components(nodes, actor="test", source="test")
        rows = []
        for place, (name, person) in enumerate(zip(self.names, PEOPLE, strict=True)):
            row = {"external_id": name, "name": name, "language": person["language"], "time_zone": person["time_zone"]}
            if person["has_mail"]:
                row["email"] = f"{name}@customers.example"
            if person["has_phone"]:
                row["sms"] = f"+316{mark:06d}{place:02d}"
            if place == READS_THEIR_PAGE:
                row["inbox"] = "my page"
            rows.append(row)
        upsert_customers(rows, actor="test", source="test")
        upsert_holdings(
            [
                {
                    "external_id": f"{name}-{which}",
                    "customer": name,
                    "product": "Fibre",
                    "components": [self.node(which)],
                }
                for name, person in zip(self.names, PEOPLE, strict=True)
                for which in person["nodes"]
            ],
            actor="test",
            source="test",
        )
        self.customers = list(Customer.objects.filter(external_id__in=self.names).order_by("pk"))

    def node(self, which: str) -> str:
        return f"world-{self.number}-{which}"

    def component(self, which: str) -> Component:
        return Component.objects.get(external_id=self.node(which))

    @property
    def incidents(self) -> list[Incident]:
        mine = Component.objects.filter(external_id__in=[self.node("a"), self.node("b")])
        return list(Incident.objects.filter(scopes__component__in=mine).distinct().order_by("pk"))

    # Work, and what can happen to it

    def settle(self, deaths: Sequence[int] = ()) -> None:
        """Work until nothing moves any more. The worker dies after so many statements, and another one goes on."""
        self.closed_before = {one.pk for one in self.incidents if one.state != Incident.State.OPEN}
        with travel(self.now):
            for after in deaths:
                try:
                    with dying(after):
                        self._work()
                except DeathError:
                    self._bury()
            self._work()
        self._listen()

    def _work(self) -> None:
        for _ in range(30):
            self.drive.settle()
            moved = sum(self._deliver(loop) for loop in (self.texts, self.inboxes))
            if not moved:
                return
        raise AssertionError("work never came to rest")

    def _deliver(self, loop: DeliveryLoop) -> int:
        moved = loop.step(wait=0)
        until = time.monotonic() + 20
        while not loop.is_idle and time.monotonic() < until:
            moved += loop.step(wait=0.01)
        return moved

    def _bury(self) -> None:
        """The worker is gone, and its connection with it; what had left the house arrives, and another finds the rest."""
        self.deaths += 1
        connection.close()
        dead = (self.drive.loop, self.texts, self.inboxes)
        self.drive.loop = DeliveryLoop(dead[0]._courier, worker=uuid.uuid4())
        self.texts = DeliveryLoop(self.texter, worker=uuid.uuid4(), medium=SmsMedium())
        self.inboxes = DeliveryLoop(InHouseCourier(), worker=uuid.uuid4(), medium=InboxMedium())
        for loop in dead:
            while loop._courier.idle() < loop._courier.connections:
                time.sleep(0.001)
            recover_dead(loop._worker, now=self.now)

    def act(self, deed: Callable[[], object], *, dies_after: int | None = None) -> None:
        """Somebody does something; if their server dies over it, it was done or it was not."""
        self.now += timedelta(seconds=5)
        with travel(self.now):
            if dies_after is None:
                deed()
                return
            try:
                with dying(dies_after):
                    deed()
            except DeathError:
                self.deaths += 1
                connection.close()

    def post(self, which: str, status: str, *, starts_at: datetime, dies_after: int | None = None) -> None:
        """An alert comes in, again and again until it is taken, as a monitoring system sends it."""
        ends_at = self.now if status == "resolved" else None
        given = alert(status=status, node=self.node(which), starts_at=starts_at, ends_at=ends_at)
        self.act(lambda: post_webhook([given]), dies_after=dies_after)
        if dies_after is not None:
            self.act(lambda: post_webhook([given]))
        self.posted.add((starts_at.isoformat(), status))

    def fire(self, which: str, *, dies_after: int | None = None) -> None:
        self.firing.setdefault(which, self.now)
        self.post(which, "firing", starts_at=self.firing[which], dies_after=dies_after)

    def fall_silent(self, which: str, *, dies_after: int | None = None) -> None:
        started = self.firing.pop(which, None)
        if started is not None:
            self.post(which, "resolved", starts_at=started, dies_after=dies_after)

    def jump(self, minutes: int, deaths: Sequence[int] = ()) -> None:
        """Nobody works for so long; then they do."""
        self.now += timedelta(minutes=minutes)
        self.settle(deaths)

    def last_text(self) -> tuple[int, int, int] | None:
        """The newest attempt of this world that the gateway took."""
        taken = self.gateway.taken[self.first_text :]
        return _attempt(taken[-1].report_url) if taken else None

    def open_inbox(self, *, nth: int) -> None:
        """Whoever reads their page opens one of the messages that stand there."""
        reader = self.customers[READS_THEIR_PAGE]
        theirs = Message.objects.filter(bucket=reader.pk % 64, customer_id=reader.pk).values("id")
        standing = Delivery.objects.filter(
            bucket=reader.pk % 64, channel="inbox", state="accepted", message_id__in=theirs
        )
        ids = list(standing.order_by("message_id").values_list("message_id", flat=True))
        if ids:
            open_message(reader.pk, ids[nth % len(ids)], now=self.now)

    # What customers heard

    def _listen(self) -> None:
        for mail in self.drive.mailbox.accepted[self.mails_read :]:
            head = parsed(mail.data)
            batch_id = int(str(head["Feedback-ID"]).partition(":")[0])
            self.heard.append(self._heard(mail.recipient, "email", batch_id))
        for text in self.gateway.taken[self.texts_read :]:
            bucket, message, _ = _attempt(text.report_url)
            batch_id = Message.objects.get(bucket=bucket, id=message).batch_id
            self.heard.append(Heard(self.now, text.to, "sms", batch_id, message))
        self.mails_read, self.texts_read = len(self.drive.mailbox.accepted), len(self.gateway.taken)

    def _heard(self, address: str, channel: str, batch_id: int) -> Heard:
        customer = next(one for one in self.customers if f"{one.external_id}@customers.example" == address)
        message = Message.objects.get(bucket=customer.pk % 64, customer_id=customer.pk, batch_id=batch_id)
        return Heard(self.now, address, channel, batch_id, message.id)

    def times_heard(self) -> Counter[tuple[str, str, int]]:
        """How often each address was told by each message."""
        return Counter((one.channel, one.address, one.message_id) for one in self.heard)


def _attempt(report_url: str) -> tuple[int, int, int]:
    """Bucket, message and attempt that a text reports on."""
    bucket, message, attempt = report_url.rpartition("attempt=")[2].split("-")
    return int(bucket), int(message), int(attempt)
