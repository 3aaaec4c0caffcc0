"""Python and PostgreSQL give the same answer to every condition on every row."""

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.conditions.answers import ANSWERS
from tests.engine.conditions.example_schema import COLUMNS, NOW, SCHEMA, rows_as_json

from beforehand.engine.conditions import Condition, parse

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def sql_answers(
    connection: psycopg.Connection[Any], conditions: Sequence[Condition], all_facts: Sequence[Facts]
) -> list[tuple[bool | None, ...]]:
    """What PostgreSQL answers: for each row of facts, the answer of each condition."""
    written = [condition.sql(now=NOW, prefix=f"c{number}_") for number, condition in enumerate(conditions)]
    params: dict[str, Any] = {"rows": rows_as_json(all_facts)}
    for sql in written:
        params |= sql.params
    columns = ", ".join(sql.text for sql in written)
    statement = (
        f"SELECT {columns} FROM jsonb_to_recordset(%(rows)s::jsonb) AS c({COLUMNS}, position integer) ORDER BY position"
    )
    return connection.execute(statement, params).fetchall()


def python_answers(conditions: Sequence[Condition], all_facts: Sequence[Facts]) -> list[tuple[bool | None, ...]]:
    return [
        tuple(condition.evaluate({"customer.id": row, **facts}, now=NOW) for condition in conditions)
        for row, facts in enumerate(all_facts)
    ]


@pytest.mark.parametrize("cursor", [psycopg.Cursor, psycopg.ClientCursor], ids=["server-side", "client-side"])
def test_postgresql_answers_as_the_table_says(
    connection: psycopg.Connection[Any], cursor: type[psycopg.Cursor[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the server binds the parameters or, as Django has it, psycopg writes them out."""
    monkeypatch.setattr(connection, "cursor_factory", cursor)

    found = {
        sentence: sql_answers(connection, [parse(source, SCHEMA)], [{"holdings": [], **facts}])
        for sentence, source, facts, _ in ANSWERS
    }

    assert found == {sentence: [(answer,)] for sentence, _, _, answer in ANSWERS}


def test_a_database_that_sorts_by_a_language_still_compares_by_code_point(
    connection: psycopg.Connection[Any],
) -> None:
    if not connection.execute("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'").fetchone():
        pytest.skip("this PostgreSQL was built without ICU")
    condition = parse('customer.name < "a" && customer.name < customer.language', SCHEMA).sql(now=NOW)
    statement = f"""SELECT {condition.text} FROM (VALUES ('Z' COLLATE "und-x-icu", 'a')) AS c(name, language)"""

    assert connection.execute(statement, condition.params).fetchone() == (True,)


# What the random conditions and rows are made of: few values, so that they often meet, and nasty ones.
TEXTS = [
    "", "a", "ab", "nl", "NL", "Zz", "é", "e\u0301", "\u212b", "Å", "\u1112\u1161\u11ab", "한", "क\u093c", "\u0958", "नमस्ते",
    "مرحبا", "中文", "\U0001f600", "\uffee", "ﬁ", "a%b", "%", "a_b", "\\", "\\n", "'", "''; --", '"', "%s", "%(c0_1)s", "$1",
    "{x}", "@leaf", "\n", "\t", "\u200f", "1", "true", "null", "2026-03-01",
]  # fmt: skip
INSTANTS = [
    "2026-03-15T12:00:00Z", "2026-03-15T17:30:00+05:30", "2026-03-15T12:00:00.000001Z", "2026-03-15T11:59:59.9-00:30",
    "2024-02-29T00:00:00Z", "0002-01-01T00:00:00+14:00", "9998-12-31T23:59:59-14:59", "2026-03-01T00:00:00Z",
]  # fmt: skip
DAYS = ["2026-03-01", "2024-02-29", "2000-02-29", "0002-01-01", "9998-12-31", "2026-03-15"]
NO_INSTANTS = [
    "2026-02-29T00:00:00Z", "2026-03-15T24:00:00Z", "2026-03-15T12:00:60Z", "2026-03-15T12:00:00", "2026-03-15 12:00:00Z",
    "2026-03-15T12:00:00.1234567Z", "2026-03-15T12:00:00+15:00", "0001-01-01T00:00:00Z", "now", "infinity", "2026-03-15T12:00:00Z\n",
]  # fmt: skip
NO_DAYS = ["2026-02-29", "2100-02-29", "2026-04-31", "2026-13-01", "2026-00-10", "0000-01-01", "9999-01-01", "today", "26-03-01"]  # fmt: skip
NUMBERS = [
    0,
    1,
    -1,
    2,
    5,
    2**63 - 1,
    -(2**63),
    0.1,
    0.30000000000000004,
    0.3,
    -2.5,
    1e23,
    1e300,
    5e-300,
    1.0,
    123456789012345680.0,
]
KEYS = ["node", "severity", "in", "a b", "o'k", "%s", "\\", '"', "é", "中"]

ZONED = [
    datetime(2026, 3, 15, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    datetime(1999, 12, 31, 15, tzinfo=timezone(timedelta(hours=-9))),
]
OTHER_JSON = [
    None,
    True,
    False,
    0,
    2.5,
    "",
    "1",
    "true",
    "nl",
    INSTANTS[0],
    DAYS[0],
    [],
    ["nl"],
    {},
    {"node": "nl"},
    [[None]],
]

# Drawing from lists is a tenth of the work of drawing freely; the free draws come in the tests of one comparison below.
texts = st.sampled_from(TEXTS)
stored_texts = st.sampled_from([unicodedata.normalize("NFC", text) for text in TEXTS])
numbers = st.sampled_from([*NUMBERS, *range(-3, 4)])
instants = st.sampled_from([*map(datetime.fromisoformat, INSTANTS), *ZONED])
days = st.sampled_from([date.fromisoformat(day) for day in DAYS])
json_instants = st.sampled_from(INSTANTS + NO_INSTANTS)
json_days = st.sampled_from(DAYS + NO_DAYS)
any_json = st.sampled_from(OTHER_JSON)
labels = st.dictionaries(st.sampled_from(KEYS), texts | any_json, max_size=3)


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A JSON value that is usually, but not always, of the declared type."""
    return st.one_of(right, right, right, any_json)


holdings = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "product": stored_texts,
            "quantity": numbers | st.none(),
            "since_on": days | st.none(),
            "attributes.firmware": mostly(texts),
            "attributes.ports": mostly(numbers),
            "attributes.leased": mostly(st.booleans()),
            "tags": mostly(labels),
        },
    ),
    max_size=3,
)
rows = st.fixed_dictionaries(
    {"holdings": holdings},
    optional={
        "customer.language": stored_texts | st.none(),
        "customer.name": stored_texts,
        "customer.score": numbers,
        "customer.business": st.booleans(),
        "customer.joined_at": instants,
        "customer.born_on": days,
        "customer.reads": st.lists(stored_texts | st.none(), max_size=3),
        "nullable": st.booleans(),
        "details.note": mostly(texts),
        "details.size": mostly(numbers),
        "details.insured": mostly(st.booleans()),
        "details.seen_at": mostly(json_instants),
        "details.due_on": mostly(json_days),
        "details.colours": mostly(st.lists(texts | any_json, max_size=3)),
        "details.odd": mostly(texts),
        "remark": mostly(texts),
        "labels": mostly(labels),
    },
)

COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
VALUES = {
    "text": ["customer.language", "customer.name", "details.note", "details.odd", "remark"],
    "number": ["customer.id", "customer.score", "details.size"],
    "boolean": ["customer.business", "nullable", "details.insured"],
    "instant": ["customer.joined_at", "customer.born_on", "details.seen_at", "details.due_on"],
}
ITEM_VALUES = {
    "text": ["h.product", "h.attributes.firmware"],
    "number": ["h.quantity", "h.attributes.ports"],
    "boolean": ["h.attributes.leased"],
    "instant": ["h.since_on"],
}
LISTS = ["customer.reads", "details.colours"]


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


text_literals = texts.map(quoted)
number_literals = numbers.map(repr)
instant_literals = (
    st.sampled_from(INSTANTS + DAYS).map(lambda text: f'timestamp("{text}")')
    | st.just("now")
    | st.sampled_from(["1h", "36h", "14d", "1.5s", "-1us", "20000d"]).map(lambda span: f'now - duration("{span}")')
)
LITERALS = {
    "text": text_literals,
    "number": number_literals,
    "boolean": st.sampled_from(["true", "false"]),
    "instant": instant_literals,
}


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int, *, in_item: bool) -> str:
    """An expression of the kind, most often a fact."""
    form = draw(st.sampled_from(["fact", "fact", "fact", "literal", "label", "choice"]))
    if form == "literal":
        return draw(LITERALS[kind])
    if form == "label" and kind == "text":
        owner = draw(st.sampled_from(["labels", "h.tags"] if in_item else ["labels"]))
        return f"{owner}[{quoted(draw(st.sampled_from(KEYS)))}]"
    if form == "choice" and depth > 0:
        test = draw(booleans(depth - 1, in_item=in_item))
        yes, no = (draw(values(kind, depth - 1, in_item=in_item)) for _ in range(2))
        return f"({test} ? {yes} : {no})"
    return draw(st.sampled_from(VALUES[kind] + (ITEM_VALUES[kind] * 3 if in_item else [])))


