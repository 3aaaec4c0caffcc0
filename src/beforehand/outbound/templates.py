"""Makes mails: a template is compiled once for a language and a batch's facts, then filled for each recipient.

    skeleton = compile_mail(source, language="nl", direction=Direction.LTR, facts=…, slots=…, brand=…)
    data = skeleton.fill({"customer.name": "Bram", "code": "ABCD-EFGH"}, to="bram@…", to_name="Bram", …)

While compiling, each slot is a mark that nobody can guess; the finished mail is split at the marks. So a recipient's
value goes in after Liquid, Markdown, sanitising and layout, and can be none of these, whatever it contains.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liquid.exceptions import LiquidError

from beforehand.engine.languages import Direction
from beforehand.outbound.frame import Brand, Variant, frame_of, framed_html
from beforehand.outbound.markup import SLOT, as_html, as_text, parsed
from beforehand.outbound.mime import (
    MAX_SUBJECT,
    WRITTEN,
    MailValueError,
    Piece,
    Place,
    Slot,
    clean_value,
    encoded_part,
    encoded_value,
    filled_text,
    header_line,
    header_text,
    header_value,
    mailbox,
)
from beforehand.outbound.outcome_words import outcome_words
from beforehand.outbound.template_check import (
    Section,
    TemplateProblem,
    TemplateReason,
    TemplateRefusedError,
    TemplateSource,
    check_template,
    problem_of,
    sections,
)

__all__ = [
    "Brand",
    "MailSkeleton",
    "MailValueError",
    "RenderedMail",
    "TemplateProblem",
    "TemplateReason",
    "TemplateRefusedError",
    "TemplateSource",
    "Variant",
    "check_template",
    "compile_mail",
    "complete_facts",
]

NEXT_UPDATE = "next_update_at"  # the fact that says when there is news next, as people read it
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]+)\s*=\s*\"([^\"]*)\Z")


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail as people see it: for pages."""

    subject: str
    html: str
    text: str


