"""A file of alert rules, YAML or JSON: read with the line of everything in it, and judged by what the API accepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from beforehand.api.alert_rules import RuleIn, Slug
from beforehand.api.operations import Given
from beforehand.detection.matching import rule_condition
from beforehand.engine.conditions import ConditionError

MAX_BYTES = 1024 * 1024
Place = tuple[str | int, ...]
"""Where something stands: ("rules", 0, "condition")."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong with the file."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class FiledRule:
    """A rule of the file, as the API would take it."""

    slug: str
    rule: RuleIn
    line: int
    owner_line: int


class _Slugged(Given):
    slug: Slug


class RuleFileError(ValueError):
    """A file that cannot be used; `problems` are all that were found."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        super().__init__(problems[0].message)
        self.problems = sorted(problems, key=lambda problem: problem.line)


def read_rules(path: Path) -> list[FiledRule]:
    """The rules of a file, in its order. Raises `RuleFileError`, and OSError for a file that cannot be read."""
    lines: dict[Place, int] = {}
    content = _values(_root(path), (), lines)
    if not isinstance(content, dict) or set(content) != {"rules"} or not isinstance(content["rules"], list):
        raise RuleFileError([FileProblem(1, 'The file holds "rules:", and under it a list of rules.')])
    problems: list[FileProblem] = []
    rules: list[FiledRule] = []
    for number, given in enumerate(content["rules"]):
        found = _rule(given, ("rules", number), lines, problems)
        if found is not None and any(one.slug == found.slug for one in rules):
            problems.append(FileProblem(found.line, f'The slug "{found.slug}" stands here twice.'))
        elif found is not None:
            rules.append(found)
    if problems:
        raise RuleFileError(problems)
    return rules


def _rule(given: Any, at: Place, lines: Mapping[Place, int], problems: list[FileProblem]) -> FiledRule | None:
    """One rule; what is wrong with it goes to `problems`."""
    line = lines[at]
    if not isinstance(given, dict):
        problems.append(FileProblem(line, "A rule is a list of fields, such as slug, name and condition."))
        return None
    before = len(problems)
    fields = {name: value for name, value in given.items() if name != "slug"}
    slug = rule = None
    try:
        slug = _Slugged.model_validate({"slug": given["slug"]} if "slug" in given else {}).slug
    except ValidationError as error:
        problems += [_problem(one, at, lines) for one in error.errors()]
    try:
        rule = RuleIn.model_validate(fields)
        rule_condition(rule.condition)
    except ValidationError as error:
        problems += [_problem(one, at, lines) for one in error.errors()]
    except ConditionError as error:
        problems.append(FileProblem(lines[(*at, "condition")], f"condition: {error}"))
    if slug is None or rule is None or len(problems) > before:
        return None
    return FiledRule(slug, rule, line, owner_line=lines.get((*at, "owner"), line))


def _problem(error: Any, at: Place, lines: Mapping[Place, int]) -> FileProblem:
    """What pydantic found, at the line of the field, or of the nearest thing around it that the file has."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    place = (*at, *path)
    while place not in lines:
        place = place[:-1]
    name = ".".join(str(part) for part in path)
    match error["type"]:
        case "extra_forbidden":
            meant = get_close_matches(str(path[-1]), ["slug", *RuleIn.model_fields], n=1)
            return FileProblem(lines[place], f'There is no field "{name}"{f"; {meant[0]} is meant?" if meant else "."}')
        case "missing":
            return FileProblem(lines[place], f'A rule needs "{name}".')
        case _:
            return FileProblem(lines[place], f"{name}: {error['msg']}")


def _root(path: Path) -> Node:
    raw = path.read_bytes()
    if len(raw) > MAX_BYTES:
        raise RuleFileError([FileProblem(1, f"A file of rules has at most {MAX_BYTES:,} bytes.")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RuleFileError([FileProblem(1, "The file is not UTF-8.")]) from None
    if path.suffix == ".json":
        text = text.replace("\t", " ")  # JSON has them between values only, and YAML, by which it is read, has none
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                problem = FileProblem(
                    event.start_mark.line + 1, "Anchors and aliases (& and *) are not used; quote a *."
                )
                raise RuleFileError([problem])
        root: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RuleFileError([FileProblem(line, f"This cannot be read: {error.problem or error.context}.")]) from None
    except (YAMLError, ValueError) as error:
        if isinstance(error, RuleFileError):
            raise
        raise RuleFileError([FileProblem(1, f"This cannot be read: {str(error).splitlines()[0]}.")]) from None
    if root is None:
        raise RuleFileError([FileProblem(1, "The file is empty.")])
    return root


def _values(node: Node, at: Place, lines: dict[Place, int]) -> Any:
    """The values of a piece of the file; notes in `lines` where each begins."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, SequenceNode):
        return [_values(item, (*at, number), lines) for number, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        members: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise RuleFileError([FileProblem(line, "A name is a single text.")])
            name = str(key.value)
            if name in members:
                raise RuleFileError([FileProblem(line, f'The name "{name}" stands here twice.')])
            lines[(*at, name)] = line
            members[name] = _values(value, (*at, name), lines)
        return members
    return _scalar(node)


def _scalar(node: Node) -> str | int | float | bool | None:
    text = str(node.value)
    match str(node.tag).rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" | "float" as kind:
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:
                return text
        case _:
            # JSON writes what lies beyond the first 65,536 characters as two halves.
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
