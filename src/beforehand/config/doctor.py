"""`beforehand doctor`: is this installation sound, and if not, what is to be done?"""

import argparse
import ipaddress
import os
import shutil
import smtplib
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape

from beforehand.config.commands import add_json, migrate, print_json, use_django
from beforehand.config.environment import Environment, SettingError, unknown_settings
from beforehand.conversations.imap import TROUBLE, ImapMailbox, ImapServer, MailboxRefused
from beforehand.kit.postgres import PostgresError, ServerState
from beforehand.kit.postgres.folders import read_secret
from beforehand.outbound.smtp_handshake import SmtpServer, Tls

OLDEST_VERSION = 15
LARGEST_CLOCK_DIFFERENCE = 2.0  # seconds; promises and quiet hours are judged by both clocks
GIGABYTE = 1024**3
LEAST_DISK, SHORT_DISK = 1 * GIGABYTE, 5 * GIGABYTE
_PATIENCE = 5  # seconds for each connection


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do about it ("" when nothing)."""

    check: str
    state: State
    found: str
    remedy: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    add_json(parser)


def run(environment: Environment, given: argparse.Namespace) -> int:
    """Make every check; exits 1 when one failed."""
    findings = list(all_findings(environment))
    has_failed = any(finding.state is State.FAILED for finding in findings)
    if given.json:
        print_json({"ok": not has_failed, "findings": [asdict(finding) for finding in findings]})
    else:
        console = Console(soft_wrap=True)
        marks = {State.OK: "[green]✔[/]", State.WARNING: "[yellow]![/]", State.FAILED: "[red]✘[/]"}
        for finding in findings:
            console.print(f"{marks[finding.state]} {finding.check:<12} {escape(finding.found)}", highlight=False)
            if finding.remedy:
                console.print(f"  {'':<12} → {escape(finding.remedy)}", highlight=False)
    return 1 if has_failed else 0


def all_findings(environment: Environment) -> Iterator[Finding]:
    """Every check, the cheap ones first."""
    yield from check_settings(dict(os.environ))
    yield from check_home(environment)
    yield check_secret_key(environment)
    yield check_base_url(environment)
    yield check_disk(environment.home)
    yield from check_database(environment)
    yield check_smtp(environment.smtp)
    yield check_replies(environment.imap_url)
    yield check_channels(environment)


def check_settings(environ: dict[str, str]) -> Iterator[Finding]:
    """Variables that look like ours and are not known: mostly slips of the pen."""
    unknown = unknown_settings(environ)
    for name, meant in unknown.items():
        remedy = f"did you mean {meant}?" if meant else "see docs/settings.md"
        yield Finding("settings", State.WARNING, f"{name} is not a setting", remedy)
    if not unknown:
        yield Finding("settings", State.OK, "every BEFOREHAND_ variable is known")


def check_home(environment: Environment) -> Iterator[Finding]:
    """The home folder and the private parts in it are closed to other users."""
    home = environment.home
    if not home.exists():
        yield Finding("home", State.WARNING, f"{home} does not exist yet", "`beforehand up` makes it")
        return
    private = ["postgres", "postgres/data", "postgres/password", "postgres/superuser-password", "log", "secret_key"]
    wrong = [(path, 0o077) for name in private if (path := home / name).exists()]
    is_sound = True
    for path, forbidden in [(home, 0o022), *wrong]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & forbidden:
            is_sound = False
            remedy = f"chmod {mode & ~forbidden:o} {path}"
            yield Finding("home", State.FAILED, f"{path} is open to other users (mode {mode:o})", remedy)
    if is_sound:
        yield Finding("home", State.OK, f"{home} is closed to other users")


def check_secret_key(environment: Environment) -> Finding:
    """There is a key, and it can be read."""
    if environment.secret_key:
        return Finding("secret key", State.OK, "set by BEFOREHAND_SECRET_KEY")
    path = environment.secret_key_file
    if not path.exists():
        return Finding("secret key", State.WARNING, "not made yet", "`beforehand up` makes one, or set the variable")
    try:
        read_secret(path)
    except PostgresError as error:
        return Finding("secret key", State.FAILED, str(error), f"restore {path} from your backup")
    remedy = "" if environment.is_embedded else "other machines need the same: set BEFOREHAND_SECRET_KEY on all of them"
    return Finding("secret key", State.WARNING if remedy else State.OK, f"kept in {path}", remedy)


def check_base_url(environment: Environment) -> Finding:
    """Links in messages must open where the customer is, and not be read on the way."""
    url, host = environment.base_url, environment.host
    if _is_this_machine(host):
        return Finding(
            "base URL",
            State.WARNING,
            f"{url} opens only on this machine",
            "before customers get messages, set BEFOREHAND_BASE_URL to the address that they reach",
        )
    if not url.startswith("https://"):
        return Finding("base URL", State.WARNING, f"{url} is not encrypted", "serve it by https, behind a proxy")
    if environment.debug:
        return Finding("base URL", State.FAILED, f"debugging is on at {url}", "unset BEFOREHAND_DEBUG")
    return Finding("base URL", State.OK, url)


def check_disk(home: Path) -> Finding:
    """There is room to write."""
    place = next(path for path in [home, *home.parents] if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / GIGABYTE:.1f} GB free at {place}"
    if free < LEAST_DISK:
        return Finding("disk", State.FAILED, found, "make room: the database stops when the disk is full")
    if free < SHORT_DISK:
        return Finding("disk", State.WARNING, found, "make room soon")
    return Finding("disk", State.OK, found)


def check_database(environment: Environment) -> Iterator[Finding]:
    """Reachable, new enough, UTF-8, the same time as here, all migrations applied."""
    if environment.is_embedded:
        state = environment.embedded_server().status().state
        if state is not ServerState.RUNNING:
            remedy = "`beforehand up` starts everything, `beforehand database start` only the database"
            yield Finding("database", State.FAILED, f"the embedded database is {state}", remedy)
            return
    try:
        with psycopg.connect(environment.resolved_database_url(), connect_timeout=_PATIENCE) as connection:
            yield from check_server(connection)
    except psycopg.Error as error:
        remedy = "is the server up, and are user, password and name in BEFOREHAND_DATABASE_URL right?"
        yield Finding("database", State.FAILED, " ".join(str(error).split()), remedy)
        return
    try:
        use_django()
        missing = migrate.missing_migrations()
    except SettingError as error:
        yield Finding("migrations", State.FAILED, str(error), "correct the setting")
        return
    if missing:
        found = f"{len(missing)} are missing, the first is {missing[0]}"
        yield Finding("migrations", State.FAILED, found, "beforehand migrate")
    else:
        yield Finding("migrations", State.OK, "all are applied")
        yield from check_failures()
        yield check_sending()
        yield check_partitions()
        yield check_workers()


def check_failures() -> Iterator[Finding]:
    """Nothing that happened was set aside because a subscriber could not handle it."""
    from beforehand.events.models import SubscriptionFailure

    count = SubscriptionFailure.objects.filter(solved_at=None).count()
    if count:
        remedy = "`beforehand failures list` shows why, `beforehand failures retry` tries again"
        yield Finding("events", State.WARNING, f"{count} could not be handled and are set aside", remedy)
    else:
        yield Finding("events", State.OK, "every event was handled")


def check_sending() -> Finding:
    """Customers hear from us at all."""
    from beforehand.accounts.installation import installation

    if installation().sending_paused:
        remedy = "set “sending.paused” to false in the console's settings once somebody has looked"
        return Finding("sending", State.WARNING, "nothing goes out to customers: sending is paused", remedy)
    return Finding("sending", State.OK, "what is due goes out")


def check_partitions() -> Finding:
    """Every month of the log has its own table."""
    from beforehand.kit.rows import fetch

    if fetch("SELECT EXISTS (SELECT FROM events_event_unprepared)")[0][0]:
        remedy = "start a worker: it makes the month's table and moves them there"
        return Finding("log", State.WARNING, "events lie in a month that nobody prepared", remedy)
    return Finding("log", State.OK, "every event lies in its month")


def check_workers() -> Finding:
    """Somebody does the work, and keeps up with it."""
    from beforehand.config.lag import work_lag
    from beforehand.events.workers import BEHIND_AFTER, live_workers
    from beforehand.kit import clock

    alive = live_workers(now=clock.now())
    if not alive:
        return Finding("worker", State.WARNING, "no worker is running", "`beforehand worker`, or `beforehand up`")
    lag = work_lag()
    if lag > BEHIND_AFTER:
        remedy = "look into the workers' log; where they are busy and sound, start one more"
        return Finding("worker", State.WARNING, f"{alive} running, {lag:.0f} s behind", remedy)
    return Finding("worker", State.OK, f"{alive} running, {lag:.0f} s behind")


def check_server(connection: psycopg.Connection) -> Iterator[Finding]:
    """The server's version, encoding and clock."""
    version = connection.info.server_version // 10_000
    if version < OLDEST_VERSION:
        yield Finding("database", State.FAILED, f"PostgreSQL {version} is too old", f"use {OLDEST_VERSION} or later")
    else:
        yield Finding("database", State.OK, f"PostgreSQL {version} answers")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        remedy = "create the database with ENCODING 'UTF8': names in Arabic or Hindi do not fit otherwise"
        yield Finding("encoding", State.FAILED, f"the database's encoding is {encoding}", remedy)
    else:
        yield Finding("encoding", State.OK, "UTF8")
    before = datetime.now(UTC)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    after = datetime.now(UTC)
    there = row[0] if row else after
    yield check_clock(here=before + (after - before) / 2, there=there)


