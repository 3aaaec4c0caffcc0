"""Reads a message template and says, with file and line, what is wrong with it before anyone is told anything.

A template is one text file a language: front matter with the subject (and, if its text message should say more or less
than the subject does, `sms:`), then the body, Markdown with Liquid in all of them.
*Facts* hold for the whole batch and may be used in any way; *slots* are each recipient's own and may only be printed.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from liquid import BoundTemplate, Environment, Node, RenderContext, StrictUndefined
from liquid.builtin.expressions import FilteredExpression, Path, TernaryFilteredExpression
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.token import TOKEN_EOF

_FRONT = re.compile(r"\A\ufeff?---[ \t]*\n(?P<front>.*?)^---[ \t]*(?:\n|\Z)(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_FRONT_KEYS = ("subject", "sms")
_TAGS = frozenset({"if", "unless", "case", "for", "assign", "capture", "comment", "break", "continue", "#", "raw"})


class TemplateReason(StrEnum):
    FRONT_MATTER = "front matter"
    NO_SUBJECT = "no subject"
    EMPTY = "empty"
    SYNTAX = "syntax"
    TAG_REFUSED = "tag refused"
    UNKNOWN_FILTER = "unknown filter"
    UNKNOWN_NAME = "unknown name"
    SLOT_IN_FILTER = "slot in filter"
    SLOT_IN_CONDITION = "slot in condition"
    SLOT_IN_LOOP = "slot in loop"
    SLOT_NOT_PRINTED = "slot not printed"
    RENDERING = "rendering"


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """One file: `name` as people know it (texts/first-notice.nl.md), and its whole text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """What is wrong on which line (from 1); `detail` is the name, tag or parser's words that it is about."""

    line: int
    reason: TemplateReason
    detail: str


class TemplateRefusedError(Exception):
    """A template that no mail can be made from."""

    def __init__(self, name: str, problems: Collection[TemplateProblem]) -> None:
        self.name, self.problems = name, tuple(problems)
        super().__init__("; ".join(f"{name}:{each.line}: {each.reason}: {each.detail}" for each in problems))


class _Environment(Environment):
    loop_iteration_limit = 10_000
    output_stream_limit = 1_000_000


ENVIRONMENT = _Environment(undefined=StrictUndefined)


@dataclass(frozen=True, slots=True)
class Section:
    """The subject or the body: its Liquid, and the line of the file that it begins on."""

    text: str
    line: int

    def line_at(self, index: int) -> int:
        return self.line + self.text.count("\n", 0, max(index, 0))

    def parsed(self, name: str) -> BoundTemplate:
        """Raises TemplateRefusedError."""
        try:
            return _parsed(self.text, name)
        except LiquidError as error:
            raise TemplateRefusedError(name, [problem_of(error, self, TemplateReason.SYNTAX)]) from None


@lru_cache(maxsize=1024)
def _parsed(text: str, name: str) -> BoundTemplate:
    """Once each: a bundle's texts are read by every check, and a template is the same whoever renders it."""
    return ENVIRONMENT.from_string(text, name=name)


def problem_of(error: LiquidError, section: Section, reason: TemplateReason) -> TemplateProblem:
    index = error.token.start_index if error.token is not None else 0
    if error.token is not None and error.token.kind == TOKEN_EOF:  # something was left open: the end is where we know
        index = len(section.text.rstrip())
    return TemplateProblem(section.line_at(index), reason, str(error.args[0] if error.args else error))


def sections(source: TemplateSource) -> tuple[Section, Section]:
    """Subject and body. Raises TemplateRefusedError when the file does not begin with front matter and a subject."""
    subject, body, _sms = _all_sections(source)
    return subject, body


def sms_section(source: TemplateSource) -> Section | None:
    """What the text message says where the file has words of its own for it. Raises TemplateRefusedError."""
    return _all_sections(source)[2]


def _all_sections(source: TemplateSource) -> tuple[Section, Section, Section | None]:
    text = source.text.replace("\r\n", "\n")
    match = _FRONT.match(text)
    if match is None:
        problem = TemplateProblem(1, TemplateReason.FRONT_MATTER, "the file begins with ---, subject: …, ---")
        raise TemplateRefusedError(source.name, [problem])
    problems: list[TemplateProblem] = []
    found: dict[str, Section] = {}
    for number, row in enumerate(match["front"].split("\n"), start=2):
        key, colon, value = row.partition(":")
        name = key.strip()
        if not row.strip() or row.startswith("#"):
            continue
        if colon and name in _FRONT_KEYS and name not in found:
            found[name] = Section(value.strip(), number)
        else:
            problems.append(TemplateProblem(number, TemplateReason.FRONT_MATTER, row.strip()[:100]))
    subject, sms = found.get("subject"), found.get("sms")
    if subject is None or not subject.text:
        problems.append(TemplateProblem(2, TemplateReason.NO_SUBJECT, "subject: …"))
    body = Section(match["body"], 1 + text.count("\n", 0, match.start("body")))
    if not body.text.strip():
        problems.append(TemplateProblem(body.line, TemplateReason.EMPTY, "there is no text"))
    if problems or subject is None:
        raise TemplateRefusedError(source.name, problems)
    return subject, body, sms if sms is not None and sms.text else None


