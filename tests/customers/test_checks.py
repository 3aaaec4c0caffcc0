"""What a value may be, and what is said of one that may not."""

from datetime import UTC, date, datetime, time

import pytest

from beforehand.customers.bulk import checks
from beforehand.customers.bulk.problems import Refused, RowReason


@pytest.mark.parametrize(
    "name",
    [
        "عائشة الفاسي",
        "चित्रा शर्मा",
        "O’Neill-de Vries",
        "Robert'); DROP TABLE customers_customer;--",
        "<script>alert(1)</script>",
        "{{ 7 * 7 }} {% raw %}",
        '=HYPERLINK("http://x")',
        "back\\slash",
        "👩‍👩‍👧 family",
        "لا\u200cاله",
    ],
)
def test_a_hostile_or_foreign_name_is_only_text(name: str) -> None:
    assert checks.text(300)(name) == name


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nul\0", RowReason.CONTROL_CHARACTER),
        ("Bram\r\nBcc: all@example.org", RowReason.CONTROL_CHARACTER),
        ("tab\there", RowReason.CONTROL_CHARACTER),
        ("gpj.\u202eexe", RowReason.CONTROL_CHARACTER),
        ("line\u2028separator", RowReason.CONTROL_CHARACTER),
        ("half \ud83d", RowReason.NOT_UTF8),
        (b"\xe9".decode("utf-8", "surrogateescape"), RowReason.NOT_UTF8),
        ("x" * 301, RowReason.TOO_LONG),
        ("é" * 301, RowReason.TOO_LONG),
        (17, RowReason.WRONG_TYPE),
        (["a"], RowReason.WRONG_TYPE),
    ],
)
def test_text_that_could_do_harm_is_refused_with_its_reason(value: object, reason: RowReason) -> None:
    with pytest.raises(Refused) as refused:
        checks.text(300)(value)
    assert refused.value.reason is reason


def test_text_is_stored_in_one_spelling() -> None:
    assert checks.text(10)("Zoe\u0308") == "Zoë"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("nl", "nl"),
        ("NL", "nl"),
        ("nl_NL", "nl-NL"),
        ("pt-br", "pt-BR"),
        ("sr-latn-rs", "sr-Latn-RS"),
        ("es-419", "es-419"),
    ],
)
def test_a_language_is_written_as_the_standard_says(given: str, stored: str) -> None:
    assert checks.language(given) == stored


@pytest.mark.parametrize("given", ["English", "xx", "n", "nl-", "nl-NL-", "", "nl nl", "n" * 40, 5])
def test_what_is_no_language_is_refused(given: object) -> None:
    with pytest.raises(Refused, match="not_a_language"):
        checks.language(given)


def test_a_time_zone_is_one_of_the_database_and_a_near_one_is_offered() -> None:
    assert checks.time_zone("Asia/Kolkata") == "Asia/Kolkata"
    with pytest.raises(Refused) as refused:
        checks.time_zone("Europe/Amsterdm")
    assert "Europe/Amsterdam" in refused.value.detail


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("bram@Example.ORG", "bram@example.org"),
        ("O'Neill+news@sub.example.co.uk", "O'Neill+news@sub.example.co.uk"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_kept_as_mail_servers_take_it(given: str, stored: str) -> None:
    assert checks.email(given) == stored


@pytest.mark.parametrize(
    "given",
    [
        "bram",
        "bram@",
        "@example.org",
        "bram@localhost",
        "bram@@example.org",
        "b ram@example.org",
        ".bram@example.org",
        "bram.@example.org",
        "br..am@example.org",
        "bram@-example.org",
        "bram@example..org",
        "bram@[127.0.0.1]",
        '"a b"@example.org',
        "bram@example.org\nBcc: x@example.org",
        "bram@example.org, zeno@example.org",
        "bram\0@example.org",
        "é@example.org",
        f"{'a' * 65}@example.org",
        f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 20}.org",
        f"a@{'ü' * 70}.example",
        12,
    ],
)
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(Refused):
        checks.email(given)


def test_a_telephone_number_becomes_international() -> None:
    assert checks.phone("")("+31 20 123 45 67") == "+31201234567"
    assert checks.phone("NL")("020 - 123 45 67") == "+31201234567"
    assert checks.phone("")("+31201234567") == "+31201234567"


@pytest.mark.parametrize("given", ["020 1234567", "+3", "call me", "+31 20 123 4567 ext. 5", "+31\x0020", 31201234567])
def test_what_cannot_be_dialled_is_refused(given: object) -> None:
    with pytest.raises(Refused):
        checks.phone("")(given)


def test_dates_times_and_moments_have_one_spelling() -> None:
    assert checks.day("2026-03-29") == date(2026, 3, 29)
    assert checks.day(date(2026, 3, 29)) == date(2026, 3, 29)
    assert checks.time_of_day("21:30") == time(21, 30)
    assert checks.time_of_day(time(21, 30)) == time(21, 30)
    assert checks.instant("2026-03-29T10:30:00+02:00") == datetime(2026, 3, 29, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (checks.day, "29-03-2026"),
        (checks.day, "2026-02-30"),
        (checks.day, "20260329"),
        (checks.day, datetime(2026, 3, 29, tzinfo=UTC)),
        (checks.time_of_day, "25:00"),
        (checks.time_of_day, "9"),
        (checks.instant, "2026-03-29T08:30:00"),
        (checks.instant, "yesterday"),
        (checks.instant, "0001-01-01T00:00:00+14:00"),
        (checks.instant, 5),
        (checks.number, "1,5"),
        (checks.number, "NaN"),
        (checks.number, float("inf")),
        (checks.number, "1" * 16),
        (checks.number, True),
        (checks.number, "1e99"),
        (checks.boolean, "maybe"),
        (checks.boolean, 1),
        (checks.choice(["formal", "informal"]), "casual"),
        (checks.choice(["formal"]), 3),
        (checks.words(10), 5),
        (checks.words(10), ";".join("abcdefghij" * 6)),
        (checks.words(3), ["long word"]),
        (checks.words(3), [4]),
    ],
)
def test_what_cannot_be_read_as_its_type_is_refused(check: checks.Check, given: object) -> None:
    with pytest.raises(Refused):
        check(given)


def test_numbers_booleans_choices_and_lists_are_read_as_people_write_them() -> None:
    assert [checks.number(n) for n in ("12", "-0.5", "1e3", 7, 0.1)] == [12, -0.5, 1000.0, 7, 0.1]
    assert [checks.boolean(b) for b in ("Yes", "0", True)] == [True, False, True]
    assert checks.choice(["formal"])("Formal") == "formal"
    assert checks.words(20)("large_print; read_aloud;;large_print") == ["large_print", "read_aloud"]
    assert checks.words(20)(["a", " a ", "b"]) == ["a", "b"]
    assert checks.ATTRIBUTES["timestamp"]("2026-03-29T10:30:00+02:00") == "2026-03-29T08:30:00Z"
    assert checks.ATTRIBUTES["date"]("2026-03-29") == "2026-03-29"