@st.composite
def booleans(draw: st.DrawFn, depth: int, *, in_item: bool = False) -> str:
    """A condition of any form."""
    forms = ["compare"] * 4 + ["in", "listed", "part", "has", "fact"]
    if depth > 0:
        forms += ["and", "and", "or", "or", "not", "not", "choice"] + ([] if in_item else ["exists", "all"])
    form = draw(st.sampled_from(forms))
    kind = draw(st.sampled_from(sorted(VALUES)))
    if form == "compare":
        left, right = (draw(values(kind, depth - 1, in_item=in_item)) for _ in range(2))
        return f"({left} {draw(COMPARISONS)} {right})"
    if form == "in":
        options = draw(st.lists(LITERALS[kind].filter(lambda text: not text.startswith("now")), min_size=1, max_size=3))
        return f"({draw(values(kind, depth - 1, in_item=in_item))} in [{', '.join(options)}])"
    if form == "listed":
        return f"({draw(values('text', depth - 1, in_item=in_item))} in {draw(st.sampled_from(LISTS))})"
    if form == "part":
        whole, part = (draw(values("text", depth - 1, in_item=in_item)) for _ in range(2))
        return f"{whole}.{draw(st.sampled_from(['startsWith', 'contains']))}({part})"
    if form == "has":
        named = VALUES[kind] + LISTS + ["labels.node"] + (ITEM_VALUES[kind] * 3 if in_item else [])
        return f"has({draw(st.sampled_from(named))})"
    if form in ("and", "or"):
        parts = [draw(booleans(depth - 1, in_item=in_item)) for _ in range(draw(st.integers(2, 3)))]
        return f"({(' && ' if form == 'and' else ' || ').join(parts)})"
    if form == "not":
        return f"!{draw(booleans(depth - 1, in_item=in_item))}"
    if form == "choice":
        test, yes, no = (draw(booleans(depth - 1, in_item=in_item)) for _ in range(3))
        return f"({test} ? {yes} : {no})"
    if form in ("exists", "all"):
        return f"holdings.{form}(h, {draw(booleans(depth - 1, in_item=True))})"
    return draw(st.sampled_from(VALUES["boolean"] + (ITEM_VALUES["boolean"] * 3 if in_item else [])))


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(booleans(3), min_size=4, max_size=8), st.lists(rows, min_size=4, max_size=12))
def test_any_condition_on_any_row_is_answered_alike(
    connection: psycopg.Connection[Any], sources: list[str], all_facts: list[Facts]
) -> None:
    conditions = [parse(source, SCHEMA) for source in sources]

    for source, by_sql, by_python in zip(
        sources,
        zip(*sql_answers(connection, conditions, all_facts), strict=True),
        zip(*python_answers(conditions, all_facts), strict=True),
        strict=True,
    ):
        assert (source, by_sql) == (source, by_python)


storable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
free_texts = st.sampled_from(TEXTS) | st.text(storable, max_size=5)
free_numbers = numbers | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e300, 1e300, allow_subnormal=False)
free_number_literals = free_numbers.filter(lambda number: number == 0 or abs(number) > 1e-300)
free_instants = json_instants | st.datetimes(
    datetime(2, 1, 2),  # noqa: DTZ001 - the zone is drawn too
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, *(moment.tzinfo for moment in ZONED)]),
).map(datetime.isoformat)
free_days = (
    json_days
    | st.dates(date(2, 1, 1), date(9998, 12, 31)).map(date.isoformat)
    | st.from_regex("[0-9]{2}[0-9]0-[01][0-9]-[0-3][0-9]", fullmatch=True)
)
orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
one_comparison = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@one_comparison
@given(
    orders,
    st.sampled_from(["details.note", "details.odd", 'labels["node"]']),
    free_texts,
    st.lists(free_texts, min_size=1),
)
def test_any_text_is_compared_alike(
    connection: psycopg.Connection[Any], order: str, fact: str, literal: str, found: list[str]
) -> None:
    conditions = [
        parse(f"{fact} {order} {quoted(literal)}", SCHEMA),
        parse(f"{fact}.contains({quoted(literal)})", SCHEMA),
        parse(f"{quoted(literal)}.startsWith({fact})", SCHEMA),
    ]
    facts = [{"labels": {"node": text}} if "labels" in fact else {fact: text} for text in [literal, *found]]

    assert sql_answers(connection, conditions, facts) == python_answers(conditions, facts)


@one_comparison
@given(orders, free_number_literals, st.lists(free_numbers, min_size=1))
def test_any_number_is_compared_alike(
    connection: psycopg.Connection[Any], order: str, literal: float, found: list[float]
) -> None:
    fact_names = ["details.size", "customer.score"]
    conditions = [parse(f"{fact} {order} {literal!r}", SCHEMA) for fact in fact_names]
    facts = [dict.fromkeys(fact_names, number) for number in [literal, *found]]

    assert sql_answers(connection, conditions, facts) == python_answers(conditions, facts)


@one_comparison
@given(orders, st.lists(free_instants, min_size=1), st.lists(free_days, min_size=1))
def test_any_text_is_a_time_for_both_or_for_neither(
    connection: psycopg.Connection[Any], order: str, moments: list[str], dates: list[str]
) -> None:
    conditions = [
        parse(f"{first} {order} {second}", SCHEMA)
        for first, second in [
            ("details.seen_at", "now"),
            ("details.due_on", "now"),
            ("details.due_on", "details.seen_at"),
        ]
    ]
    facts = [{"details.seen_at": moment, "details.due_on": day} for moment in moments for day in dates[:4]]

    assert sql_answers(connection, conditions, facts) == python_answers(conditions, facts)
