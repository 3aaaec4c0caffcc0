"""The main figure: from the decision to tell to the last of 100,000 mails accepted, everything checked and recorded.

    python -m bench.fanout [--customers 1000000] [--affected 100000] [--runs 3] [--workers 1] [--memory] [--json]
    python -m bench.fanout --everything …   each run twice: as above, and with all that a playbook can ask for

A fresh PostgreSQL, the product's own tables filled with a company, a real `beforehand worker` (and the web, for its memory),
Postfix's smtp-sink. With `--everything` the second fan-out of each pair is of a class that asks for consent, keeps quiet hours and is
capped, over three channels (a text message for who has no mail address, their page for who has neither), with a way out in
each mail and promises to keep; the ratio of the two rates is printed. The playbook has no waiting in it and needs no confirmation. In the same run smtp-source sends to the
same sink with 10 sessions, mails of the same size and of its own default size; the figures are ratios to it. The list of
the affected is worked out and committed between the opening of the incident and the decision.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from bench.company import found_company
from bench.pages import measure_pages
from bench.tools import (
    MemoryWatch,
    Spread,
    fdatasync_per_second,
    free_port,
    machine_line,
    print_results,
    smtp_sink,
    smtp_source_rate,
    throwaway_cluster,
)

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOK = """
playbook: bench
title: Bench
owner: network-operations
class: service-critical
when: incident.opened
if: incident.kind == "outage"
audience: incident.affected
channels: [email]
fallback language: en
texts: { holding: holding, joined: null, left cured: left-cured, told by mistake: told-by-mistake }
exits:
  - on: incident.resolved
    go to: all-clear
  - on: incident.cancelled
    go to: all-clear
steps:
  - tell: first-notice
    promise: next update within 120 minutes
  - repeat: still-working
    every: 110 minutes
    tell: still-working
    promise: next update within 120 minutes
  - label: all-clear
  - tell: all-clear
    to: told
  - end: resolved
"""


EVERYTHING = (
    PLAYBOOK.replace("playbook: bench", "playbook: bench-everything")
    .replace("class: service-critical", "class: care")
    .replace("channels: [email]", "channels: [email, sms, inbox]")
    .replace('"outage"', '"degraded"')
)
"""The same words, with all that there is to be judged."""
WITHOUT_MAIL, WITHOUT_PHONE, ANSWERED = 100, 1000, 10
"""One customer in so many has no mail address but a telephone; has neither; has said whether we may."""


def make_choosy(connection: "psycopg.Connection[Any]") -> None:
    """Some customers have no mail address, some have said that we may, a few that we may not."""
    mailless = f"customer_id %% {WITHOUT_MAIL} = 3"
    for statement in (
        f"UPDATE customers_contactpoint SET channel = 'sms', address = '+3161' || lpad(customer_id::text, 7, '0') WHERE {mailless}",
        f"UPDATE customers_contactpoint SET channel = 'inbox', address = 'here' WHERE customer_id %% {WITHOUT_PHONE} = 3",
        f"""
        INSERT INTO customers_consent (customer_id, message_class, channel, given, wording, how, asked_by, answered_at)
        SELECT id, 'care', 'email', id %% {ANSWERED * 100} <> 1, 'May we?', 'form', '', now() FROM customers_customer
        WHERE id %% {ANSWERED} = 1
        """,
        "ANALYZE",
    ):
        connection.execute(statement, {})
        connection.commit()


def prepare(*, everything: bool) -> None:
    """Migrations, the playbooks, quiet hours in which nobody is now, and no limit that asks a person."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from beforehand.accounts.actions import ensure_team, set_setting
    from beforehand.playbooks.actions import approve_version, push_version
    from beforehand.playbooks.bundles import SHIPPED, read_bundle

    _, texts = read_bundle(SHIPPED / "outage")
    approve_version(push_version(source=PLAYBOOK, texts=texts, actor="bench"), user=None, actor="bench")
    ensure_team(slug="network-operations", name="Network operations", actor="bench")
    if everything:
        approve_version(push_version(source=EVERYTHING, texts=texts, actor="bench"), user=None, actor="bench")
        set_setting(key="caps.care", value=1_000_000, actor="bench")
        begin, end = _quiet_elsewhere()
        set_setting(key="quiet_hours.from", value=begin, actor="bench")
        set_setting(key="quiet_hours.until", value=end, actor="bench")
    set_setting(key="limits.confirm_above", value=10_000_000, actor="bench")
    set_setting(key="brand", value={"name": "Noorderlicht", "phone": "+31 50 123 4567"}, actor="bench")


