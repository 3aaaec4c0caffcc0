"""The mappings by which any sender's JSON becomes events: those that ship, and the company's own in its folder."""

import re
from pathlib import Path

from django.conf import settings

from beforehand.events.intake.errors import MappingError, Problem
from beforehand.events.intake.mapping import Mapping
from beforehand.events.intake.mapping_file import load_mapping, shipped_mapping, shipped_mapping_names

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_loaded: dict[Path, tuple[int, Mapping]] = {}


def folder() -> Path:
    """Where a company puts its own mappings, one `<source>.yaml` each."""
    home: Path = settings.ENVIRONMENT.home
    return home / "mappings"


def names() -> list[str]:
    """Every source that has a mapping, sorted."""
    own = {path.stem for path in folder().glob("*.yaml") if _NAME.fullmatch(path.stem)}
    return sorted(own | set(shipped_mapping_names()))


def find(source: str) -> Mapping | None:
    """The mapping of this source; the company's own before ours, read anew when its file has changed.

    Raises `MappingError` with the line for a file of the company's that cannot be used.
    """
    if _NAME.fullmatch(source) is None:  # a name, never a path
        return None
    path = folder() / f"{source}.yaml"
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return shipped_mapping(source) if source in shipped_mapping_names() else None
    known = _loaded.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    try:
        mapping = load_mapping(path.read_text(encoding="utf-8", errors="replace"))
    except MappingError as error:
        named = [Problem(one.code, one.pointer, f"{path.name}: {one.message}") for one in error.problems]
        raise MappingError(named, line=error.line) from None
    _loaded[path] = (changed, mapping)
    return mapping