def check_clock(*, here: datetime, there: datetime) -> Finding:
    """The database's clock and this machine's agree."""
    difference = (there - here).total_seconds()
    if abs(difference) > LARGEST_CLOCK_DIFFERENCE:
        found = f"the database's clock is {abs(difference):.1f} s {'ahead' if difference > 0 else 'behind'}"
        return Finding("clock", State.FAILED, found, "keep the time on both machines (NTP, chrony)")
    return Finding("clock", State.OK, f"differs from the database's by {abs(difference) * 1000:.0f} ms")


def check_smtp(server: SmtpServer) -> Finding:
    """The mail server answers, speaks TLS if asked, and lets us in."""
    place = f"{server.host}:{server.port}"
    context = server.tls_context()
    try:
        if server.tls is Tls.IMPLICIT:
            client: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_PATIENCE, context=context)
        else:
            client = smtplib.SMTP(server.host, server.port, timeout=_PATIENCE)
        with client:
            client.ehlo_or_helo_if_needed()
            if server.tls is Tls.STARTTLS:
                client.starttls(context=context)
                client.ehlo()
            if server.user:
                client.login(server.user, server.password)
    except (OSError, smtplib.SMTPException) as error:
        remedy = "set BEFOREHAND_SMTP_URL to a mail server that takes our messages"
        return Finding("mail", State.FAILED, f"{place}: {' '.join(str(error).split())}", remedy)
    return Finding("mail", State.OK, f"{place} answers")


