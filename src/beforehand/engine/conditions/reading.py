"""From CEL text to cel-python's syntax tree, and from its literals to values."""

import re
import unicodedata
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from beforehand.engine.conditions.errors import MAX_CHARACTERS, ConditionError, ConditionProblem

if TYPE_CHECKING:
    from celpy.celparser import CELParser
    from lark import Token, Tree

    Syntax: TypeAlias = Tree[Token]

_ESCAPE = r"\\(?:[abfnrtv\"'`?\\]|[0-3][0-7]{2}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_TEXT = rf'"(?:[^"\\\r\n]|{_ESCAPE})*"' + "|" + rf"'(?:[^'\\\r\n]|{_ESCAPE})*'"
# The words that a scan must know: a comment, a text, the letters before a raw or a bytes text, a name, anything else.
_WORD = re.compile(
    rf"(?P<comment>//[^\n]*)|(?P<text>{_TEXT})|(?P<prefixed>[rRbB]{{1,2}}[\"'])|[A-Za-z_0-9]+|(?P<quote>[\"'])|[^\"']",
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL cannot hold in a text
_ONE_ESCAPE = re.compile(_ESCAPE)
_SIMPLE_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LARGEST_INTEGER = 2**63
_LARGEST_EXPONENT = 308


def syntax_tree(source: str) -> "Syntax":
    """The syntax tree of a CEL text. Raises ConditionError where it cannot be read."""
    if len(source) > MAX_CHARACTERS:
        raise ConditionError(ConditionProblem.TOO_LONG)
    _check_texts(source)
    # Imported at the first use: it takes a sixth of a second, as does building the parser from its grammar.
    from celpy.celparser import CELParseError

    try:
        tree: Syntax = _parser().parse(source)
    except CELParseError as error:
        raise ConditionError(ConditionProblem.SYNTAX, line=error.line or 1, column=error.column or 1) from None
    return tree


@cache
def _parser() -> "CELParser":
    from celpy.celparser import CELParser
    from lark import Token

    class PlacedParser(CELParser):
        """cel-python's parser, which forgets where `true` and `false` stood."""

        @staticmethod
        def ambiguous_literals(t: "Token") -> "Token":
            return Token.new_borrow_pos(CELParser.ambiguous_literals(t).type, t.value, t)

    return PlacedParser()


def _check_texts(source: str) -> None:
    """Refuse texts that the grammar reads wrongly, or, if left open, in a time that doubles with each escape."""
    unstorable = _UNSTORABLE.search(source)
    if unstorable:
        raise _bad_text(source, unstorable.start())
    empty = True
    for word in _WORD.finditer(source):
        kind, written = word.lastgroup, word.group()
        triple = kind == "text" and len(written) == 2 and source.startswith(written[0], word.end())
        if kind in ("quote", "prefixed") or triple or (kind == "text" and read_text(written) is None):
            raise _bad_text(source, word.start())
        empty = empty and (kind == "comment" or written.isspace())
    if empty:
        raise ConditionError(ConditionProblem.EMPTY)


def _bad_text(source: str, position: int) -> ConditionError:
    line = source.count("\n", 0, position) + 1
    return ConditionError(ConditionProblem.BAD_TEXT, line=line, column=position - source.rfind("\n", 0, position))


def read_text(written: str) -> str | None:
    """The text that a quoted literal stands for, in NFC; None if it holds a NUL or half of a surrogate pair."""
    text = _ONE_ESCAPE.sub(_unescaped, written[1:-1])
    return None if _UNSTORABLE.search(text) else unicodedata.normalize("NFC", text)


def _unescaped(escape: re.Match[str]) -> str:
    body = escape.group()[1:]
    if body[0] in "xuU":
        code = int(body[1:], 16)
        return chr(code) if code <= 0x10FFFF else "\0"
    return chr(int(body, 8)) if body[0].isdigit() else _SIMPLE_ESCAPES.get(body, body)


def read_integer(written: str) -> int | None:
    """The whole number that a literal stands for; None if it does not fit 64 bits, as in CEL."""
    digits = written.rstrip("uU")
    number = int(digits, 16 if "x" in digits else 10)
    return number if -_LARGEST_INTEGER <= number < _LARGEST_INTEGER else None


def read_decimal(written: str) -> Decimal | None:
    """The decimal number exactly as written; None if a floating-point number could not come near it."""
    number = Decimal(written)
    return number if number.is_zero() or abs(number.adjusted()) < _LARGEST_EXPONENT else None
