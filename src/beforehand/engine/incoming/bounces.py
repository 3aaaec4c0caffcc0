"""Why a mail came back, and whether its address is at fault: by the words first, since codes are used as it pleases.

A server that says 5.1.1 for a full mailbox is as usual as one that says 5.2.2 for a user it never had. What only speaks of
policy, spam, size, load, or of our own sender never speaks of the address.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from beforehand.engine.incoming.mime import Mail


class BounceReason(StrEnum):
    """Why it did not arrive; each is a `RetryReason` too."""

    NO_SUCH_MAILBOX = "came_back_no_such_mailbox"
    NO_SUCH_DOMAIN = "came_back_no_such_domain"
    MOVED = "came_back_moved"
    TAKES_NO_MAIL = "came_back_takes_no_mail"
    """The whole domain or host says that it never takes mail (RFC 7504, RFC 7505)."""
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_OFF = "mailbox_off"
    """It exists, and is switched off for now."""
    SPAM = "taken_for_spam"
    BLOCKED = "sender_blocked"
    POLICY = "against_policy"
    TOO_LARGE = "too_large"
    TOO_MUCH = "too_much_at_once"
    NOT_REACHED = "server_not_reached"
    FAULT = "fault_over_there"
    NOT_SAID = "came_back"


HARD = frozenset(
    {
        BounceReason.NO_SUCH_MAILBOX,
        BounceReason.NO_SUCH_DOMAIN,
        BounceReason.MOVED,
        BounceReason.TAKES_NO_MAIL,
    }
)
"""Reasons that speak of the address itself."""


@dataclass(frozen=True, slots=True)
class Bounce:
    """Why one mail did not arrive; `status` is the report's own code (RFC 3463), as it claims."""

    reason: BounceReason
    status: str = ""

    @property
    def is_hard(self) -> bool:
        return self.reason in HARD


def bounce_of(mail: Mail) -> Bounce:
    """Why this report says that the mail did not arrive."""
    group = _failed_group(mail)
    text = _report_alone(mail.text)
    status = _status(group.get("status", ""))
    diagnostic = group.get("diagnostic-code", "")
    status = status or _status(diagnostic) or _status(text)
    whole = _PREAMBLE.sub(" ", " ".join(text.split()))
    found = (_by_words(words) for words in (diagnostic, *_ANSWER.findall(text), whole))
    reason = next((one for one in found if one is not None), None) or _by_status(status)
    if reason in HARD and _is_not_of_the_address(reason, status, f"{diagnostic} {mail.text[:8_000]}"):
        reason = BounceReason.NOT_REACHED if status.startswith("4") else BounceReason.POLICY
    return Bounce(reason, status)


def _by_status(status: str) -> BounceReason:
    return BY_STATUS.get(status) or BY_SUBJECT.get(status[1:], BounceReason.NOT_SAID)


def _is_not_of_the_address(reason: BounceReason, status: str, said: str) -> bool:
    """A domain that cannot be found for now may be found later; and a server that took the letter before it said "user
    unknown" knows the user: a filter of theirs speaks, as with the telephone companies of Japan."""
    if status.startswith("4") and reason is not BounceReason.NO_SUCH_MAILBOX:
        return True
    return _AFTER_DATA.search(said) is not None and _NO_RECIPIENT.search(said) is None


_AFTER_DATA = re.compile(
    r"in reply to end of data|(?:>>>|to:) data\b(?:(?!>>>).){0,300}?<<< 5\d\d|after end of data",
    re.IGNORECASE | re.DOTALL,
)
_NO_RECIPIENT = re.compile(
    r"(?:503|554|5\.5\.1|5\.0\.0).{0,20}(?:need rcpt|no valid recipient|valid rcpt|rcpt (?:first|command))", re.I
)
"""A transcript of a conversation in a pipeline: DATA was said, but it was the recipient who was refused."""
_ANSWER = re.compile(
    r"(?:^|[\s:(<>\"'])[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}\s)?[^\n]{4,}(?:\n[ \t]*[^\n]{4,}){0,3}", re.MULTILINE
)
"""What a mail server answered, as it stands somewhere in a report's text."""
_COPY = re.compile(
    r"^[ \t>]*(?:-{2,}.{0,20}(?:copy of|original|below this|returned|unsent|message (?:header|follow)|body of|undelivered)"
    r"|below (?:this line )?is a copy|(?:the )?original message (?:follows|header)|received: |return-path: |dkim-signature: "
    r"|\*{3,}.*copy|-{3,} (?:message header|forwarded))",
    re.IGNORECASE | re.MULTILINE,
)
_PREAMBLE = re.compile(
    r"this message was created automatically by[^.]{0,80}\.|a message that you sent[^.]{0,120}\.|this is a permanent error[;.]"
    r"|(?:the )?following address(?:es|\(es\))? (?:failed|had)[^:\n]{0,60}:?|google tried to deliver your message[^:\[]{0,200}"
    r"|(?:unable|not able|failed) to deliver (?:your )?message to the following address(?:es|\(es\))?\.?"
    r"|smtp error from remote mail\w*(?: server)? after [^:]{0,80}:|if you do so, please include this problem report\."
    r"|delivery to the following recipients?[^:\n]{0,60}:|for further assistance[^.]{0,60}\.|remote host said:"
    r"|error transferring to [^;]{0,60};|attempting to deliver a message for the following list of recipients:",
    re.IGNORECASE,
)


