"""What a condition may not say, and where the refusal points."""

import time

import pytest
from tests.engine.conditions.example_schema import SCHEMA

from beforehand.engine.conditions import ConditionError, ConditionProblem, parse

P = ConditionProblem

REFUSALS = [
    # sentence, condition, reason, line, column
    ("nothing at all", "", P.EMPTY, 1, 1),
    ("only a comment", " \n// nl\n", P.EMPTY, 1, 1),
    ("4,001 characters", "true" + " " * 3997, P.TOO_LONG, 1, 1),
    ("51 brackets", "(" * 51 + "true" + ")" * 51, P.TOO_DEEP, 1, 51),
    ("51 denials", "!" * 51 + "true", P.TOO_DEEP, 1, 51),
    ("60 choices", "nullable ? true : " * 60 + "true", P.TOO_DEEP, 1, 883),
    ("half a comparison", "customer.score ==", P.SYNTAX, 1, 16),
    ("one equals sign", "customer.score\n = 5", P.SYNTAX, 2, 2),
    ("an unknown character", "customer.score § 5", P.SYNTAX, 1, 16),
    ("a text left open", 'customer.language == "nl', P.BAD_TEXT, 1, 22),
    ("a text over two lines", '\ncustomer.language == "n\nl"', P.BAD_TEXT, 2, 22),
    ("a text that ends in a backslash", r'customer.language == "nl\"', P.BAD_TEXT, 1, 22),
    ("an unknown escape", r'customer.language == "\q"', P.BAD_TEXT, 1, 22),
    ("a code point that does not exist", r'customer.language == "\U00110000"', P.BAD_TEXT, 1, 22),
    ("half a surrogate pair", r'customer.language == "\ud800"', P.BAD_TEXT, 1, 22),
    ("an escaped NUL", r'customer.language == "\000"', P.BAD_TEXT, 1, 22),
    ("a NUL", "customer.language == 'a\0'", P.BAD_TEXT, 1, 24),
    ("a NUL in a comment", "true // \0", P.BAD_TEXT, 1, 9),
    ("a raw text", 'customer.language == r"nl"', P.BAD_TEXT, 1, 22),
    ("bytes", 'customer.language == b"nl"', P.BAD_TEXT, 1, 22),
    ("a text in triple quotes", 'customer.language == """nl"""', P.BAD_TEXT, 1, 22),
    ("an integer over 64 bits", "customer.score < 9223372036854775808", P.BAD_NUMBER, 1, 18),
    ("infinity", "customer.score < 1e309", P.BAD_NUMBER, 1, 18),
    ("a number too small to tell from zero", "customer.score < 1e-400", P.BAD_NUMBER, 1, 18),
    ("a day that does not exist", 'now < timestamp("2026-02-30")', P.BAD_TIMESTAMP, 1, 7),
    ("a time without a zone", 'now < timestamp("2026-02-20T10:00:00")', P.BAD_TIMESTAMP, 1, 7),
    ("a duration that is none", 'now - duration("soon") < now', P.BAD_DURATION, 1, 7),
    ("a duration over 100 years", 'now - duration("36526d") < now', P.BAD_DURATION, 1, 7),
    ("a sum over 100 years", 'now < now + duration("20000d") + duration("20000d")', P.BAD_DURATION, 1, 7),
    ("null", "customer.language == null", P.NULL, 1, 22),
    ("a regular expression", 'customer.language.matches("n.*")', P.MATCHES, 1, 1),
    ("matches as a function", 'matches(customer.language, "n.*")', P.MATCHES, 1, 1),
    ("size", "size(holdings) > 1", P.SIZE, 1, 1),
    ("size as a method", "holdings.size() > 1", P.SIZE, 1, 1),
    ("adding to a field", "customer.score + 1 > 2", P.ARITHMETIC, 1, 1),
    ("multiplying", "2 < customer.score * 2", P.ARITHMETIC, 1, 5),
    ("taking a field's negative", "-customer.score > 2", P.ARITHMETIC, 1, 1),
    ("a negative text", '-"a" == "a"', P.ARITHMETIC, 1, 1),
    ("joining texts", 'customer.name == "a" + "b"', P.ARITHMETIC, 1, 18),
    ("adding a duration to a field", 'customer.joined_at + duration("1h") < now', P.ARITHMETIC, 1, 1),
    ("taking a field from now", "now - customer.joined_at < now", P.ARITHMETIC, 1, 1),
    ("a name that nobody declared", "true && customer.langauge == 'nl'", P.UNDECLARED, 1, 9),
    ("an attribute that nobody declared", "holdings.exists(h, h.attributes.colour == 'x')", P.UNDECLARED, 1, 20),
    ("a variable outside its quantifier", "holdings.exists(h, true) && h.quantity > 1", P.UNDECLARED, 1, 29),
    ("a field of a label", "labels.a.b == 'x'", P.UNDECLARED, 1, 1),
    ("text against a number", "customer.language == 5", P.MIXED_TYPES, 1, 22),
    ("a number against a boolean", "customer.score == true", P.MIXED_TYPES, 1, 19),
    ("a time against a text", 'customer.joined_at < "2026-03-01"', P.MIXED_TYPES, 1, 22),
    ("branches of two types", '(nullable ? 1 : "a") == 1', P.MIXED_TYPES, 1, 17),
    ("a list of two types", "customer.score in [1, 'a']", P.MIXED_TYPES, 1, 23),
    ("a number in a list of texts", "1 in customer.reads", P.MIXED_TYPES, 1, 6),
    ("startsWith of a number", 'customer.score.startsWith("1")', P.MIXED_TYPES, 1, 1),
    ("startsWith with a number", "customer.name.startsWith(1)", P.MIXED_TYPES, 1, 26),
    ("a text as the whole answer", "customer.language", P.NOT_BOOLEAN, 1, 1),
    ("now as the whole answer", "now", P.NOT_BOOLEAN, 1, 1),
    ("a number in an and", "nullable && customer.score", P.NOT_BOOLEAN, 1, 13),
    ("a denied text", "!customer.language", P.NOT_BOOLEAN, 1, 2),
    ("a number as a test", "customer.score ? true : false", P.NOT_BOOLEAN, 1, 1),
    ("a text inside a quantifier", "holdings.exists(h, h.product)", P.NOT_BOOLEAN, 1, 20),
    ("another method", 'customer.name.endsWith("x")', P.NOT_ALLOWED_CALL, 1, 1),
    ("another macro", "holdings.map(h, h.product)", P.NOT_ALLOWED_CALL, 1, 1),
    ("another function", "int(customer.name) > 1", P.NOT_ALLOWED_CALL, 1, 1),
    ("contains as a function", 'contains(customer.name, "a")', P.NOT_ALLOWED_CALL, 1, 1),
    ("startsWith with two texts", 'customer.name.startsWith("a", "b")', P.WRONG_ARGUMENTS, 1, 1),
    ("contains with none", "customer.name.contains()", P.WRONG_ARGUMENTS, 1, 1),
    ("timestamp of a field", "timestamp(customer.name) < now", P.WRONG_ARGUMENTS, 1, 1),
    ("timestamp of a number", "timestamp(5) < now", P.WRONG_ARGUMENTS, 1, 1),
    ("duration of nothing", "now - duration() < now", P.WRONG_ARGUMENTS, 1, 7),
    ("has of a literal", 'has("a")', P.WRONG_ARGUMENTS, 1, 1),
    ("has of now", "has(now)", P.WRONG_ARGUMENTS, 1, 1),
    ("has of two", "has(customer.name, customer.score)", P.WRONG_ARGUMENTS, 1, 1),
    ("exists without a condition", "holdings.exists(h)", P.WRONG_ARGUMENTS, 1, 1),
    ("exists with a dotted variable", "holdings.exists(h.x, true)", P.WRONG_ARGUMENTS, 1, 1),
    ("exists with a literal for a variable", "holdings.exists(1, true)", P.WRONG_ARGUMENTS, 1, 1),
    ("a list on its own", "[1] == [1]", P.NOT_ALLOWED, 1, 1),
    ("a map", '{"a": 1} == {"a": 1}', P.NOT_ALLOWED, 1, 1),
    ("an object", "customer{a: 1} == 1", P.NOT_ALLOWED, 1, 1),
    ("a leading dot", ".nullable", P.NOT_ALLOWED, 1, 1),
    ("a leading dot in a call", '.timestamp("2026-03-01") < now', P.NOT_ALLOWED, 1, 1),
    ("a field of an expression", "(nullable).x", P.NOT_ALLOWED, 1, 1),
    ("a collection as a value", "holdings == 1", P.NOT_A_VALUE, 1, 1),
    ("an open map as a value", "labels == 'a'", P.NOT_A_VALUE, 1, 1),
    ("an item as a value", "holdings.exists(h, h)", P.NOT_A_VALUE, 1, 20),
    ("a list fact as a value", "customer.reads == 'nl'", P.NOT_A_VALUE, 1, 1),
    ("a duration as a value", 'duration("1h") == now', P.NOT_A_VALUE, 1, 1),
    ("in with a text", "customer.name in 'abc'", P.BAD_IN, 1, 18),
    ("in with a text fact", "'a' in customer.name", P.BAD_IN, 1, 8),
    ("in now", "'a' in now", P.BAD_IN, 1, 8),
    ("in nothing", "customer.name in []", P.BAD_IN, 1, 18),
    ("in a list with a field", "customer.name in ['a', customer.language]", P.BAD_IN, 1, 24),
    ("a key that is no text", "labels[1] == 'a'", P.BAD_KEY, 1, 8),
    ("a key that is a field", "labels[customer.name] == 'a'", P.BAD_KEY, 1, 8),
    ("exists over a fact", "customer.reads.exists(r, r == 'nl')", P.NOT_A_COLLECTION, 1, 1),
    ("exists over a literal list", "['a'].exists(r, r == 'nl')", P.NOT_A_COLLECTION, 1, 1),
    ("a quantifier in a quantifier", "holdings.exists(h, holdings.all(g, true))", P.NESTED_QUANTIFIER, 1, 20),
    ("a variable that hides a fact", "holdings.exists(customer, true)", P.VARIABLE_TAKEN, 1, 17),
    ("a variable called now", "holdings.exists(now, true)", P.VARIABLE_TAKEN, 1, 17),
]


