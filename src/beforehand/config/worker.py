"""`beforehand worker`: three set-based loops (subscriptions, runs, deliveries) and a watch, each on a thread of its own.

Any number of workers on any number of machines: every piece of work is claimed in the database with SKIP LOCKED, and what
a dead one left in doubt is found by the others.
"""

import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import psycopg
import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from beforehand.accounts.actions import forget_answers
from beforehand.accounts.installation import installation
from beforehand.accounts.notices import forget_notices
from beforehand.config.erased import ListUnreadable, keep_erased
from beforehand.config.lag import work_lag
from beforehand.console.colleague_mail import written_mail
from beforehand.conversations.actions import forget_raw, read_waiting
from beforehand.conversations.imap import ImapServer
from beforehand.conversations.polling import poll_mailbox
from beforehand.customers.erasure import erase_again, erased_customers
from beforehand.detection.actions import expire_alerts, revive_alerts
from beforehand.detection.groups import settle_groups
from beforehand.detection.heartbeats import miss_beats
from beforehand.detection.mutes import release_held
from beforehand.events.actions import CHANNEL, forget_raw_bodies, month_of, prepare_partitions
from beforehand.events.subscriptions import all_subscriptions, ensure_cursors, run_all_once
from beforehand.events.workers import beat, dead_among, forget_gone, leave
from beforehand.incidents.actions import refresh_wanted
from beforehand.incidents.planned import tend_planned
from beforehand.insights.readiness import tend_readiness
from beforehand.kit import clock
from beforehand.outbound.actions import close_done_batches
from beforehand.outbound.bounces import forgive_addresses
from beforehand.outbound.claims import workers_with_attempts
from beforehand.outbound.colleagues import send_notices
from beforehand.outbound.delivery import DeliveryLoop, recover_dead
from beforehand.outbound.in_house import InHouseCourier
from beforehand.outbound.media import CallMedium, InboxMedium, SmsMedium
from beforehand.outbound.outside import PostCourier
from beforehand.outbound.push import PushMedium
from beforehand.outbound.sms import SmsCourier, SmsGateway
from beforehand.outbound.smtp import Courier
from beforehand.outbound.webhooks import WebhookMedium
from beforehand.playbooks.calls import tend_calls
from beforehand.playbooks.runs import tend_runs
from beforehand.playbooks.spreads import finish_spreads, spread_next
from beforehand.promises.watch import watch_promises

log = structlog.get_logger()

IDLE = 0.5
"""Seconds between two looks when nothing calls."""
WATCH_EVERY = 1.0
ERASED_EVERY = 60.0
FIGURES_EVERY = 5.0
CALLS_EVERY = 1.0
CALLS_REST = 4.0
"""How many times as long as the last look took: each open task's list is counted anew, and there may be thousands of them."""
NOTICES_KEPT = timedelta(days=30)
MAILBOX_EVERY = 5.0
SENDERS = 2
"""Delivery loops of one worker; they share its connections to the mail server."""