def _report_alone(text: str) -> str:
    """A report's own words: without the copy of our mail below them, whose words would speak as if they were its."""
    begins = _COPY.search(text)
    alone = text[: begins.start()] if begins and text[: begins.start()].strip() else text
    return alone[:8_000]


def _failed_group(mail: Mail) -> dict[str, str]:
    """The fields on the recipient who failed; those on the message come first in a report and know no recipient."""
    groups = [group for group in mail.delivery_status if "status" in group or "diagnostic-code" in group]
    failed = [group for group in groups if group.get("action", "").lower().startswith("fail")]
    return next(iter(failed or groups), {})


_STATUS = re.compile(r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")


def _status(text: str) -> str:
    match = _STATUS.search(text)
    return match[1] if match else ""


def _by_words(text: str) -> BounceReason | None:
    said = " ".join(_NAMES.sub(" ", text).split()).lower()
    return next((reason for pattern, reason in WORDS if pattern.search(said)), None) if said else None


_NAMES = re.compile(r"<?[^\s<>]+@[^\s<>]+>?|\[[\da-f.:]{3,}\]|https?://\S+")
"""Addresses and hosts: a name is no reason, even if it is called spam or unknown."""


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


WORDS: tuple[tuple[re.Pattern[str], BounceReason], ...] = (
    # What speaks of us, of the letter or of load comes before what speaks of the address, since it often quotes it.
    (_words(r"account or domain may not exist"), BounceReason.NO_SUCH_MAILBOX),
    (
        _words(
            r"(?:mailbox|quota|mail box|inbox|account).{0,40}(?:is full|\bfull\b|exceed|over (?:quota|storage|limit)"
            r"|too large)",
            r"(?:over|exceed\w*|out of|insufficient|not enough).{0,30}(?:quota|storage|disk space|mailbox size|inbox)",
            r"quota (?:exceed|full|violation)|mailfolder is full|is over.?quota|disk quota|size of mailbox|box is full",
            r"storage (?:space|limit)|mailbox size limit|not enough (?:storage|disk)|容量|満杯|boîte.{0,20}pleine"
            r"|bandeja.{0,20}llena",
        ),
        BounceReason.MAILBOX_FULL,
    ),
    (
        _words(
            r"too (?:large|big)|(?:message|mail|letter).{0,20}size.{0,20}(?:exceed|limit)|exceed\w*.{0,40}(?:message"
            r"|mail) size",
            r"size limit|maximum (?:message|mail) size|message length exceeds|larger than|fixed maximum",
        ),
        BounceReason.TOO_LARGE,
    ),
    (
        _words(
            r"\bspam(?!cop|haus|-?trap)|junk mail|looks like (?:bulk|unsolicited)|unsolicited (?:bulk|mail"
            r"|commercial)|bulk mail",
            r"(?:message|content|mail).{0,30}(?:considered|detected|identified|classified|filtered) as|surbl|uribl",
            r"suspicious (?:content|message|url)|phish|scored too high|appears to be unsolicited",
        ),
        BounceReason.SPAM,
    ),
    (
        _words(
            r"\bspf\b|\bdkim\b|\bdmarc\b|sender policy framework|authentication (?:failed|required|checks?)"
            r"|unauthenticated|not rfc",
            r"rfc ?(?:2822|5322|1123)|policy|virus|malware|trojan|infected|attachment|prohibited|relay|\bstarttls\b|\btls\b",
            r"(?:content|message|header|subject|format).{0,20}(?:not (?:allowed|accept|compliant)|invalid|reject"
            r"|malformed|restrict)",
            r"security|not authori[sz]ed|sender (?:address )?(?:rejected|denied|unknown|verif)|verify (?:your"
            r"|the) sender|rejected by header",
            r"(?:domain of sender|sender).{0,60}(?:does not exist|does not resolve|not found|invalid|unresolvable)|bad sender",
            r"does not (?:allow|accept) (?:external|messages? from)|permission to (?:post|send)|only (?:allowed"
            r"|members|subscribers|people)",
            r"may not be able to post|you (?:are not|aren't) (?:allowed|a member|authori)|moderated|restricted",
            r"address verification|callback|5\.1\.8|access rule|error in (?:the )?mail from|invalid (?:mail from"
            r"|sender|return.?path)",
        ),
        BounceReason.POLICY,
    ),
    (
        _words(
            r"\b(?:black|block|deny|drop|reject)[ -]?list|\brbls?\b|dnsbl|spamhaus|spamcop|barracuda|reputation|sorbs|\bptr\b",
            r"(?:ip|host|client|server|address|domain|connection|network|mail from).{0,40}(?:blocked|banned|denied"
            r"|refused by|not welcome)",
            r"reverse (?:dns|lookup|mapping|hostname)|cannot find your (?:reverse )?hostname|no (?:reverse|ptr)"
            r"|fix reverse|dynamic ip",
            r"blocked (?:by|using|for|due|at)|access denied|ehlo|\bhelo\b|client host|sending (?:server|ip)"
            r"|your (?:ip|host|server)\b",
            r"not (?:permitted|allowed) to (?:send|connect)|rejected because|grey.?list|blocked$|bad sender address"
            r"|refused to talk",
        ),
        BounceReason.BLOCKED,
    ),
    (
        _words(
            r"too (?:many|much|fast|frequent)|rate (?:limit|exceeded)|ratelimit|throttl|concurren|excessive"
            r"|sending limit|at a rate that",
            r"slow down|temporarily (?:deferred|limited|rejected due)|over the limit of|message limit",
        ),
        BounceReason.TOO_MUCH,
    ),
    (
        _words(
            r"null mx|no smtp service|not receive e?-?mail|does not accept (?:any )?(?:mail|e-?mail)(?! from)"
            r"|do(?:es)? not accept mail|not accepting (?:any )?(?:mail|e-?mail)$",
            r"nullmx|\b521\b|never accepts? mail|no mail accepted|is a null|smtp protocol returned a permanent error"
            r"|mx points to \"?\.",
        ),
        BounceReason.TAKES_NO_MAIL,
    ),
    (
        _words(
            r"has moved|user has moved|have moved|moved to|no longer (?:at|with|works|employed)|changed (?:his|her"
            r"|their)? ?e?-?mail",
            r"new (?:e-?mail )?address is|please (?:try|use) the (?:new|following) address|account has been (?:moved"
            r"|migrated)|\b551\b",
        ),
        BounceReason.MOVED,
    ),
    (
        _words(
            r"(?:account|mailbox|user|e-?mail|address|recipient).{0,50}(?:disabled|suspended|inactiv|deactivat|locked"
            r"|not active|frozen)",
            r"(?:disabled|suspended|inactive|deactivated|locked|frozen) (?:account|mailbox|user|recipient|address)"
            r"|account.{0,20}hold",
            r"discontinued|out of service|unverified.*address|currently (?:unavailable|disabled)|vacation mode"
            r"|rejects? all|user.?paused",
        ),
        BounceReason.MAILBOX_OFF,
    ),
    (
        _words(
            r"(?:could ?n[o']t|cannot|can't) (?:create|open|lock)",
            r"temporar(?:y|ily)|try (?:again )?later|resources unavailable|greylist",
        ),
        BounceReason.FAULT,
    ),
    (
        _words(
            r"host (?:unknown|not found)|unknown host|domain.{0,60}(?:not found|is not reachable|does(?:n't"
            r"| not) exist|unknown|couldn't be found|could not be)",
            r"name or service not known|no such (?:domain|host)|non-?existent (?:domain|host)"
            r"|unrouteable (?:mail )?domain|nxdomain",
            r"bad destination (?:host|system)|illegal host|unable to (?:find|resolve|look up).{0,30}(?:host|domain|mx|dns)",
            r"invalid domain|unknown domain|(?:no|lacks?|any) (?:valid )?(?:mx|dns a|a) (?:record|data|or)"
            r"|domain name not found|no mx",
            r"name server: host not found|cannot resolve|unresolv|could not resolve|address family.*not supported|dns error",
        ),
        BounceReason.NO_SUCH_DOMAIN,
    ),
    (
        _words(
            r"(?:user|recipient|mailbox|account|address|addressee|alias|name|login|member|customer|person|local part"
            r"|destination|\bid\b)"
            r".{0,70}(?:unknown|not found|does ?n[o']t exist|doesn't exist|not exist|no such|not known|invalid|not (?:a )?valid"
            r"|not listed|not be found|not our|not recogni|unrouteable|undeliverable|nonexist|isn't (?:here|found)"
            r"|no longer (?:exist|valid"
            r"|available|active|on server)|not available|unavailable|terminated|removed|deleted|closed|cancel|expired)",
            r"(?:unknown|no such|invalid|bad|non-?existent|nonexisting|unrouteable|illegal|undefined|wrong|unrecogni[sz]ed)"
            r".{0,25}(?:user|recipient|mailbox|account|address|alias|name|person|addressee|here|local)",
            r"can(?:no|')t (?:find|verify|deliver to this)|couldn't be found|not (?:in|listed in) (?:the "
            r"|our )?(?:directory|domino)|no mailbox",
            r"there is no (?:such|one|user)|does not (?:have an account|match)|not a (?:known|local|valid)"
            r"|nobody (?:here|by)|who are you",
            r"isn't? ?(?:a )?valid|no account|who is this|not on this server|doesn't have a|recipnotfound|notfound"
            r"|no longer in use",
            r"user (?:is )?(?:not )?(?:registered|exist)|(?:this|that) (?:address|user) (?:no longer|doesn't|does not"
            r"|isn't)|no user",
            r"adressat unbekannt|empfänger.{0,20}unbekannt|unbekannt(?:er)? (?:benutzer|empfänger)"
            r"|onbekende (?:gebruiker|ontvanger)",
            r"utilisateur inconnu|usuario desconocido|utente sconosciuto|not delivered to your domain",
            r"存在しません|ユーザ.{0,10}見つかり",
            r"нет такого пользователя|не существует|не найден|المستخدم غير موجود",
        ),
        BounceReason.NO_SUCH_MAILBOX,
    ),
    (
        _words(
            r"timed? ?out|could not be delivered for|retry time|expired|time limit|too long|gave up|giving up"
            r"|was undeliverable for",
            r"connection (?:refused|reset|lost|closed|dropped|failed|was)|no route|unreachable|cannot connect"
            r"|unable to connect",
            r"(?:did|does|do) not respond|not responding|no answer|couldn't connect|network|lost connection|loop"
            r"|too many hops|hop count",
            r"could not be contacted|delivery time|message (?:has been|was) in the queue|failed to connect"
            r"|remote server is misconfigured",
        ),
        BounceReason.NOT_REACHED,
    ),
    (
        _words(
            r"(?:local|internal|system|configuration|server|command|software|temporary|service|unexpected) (?:error"
            r"|failure|problem|fault)",
            r"(?:insufficient|out of) (?:system|memory)|service (?:unavailable|not available)|mail for .{0,60} loops"
            r"|pipe|died with",
            r"temporary lookup failure|unable to (?:run|open|lock|create)|try again later"
            r"|requested action (?:not taken|aborted)|misconfig",
        ),
        BounceReason.FAULT,
    ),
)
"""In this order: the first that speaks decides."""

BY_STATUS: dict[str, BounceReason] = {
    "5.1.1": BounceReason.NO_SUCH_MAILBOX,
    "4.1.1": BounceReason.NO_SUCH_MAILBOX,
    "5.1.10": BounceReason.NO_SUCH_MAILBOX,
    "5.1.351": BounceReason.NO_SUCH_MAILBOX,
    "5.1.2": BounceReason.NO_SUCH_DOMAIN,
    "5.4.4": BounceReason.NO_SUCH_DOMAIN,
    "5.1.3": BounceReason.NO_SUCH_MAILBOX,
    "5.1.6": BounceReason.MOVED,
    "5.3.2": BounceReason.TAKES_NO_MAIL,
    "5.7.27": BounceReason.TAKES_NO_MAIL,
}
BY_SUBJECT: dict[str, BounceReason] = {
    ".2.1": BounceReason.MAILBOX_OFF,
    ".2.2": BounceReason.MAILBOX_FULL,
    ".2.3": BounceReason.TOO_LARGE,
    ".3.4": BounceReason.TOO_LARGE,
    ".4.1": BounceReason.NOT_REACHED,
    ".4.7": BounceReason.NOT_REACHED,
    ".7.1": BounceReason.POLICY,
    ".7.26": BounceReason.POLICY,
}
