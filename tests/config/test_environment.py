"""The settings: what is read, what is refused and in which words, and that the page tells the truth."""

import os
import stat
from dataclasses import fields
from pathlib import Path

import pytest

from beforehand.config import environment as module
from beforehand.config.environment import (
    SETTINGS,
    Environment,
    SettingError,
    current_environment,
    read_environment,
    unknown_settings,
)
from beforehand.config.setting_values import Bind
from beforehand.config.settings_page import settings_page
from beforehand.outbound.sms import SmsGateway
from beforehand.outbound.smtp_handshake import SmtpServer, Tls

KEY, FORMER = "k" * 40, "f" * 40


def read(**variables: str) -> Environment:
    return read_environment({f"BEFOREHAND_{name}": value for name, value in variables.items()}, is_root=False)


def test_nothing_set_is_a_working_installation() -> None:
    found = read_environment({"HOME": "/home/noor"}, is_root=False)
    assert found.home == Path("/home/noor/.local/share/beforehand")
    assert found.is_embedded
    assert found.bind == Bind("127.0.0.1", 8000)
    assert found.base_url == "http://127.0.0.1:8000"
    assert found.smtp == SmtpServer("127.0.0.1", 25, Tls.NONE)
    assert (found.debug, found.web_workers, found.log_format, found.behind_proxy) == (False, 1, "console", False)
    assert found.mail_from == "service@localhost.localdomain"
    assert found.allowed_hosts == ["127.0.0.1", "localhost", "[::1]"]
    assert read_environment({}, is_root=True).home == Path("/var/lib/beforehand")


def test_an_sms_gateway_is_set_up_whole_or_not_at_all() -> None:
    assert read().sms is None
    found = read(SMS_ACCOUNT="AC1", SMS_TOKEN="secret", SMS_FROM="+31201234567")
    assert found.sms == SmsGateway("https://api.twilio.com", "AC1", "secret", "+31201234567")
    assert "secret" not in repr(found)
    with pytest.raises(SettingError, match="BEFOREHAND_SMS_FROM is missing"):
        read(SMS_ACCOUNT="AC1", SMS_TOKEN="secret")


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(SMTP_URL=" ", DATABASE_URL="").is_embedded