@pytest.mark.parametrize(
    ("source", "reason", "line", "column"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_it_is_refused_with_its_reason_and_place(source: str, reason: P, line: int, column: int) -> None:
    with pytest.raises(ConditionError) as refusal:
        parse(source, SCHEMA)

    assert (refusal.value.reason, refusal.value.line, refusal.value.column) == (reason, line, column)
    assert str(refusal.value).startswith(f"Line {line}, column {column}: ")
    assert "{" not in str(refusal.value).replace(source, "")


def test_every_reason_is_shown_to_happen() -> None:
    assert {row[2] for row in REFUSALS} == set(P)


def test_fifty_levels_are_allowed() -> None:
    assert parse("(" * 49 + "true" + ")" * 49, SCHEMA).source


@pytest.mark.parametrize(
    ("source", "suggestions"),
    [
        ("customer.langauge == 'nl'", ("customer.language",)),
        ("holdings.exists(h, h.prodct == 'a')", ("h.product",)),
        ("holding.exists(h, true)", ("holdings",)),
        ("customer.name.startswith('a')", ("startsWith",)),
        ("timestmap('2026-03-01') < now", ("timestamp",)),
        ("zzz", ()),
    ],
)
def test_a_misspelt_name_is_answered_with_what_was_probably_meant(source: str, suggestions: tuple[str, ...]) -> None:
    with pytest.raises(ConditionError) as refusal:
        parse(source, SCHEMA)

    assert refusal.value.suggestions == suggestions


def test_a_refusal_is_a_plain_sentence() -> None:
    with pytest.raises(ConditionError) as misspelt:
        parse("customer.langauge == 'nl'", SCHEMA)
    with pytest.raises(ConditionError) as mixed:
        parse("customer.language == 5", SCHEMA)

    assert str(misspelt.value) == (
        "Line 1, column 1: customer.langauge is not declared; did you mean customer.language?"
    )
    assert str(mixed.value) == "Line 1, column 22: text and number cannot stand together here."
    assert (mixed.value.expected, mixed.value.found) == ("text", "number")


@pytest.mark.parametrize(
    "source", ['"' + r"\n" * 1900, '"""' + r"\123" * 900, "'" + r"\u00e9" * 600 + "\n'", "(" * 4000, "!" * 3999 + "x"]
)
def test_hostile_text_is_refused_at_once(source: str) -> None:
    """The grammar's own patterns need a time that doubles with each escape of an open text: years for the first."""
    started = time.monotonic()

    with pytest.raises(ConditionError):
        parse(source, SCHEMA)

    assert time.monotonic() - started < 5