def check_template(
    source: TemplateSource, fact_names: Collection[str], slot_names: Collection[str]
) -> list[TemplateProblem]:
    """What is wrong with the template, in the order of its lines; nothing if it can be compiled.

    Names are dotted (`incident.title`, `customer.name`). What lies below a fact's name is the fact's own affair.
    """
    return list(_problems(source, frozenset(fact_names), frozenset(slot_names)))


@lru_cache(maxsize=1024)
def _problems(
    source: TemplateSource, fact_names: frozenset[str], slot_names: frozenset[str]
) -> Sequence[TemplateProblem]:
    try:
        found = _all_sections(source)
        templates = [(section, section.parsed(source.name)) for section in found if section is not None]
    except TemplateRefusedError as refused:
        return refused.problems
    problems = {
        problem
        for section, template in templates
        for problem in _Check(section, template, fact_names, slot_names).problems()
    }
    return sorted(problems, key=lambda each: (each.line, each.reason, each.detail))


class _Check:
    def __init__(self, section: Section, template: BoundTemplate, facts: frozenset[str], slots: frozenset[str]) -> None:
        self._section, self._template, self._facts, self._slots = section, template, facts, slots
        self._context = RenderContext(template)
        self._locals = {str(name) for node in self._nodes(template.nodes) for name in node.template_scope()}

    def problems(self) -> Iterator[TemplateProblem]:
        found = self._template.analyze(include_partials=False)
        for names, known, reason in (
            (found.tags, _TAGS, TemplateReason.TAG_REFUSED),
            (found.filters, ENVIRONMENT.filters, TemplateReason.UNKNOWN_FILTER),
        ):
            for name, spans in names.items():
                if name not in known:
                    yield from (TemplateProblem(self._section.line_at(span.index), reason, name) for span in spans)
        for node in self._template.nodes:
            yield from self._in_node(node, frozenset(self._locals), printing=True)

    def _nodes(self, nodes: Iterable[Node]) -> Iterator[Node]:
        for node in nodes:
            yield node
            yield from self._nodes(node.children(self._context, include_partials=False))

    def _in_node(self, node: Node, known: frozenset[str], *, printing: bool) -> Iterator[TemplateProblem]:
        for expression in node.expressions():
            if isinstance(node, OutputNode) and printing and self._prints_a_slot(expression):
                continue
            yield from self._in_expression(expression, known, _reason(node, expression))
        inner = known | {str(name) for name in node.block_scope()}
        for child in node.children(self._context, include_partials=False):
            yield from self._in_node(child, inner, printing=printing and not isinstance(node, CaptureNode))

    def _prints_a_slot(self, expression: Expression) -> bool:
        return (
            isinstance(expression, FilteredExpression)
            and not expression.filters
            and isinstance(expression.left, Path)
            and _dotted(expression.left) in self._slots
        )

    def _in_expression(
        self, expression: Expression, known: frozenset[str], reason: TemplateReason
    ) -> Iterator[TemplateProblem]:
        if isinstance(expression, Path):
            name, line = _dotted(expression), self._section.line_at(expression.token.start_index)
            if _is_below(name, self._slots):
                yield TemplateProblem(line, reason, name)
            elif name.split(".")[0] not in known and not _is_below(name, self._facts):
                yield TemplateProblem(line, TemplateReason.UNKNOWN_NAME, name)
        for child in expression.children():
            yield from self._in_expression(child, known, reason)


def _reason(node: Node, expression: Expression) -> TemplateReason:
    """Why a slot may not stand in this expression."""
    if isinstance(expression, TernaryFilteredExpression):
        return TemplateReason.SLOT_IN_CONDITION
    if isinstance(expression, FilteredExpression) and expression.filters:
        return TemplateReason.SLOT_IN_FILTER
    if isinstance(node, ForNode):
        return TemplateReason.SLOT_IN_LOOP
    if isinstance(node, OutputNode | AssignNode):
        return TemplateReason.SLOT_NOT_PRINTED
    return TemplateReason.SLOT_IN_CONDITION


def _dotted(path: Path) -> str:
    """The path's name up to the first segment that is not fixed."""
    parts: list[str] = []
    for segment in path.path:
        if isinstance(segment, Path):
            break
        parts.append(str(segment))
    return ".".join(parts)


def _is_below(name: str, names: frozenset[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:length]) in names for length in range(len(parts), 0, -1))