class Worker:
    """One worker process."""

    def __init__(self) -> None:
        self._senders = [uuid.uuid4() for _ in range(SENDERS)]
        self._texter = uuid.uuid4()
        self._placer, self._caller, self._poster, self._pusher = (uuid.uuid4() for _ in range(4))
        self._all = (*self._senders, self._texter, self._placer, self._caller, self._poster, self._pusher)
        self._stopping = threading.Event()
        names = ("subscriptions", "runs", "deliveries", "texts", "incoming")
        self._woken = {name: threading.Event() for name in names}
        self._lag = 0.0

    def stop(self) -> None:
        """Finish what is in hand and end."""
        self._stopping.set()
        for woken in self._woken.values():
            woken.set()

    def run(self) -> None:
        """Work until `stop` is called."""
        log.info("worker_started", worker=str(self._senders[0]))
        self._patiently(self._prepare)()
        loops: list[Callable[[], None]] = [
            self._loop("subscriptions", self._subscriptions),
            self._loop("runs", self._runs),
            self._watch,
            self._listen,
            self._figures,
            self._calls,
            self._notices,
            self._loop("incoming", self._incoming),
            *(partial(self._mails, sender) for sender in self._senders),
            self._inboxes,
            self._posts,
        ]
        if settings.SMS_GATEWAY is not None:
            loops.append(partial(self._text_messages, settings.SMS_GATEWAY))
        if settings.IMAP_SERVER is not None:
            loops.append(partial(self._mailbox, settings.IMAP_SERVER))
        threads = [threading.Thread(target=self._named(loop), daemon=True) for loop in loops]
        for thread in threads:
            thread.start()
        self._stopping.wait()
        for thread in threads:
            thread.join(timeout=30)
        for each in self._all:
            self._patiently(partial(leave, each))()
        log.info("worker_stopped", worker=str(self._senders[0]))

    def _named(self, loop: Callable[[], None]) -> Callable[[], None]:
        """Whatever a thread logs says which worker's it is; one that fails in its beginning begins anew."""

        def named() -> None:
            with structlog.contextvars.bound_contextvars(worker=str(self._senders[0])):
                while not self._stopping.is_set():
                    try:
                        loop()
                    except Exception:
                        log.exception("thread_failed")
                        connection.close()
                        self._stopping.wait(1.0)

        return named

    def _prepare(self) -> None:
        prepare_partitions(today=month_of(clock.now()))
        all_subscriptions()
        ensure_cursors()
        self._beat()

    def _patiently(self, work: Callable[[], object]) -> Callable[[], None]:
        """Do it, and if the database is away, again until it is back."""

        def patient() -> None:
            while True:
                try:
                    work()
                    return
                except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
                    log.warning("database_away", error=str(error).strip())
                    connection.close()
                    if self._stopping.wait(1.0):
                        return

        return patient

    def _loop(self, name: str, work: Callable[[], int]) -> Callable[[], None]:
        woken = self._woken[name]

        def loop() -> None:
            while not self._stopping.is_set():
                woken.clear()
                moved = 0
                try:
                    moved = work()
                except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
                    log.warning("database_away", loop=name, error=str(error).strip())
                    connection.close()
                    self._stopping.wait(1.0)
                except Exception:
                    log.exception("loop_failed", loop=name)
                    self._stopping.wait(1.0)
                if not moved:
                    woken.wait(IDLE)
            connection.close()

        return loop

    def _subscriptions(self) -> int:
        return run_all_once()

    def _runs(self) -> int:
        now = clock.now()
        moved = refresh_wanted() + tend_runs(now=now)
        started = time.monotonic()
        while time.monotonic() - started < 2 and not self._stopping.is_set():
            if not spread_next(now=clock.now()):
                break
            moved += 1
            self._woken["deliveries"].set()
        return moved + finish_spreads(now=clock.now())

    def _incoming(self) -> int:
        return read_waiting(now=clock.now())

    def _mailbox(self, server: ImapServer) -> None:
        """Look into the mailbox again and again."""
        while not self._stopping.is_set():
            self._once(lambda: poll_mailbox(server, now=clock.now()))
            self._stopping.wait(MAILBOX_EVERY)
        connection.close()

    def _watch(self) -> None:
        """What must be seen to every second, whatever else goes on."""
        next_chores = next_list = 0.0
        while not self._stopping.wait(WATCH_EVERY):
            # Each on its own: what is wrong with one keeps no other from being seen to.
            for duty in (
                self._beat,
                lambda: expire_alerts(now=clock.now()),
                lambda: revive_alerts(now=clock.now()),
                lambda: miss_beats(now=clock.now()),
                lambda: release_held(now=clock.now()),
                lambda: settle_groups(now=clock.now()),
                lambda: close_done_batches(now=clock.now()),  # before the promises: what was said in time counts
                lambda: tend_planned(now=clock.now()),
                lambda: watch_promises(now=clock.now()),
                self._recover,
            ):
                self._once(duty)
            if time.monotonic() >= next_chores:
                self._once(self._chores)
                next_chores = time.monotonic() + 600
            if time.monotonic() >= next_list:
                self._once(self._list_erased)
                next_list = time.monotonic() + ERASED_EVERY
        connection.close()

    def _figures(self) -> None:
        """What takes long and may wait: on a thread of its own, so that it keeps no promise from being watched."""
        while not self._stopping.wait(FIGURES_EVERY):
            self._once(self._measure)
            self._once(lambda: tend_readiness(now=clock.now(), go_on=lambda seconds: not self._stopping.wait(seconds)))
        connection.close()

    def _calls(self) -> None:
        """The calls that teams make: on a thread of its own, so that long lists keep no promise from being watched."""
        rest = CALLS_EVERY
        while not self._stopping.wait(rest):
            began = time.monotonic()
            self._once(lambda: tend_calls(now=clock.now()))
            rest = max(CALLS_EVERY, CALLS_REST * (time.monotonic() - began))
        connection.close()

    def _notices(self) -> None:
        """Mail to colleagues: on a connection of its own, so that customers' mail never waits for it, nor it for theirs."""
        with Courier(settings.SMTP_SERVER, connections=1) as courier:
            while not self._stopping.wait(WATCH_EVERY):
                self._once(lambda: send_notices(courier, written_mail, now=clock.now()))
        connection.close()

    def _measure(self) -> None:
        self._lag = work_lag()

    def _beat(self) -> None:
        for each in self._all:
            beat(each, lag_seconds=self._lag)

    def _recover(self) -> None:
        """What workers that are gone left in flight is in doubt now, and goes to the living."""
        now = clock.now()
        for worker in dead_among(workers_with_attempts(), now=now):
            recovered = recover_dead(worker, now=now)
            log.warning("worker_died", worker=str(worker), uncertain=recovered)

    def _once(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
            log.warning("database_away", loop="watch", error=str(error).strip())
            connection.close()
        except Exception:
            log.exception("loop_failed", loop="watch")

    def _chores(self) -> None:
        now = clock.now()
        prepare_partitions(today=month_of(now))
        forget_raw_bodies(older_than=now - timedelta(days=installation().keep_raw_days))
        forget_gone(now=now)
        forget_answers(older_than=now - timedelta(days=1))
        forget_notices(older_than=now - NOTICES_KEPT)
        forget_raw(older_than=now - timedelta(days=installation().keep_raw_days))
        forgive_addresses(now=now)
        erase_again(now=now)

    def _list_erased(self) -> None:
        """Beside the database, for a backup that is put back one day."""
        try:
            keep_erased(settings.ENVIRONMENT.home, erased_customers())
        except (OSError, ListUnreadable) as error:
            log.warning("erased_not_listed", error=str(error))

    def _mails(self, sender: uuid.UUID) -> None:
        """One of the senders: while the database works for one, another fills mails."""
        share = max(1, installation().mail_connections // SENDERS)
        with Courier(settings.SMTP_SERVER, connections=share) as courier:
            self._deliveries([DeliveryLoop(courier, worker=sender, loops=SENDERS)], "deliveries")

    def _text_messages(self, gateway: SmsGateway) -> None:
        with SmsCourier(gateway, connections=max(1, installation().sms_connections)) as courier:
            self._deliveries([DeliveryLoop(courier, worker=self._texter, medium=SmsMedium())], "texts")

    def _inboxes(self) -> None:
        """What leaves no house of ours: messages on customers' pages, and the list of whom people call."""
        inbox = DeliveryLoop(InHouseCourier(), worker=self._placer, medium=InboxMedium())
        calls = DeliveryLoop(InHouseCourier(), worker=self._caller, medium=CallMedium())
        self._deliveries([inbox, calls], "inboxes")

    def _posts(self) -> None:
        """What is posted to addresses that customers name: webhooks, and notifications where there is a key for them."""
        standard, private = installation(), settings.PRIVATE_HOSTS
        with (
            PostCourier(connections=max(1, standard.webhook_connections), private_hosts=private) as webhooks,
            PostCourier(connections=max(1, standard.push_connections), private_hosts=private) as services,
        ):
            loops = [DeliveryLoop(webhooks, worker=self._poster, medium=WebhookMedium())]
            if settings.PUSH_KEY:
                loops.append(DeliveryLoop(services, worker=self._pusher, medium=PushMedium(settings.PUSH_KEY)))
            self._deliveries(loops, "posts")

    def _deliveries(self, loops: Sequence[DeliveryLoop], name: str) -> None:
        """Deliver over one channel until the worker stops."""
        # Other channels than mail and text look twice a second: woken by every commit, they would take the mail's time.
        woken = self._woken.get(name)
        was_away = False
        while not self._stopping.is_set():
            if woken is not None:
                woken.clear()
            moved = 0
            try:
                if was_away:
                    for loop in loops:
                        loop.recover_own()
                    was_away = False
                moved = sum(loop.step(wait=0.05) for loop in loops)
            except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
                log.warning("database_away", loop=name, error=str(error).strip())
                connection.close()
                was_away = True
                self._stopping.wait(1.0)
            except Exception:
                log.exception("loop_failed", loop=name)
                was_away = True  # what was claimed and is in nobody's hands goes back
                self._stopping.wait(1.0)
            if not moved:
                (woken or self._stopping).wait(IDLE if all(loop.is_idle for loop in loops) else 0.01)
        for loop in loops:
            self._patiently(partial(loop.drain, until=clock.now() + timedelta(seconds=20)))()
        connection.close()

    def _listen(self) -> None:
        """Wake the loops at once after a commit that has something for them."""
        while not self._stopping.is_set():
            try:
                connection.ensure_connection()
                raw = connection.connection
                with raw.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
                while not self._stopping.is_set():
                    for _ in raw.notifies(timeout=1.0, stop_after=1):
                        for woken in self._woken.values():
                            woken.set()
            except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError):
                connection.close()
                self._stopping.wait(1.0)
        connection.close()


def run() -> int:
    """Run one worker in this process until it is told to stop."""
    worker = Worker()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    return 0
