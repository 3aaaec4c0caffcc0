"""What somebody newly wrote in an answer: without what their program quoted of ours, and without its signature.

Whatever is left out here stays in the whole text, which is kept; where in doubt, a line counts as newly written.
"""

import re

LONGEST = 50_000
"""Characters looked through; an answer longer than that is shown from its beginning."""
_ATTRIBUTION_LINES = 5

_WROTE = re.compile(
    r"\b(?:wrote|writes|schreef|geschreven|schrieb|a écrit|escribió|escribio|escreveu|ha scritto|scrisse|skrev|kirjoitti"
    r"|napisał(?:a|\(a\))?|napsal(?:a)?|написал(?:а)?|писал(?:а)?|пишет|пише|написав|a scris|írta|yazdı|έγραψε)\b"
    r"|كتب|كتبت|लिखा|写道|写到|寫道|さんは書きました|님이 작성",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+")
_BETWEEN_DASHES = re.compile(r"\s*[-–—=*_]{2,}\s*[^\W\d_][^-–—=_]{3,70}?\s*[-–—=*_]{2,}\s*")
_RULE = re.compile(r"\s*[_-]{10,}\s*")
_SENDER = re.compile(
    r"[\s*]*(?:from|van|von|de|da|fra|från|od|от|від|lähettäjä|kimden|feladó"
    r"|من|المرسل|प्रेषक|की ओर से|差出人|发件人|寄件者|보낸 사람)"
    r"\s*\*?\s*[:：]",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"[\s*]*(?:sent|date|to|cc|subject|reply-to|verzonden|datum|aan|onderwerp|gesendet|an|betreff|envoyé|à|objet|enviado"
    r"|enviada em|para|fecha|data|asunto|assunto|inviato|a|oggetto|sendt|til|emne|dato|skickat|till|ämne|lähetetty"
    r"|vastaanottaja|aihe|päivä|wysłano|do|temat|отправлено|дата|кому|тема|إلى|التاريخ|الموضوع|تاريخ الإرسال|تم الإرسال"
    r"|दिनांक|भेजा गया|प्रति|विषय|送信日時|宛先|件名|日期|收件人|主题|发送时间)\s*\*?\s*[:：]",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"\s*(?:--|—|__|={4,})\s*")
_PROGRAM = re.compile(
    r"\s*(?:sent (?:from|via|with|using)\b|get outlook\b|(?:verzonden|verstuurd) (?:vanaf|vanuit|via|met|door)\b"
    r"|gesendet (?:von|mit)\b|von meinem .{2,40} gesendet|diese nachricht wurde von mein|outlook (?:voor|für|pour|para)\b"
    r"|envoyé (?:de|depuis|avec|à partir)\b|télécharger outlook|enviado (?:desde|do|de|a partir)\b|obtener outlook|inviato da\b"
    r"|sendt fra\b|hent outlook|skickat från\b|hämta outlook|lähetetty .{2,40}(?:sta|stä|lla|llä)\b|hanki outlook"
    r"|wysłan[eo] z\b|pobierz outlook|отправлено (?:с|из)\b|надіслано з\b|أُرسلت من|أرسلت من|تم الإرسال من|مرسل من"
    r"|मेरे .{2,40} से भेजा|.{2,40} से भेजा गया|发自我的|從我的 .{2,20} 傳送|から送信)",
    re.IGNORECASE,
)
_LONGEST_PROGRAM_LINE = 120


def newly_written(text: str) -> str:
    """The part of an answer that is new; the whole text where nothing would be left of it."""
    lines = text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if _ends_here(lines, at):
            break
        quoted = _attribution(lines, at)
        if quoted and not _is_quote_below(lines, at + quoted):
            break
        if quoted:
            at += quoted
        elif lines[at].lstrip().startswith(">"):
            at += 1
        else:
            kept.append(lines[at].rstrip())
            at += 1
    return "\n".join(_joined(kept)).strip() or text.strip()


def _ends_here(lines: list[str], at: int) -> bool:
    """Whether this line begins what a program, and no person, put there: a signature, or the old message whole."""
    line = lines[at]
    if _SIGNATURE.fullmatch(line) or _BETWEEN_DASHES.fullmatch(line):
        return True
    if _PROGRAM.match(line) and len(line) <= _LONGEST_PROGRAM_LINE:
        return True
    if _RULE.fullmatch(line):
        following = next((near for near in range(at + 1, min(at + 3, len(lines))) if lines[near].strip()), at)
        return _is_header_block(lines, following)
    return _is_header_block(lines, at)


def _is_header_block(lines: list[str], at: int) -> bool:
    """`From:` and, in the lines below, at least one more header of the old message."""
    return bool(_SENDER.match(lines[at])) and any(_MORE.match(line) for line in lines[at + 1 : at + 5])


def _attribution(lines: list[str], at: int) -> int:
    """How many lines from here say who wrote the old message, and when (`On Monday … wrote:`); 0 if these do not."""
    if not lines[at].strip() or lines[at].lstrip().startswith(">"):
        return 0
    said = ""
    for count, line in enumerate(lines[at : at + _ATTRIBUTION_LINES], start=1):
        if not line.strip():
            return 0
        said = f"{said} {line.strip()}"
        if line.rstrip().endswith((":", "：")):
            is_dated = any(character.isdigit() for character in said)
            is_said = _WROTE.search(said) is not None
            has_address = _ADDRESS.search(said) is not None
            return count if len(said) < 400 and is_dated + is_said + has_address >= 2 else 0
    return 0


def _is_quote_below(lines: list[str], at: int) -> bool:
    """Whether what follows is marked as quoted line by line, so that what is not is an answer among it."""
    following = next((line for line in lines[at:] if line.strip()), "")
    return following.lstrip().startswith(">")


def _joined(lines: list[str]) -> list[str]:
    """Without the gaps that quotations left."""
    return [line for at, line in enumerate(lines) if line or (at and lines[at - 1])]
