"""How this installation is deployed: the `BEFOREHAND_*` environment variables, all of them, read in one place.

Only deployment. What the business decides (brand, senders, caps, limits, retention) are versioned rows in the
database. `SETTINGS` is the one list; docs/settings.md is made from it:

    python -m beforehand.config.environment > docs/settings.md
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from beforehand.config import setting_values as values
from beforehand.config.setting_values import Bind
from beforehand.conversations.imap import ImapServer
from beforehand.kit.postgres import EmbeddedServer, PostgresError
from beforehand.kit.postgres.folders import make_parents, make_secret
from beforehand.outbound.sms import SmsGateway
from beforehand.outbound.smtp_handshake import SmtpServer

PREFIX = "BEFOREHAND_"
_FILE = "_FILE"


class SettingError(Exception):
    """A setting is wrong; the text is one line that names the variable and says why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name


@dataclass(frozen=True)
class Setting:
    """One line of the table: a variable, what it means, and how its text becomes the value of `Environment.field`."""

    field: str
    parse: Callable[[str], Any]
    default: str | None  # as one would write it; None: see default_text
    meaning: str
    default_text: str = ""
    is_secret: bool = False

    @property
    def name(self) -> str:
        return PREFIX + self.field.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "home",
        values.folder,
        None,
        "Folder for what this machine keeps: the embedded database, its logs, the secret key. An absolute path.",
        default_text="`~/.local/share/beforehand`; for root `/var/lib/beforehand`",
    ),
    Setting(
        "database_url",
        values.database_url,
        None,
        "The PostgreSQL database (15 or later): `postgresql://user:password@host:5432/name`. libpq's parameters, such"
        " as `?sslmode=verify-full`, are understood.",
        default_text="the embedded server under `BEFOREHAND_HOME`",
        is_secret=True,
    ),
    Setting(
        "database_port",
        values.number(1024, 65535),
        None,
        "A TCP port of 127.0.0.1 on which the embedded server listens as well, for tools that need one.",
        default_text="none: a private socket only",
    ),
    Setting(
        "system_user",
        values.text,
        "beforehand",
        "The system user as whom the embedded server runs when root starts it; created when it is missing.",
    ),
    Setting(
        "secret_key",
        values.secret,
        None,
        "Signs sessions, links in messages and reply addresses: at least 32 random characters. All machines of an"
        " installation need the same.",
        default_text="made once and kept in `BEFOREHAND_HOME/secret_key`",
        is_secret=True,
    ),
    Setting(
        "secret_key_fallbacks",
        values.secrets,
        "",
        "Former secret keys, separated by commas: what they signed stays good. To change the key, move the old one"
        " here, and drop it when its links have run out.",
        is_secret=True,
    ),
    Setting(
        "base_url",
        values.base_url,
        "http://127.0.0.1:8000",
        "Where people reach this installation: the beginning of every link in messages.",
    ),
    Setting(
        "allowed_hosts",
        values.words,
        "",
        "Further host names under which requests may come in, besides that of `BEFOREHAND_BASE_URL` and this machine's"
        " own; separated by commas.",
    ),
    Setting("bind", values.bind, "127.0.0.1:8000", "The address and port on which the web server listens."),
    Setting(
        "trusted_proxies",
        values.words,
        "",
        "Addresses or networks of the reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed;"
        " separated by commas.",
    ),
    Setting("web_workers", values.number(1, 64), "1", "How many processes serve the web."),
    Setting(
        "smtp_url",
        values.smtp_url,
        "smtp://127.0.0.1:25",
        "The mail server: `smtp://user:password@host:587?starttls=1` or `smtps://user:password@host`. Special"
        " characters in the password as in any URL (`%40` for @). `verify=0` accepts any certificate.",
        is_secret=True,
    ),
    Setting(
        "mail_from",
        values.mail_address,
        None,
        "The sender's address where a brand sets none.",
        default_text="`service@` and the host of `BEFOREHAND_BASE_URL`",
    ),
    Setting(
        "reply_domain",
        values.domain,
        None,
        "The domain of the addresses to which replies and bounces come, one address for each message.",
        default_text="the domain of `BEFOREHAND_MAIL_FROM`",
    ),
    Setting(
        "imap_url",
        values.imap_url,
        None,
        "The mailbox to which replies and bounces come: `imaps://user:password@host/INBOX`, or `imap://…` for STARTTLS."
        " Every address at `BEFOREHAND_REPLY_DOMAIN` that begins with `reply+` has to be delivered there. Nothing in it is"
        " changed or deleted. `?ca_file=…` names the file of your own authority, `?verify=0` accepts any certificate."
        " `beforehand doctor` tries it.",
        default_text="none: no mail is read",
        is_secret=True,
    ),
    Setting(
        "sms_url",
        values.base_url,
        "https://api.twilio.com",
        "The SMS gateway: Twilio's, or any that speaks its HTTP API. Used only where `BEFOREHAND_SMS_ACCOUNT` is set.",
    ),
    Setting(
        "sms_account",
        values.text,
        None,
        "The account at the SMS gateway (Twilio's Account SID). Unset: no text messages are sent.",
    ),
    Setting(
        "sms_token",
        values.text,
        None,
        "The account's token: it signs us in at the gateway, and the gateway's reports at `/hooks/sms/status`"
        " and what customers write, at `/hooks/sms/message`, with us.",
        is_secret=True,
    ),
    Setting(
        "sms_from",
        values.text,
        None,
        "Who text messages come from: a number (`+31201234567`), a name, or a messaging service's id (`MG…`).",
    ),
    Setting("push_key", values.push_key, None, "Signs notifications (VAPID): see docs/channels.md.", is_secret=True),
    Setting("private_hosts", values.words, "", "Hosts of your own network that webhooks may reach; with commas."),
    Setting(
        "oidc_url",
        values.issuer_url,
        None,
        "Your company's own sign-in (OpenID Connect): the issuer's address, as `https://login.example.com/realms/staff`."
        " Register `/accounts/oidc/company/login/callback/` under `BEFOREHAND_BASE_URL` there.",
    ),
    Setting("oidc_client", values.text, None, "The client's id at the company's own sign-in."),
    Setting("oidc_secret", values.text, None, "The client's secret at the company's own sign-in.", is_secret=True),
    Setting("oidc_name", values.text, "your company's sign-in", "What the sign-in page calls it."),
    Setting(
        "oidc_domains",
        values.words,
        "",
        "Mail domains whose people are let in by the company's own sign-in without an invitation, as viewers; separated"
        " by commas. By default only those whom `beforehand user create` made.",
    ),
    Setting(
        "oidc_claim", values.claim, None, "A claim that everybody needs who comes that way: `groups=service-desk`."
    ),
    Setting("debug", values.yes_or_no, "0", "Show errors in the browser. Never where customers can come."),
    Setting(
        "log_level",
        values.one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "The least serious kind of line in the log: DEBUG, INFO, WARNING or ERROR.",
    ),
    Setting(
        "log_format",
        values.one_of("console", "json"),
        "console",
        "`json` for programs, `console` for people. The log goes to standard error.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The settings, read and checked. `SETTINGS` says what each means."""

    home: Path
    database_url: str | None = field(repr=False)  # None: the embedded server; `resolved_database_url` knows it
    database_port: int | None
    system_user: str
    secret_key: str = field(repr=False)  # "" until `current_environment` has found or made it
    secret_key_fallbacks: tuple[str, ...] = field(repr=False)
    base_url: str
    extra_hosts: tuple[str, ...]  # BEFOREHAND_ALLOWED_HOSTS; `allowed_hosts` is all of them
    bind: Bind
    trusted_proxies: tuple[str, ...]
    web_workers: int
    smtp_url: SmtpServer
    mail_from: str
    reply_domain: str
    imap_url: ImapServer | None
    sms_url: str
    sms_account: str | None
    sms_token: str | None = field(repr=False)
    sms_from: str | None
    push_key: str | None = field(repr=False)
    private_hosts: tuple[str, ...]
    oidc_url: str | None
    oidc_client: str | None
    oidc_secret: str | None = field(repr=False)
    oidc_name: str
    oidc_domains: tuple[str, ...]
    oidc_claim: str | None
    debug: bool
    log_level: str
    log_format: str

    @property
    def is_embedded(self) -> bool:
        """Whether the database is the embedded server."""
        return self.database_url is None

    @property
    def smtp(self) -> SmtpServer:
        """The mail server."""
        return self.smtp_url

    @property
    def sms(self) -> SmsGateway | None:
        """The SMS gateway; None where this installation has none."""
        if not self.sms_account:
            return None
        return SmsGateway(self.sms_url, self.sms_account, self.sms_token or "", self.sms_from or "")

    @property
    def behind_proxy(self) -> bool:
        """Whether requests come through a reverse proxy that we believe."""
        return bool(self.trusted_proxies)

    @property
    def host(self) -> str:
        """The host name in the base URL."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def allowed_hosts(self) -> list[str]:
        """Host names under which requests may come in."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return list(dict.fromkeys([own, "localhost", "127.0.0.1", "[::1]", *self.extra_hosts]))

    @property
    def secret_key_file(self) -> Path:
        """Where a key that we made is kept."""
        return self.home / "secret_key"

    def embedded_server(self) -> EmbeddedServer:
        """The embedded server of this home; nothing is started."""
        return EmbeddedServer(self.home, port=self.database_port, system_user=self.system_user)

    def resolved_database_url(self) -> str:
        """The database's URL; the embedded server's has no password before its first start."""
        return self.database_url if self.database_url is not None else self.embedded_server().url

    def logging(self) -> dict[str, Any]:
        """The logging configuration, as `logging.config.dictConfig` takes it."""
        from beforehand.config.logs import logging_configuration

        return logging_configuration(level=self.log_level, is_json=self.log_format == "json")


def read_environment(environ: Mapping[str, str], *, is_root: bool | None = None) -> Environment:
    """The settings in `environ`; nothing is created. Raises SettingError for the first that is wrong."""
    found = {setting.field: _value(setting, environ) for setting in SETTINGS}
    if found["home"] is None:
        found["home"] = _default_home(environ, is_root=os.geteuid() == 0 if is_root is None else is_root)
    found["secret_key"] = found["secret_key"] or ""
    host = urlsplit(found["base_url"]).hostname or ""
    if found["mail_from"] is None:
        found["mail_from"] = f"service@{host if _is_name(host) else 'localhost.localdomain'}"
    found["reply_domain"] = found["reply_domain"] or found["mail_from"].rpartition("@")[2]
    if found["sms_account"]:
        for name in ("sms_token", "sms_from"):
            if not found[name]:
                raise SettingError(PREFIX + name.upper(), "is missing: with BEFOREHAND_SMS_ACCOUNT it has to be set")
    if found["oidc_url"]:
        for name in ("oidc_client", "oidc_secret"):
            if not found[name]:
                raise SettingError(PREFIX + name.upper(), "is missing: with BEFOREHAND_OIDC_URL it has to be set")
    if found["secret_key"] and found["secret_key"] in found["secret_key_fallbacks"]:
        raise SettingError("BEFOREHAND_SECRET_KEY_FALLBACKS", "contains the present key: only former ones belong here")
    found["extra_hosts"] = found.pop("allowed_hosts")
    return Environment(**found)


@cache
def current_environment() -> Environment:
    """The settings of this process, with the secret key found, or made the first time. Raises SettingError."""
    environment = read_environment(os.environ)
    if environment.secret_key:
        return environment
    return replace(environment, secret_key=_kept_key(environment))


def unknown_settings(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables that look like ours and are not known, with the name that was perhaps meant."""
    known = {setting.name for setting in SETTINGS} | {setting.name + _FILE for setting in SETTINGS if setting.is_secret}
    unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return {name: next(iter(get_close_matches(name, known, n=1)), None) for name in unknown}


def _value(setting: Setting, environ: Mapping[str, str]) -> Any:
    name, written = setting.name, environ.get(setting.name, "").strip()
    path = environ.get(name + _FILE, "").strip() if setting.is_secret else ""
    if written and path:
        raise SettingError(name, f"and {name}{_FILE} are both set: choose one")
    if path:
        name += _FILE
        try:
            written = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(name, f"cannot be read: {getattr(error, 'strerror', 'it is not text')}") from None
        if not written:
            raise SettingError(name, "names an empty file")
    if not written:
        if setting.default is None:
            return None
        written = setting.default
    try:
        return setting.parse(written)
    except ValueError as error:
        raise SettingError(name, str(error)) from None


def _default_home(environ: Mapping[str, str], *, is_root: bool) -> Path:
    if is_root:
        return Path("/var/lib/beforehand")
    return Path(environ.get("HOME") or os.path.expanduser("~")) / ".local" / "share" / "beforehand"


def _is_name(host: str) -> bool:
    return "." in host and not host.replace(".", "").isdigit() and ":" not in host


def _kept_key(environment: Environment) -> str:
    home = environment.home
    try:
        if not home.exists():
            # Root's embedded server has a user of its own, who must be able to pass; every thing inside is private.
            make_parents(home)
            home.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        return values.secret(make_secret(environment.secret_key_file))
    except (OSError, PostgresError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            "BEFOREHAND_SECRET_KEY", f"is not set and none can be kept in {environment.secret_key_file}: {why}"
        ) from None


if __name__ == "__main__":
    from beforehand.config.settings_page import settings_page

    print(settings_page(), end="")
