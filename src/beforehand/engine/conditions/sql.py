"""The typed tree as one PostgreSQL 15 expression that is true, false or NULL.

Nothing that an author wrote is in the text: literals and keys are bound, under the types that they are compared as.
Fact expressions come from the schema, which is code. What is jsonb is asked for its type inside CASE before any cast,
so no row can make the statement fail.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from beforehand.engine.conditions import tree
from beforehand.engine.conditions.instants import DATE_PATTERN, TIMESTAMP_PATTERN
from beforehand.engine.conditions.schema import FactType
from beforehand.engine.conditions.tree import Comparison, Node, Quantity, TextTest

Parameter = str | bool | Decimal | datetime | list[str] | list[bool] | list[Decimal] | list[datetime]

_TYPES = {
    FactType.TEXT: "text",
    FactType.NUMBER: "numeric",
    FactType.BOOLEAN: "boolean",
    FactType.TIMESTAMP: "timestamptz",
}
_OPERATORS = {
    Comparison.EQUAL: "=",
    Comparison.DIFFERENT: "<>",
    Comparison.LESS: "<",
    Comparison.AT_MOST: "<=",
    Comparison.MORE: ">",
    Comparison.AT_LEAST: ">=",
}
_ORDERINGS = frozenset({Comparison.LESS, Comparison.AT_MOST, Comparison.MORE, Comparison.AT_LEAST})

# The kind of jsonb that a fact's type needs, and its value from @leaf once that is known.
_JSON_LEAVES = {
    FactType.TEXT: ("string", "normalize(@leaf #>> '{}', NFC)"),
    FactType.NUMBER: ("number", "(@leaf #>> '{}')::numeric"),
    FactType.BOOLEAN: ("boolean", "(@leaf #>> '{}')::boolean"),
    FactType.TIMESTAMP: (
        "string",
        f"CASE WHEN (@leaf #>> '{{}}') ~ '^(?:{TIMESTAMP_PATTERN})$' THEN (@leaf #>> '{{}}')::timestamptz END",
    ),
    FactType.DATE: (
        "string",
        f"CASE WHEN (@leaf #>> '{{}}') ~ '^(?:{DATE_PATTERN})$' "
        "THEN (@leaf #>> '{}')::date::timestamp AT TIME ZONE 'UTC' END",
    ),
    # The array is asked for again inside, because a set-returning function may run before the CASE around it.
    FactType.TEXT_LIST: (
        "array",
        "ARRAY(SELECT CASE WHEN jsonb_typeof(e.v) = 'string' THEN normalize(e.v #>> '{}', NFC) END "
        "FROM jsonb_array_elements(CASE WHEN jsonb_typeof(@leaf) = 'array' THEN @leaf ELSE '[]' END) AS e(v))",
    ),
}


class SqlWriter:
    """Writes nodes as SQL and keeps their parameters, named `prefix` and a number."""

    def __init__(self, *, now: datetime, prefix: str) -> None:
        self.now = now
        self.prefix = prefix
        self.params: dict[str, Parameter] = {}

    def write(self, node: Node) -> str:
        """The SQL expression of a node of a typed tree."""
        if isinstance(node, tree.Literal):
            return self._constant(node.value, node.type)
        if isinstance(node, tree.Now):
            return self._bind(self.now + node.offset, "timestamptz")
        if isinstance(node, tree.FactRef):
            return self._fact(node)
        if isinstance(node, tree.Has):
            return f"({self._fact(node.ref)} IS NOT NULL)"
        if isinstance(node, tree.Not):
            return f"(NOT {self.write(node.operand)})"
        if isinstance(node, tree.And):
            return f"({' AND '.join(self.write(part) for part in node.parts)})"
        if isinstance(node, tree.Or):
            return f"({' OR '.join(self.write(part) for part in node.parts)})"
        if isinstance(node, tree.Compare):
            return self._compare(node)
        if isinstance(node, tree.TextPart):
            return self._text_part(node)
        if isinstance(node, tree.OneOf):
            return f"({self.write(node.value)} = ANY({self._options(node)}))"
        if isinstance(node, tree.Listed):
            return f"({self.write(node.value)} = ANY({self._fact(node.ref)}))"
        if isinstance(node, tree.Choice):
            # The form with the test written once; a NULL test meets neither branch.
            test, yes, no = self.write(node.test), self.write(node.yes), self.write(node.no)
            return f"(CASE {test} WHEN true THEN {yes} WHEN false THEN {no} END)"
        return self._quantifier(node)

    def _bind(self, value: Parameter, type_name: str) -> str:
        name = f"{self.prefix}{len(self.params) + 1}"
        self.params[name] = value
        return f"%({name})s::{type_name}"

    def _constant(self, value: tree.Constant, type_: FactType) -> str:
        return self._bind(_parameter(value), _TYPES[type_])

    def _options(self, node: tree.OneOf) -> str:
        # Of one type each, as the checker saw to: psycopg refuses a list of mixed ones.
        options: Sequence[Parameter] = [_parameter(option) for option in node.options]
        return self._bind(list(options), f"{_TYPES[node.value.type]}[]")  # type: ignore[arg-type]

    def _fact(self, ref: tree.FactRef) -> str:
        fact = ref.fact
        leaf = f"({fact.sql})"
        if fact.json_key:
            leaf = f"({leaf} -> {self._bind(fact.json_key, 'text')})"
        if fact.json:
            kind, value = _JSON_LEAVES[fact.type]
            return f"(CASE WHEN jsonb_typeof({leaf}) = '{kind}' THEN {value.replace('@leaf', leaf)} END)"
        if fact.type is FactType.DATE:
            return f"({leaf}::date::timestamp AT TIME ZONE 'UTC')"
        return leaf

    def _compare(self, node: tree.Compare) -> str:
        left, right = self.write(node.left), self.write(node.right)
        if node.left.type is FactType.TEXT and node.comparison in _ORDERINGS:
            # By code point, as Python does. Equality needs no collation, and without one it can use an index.
            left, right = f'({left} COLLATE "C")', f'({right} COLLATE "C")'
        return f"({left} {_OPERATORS[node.comparison]} {right})"

    def _text_part(self, node: tree.TextPart) -> str:
        text, part = self.write(node.text), self.write(node.part)
        if node.test is TextTest.STARTS_WITH:
            return f"starts_with({text}, {part})"
        return f"(strpos({text}, {part}) > 0)"

    def _quantifier(self, node: tree.Quantifier) -> str:
        collection = node.collection
        rows = f"SELECT 1 FROM {collection.sql_from} WHERE ({collection.sql_join})"
        predicate = self.write(node.predicate)
        if node.quantity is Quantity.EXISTS:
            return f"EXISTS ({rows} AND {predicate})"
        return f"(NOT EXISTS ({rows} AND ({predicate}) IS NOT TRUE))"


def _parameter(value: tree.Constant) -> str | bool | Decimal | datetime:
    """The value as psycopg should bind it: every number as numeric."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value