def complete_facts(fact_names: Iterable[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with every declared name present, unknown ones empty, so that `{% if incident.cause %}` may ask."""
    complete = _copied(facts)
    for name in fact_names:
        *parents, last = name.split(".")
        place = complete
        for parent in parents:
            place = place.setdefault(parent, {})
        place.setdefault(last, None)
    return complete


@dataclass(frozen=True, slots=True)
class Bound:
    """A checked template with what it may speak of: facts as they are, and for each slot the mark that stands for it."""

    name: str
    known: Mapping[str, Any]
    marks: Mapping[str, str]
    names: Mapping[str, str]
    """Mark to slot."""

    def rendered(self, section: Section) -> str:
        """A section's Liquid, filled in. Raises TemplateRefusedError."""
        try:
            return section.parsed(self.name).render(**self.known)
        except LiquidError as error:
            raise TemplateRefusedError(self.name, [problem_of(error, section, TemplateReason.RENDERING)]) from None


def bind(source: TemplateSource, *, facts: Mapping[str, Any], slots: Sequence[str], brand: Brand) -> Bound:
    """Check the template against what it may speak of. Raises TemplateRefusedError, with file and line."""
    known = _cleaned(_copied({"brand": brand.facts, **facts}))
    problems = check_template(source, _leaves(known), slots)
    if problems:
        raise TemplateRefusedError(source.name, problems)
    token = secrets.token_hex(12)
    marks = {name: f"qz{token}{'u' if name.endswith('url') else ''}z{at}q" for at, name in enumerate(slots)}
    for name, mark in marks.items():
        _bind(known, name, mark)
    return Bound(source.name, known, marks, {mark: name for name, mark in marks.items()})


def compile_mail(
    source: TemplateSource,
    *,
    language: str,
    direction: Direction,
    facts: Mapping[str, Any],
    slots: Sequence[str],
    brand: Brand,
    variant: Variant = Variant.NORMAL,
    headers: Mapping[str, str] | None = None,
) -> "MailSkeleton":
    """A mail with everything in place but the recipient. `headers` are the same for all (Feedback-ID, say).

    `facts` may nest; `brand.name` and `brand.phone` are added. Raises TemplateRefusedError, with file and line.
    """
    bound = bind(source, facts=facts, slots=slots, brand=brand)
    known, marks, names = bound.known, bound.marks, bound.names
    subject_source, body_source = sections(source)
    subject = " ".join(bound.rendered(subject_source).split())
    body = bound.rendered(body_source)
    promised = outcome_words(language, known)
    body = f"**{promised}**\n\n{body}" if promised else body
    next_update = str(known.get(NEXT_UPDATE) or "")
    frame = frame_of(language=language, brand=brand, body=body, next_update=next_update, slots=marks, facts=known)
    words = parsed(body)
    foot = [parsed(line) for line in frame.foot]
    document = framed_html(
        as_html(words, direction),
        "".join(as_html(line, direction) for line in foot).replace("margin:0 0 16px", "margin:0 0 6px"),
        frame,
        subject=subject,
        language=language,
        direction=direction,
        brand=brand,
        variant=variant,
    )
    foot_text = "".join(as_text(line, direction) for line in foot)
    text = as_text(words, direction) + (f"\n{foot_text}" if foot_text else "")
    return MailSkeleton(
        subject=split_at_slots(subject, names, is_html=False),
        html=split_at_slots(document, names, is_html=True),
        text=split_at_slots(text, names, is_html=False),
        language=language,
        brand=brand,
        headers={} if headers is None else headers,
    )


class MailSkeleton:
    """A compiled mail. It keeps no recipient's value, and may be used from several threads."""

    def __init__(
        self,
        *,
        subject: Sequence[Piece],
        html: Sequence[Piece],
        text: Sequence[Piece],
        language: str,
        brand: Brand,
        headers: Mapping[str, str],
    ) -> None:
        self._subject, self._html, self._text = subject, html, text
        self.slots = frozenset(piece.name for piece in (*subject, *html, *text) if isinstance(piece, Slot))
        fixed = b"" if any(isinstance(piece, Slot) for piece in subject) else _subject_header(filled_text(subject, {}))
        self._fixed_subject = fixed
        sender = mailbox(brand.sender_name or brand.name, brand.sender, room=69)
        self._from = b"From: %b\r\nTo: " % sender
        boundary = b"=_" + secrets.token_hex(12).encode()  # quoted-printable never holds "=_" (RFC 2045 §6.7)
        tail = b"".join(header_line(name, value) for name, value in headers.items())
        tail += (
            b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nContent-Language: %b\r\n"
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="%b"\r\n\r\n'
        ) % (header_value("Content-Language", language), boundary)
        part = b"--%b\r\nContent-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        parts: list[bytes | Slot] = [
            b"",  # each recipient's headers
            tail + part % (boundary, b"plain"),
            *encoded_part(text),
            b"\r\n" + part % (boundary, b"html"),
            *encoded_part(html),
            b"\r\n--%b--\r\n" % boundary,
        ]
        self._parts = _joined(parts)
        places: dict[str, dict[Place, list[int]]] = {}
        for at, piece in enumerate(self._parts):
            if isinstance(piece, Slot):
                places.setdefault(piece.name, {}).setdefault(piece.place, []).append(at)
        self._places = [
            (name, [(WRITTEN[place], tuple(found)) for place, found in by_place.items()])
            for name, by_place in places.items()
        ]

    def fill(
        self,
        values: Mapping[str, str],
        *,
        to: str,
        to_name: str,
        message_id: str,
        reply_to: str,
        date: str,
        unsubscribe_url: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The mail for one recipient, ready to send: 7-bit (but for an address that is not), CRLF, not dot-stuffed.

        `message_id` with its angle brackets, `date` as RFC 5322 writes it. `unsubscribe_url` adds the one-click
        headers of RFC 8058. Raises MailValueError (a value is missing or cannot stand where it should) and
        AddressRefusedError; both are ValueErrors, about this recipient alone.
        """
        parts: list[Any] = self._parts.copy()
        try:
            for name, places in self._places:
                value, before, encoded = values[name], None, b""
                for written, found in places:
                    text = written(value)
                    if text != before:  # mostly the value needs no escaping, and is the same in each place
                        encoded, before = encoded_value(text), text
                    for at in found:
                        parts[at] = encoded
        except (KeyError, TypeError, AttributeError) as error:
            raise MailValueError(f"a slot has no text: {error}") from None
        extra = b""
        if unsubscribe_url:
            extra = b"List-Unsubscribe: <%b>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" % header_value(
                "List-Unsubscribe", unsubscribe_url
            )
        if headers:
            extra += b"".join(header_line(name, value) for name, value in headers.items())
        parts[0] = b"%b%b\r\nSubject: %b\r\nDate: %b\r\nMessage-ID: %b\r\nReply-To: %b\r\n%b" % (
            self._from,
            mailbox(to_name, to, room=71),
            self._fixed_subject or _subject_header(self._filled_subject(values)),
            header_value("Date", date),
            header_value("Message-ID", message_id),
            mailbox("", reply_to, room=66),
            extra,
        )
        return b"".join(parts)

    def preview(self, values: Mapping[str, str]) -> RenderedMail:
        """The same mail as text, for a page. Raises MailValueError."""
        return RenderedMail(
            subject=clean_value(self._filled_subject(values)).strip()[:MAX_SUBJECT].strip(),
            html=filled(self._html, values),
            text=filled(self._text, values),
        )

    def _filled_subject(self, values: Mapping[str, str]) -> str:
        return filled(self._subject, values)


def _subject_header(text: str) -> bytes:
    return header_text(text, room=67, limit=MAX_SUBJECT)


def filled(pieces: Sequence[Piece], values: Mapping[str, str]) -> str:
    """The pieces as text with a recipient's values in their places. Raises MailValueError."""
    used = {piece for piece in pieces if isinstance(piece, Slot)}
    try:
        return filled_text(pieces, {slot: WRITTEN[slot.place](values[slot.name]) for slot in used})
    except (KeyError, TypeError, AttributeError) as error:
        raise MailValueError(f"a slot has no text: {error}") from None


def _joined(parts: Sequence[bytes | Slot]) -> list[bytes | Slot]:
    """The parts with neighbouring bytes made one."""
    joined: list[bytes | Slot] = [parts[0]]
    for part in parts[1:]:
        last = joined[-1]
        if isinstance(part, bytes) and isinstance(last, bytes) and len(joined) > 1:
            joined[-1] = last + part
        else:
            joined.append(part)
    return joined


def split_at_slots(text: str, names: Mapping[str, str], *, is_html: bool) -> list[Piece]:
    """The finished text in pieces: fixed words, and the slots that their marks stood for."""
    pieces: list[Piece] = []
    at = 0
    for match in SLOT.finditer(text):
        if match[0] not in names:
            continue
        pieces.append(text[at : match.start()])
        place = _html_place(text, match.start(), match.end()) if is_html else Place.TEXT
        pieces.append(Slot(names[match[0]], place))
        at = match.end()
    return [*pieces, text[at:]]


def _html_place(document: str, start: int, end: int) -> Place:
    """What the mark at `start` stands in: text, a whole URL, a part of one, or another attribute."""
    opened, closed = document.rfind("<", 0, start), document.rfind(">", 0, start)
    attribute = _ATTRIBUTE.search(document, opened, start) if opened > closed else None
    if attribute is None or attribute[1].lower() != "href":
        return Place.HTML
    return Place.URL if not attribute[2] and document[end] == '"' else Place.URL_PART


def _copied(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in facts.items()}


def _cleaned(value: Any) -> Any:
    """A fact without control characters and halves of surrogate pairs; its line feeds stay, for Markdown."""
    if isinstance(value, str):
        return _HIDDEN.sub("", value)
    if isinstance(value, Mapping):
        return {name: _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list | tuple) else value


def _leaves(facts: Mapping[str, Any], before: str = "") -> Collection[str]:
    names: list[str] = []
    for name, value in facts.items():
        names += _leaves(value, f"{before}{name}.") if isinstance(value, Mapping) else [before + name]
    return names


def _bind(namespace: dict[str, Any], name: str, mark: str) -> None:
    *parents, last = name.split(".")
    place = namespace
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ValueError(f"{name} cannot be a slot: {parent} is a fact")
    if last in place:
        raise ValueError(f"{name} cannot be a slot: it is a fact")
    place[last] = mark