def test_addresses_follow_the_base_url() -> None:
    found = read(BASE_URL="https://Care.Example.com/", ALLOWED_HOSTS="a.example, b.example")
    assert found.base_url == "https://care.example.com"
    assert (found.mail_from, found.reply_domain) == ("service@care.example.com", "care.example.com")
    assert found.allowed_hosts[0] == "care.example.com"
    assert found.allowed_hosts[-2:] == ["a.example", "b.example"]
    assert read(MAIL_FROM="a@b.example").reply_domain == "b.example"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", SmtpServer("mail.example", 25, Tls.NONE)),
        ("smtp://mail.example?starttls=1", SmtpServer("mail.example", 587, Tls.STARTTLS)),
        ("smtp://mail.example:2525?verify=0", SmtpServer("mail.example", 2525, Tls.NONE, verify=False)),
        ("smtps://u%40x:p%2Fw@mail.example", SmtpServer("mail.example", 465, Tls.IMPLICIT, "u@x", "p/w")),
        ("smtp://[::1]:26", SmtpServer("::1", 26, Tls.NONE)),
    ],
)
def test_the_mail_servers_url_says_all_of_it(url: str, server: SmtpServer) -> None:
    assert read(SMTP_URL=url).smtp == server


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("HOME", "relative/path", "absolute"),
        ("DATABASE_URL", "mysql://u:hidden@h/n", "postgresql://"),
        ("DATABASE_URL", "postgresql://u:hidden@h:x/n", "port|cannot be read"),
        ("DATABASE_URL", "postgresql://u:hidden@h", "names no database"),
        ("DATABASE_URL", "postgresql://u:hidden@h/n?wrong=1", "cannot be read"),
        ("DATABASE_PORT", "80", "1024 to 65535"),
        ("SECRET_KEY", "hidden", "at least 32"),
        ("SECRET_KEY_FALLBACKS", f"{FORMER},hidden", "at least 32"),
        ("BASE_URL", "care.example.com", "https://"),
        ("BASE_URL", "https://care.example.com/path", "nothing after"),
        ("BASE_URL", "https://care example.com", "space"),
        ("BASE_URL", "https://-/", "impossible host"),
        ("BIND", "8000", "127.0.0.1:8000"),
        ("BIND", "::1:8000", r"\[::1\]:8000"),
        ("BIND", "127.0.0.1:70000", "127.0.0.1:8000"),
        ("WEB_WORKERS", "0", "1 to 64"),
        ("WEB_WORKERS", "two", "1 to 64"),
        ("SMTP_URL", "http://mail.example", "smtps"),
        ("SMTP_URL", "smtp://u:hidden@mail.example:port", "impossible port"),
        ("SMTP_URL", "smtp://user@mail.example", "without password"),
        ("SMTP_URL", "smtps://u:hidden@mail.example?starttls=1", "choose one"),
        ("SMTP_URL", "smtp://u:hidden@mail.example?starttls=maybe", "neither 1 nor 0"),
        ("SMTP_URL", "smtp://u:hidden@mail.example?tls=1", "is one of"),
        ("SMTP_URL", "smtp://u:hidden@mail.example/path", "nothing after"),
        ("MAIL_FROM", "Care <care@example.com>", "service@example.com"),
        ("MAIL_FROM", "care", "service@example.com"),
        ("REPLY_DOMAIN", "not a domain", "reply.example.com"),
        ("DEBUG", "perhaps", "1 or 0"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG"),
        ("LOG_FORMAT", "xml", "console, json"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_it_and_hides_secrets(name: str, value: str, why: str) -> None:
    with pytest.raises(SettingError, match=why) as caught:
        read(**{name: value})
    line = str(caught.value)
    assert line.startswith(f"BEFOREHAND_{name} ")
    assert "\n" not in line
    assert "hidden" not in line


def test_secrets_can_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "url").write_text("postgresql://u:p@h/n\n")
    found = read(SECRET_KEY_FILE=str(tmp_path / "key"), DATABASE_URL_FILE=str(tmp_path / "url"))
    assert (found.secret_key, found.database_url) == (KEY, "postgresql://u:p@h/n")
    assert found.resolved_database_url() == "postgresql://u:p@h/n"


def test_a_secret_file_that_is_missing_empty_or_doubled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="BEFOREHAND_SECRET_KEY_FILE cannot be read: No such file"):
        read(SECRET_KEY_FILE=str(tmp_path / "missing"))
    (tmp_path / "empty").touch()
    with pytest.raises(SettingError, match="BEFOREHAND_SECRET_KEY_FILE names an empty file"):
        read(SECRET_KEY_FILE=str(tmp_path / "empty"))
    with pytest.raises(SettingError, match="both set: choose one"):
        read(SECRET_KEY=KEY, SECRET_KEY_FILE=str(tmp_path / "empty"))


def test_former_keys_are_kept_for_rotation_and_the_present_one_is_not_among_them() -> None:
    assert read(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=f"{FORMER}, {'g' * 40}").secret_key_fallbacks == (FORMER, "g" * 40)
    with pytest.raises(SettingError, match="contains the present key"):
        read(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=KEY)


def test_secrets_do_not_show_when_the_environment_is_printed() -> None:
    found = read(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=FORMER, DATABASE_URL="postgresql://u:pass-1@h/n",
                 SMTP_URL="smtps://u:pass-2@h")  # fmt: skip
    assert not [secret for secret in (KEY, FORMER, "pass-1", "pass-2") if secret in repr(found)]


def test_a_key_is_made_once_private_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BEFOREHAND_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BEFOREHAND_HOME", str(tmp_path / "new" / "home"))
    current_environment.cache_clear()
    try:
        first = current_environment().secret_key
        current_environment.cache_clear()
        assert current_environment().secret_key == first
        assert len(first) >= 32
        path = tmp_path / "new" / "home" / "secret_key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        current_environment.cache_clear()
        with pytest.raises(SettingError, match="others may read it: chmod 600"):
            current_environment()
    finally:
        current_environment.cache_clear()


def test_a_slip_of_the_pen_is_noticed() -> None:
    assert unknown_settings({"BEFOREHAND_SMPT_URL": "x", "BEFOREHAND_SMTP_URL_FILE": "x", "PATH": "x"}) == {
        "BEFOREHAND_SMPT_URL": "BEFOREHAND_SMTP_URL"
    }


def test_every_setting_has_its_field_and_every_field_its_setting() -> None:
    named = {setting.field for setting in SETTINGS}
    assert {field.name for field in fields(Environment)} - {"extra_hosts"} == named - {"allowed_hosts"}


def test_the_page_of_settings_is_up_to_date() -> None:
    page = Path(module.__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text() == settings_page(), "python -m beforehand.config.environment > docs/settings.md"
