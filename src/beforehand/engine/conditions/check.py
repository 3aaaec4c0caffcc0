"""The checker: a syntax tree and a schema in, a typed tree out, or the first reason why not with its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from beforehand.engine.conditions import tree as typed
from beforehand.engine.conditions.errors import MAX_DEPTH, ConditionProblem, ConditionWarning
from beforehand.engine.conditions.instants import LONGEST_DURATION, read_date, read_duration, read_timestamp
from beforehand.engine.conditions.names import Names, Scope, path_of
from beforehand.engine.conditions.reading import read_decimal, read_integer
from beforehand.engine.conditions.schema import RESERVED_NAMES, FactType, Schema
from beforehand.engine.conditions.syntax import (
    alike,
    arguments_of,
    child,
    inner,
    not_a_value,
    only_text,
    place,
    refused,
    text_of,
)
from beforehand.engine.conditions.tree import Comparison, Node, Quantity, TextTest

if TYPE_CHECKING:
    from beforehand.engine.conditions.reading import Syntax

_COMPARISONS = {
    "relation_eq": Comparison.EQUAL,
    "relation_ne": Comparison.DIFFERENT,
    "relation_lt": Comparison.LESS,
    "relation_le": Comparison.AT_MOST,
    "relation_gt": Comparison.MORE,
    "relation_ge": Comparison.AT_LEAST,
}
_FUNCTIONS = ("has", "timestamp", "duration")
_METHODS = (*TextTest, *Quantity)
_FORBIDDEN_CALLS = {"matches": ConditionProblem.MATCHES, "size": ConditionProblem.SIZE}
_NOT_ALLOWED = {
    "list_lit": "a list outside in",
    "map_lit": "a map",
    "member_object": "an object",
    "dot_ident": "a name that starts with a dot",
    "dot_ident_arg": "a name that starts with a dot",
}


@dataclass(frozen=True)
class Checked:
    """What a condition says, what its author should know, and what its evaluation needs."""

    tree: Node
    warnings: tuple[ConditionWarning, ...]
    facts_used: frozenset[str]


def checked(syntax: "Syntax", schema: Schema) -> Checked:
    """The typed tree of a whole condition. Raises ConditionError."""
    names = Names(schema)
    tree = _Checker(names).boolean(syntax, 1)
    return Checked(tree, names.warnings(), frozenset(names.used))


class _Checker:
    def __init__(self, names: Names) -> None:
        self.names = names
        self.kinds: dict[str, Callable[[Syntax, int], Node]] = {
            "expr": self._choice,
            "conditionalor": self._junction,
            "conditionaland": self._junction,
            "relation": self._relation,
            "addition": self._addition,
            "unary": self._unary,
            "member_dot": self._value,
            "member_index": self._value,
            "ident": self._value,
            "ident_arg": self._call,
            "member_dot_arg": self._call,
            "paren_expr": self._parenthesis,
            "literal": self._literal,
        }

    def boolean(self, syntax: "Syntax", depth: int) -> Node:
        node = self.node(syntax, depth)
        if node.type is not FactType.BOOLEAN:
            raise refused(ConditionProblem.NOT_BOOLEAN, syntax, found=node.type)
        return node

    def node(self, syntax: "Syntax", depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise refused(ConditionProblem.TOO_DEEP, syntax)
        syntax = inner(syntax)
        if syntax.data in self.kinds:
            return self.kinds[syntax.data](syntax, depth)
        if syntax.data == "multiplication":
            raise refused(ConditionProblem.ARITHMETIC, syntax)
        raise refused(ConditionProblem.NOT_ALLOWED, syntax, name=_NOT_ALLOWED[syntax.data])

    def _parenthesis(self, syntax: "Syntax", depth: int) -> Node:
        return self.node(child(syntax, 0), depth + 1)

    def _choice(self, syntax: "Syntax", depth: int) -> Node:
        test = self.boolean(child(syntax, 0), depth + 1)
        yes, no = self.node(child(syntax, 1), depth + 1), self.node(child(syntax, 2), depth + 1)
        _same_type(yes.type, no.type, child(syntax, 2))
        return typed.Choice(test, yes, no, yes.type)

    def _junction(self, syntax: "Syntax", depth: int) -> Node:
        kind, parts = syntax.data, []
        while syntax.data == kind:  # a && b && c leans to the left; taken as one, however long
            parts.append(child(syntax, 1))
            syntax = inner(child(syntax, 0))
        nodes = tuple(self.boolean(part, depth + 1) for part in (syntax, *reversed(parts)))
        return typed.And(nodes) if kind == "conditionaland" else typed.Or(nodes)

    def _relation(self, syntax: "Syntax", depth: int) -> Node:
        relation, right_side = child(syntax, 0), child(syntax, 1)
        before = len(self.names.seen)
        left = self.node(child(relation, 0), depth + 1)
        if relation.data == "relation_in":
            return self._in(left, right_side, depth)
        right = self.node(right_side, depth + 1)
        _same_type(left.type, right.type, right_side)
        comparison = _COMPARISONS[relation.data]
        if comparison is Comparison.DIFFERENT:
            self.names.doubt(before, syntax)
        return typed.Compare(comparison, left, right)

    def _in(self, left: Node, right_side: "Syntax", depth: int) -> Node:
        syntax = inner(right_side)
        if syntax.data != "list_lit":
            path = path_of(syntax)
            ref = self.names.ref(path, syntax) if path and path != ["now"] else None
            if ref is None or ref.type is not FactType.TEXT_LIST:
                raise refused(ConditionProblem.BAD_IN, right_side)
            _same_type(FactType.TEXT, left.type, right_side)
            return typed.Listed(left, ref)
        options = []
        for item in arguments_of(syntax, 0):
            option = self.node(item, depth + 1)
            if not isinstance(option, typed.Literal):
                raise refused(ConditionProblem.BAD_IN, item)
            _same_type(left.type, option.type, item)
            options.append(option.value)
        if not options:
            raise refused(ConditionProblem.BAD_IN, right_side)
        return typed.OneOf(left, tuple(options))

    def _addition(self, syntax: "Syntax", depth: int) -> Node:
        whole, offset = syntax, timedelta(0)
        while syntax.data == "addition":
            sign = 1 if child(syntax, 0).data == "addition_add" else -1
            step = inner(child(syntax, 1))
            if step.data != "ident_arg" or step.children[0] != "duration":
                raise refused(ConditionProblem.ARITHMETIC, whole)
            offset += sign * self._duration(step)
            syntax = inner(child(child(syntax, 0), 0))
        base = self.node(syntax, depth + 1)
        if not isinstance(base, typed.Now):
            raise refused(ConditionProblem.ARITHMETIC, whole)
        offset += base.offset
        if abs(offset) > LONGEST_DURATION:
            raise refused(ConditionProblem.BAD_DURATION, whole, name="This sum")
        return typed.Now(offset)

    def _unary(self, syntax: "Syntax", depth: int) -> Node:
        operand = child(syntax, 1)
        if child(syntax, 0).data == "unary_neg":
            number = self.node(operand, depth + 1)
            if not isinstance(number, typed.Literal) or number.type is not FactType.NUMBER:
                raise refused(ConditionProblem.ARITHMETIC, syntax)
            return typed.Literal(-cast(int, number.value), FactType.NUMBER)
        before = len(self.names.seen)
        node = typed.Not(self.boolean(operand, depth + 1))
        self.names.doubt(before, syntax)
        return node

    def _literal(self, syntax: "Syntax", _depth: int) -> Node:
        word = cast(Any, syntax.children[0])
        if word.type == "NULL_LIT":
            raise refused(ConditionProblem.NULL, syntax)
        if word.type == "BOOL_LIT":
            return typed.Literal(word == "true", FactType.BOOLEAN)
        if word.type == "STRING_LIT":
            return typed.Literal(text_of(word), FactType.TEXT)
        number = read_decimal(word) if word.type == "FLOAT_LIT" else read_integer(word)
        if number is None:
            raise refused(ConditionProblem.BAD_NUMBER, syntax, name=str(word))
        return typed.Literal(number, FactType.NUMBER)

    def _value(self, syntax: "Syntax", _depth: int) -> Node:
        path = path_of(syntax)
        if path == ["now"]:
            return typed.Now(timedelta(0))
        if path is None:
            raise refused(ConditionProblem.NOT_ALLOWED, syntax, name="a field of an expression")
        ref = self.names.ref(path, syntax)
        if ref.type is FactType.TEXT_LIST:
            raise not_a_value(syntax, ".".join(path), '"…" in ' + ".".join(path))
        return ref

    def _call(self, syntax: "Syntax", depth: int) -> Node:
        is_method = syntax.data == "member_dot_arg"
        name = str(syntax.children[1 if is_method else 0])
        arguments = arguments_of(syntax, 2 if is_method else 1)
        if name in _FORBIDDEN_CALLS:
            raise refused(_FORBIDDEN_CALLS[name], syntax)
        allowed = _METHODS if is_method else _FUNCTIONS
        if name not in allowed:
            suggestions = alike(name, allowed)
            raise refused(ConditionProblem.NOT_ALLOWED_CALL, syntax, name=name, suggestions=suggestions)
        if not is_method:
            return self._function(name, syntax, arguments)
        if name in tuple(Quantity):
            return self._quantifier(Quantity(name), syntax, arguments, depth)
        if len(arguments) != 1:
            raise refused(ConditionProblem.WRONG_ARGUMENTS, syntax, name=name, expected=f'….{name}("…")')
        text, part = self.node(child(syntax, 0), depth + 1), self.node(arguments[0], depth + 1)
        _same_type(FactType.TEXT, text.type, syntax)
        _same_type(FactType.TEXT, part.type, arguments[0])
        return typed.TextPart(TextTest(name), text, part)

    def _function(self, name: str, syntax: "Syntax", arguments: Sequence["Syntax"]) -> Node:
        if name == "has":
            return self._has(syntax, arguments)
        if name == "duration":
            self._duration(syntax)
            raise not_a_value(syntax, "duration(…)", "now + duration(…) or now - duration(…)")
        text = only_text(syntax, arguments, name, 'timestamp("2026-03-01T09:30:00Z")')
        instant = read_timestamp(text) or read_date(text)
        if instant is None:
            raise refused(ConditionProblem.BAD_TIMESTAMP, syntax, name=text)
        return typed.Literal(instant, FactType.TIMESTAMP)

    def _duration(self, syntax: "Syntax") -> timedelta:
        text = only_text(syntax, arguments_of(syntax, 1), "duration", 'duration("1h30m")')
        span = read_duration(text)
        if span is None:
            raise refused(ConditionProblem.BAD_DURATION, syntax, name=text)
        return span

    def _has(self, syntax: "Syntax", arguments: Sequence["Syntax"]) -> Node:
        path = path_of(arguments[0]) if len(arguments) == 1 else None
        if path is None or path == ["now"]:
            raise refused(ConditionProblem.WRONG_ARGUMENTS, syntax, name="has", expected="has(a declared name)")
        return typed.Has(self.names.ask_for(path, arguments[0]))

    def _quantifier(self, quantity: Quantity, syntax: "Syntax", arguments: Sequence["Syntax"], depth: int) -> Node:
        path = path_of(child(syntax, 0))
        name = ".".join(path or ["This"])
        collection = self.names.schema.collections.get(name)
        if collection is None:
            suggestions = alike(name, self.names.schema.collections)
            raise refused(ConditionProblem.NOT_A_COLLECTION, syntax, name=name, suggestions=suggestions)
        if self.names.scope:
            raise refused(ConditionProblem.NESTED_QUANTIFIER, syntax)
        variable = path_of(arguments[0]) if len(arguments) == 2 else None
        if variable is None or len(variable) != 1:
            raise refused(
                ConditionProblem.WRONG_ARGUMENTS, syntax, name=quantity, expected=f"{name}.{quantity}(item, …)"
            )
        if variable[0] in self.names.schema.roots() | RESERVED_NAMES:
            raise refused(ConditionProblem.VARIABLE_TAKEN, arguments[0], name=variable[0])
        before = len(self.names.seen)
        self.names.used.add(name)
        self.names.scope = Scope(variable[0], collection, place(syntax))
        predicate = self.boolean(arguments[1], depth + 1)
        self.names.scope = None
        self.names.forget(before)  # what is unknown inside counts as false
        return typed.Quantifier(quantity, collection, predicate)


def _same_type(expected: FactType, found: FactType, syntax: "Syntax") -> None:
    if expected is not found:
        raise refused(ConditionProblem.MIXED_TYPES, syntax, expected=expected, found=found)
