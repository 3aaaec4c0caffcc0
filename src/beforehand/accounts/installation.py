"""The installation's settings: what a company decides about itself, as versioned rows with sound defaults."""

from dataclasses import dataclass, field, fields
from datetime import time
from typing import Any

from beforehand.accounts.models import SettingVersion
from beforehand.kit.zones import time_zones


@dataclass(frozen=True)
class BrandSetting:
    """Who speaks: shown in every message and on every page."""

    name: str = "Beforehand"
    phone: str = ""
    sender_name: str = ""
    languages: tuple[str, ...] = ("en", "nl", "ar", "hi")
    language: str = "en"
    time_zone: str = "Europe/Amsterdam"


@dataclass(frozen=True)
class Installation:
    """All settings in force. A field is the setting's key with `.` written as `_`."""

    brand: BrandSetting = field(default_factory=BrandSetting)
    quiet_from: time = time(22, 0)
    quiet_until: time = time(8, 0)
    confirm_above: int = 25_000
    keep_raw_days: int = 30
    mail_rate: float = 0
    """Mails a second that the mail server may get from us; 0 means as fast as it takes them."""
    mail_connections: int = 10
    acknowledge_minutes: int = 10
    """Minutes for which a warned promise may stay unacknowledged before it passes to the next person."""
    contact_minutes: int = 120
    """Minutes within which a person is in touch with a customer who says that it is still broken after the end."""
    sms_rate: float = 0
    """Text messages a second that the gateway may get from us; 0 means as fast as it takes them."""
    sms_connections: int = 5
    push_rate: float = 0
    push_connections: int = 5
    webhook_rate: float = 0
    webhook_connections: int = 5
    calls_within_minutes: int = 60
    """Minutes in which whoever is on the call list is to be called, unless the next word is due sooner."""
    calls_care_alarm_minutes: int = 15
    calls_open_at_once: int = 20
    """How many calls a team is asked for at once, beside care alarms; 0 means as many as there are."""
    cap_care: int = 2
    """How many messages of the class a customer is sent in seven days at the most."""
    cap_survey: int = 1
    cap_marketing: int = 1
    second_step_required: bool = False
    """Whoever signs in with a password needs a code from their telephone as well."""
    sending_paused: bool = False
    """Nothing goes out to customers; what is due waits, and is judged again when sending goes on."""


KEYS = {
    "brand": "brand",
    "quiet_hours.from": "quiet_from",
    "quiet_hours.until": "quiet_until",
    "limits.confirm_above": "confirm_above",
    "intake.keep_raw_days": "keep_raw_days",
    "mail.rate": "mail_rate",
    "mail.connections": "mail_connections",
    "promises.acknowledge_minutes": "acknowledge_minutes",
    "promises.contact_minutes": "contact_minutes",
    "sms.rate": "sms_rate",
    "sms.connections": "sms_connections",
    "push.rate": "push_rate",
    "push.connections": "push_connections",
    "webhook.rate": "webhook_rate",
    "webhook.connections": "webhook_connections",
    "calls.within_minutes": "calls_within_minutes",
    "calls.care_alarm_minutes": "calls_care_alarm_minutes",
    "calls.open_at_once": "calls_open_at_once",
    "caps.care": "cap_care",
    "caps.survey": "cap_survey",
    "caps.marketing": "cap_marketing",
    "sending.paused": "sending_paused",
    "sign_in.second_step": "second_step_required",
}


class SettingRefused(ValueError):
    """A setting's key or value that cannot be; the text names it."""


def installation() -> Installation:
    """The settings in force now: the newest row of each key over the defaults."""
    newest = SettingVersion.objects.filter(key__in=KEYS).order_by("key", "-id").distinct("key")
    return Installation(**{KEYS[row.key]: parse_setting(row.key, row.value) for row in newest})


def parse_setting(key: str, value: Any) -> Any:
    """The value as its setting's type; raises `SettingRefused` naming the key."""
    if key not in KEYS:
        raise SettingRefused(f"“{key}” is not a setting. Known: {', '.join(sorted(KEYS))}.")
    try:
        match KEYS[key]:
            case "brand":
                return _brand(value)
            case "quiet_from" | "quiet_until":
                return time.fromisoformat(value)
            case "sending_paused" | "second_step_required":
                if not isinstance(value, bool):
                    raise TypeError
                return value
            case "mail_rate" | "sms_rate" | "push_rate" | "webhook_rate":
                return max(0.0, float(value))
            case _:
                number = int(value)
                if number < 0:
                    raise SettingRefused(f"“{key}” cannot be negative.")
                return number
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, SettingRefused):
            raise
        raise SettingRefused(f"“{key}” cannot be {value!r}.") from None


def _brand(value: dict[str, Any]) -> BrandSetting:
    unknown = set(value) - {f.name for f in fields(BrandSetting)}
    if unknown:
        raise SettingRefused(f"“brand” has no {', '.join(sorted(unknown))}.")
    brand = BrandSetting(**{**value, "languages": tuple(value.get("languages", BrandSetting.languages))})
    if brand.language not in brand.languages:
        raise SettingRefused(f"“brand”: its language {brand.language!r} is not among its languages.")
    if brand.time_zone not in time_zones():
        raise SettingRefused(f"“brand”: there is no time zone {brand.time_zone!r}.")
    return brand