def _quiet_elsewhere() -> tuple[str, str]:
    """Two hours that it is neither in Amsterdam nor in Kolkata now, nor soon."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    now = datetime.now(UTC)
    hours = {now.astimezone(ZoneInfo(zone)).hour for zone in ("Europe/Amsterdam", "Asia/Kolkata")}
    begin = next(hour for hour in range(24) if not any((hour + near) % 24 in hours for near in range(-5, 3)))
    return f"{begin:02d}:00", f"{(begin + 2) % 24:02d}:00"


def run_once(
    connection: "psycopg.Connection[Any]",
    *,
    affected: int,
    kind: str = "outage",
    processes: "list[subprocess.Popen[bytes]]",
    may_lack: frozenset[str] = frozenset(),
) -> dict[str, float]:
    """Open an incident on the region and wait until everyone affected has been told, but for whom one of `may_lack` holds."""
    from django.utils import timezone

    from beforehand.customers.models import Component
    from beforehand.incidents.actions import open_incident, resolve_incident
    from beforehand.incidents.models import Incident

    now = timezone.now()
    incident = open_incident(
        title="Fibre node down",
        kind=kind,
        severity="critical",
        actor="bench",
        began_at=now,
        known_at=now,
        component_ids=[Component.objects.get(external_id="region-0").pk],
        texts={"nl": {"title": "Internetstoring"}, "en": {"title": "Internet outage"}},
    )
    origin = f"incident:{incident.pk}"
    deadline = time.monotonic() + 300
    spoken = time.monotonic()
    while time.monotonic() < deadline:
        row = connection.execute(
            "SELECT id, decided_at, done_at FROM outbound_messagebatch WHERE origin = %s AND audience = 'affected'",
            [origin],
        ).fetchone()
        if row is not None and row[2] is not None:
            break
        if any(process.poll() is not None for process in processes):
            raise SystemExit("a process died")
        if time.monotonic() > spoken + 5:
            spoken = time.monotonic()
            states = connection.execute("SELECT state, count(*) FROM outbound_message GROUP BY state").fetchall()
            print(f"  … {states}", file=sys.stderr)
        time.sleep(0.2)
    else:
        raise SystemExit("the fan-out did not end")
    batch, decided_at, _ = row
    first, last, sent = connection.execute(
        "SELECT min(ended_at), max(ended_at), count(*) FROM outbound_message WHERE batch_id = %s AND state = 'sent'",
        [batch],
    ).fetchone() or (None, None, 0)
    others = dict(
        connection.execute(
            "SELECT reason, count(*) FROM outbound_message WHERE batch_id = %s AND state <> 'sent' GROUP BY reason",
            [batch],
        ).fetchall()
    )
    if others.keys() - may_lack or sent + sum(others.values()) != affected or first is None or last is None:
        raise SystemExit(f"{sent} of {affected} were told; the others: {others}")
    (events,) = connection.execute(
        "SELECT count(*) FROM events_event WHERE type = 'message.sent' AND (data->>'batch')::bigint = %s", [batch]
    ).fetchone() or (0,)
    if events != sent:
        raise SystemExit(f"{events} of {sent} are in the log")
    seconds = (last - decided_at).total_seconds()
    # The end is told too, and waited for, so that the next run and the pages have the machine to themselves.
    resolve_incident(Incident.objects.get(pk=incident.pk), reason="bench", actor="bench")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        (ended,) = connection.execute(
            "SELECT count(*) FROM outbound_messagebatch WHERE origin = %s AND audience = 'told' AND done_at IS NOT NULL",
            [origin],
        ).fetchone() or (0,)
        if ended:
            break
        time.sleep(0.5)
    else:
        raise SystemExit("the all-clear did not end")
    return {
        "seconds": seconds,
        "mails_per_second": sent / seconds,
        "decision_seconds": (decided_at - now).total_seconds(),
        "first_mail_seconds": (first - decided_at).total_seconds(),
    }


def mean_size() -> int:
    """Bytes of one of the mails, as they go over the wire: the Dutch one."""
    from beforehand.outbound.models import MessageBatch
    from beforehand.outbound.skeletons import SLOTS, compile_batch

    batch = MessageBatch.objects.order_by("-pk").first()
    assert batch is not None
    mail = compile_batch(batch, language="nl", zone="Europe/Amsterdam", formal=True)
    values = dict.fromkeys(SLOTS, "x" * 20) | {"my_page_url": "https://x.example/my/" + "x" * 80}
    values["verify_url"] = "https://x.example/check"
    return len(
        mail.fill(
            values,
            to="c1@customers.example",
            to_name="Jan de Vries",
            message_id="<b1.1.x@example.org>",
            reply_to="reply@example.org",
            date="Sun, 22 Nov 2026 10:00:00 +0000",
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--affected", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3, help="0 with --pages: the pages alone")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory", action="store_true", help="the database on a memory disk")
    parser.add_argument("--profile", help="write a cProfile of the worker's main thread to this file")
    parser.add_argument("--pages", action="store_true", help="measure every page on this data afterwards")
    parser.add_argument(
        "--everything", action="store_true", help="and with classes, consent, caps, quiet hours, channels"
    )
    parser.add_argument("--plans", action="store_true", help="with --pages: print the plans of slow statements")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with ExitStack() as stack:
        cluster = stack.enter_context(throwaway_cluster(in_memory=options.memory))
        port = stack.enter_context(smtp_sink())
        web_port = free_port()
        os.environ.update(
            DJANGO_SETTINGS_MODULE="beforehand.config.settings",
            BEFOREHAND_DATABASE_URL=f"postgresql://postgres@/postgres?host={cluster.folder}",
            BEFOREHAND_SECRET_KEY="bench-bench-bench-bench-bench-bench-bench",
            BEFOREHAND_HOME=str(cluster.folder / "home"),
            BEFOREHAND_SMTP_URL=f"smtp://127.0.0.1:{port}",
            BEFOREHAND_BIND=f"127.0.0.1:{web_port}",
            BEFOREHAND_LOG_LEVEL=os.environ.get("BEFOREHAND_LOG_LEVEL", "WARNING"),
        )
        (cluster.folder / "home").mkdir(exist_ok=True)
        if options.everything:
            # Needed for this alone: the tests' gateway speaks Twilio's HTTP API over a socket.
            from tests.sms_gateway import ACCOUNT, SENDER, TOKEN, FakeSmsGateway

            gateway = stack.enter_context(FakeSmsGateway())
            os.environ.update(
                BEFOREHAND_SMS_URL=gateway.gateway.url,
                BEFOREHAND_SMS_ACCOUNT=ACCOUNT,
                BEFOREHAND_SMS_TOKEN=TOKEN,
                BEFOREHAND_SMS_FROM=SENDER,
            )
        prepare(everything=options.everything)
        connection = stack.enter_context(cluster.connect(autocommit=False))
        started = time.monotonic()
        found_company(connection, customers=options.customers, affected=options.affected)
        if options.everything:
            make_choosy(connection)
        connection.autocommit = True
        founded = time.monotonic() - started
        command = [sys.executable, "-m", "beforehand.config.cli"]
        worker = [*command, "worker"]
        if options.profile:
            worker = [sys.executable, "-m", "cProfile", "-o", options.profile, "-m", "beforehand.config.cli", "worker"]
        processes = [subprocess.Popen(worker, cwd=ROOT) for _ in range(options.workers)]
        processes.append(subprocess.Popen([*command, "web"], cwd=ROOT))
        try:
            time.sleep(4)
            watch = stack.enter_context(MemoryWatch([process.pid for process in processes]))
            runs, full = [], []
            for _ in range(options.runs):
                # Who has no mail address is out of the plain run's reach.
                plain = frozenset({"no_contact_point"} if options.everything else ())
                runs.append(run_once(connection, affected=options.affected, processes=processes, may_lack=plain))
                if options.everything:
                    full.append(
                        run_once(
                            connection,
                            affected=options.affected,
                            kind="degraded",
                            processes=processes,
                            may_lack=frozenset({"objected", "unread"}),
                        )
                    )
            pages = measure_pages(plans=options.plans) if options.pages else {}
            size = mean_size()
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(30)
        if not runs:
            print_results(
                "pages", {"machine": machine_line(), "customers": options.customers, **pages}, as_json=options.json
            )
            return
        same = Spread.of([smtp_source_rate(port, messages=30_000, length=size) for _ in range(3)])
        default = Spread.of([smtp_source_rate(port, messages=30_000, length=None) for _ in range(3)])
        rate = Spread.of([run["mails_per_second"] for run in runs])
        beside: dict[str, Any] = {}
        if full:
            whole = Spread.of([run["mails_per_second"] for run in full])
            pairs = [
                mine["mails_per_second"] / plain["mails_per_second"] for mine, plain in zip(full, runs, strict=True)
            ]
            beside = {"everything_messages_per_second": whole, "everything ÷ plain": Spread.of(pairs)}
        print_results(
            "fan-out",
            {
                "machine": machine_line(),
                "disk": "memory" if options.memory else "disk",
                "customers": options.customers,
                "affected": options.affected,
                "workers": options.workers,
                "company_founded_seconds": round(founded, 1),
                "mail_bytes": size,
                "fdatasync_per_second": round(fdatasync_per_second(cluster.data)),
                "mails_per_second": rate,
                "seconds": Spread.of([run["seconds"] for run in runs]),
                "opened_to_decision_seconds": Spread.of([run["decision_seconds"] for run in runs]),
                "first_mail_seconds": Spread.of([run["first_mail_seconds"] for run in runs]),
                "smtp_source_same_size_per_second": same,
                "smtp_source_default_size_per_second": default,
                "ratio_same_size": round(rate.median / same.median, 3),
                "ratio_default_size": round(rate.median / default.median, 3),
                "peak_memory_mb_web_and_workers": round(watch.peak_mb),
                **beside,
                **pages,
            },
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
