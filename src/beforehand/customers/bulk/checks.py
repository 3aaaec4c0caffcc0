"""Checks of single values: each takes what was sent and answers what is stored, or raises `Refused`."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from functools import cache
from typing import Any

import phonenumbers

from beforehand.customers.bulk.problems import Refused, RowReason, shown
from beforehand.kit.zones import time_zones

Check = Callable[[Any], Any]

MAX_ATTRIBUTE_TEXT = 1000
MAX_LIST = 50

# NUL and the other controls, the two overrides that turn text against its own direction, and halves of characters.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")

# RFC 5321 and 5322 without what no mailbox of a customer has: quoted local parts, comments, address literals.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_LANGUAGE = re.compile(
    r"(?P<language>[A-Za-z]{2,3})(?:[-_](?P<script>[A-Za-z]{4}))?(?:[-_](?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?P<rest>(?:-[A-Za-z0-9]{2,8})*)"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text(limit: int) -> Callable[[Any], str]:
    """NFC text without controls, of at most `limit` characters."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise Refused(RowReason.WRONG_TYPE, f"A text is needed, not {shown(value)}.")
        if not value.isascii():
            if not unicodedata.is_normalized("NFC", value):
                value = unicodedata.normalize("NFC", value)
            refuse_unfit(value)
        elif not value.isprintable():
            refuse_unfit(value)
        if len(value) > limit:
            raise Refused(RowReason.TOO_LONG, f"{len(value)} characters; at most {limit}.")
        return value

    return check


def refuse_unfit(value: str) -> None:
    """Raise `Refused` for what cannot stand in a text: NUL, controls, direction overrides, half characters."""
    found = _UNFIT.search(value)
    if found is None:
        return
    if _SURROGATE.match(found.group()):
        raise Refused(RowReason.NOT_UTF8, f"Character {found.start() + 1} is not UTF-8: {shown(value)}.")
    raise Refused(
        RowReason.CONTROL_CHARACTER, f"Character {found.start() + 1} is U+{ord(found.group()):04X}: {shown(value)}."
    )


def choice(options: Iterable[str]) -> Check:
    """One of a few words, in any case."""
    known = frozenset(options)

    def check(value: Any) -> str:
        word = value.lower() if isinstance(value, str) else ""
        if word not in known:
            raise Refused(RowReason.NOT_A_CHOICE, f"{shown(value)} is not one of {', '.join(sorted(known))}.")
        return word

    return check


@cache
def _known_languages() -> frozenset[str]:
    from babel import Locale  # loads its tables: only when the first language is checked

    return frozenset(code for code in map(str, Locale("en").languages) if len(code) in (2, 3))


def language(value: Any) -> str:
    """A BCP 47 tag in its usual spelling (RFC 5646 §2.1.1): `nl`, `pt-BR`, `sr-Latn-RS`; `nl_NL` is understood."""
    found = _LANGUAGE.fullmatch(value) if isinstance(value, str) and len(value) <= 35 else None
    code = found["language"].lower() if found else ""
    if found is None or code not in _known_languages():
        raise Refused(RowReason.NOT_A_LANGUAGE, f"{shown(value)} is not a language tag such as nl, en, ar or hi.")
    parts = [code]
    if found["script"]:
        parts.append(found["script"].title())
    if found["region"]:
        parts.append(found["region"].upper())
    return "-".join(parts) + found["rest"].lower()


@cache
def _zones() -> frozenset[str]:
    return time_zones() - {"localtime", "posixrules", "Factory"}


