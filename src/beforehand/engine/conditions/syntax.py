"""Walking cel-python's syntax tree, and saying where in it something is wrong."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from beforehand.engine.conditions.errors import ConditionError, ConditionProblem
from beforehand.engine.conditions.reading import read_text

if TYPE_CHECKING:
    from beforehand.engine.conditions.reading import Syntax

# Rules of the grammar that, with one child, only pass it on.
_PASSING = frozenset(
    {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member", "primary"}
)


def inner(syntax: "Syntax") -> "Syntax":
    """The first rule below that says something."""
    while syntax.data in _PASSING and len(syntax.children) == 1:
        syntax = child(syntax, 0)
    return syntax


def child(syntax: "Syntax", index: int) -> "Syntax":
    """A child that is known to be a rule and no word."""
    return cast("Syntax", syntax.children[index])


def arguments_of(syntax: "Syntax", index: int) -> list["Syntax"]:
    """The expressions in the brackets that come at `index` in a call or a list; none if they are empty."""
    return cast("list[Syntax]", child(syntax, index).children) if len(syntax.children) > index else []


def text_of(literal: str) -> str:
    """The text that a quoted literal stands for."""
    return cast(str, read_text(literal))  # was checked before the parser saw it


def literal_text(syntax: "Syntax") -> str | None:
    """The text, if all of this is one quoted literal."""
    syntax = inner(syntax)
    word = cast(Any, syntax.children[0]) if syntax.data == "literal" else None
    return text_of(word) if word is not None and word.type == "STRING_LIT" else None


def only_text(syntax: "Syntax", arguments: Sequence["Syntax"], name: str, expected: str) -> str:
    """The one argument of a call that takes a quoted literal. Raises ConditionError."""
    text = literal_text(arguments[0]) if len(arguments) == 1 else None
    if text is None:
        raise refused(ConditionProblem.WRONG_ARGUMENTS, syntax, name=name, expected=expected)
    return text


def not_a_value(syntax: "Syntax", name: str, expected: str) -> ConditionError:
    """The refusal of a name that stands for more than one value; `expected` says how to use it."""
    return refused(ConditionProblem.NOT_A_VALUE, syntax, name=name, expected=expected)


def alike(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """The declared name that looks most like this one, if one does."""
    return tuple(get_close_matches(name, [str(each) for each in names], n=1, cutoff=0.75))


def place(syntax: "Syntax") -> tuple[int, int]:
    """Line and column, from 1, where this begins."""
    return syntax.meta.line, syntax.meta.column


def refused(
    reason: ConditionProblem,
    syntax: "Syntax",
    *,
    name: str = "",
    expected: str = "",
    found: str = "",
    suggestions: tuple[str, ...] = (),
) -> ConditionError:
    """The refusal of what stands here."""
    line, column = place(syntax)
    return ConditionError(
        reason, line=line, column=column, name=name, expected=expected, found=found, suggestions=suggestions
    )
