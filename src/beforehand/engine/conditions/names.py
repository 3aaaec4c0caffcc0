"""What the names in a condition mean, and which of them may be missing without its author having thought of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from beforehand.engine.conditions.errors import ConditionProblem, ConditionWarning, ConditionWarningReason
from beforehand.engine.conditions.schema import Collection, Fact, FactType, Schema
from beforehand.engine.conditions.syntax import alike, child, inner, literal_text, not_a_value, place, refused
from beforehand.engine.conditions.tree import FactRef

if TYPE_CHECKING:
    from beforehand.engine.conditions.reading import Syntax


@dataclass(frozen=True)
class Scope:
    """The item that a quantifier looks at; `place` tells two quantifiers with the same variable apart."""

    variable: str
    collection: Collection
    place: tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """A fact that may be missing, as it was written."""

    written: str
    scope: tuple[int, int] | None


class Names:
    """Finds what names mean, and keeps a record of those that a condition used."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.scope: Scope | None = None
        self.used: set[str] = set()
        self.seen: list[Seen] = []  # those on which the answer of the expression at hand depends, so far
        self.asked_for: set[Seen] = set()  # those in a has
        self.doubts: dict[Seen, tuple[int, int]] = {}  # those that are denied, and where first

    def ref(self, path: list[str], syntax: "Syntax") -> FactRef:
        """The declared fact, or the key of an open map, that a dotted name means. Raises ConditionError."""
        scope = self.scope if self.scope and self.scope.variable == path[0] else None
        if scope:
            facts, open_maps = scope.collection.item_facts, scope.collection.open_maps
            words, prefix, loaded = path[1:], f"{path[0]}.", f"{scope.collection.name}."
        else:
            facts, open_maps = self.schema.facts, self.schema.open_maps
            words, prefix, loaded = path, "", ""
        name, map_name, written = ".".join(words), ".".join(words[:-1]), ".".join(path)
        seen = Seen(written, scope.place if scope else None)
        if name in facts:
            self.used.add(loaded + name)
            self.seen += [] if facts[name].required else [seen]
            return FactRef(facts[name], scope is not None)
        if map_name in open_maps:
            self.used.add(loaded + map_name)
            self.seen.append(seen)
            entry = Fact(name, FactType.TEXT, open_maps[map_name].sql, json=True, json_key=words[-1])
            return FactRef(entry, scope is not None, map_name)
        if not words:
            raise not_a_value(syntax, written, f"{written}.{next(iter(facts), '…')}")
        if name in open_maps:
            raise not_a_value(syntax, written, f'{written}["…"]')
        if not scope and name in self.schema.collections:
            raise not_a_value(syntax, written, f"{written}.exists(item, …)")
        known = [prefix + declared for declared in (*facts, *open_maps)]
        raise refused(ConditionProblem.UNDECLARED, syntax, name=written, suggestions=alike(written, known))

    def ask_for(self, path: list[str], syntax: "Syntax") -> FactRef:
        """What a name inside `has` means: whatever else is said of it, its author knows that it may be missing."""
        before = len(self.seen)
        ref = self.ref(path, syntax)
        self.asked_for.update(self.seen[before:])
        self.forget(before)
        return ref

    def forget(self, before: int) -> None:
        """Drop the facts seen since `before`: what they stood in is never unknown for their sake."""
        del self.seen[before:]

    def doubt(self, before: int, syntax: "Syntax") -> None:
        """Note the facts seen since `before`: what is denied of them is not true of those who lack them."""
        for seen in self.seen[before:]:
            self.doubts.setdefault(seen, place(syntax))

    def warnings(self) -> tuple[ConditionWarning, ...]:
        """A warning for each fact that is denied and nowhere asked for, in the order of the text."""
        reason = ConditionWarningReason.MISSING_NEVER_DIFFERS
        return tuple(
            ConditionWarning(reason, line, column, seen.written)
            for seen, (line, column) in sorted(self.doubts.items(), key=lambda doubt: doubt[1])
            if seen not in self.asked_for
        )


def path_of(syntax: "Syntax") -> list[str] | None:
    """The words of a dotted name, `a["b"]` being `a.b`; None if this is something else. Raises ConditionError."""
    words: list[str] = []
    syntax = inner(syntax)
    while syntax.data in ("member_dot", "member_index"):
        if syntax.data == "member_dot":
            words.append(str(syntax.children[1]))
        else:
            key = literal_text(child(syntax, 1))
            if key is None:
                raise refused(ConditionProblem.BAD_KEY, child(syntax, 1))
            words.append(key)
        syntax = inner(child(syntax, 0))
    return [str(syntax.children[0]), *reversed(words)] if syntax.data == "ident" else None