def time_zone(value: Any) -> str:
    """The name of a zone in the tz database."""
    if value not in _zones():
        near = get_close_matches(str(value), _zones(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise Refused(RowReason.NOT_A_TIME_ZONE, f"{shown(value)} is not a time zone such as Europe/Amsterdam.{hint}")
    return str(value)


def email(value: Any) -> str:
    """An e-mail address as mail servers take it: ASCII, at most 254 characters, the domain in lower case."""
    if type(value) is not str:
        raise Refused(RowReason.WRONG_TYPE, f"An e-mail address is needed, not {shown(value)}.")
    local, _, domain = value.rpartition("@")
    if not domain.isascii():
        refuse_unfit(value)
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            raise Refused(RowReason.NOT_AN_EMAIL, f"{shown(value)} has a domain that cannot be.") from None
    address = f"{local}@{domain.lower()}"
    if _EMAIL.fullmatch(address) is None:
        refuse_unfit(value)
        raise Refused(RowReason.NOT_AN_EMAIL, f"{shown(value)} is not an e-mail address.")
    if len(address) > 254 or len(local) > 64:
        raise Refused(RowReason.TOO_LONG, "An address has at most 254 characters, and 64 before the @.")
    return address


def phone(region: str) -> Check:
    """A telephone number as E.164; `region` (ISO 3166, such as NL) reads national ones, empty refuses them.

    What already looks like E.164 passes without the library, which takes 100 times as long.
    """

    def check(value: Any) -> str:
        if type(value) is not str:
            raise Refused(RowReason.WRONG_TYPE, f"A telephone number is needed, as a text, not {shown(value)}.")
        if _E164.fullmatch(value):
            return value
        refuse_unfit(value)
        try:
            number = phonenumbers.parse(value[:60], region or None)
        except phonenumbers.NumberParseException:
            raise Refused(
                RowReason.NOT_A_PHONE, f"{shown(value)} is not a telephone number; write +31 20 123 4567."
            ) from None
        if not phonenumbers.is_possible_number(number) or number.extension:
            raise Refused(RowReason.NOT_A_PHONE, f"{shown(value)} cannot be dialled as it is.")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return check


def day(value: Any) -> date:
    """A date, written 2026-03-29."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise Refused(RowReason.NOT_A_DATE, f"{shown(value)} is not a date such as 2026-03-29.")


def time_of_day(value: Any) -> time:
    """A time, written 21:30."""
    if isinstance(value, time) and value.tzinfo is None:
        return value
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return time.fromisoformat(value)
    except ValueError:
        pass
    raise Refused(RowReason.NOT_A_TIME, f"{shown(value)} is not a time such as 21:30.")


def instant(value: Any) -> datetime:
    """A moment with its offset, written 2026-03-29T08:30:00Z; answered in UTC."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise Refused(
        RowReason.NOT_A_TIMESTAMP, f"{shown(value)} is not a moment with its offset, such as 2026-03-29T08:30:00Z."
    )


def number(value: Any) -> int | float:
    """A number that JSON and a double both hold: below 10^15 either way."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value) if value.lstrip("+-").isdecimal() and len(value) < 20 else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**15:
        raise Refused(RowReason.NOT_A_NUMBER, f"{shown(value)} is not a number such as 12 or 0.5.")
    return value


def boolean(value: Any) -> bool:
    """true or false; yes, no, 1 and 0 are understood."""
    if isinstance(value, bool):
        return value
    answer = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if answer is None:
        raise Refused(RowReason.NOT_A_BOOLEAN, f"{shown(value)} is neither true nor false.")
    return answer


def words(limit: int) -> Check:
    """Several short texts, each once and in their order: a list, or one text with `;` between them."""
    word = text(limit)

    def check(value: Any) -> list[str]:
        items = value.split(";") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise Refused(RowReason.WRONG_TYPE, f"A list of texts is needed, not {shown(value)}.")
        if len(items) > MAX_LIST:
            raise Refused(RowReason.TOO_MANY, f"{len(items)} entries; at most {MAX_LIST}.")
        checked = (word(item.strip() if isinstance(item, str) else item) for item in items)
        return list(dict.fromkeys(item for item in checked if item))

    return check


ATTRIBUTES: dict[str, Check] = {
    "text": text(MAX_ATTRIBUTE_TEXT),
    "number": number,
    "boolean": boolean,
    "date": lambda value: day(value).isoformat(),
    "timestamp": lambda value: instant(value).isoformat().replace("+00:00", "Z"),
}
"""Check by the type that an attribute was declared with; the answer is what JSON holds."""
