"""A playbook and its texts as one bundle: the hash that approval binds to, and the texts' parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(?P<head>.*?)^---[ \t]*(?:\n(?P<body>.*))?\Z", re.DOTALL | re.MULTILINE)
BLOCK = "block-"
"""With this begins the name of a text that is a block: its file lies in `blocks/`, under the rest of its name."""
_HEAD_LINE = re.compile(r"(?P<key>[a-z][a-z ]*):(?P<value>.*)")


@dataclass(frozen=True)
class TextParts:
    """One text file: what stands above its body, by key, and the body."""

    head: Mapping[str, str]
    body: str

    @property
    def subject(self) -> str:
        return self.head.get("subject", "")


def text_parts(content: str) -> TextParts:
    """Splits a text file into its head (`key: value` between two lines of `---`) and its body.

    A value is taken as written, less quotes around it, because subjects hold colons and Liquid. Without a head,
    all is body.
    """
    match = _FRONT_MATTER.match(canonical(content))
    if match is None:
        return TextParts({}, canonical(content).strip())
    head: dict[str, str] = {}
    for line in match["head"].splitlines():
        if part := _HEAD_LINE.fullmatch(line.strip()):
            value = part["value"].strip()
            is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            head[part["key"].strip()] = value[1:-1] if is_quoted else value
    return TextParts(head, (match["body"] or "").strip())


def canonical(content: str) -> str:
    """The content less what editors and git may change: line feeds only, one at the end, no byte order mark."""
    return content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"


def bundle_hash(yaml: str, texts: Mapping[tuple[str, str], str]) -> str:
    """SHA-256, in hex, over the playbook file and its texts by (name, language).

    Every part is preceded by its length, so that no two bundles share one form.
    """
    digest = sha256(b"beforehand playbook 1\n")
    parts = [canonical(yaml)]
    for (name, language), content in sorted(texts.items()):
        parts += [name, language, canonical(content)]
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(encoded) + encoded)
    return digest.hexdigest()


def language_chain(language: str, fallback: str) -> tuple[str, ...]:
    """The languages in which a text is looked for: "nl-BE", then "nl", then the fallback."""
    parts = language.split("-")
    narrowing = ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return tuple(dict.fromkeys([*narrowing, fallback]))


def text_file(name: str, language: str) -> str:
    """Where a text lies in its bundle."""
    folder, own = ("blocks", name.removeprefix(BLOCK)) if name.startswith(BLOCK) else ("texts", name)
    return f"{folder}/{own}.{language}.md"


def text_of_file(file: str) -> tuple[str, str]:
    """Name and language of the text that lies there."""
    folder, _, rest = file.rpartition("/")
    name, _, language = rest.removesuffix(".md").rpartition(".")
    return (f"{BLOCK}{name}" if folder == "blocks" else name), language