def check_replies(server: ImapServer | None) -> Finding:
    """The mailbox to which customers answer can be opened: reached, signed in to, its folder there. Nothing in it changes."""
    if server is None:
        remedy = "to read what customers answer by mail, set BEFOREHAND_IMAP_URL"
        return Finding("replies", State.OK, "no mailbox is set up, so no mail is read", remedy)
    try:
        with ImapMailbox(replace(server, timeout=_PATIENCE)):
            return Finding("replies", State.OK, f"{server.place} lets us read {server.folder}")
    except MailboxRefused as refused:
        return Finding("replies", State.FAILED, refused.text, refused.remedy)
    except TROUBLE as error:
        remedy = "try again in a moment; if it stays so, ask who runs the mail server"
        return Finding("replies", State.FAILED, f"{server.place}: {' '.join(str(error).split())}", remedy)


def check_channels(environment: Environment) -> Finding:
    """Which channels can be used, and which cannot because nothing is set up for them."""
    lacking = {"sms": "BEFOREHAND_SMS_ACCOUNT", "push": "BEFOREHAND_PUSH_KEY"}
    is_set_up = {"sms": environment.sms is not None, "push": bool(environment.push_key)}
    off = [name for name, is_on in is_set_up.items() if not is_on]
    found = ", ".join(["email", "inbox", "webhook", "call", *(name for name in is_set_up if name not in off)])
    if not off:
        return Finding("channels", State.OK, f"all are set up: {found}")
    remedy = (
        "to use them too, set " + " and ".join(lacking[name] for name in off) + "; playbooks pass over them until then"
    )
    return Finding("channels", State.OK, f"set up: {found}; not set up: {', '.join(off)}", remedy)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
