"""What kind of mail came in: somebody wrote, or a machine did, and what that machine wants to say.

RFC 3464 (delivery reports), RFC 5965 (complaints), RFC 3834 (automatic answers), and the many reports that follow none.
"""

import re
from enum import StrEnum

from beforehand.engine.incoming.mime import Mail


class MailKind(StrEnum):
    """Who speaks, and to say what."""

    WRITTEN = "written"
    """A person wrote it, as far as anybody can tell."""
    AUTO_REPLY = "auto_reply"
    """An answer that a machine gave in somebody's place: on holiday, received with thanks."""
    BOUNCE = "bounce"
    DELAYED = "delayed"
    """It has not arrived yet; the other side goes on trying."""
    ARRIVED = "arrived"
    """A report that it was delivered, or read."""
    COMPLAINT = "complaint"
    """The recipient called it spam."""
    MACHINE = "machine"
    """Anything else that no person wrote: lists, statistics, reports on forged mail."""


_DAEMON = re.compile(
    r"mailer[-_. ]?daemon|postmaster|mail delivery (?:sub)?system|mail ?administrator|postoffice|bounces?@|mmdf"
    r"|microsoft\s?exchange329e71ec88ae4615bbc36ab6ce41109e|delivery service|autoresponder-bounce",
    re.IGNORECASE,
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|mail(?: message)? delivery (?:failed|failure|system|problem)|deliver(?:y|ed).{0,30}(?:fail|problem|notif|report"
    r"|status)|^mail failed|fail(?:ed|ure)(?: to)? (?:deliver|notice)"
    r"|returned (?:mail|e-?mail|message)|returned to sender|return(?:ed)? mail"
    r"|could not (?:be )?(?:deliver|sen)|could not send|cannot be delivered|not delivered|non.?(?:delivery|remise|recapit)"
    r"|rejected(?::| mail| message| the message)|message rejected"
    r"|unzustellbar|nicht zustell|onbestelbaar|niet bezorgd|non recapitat"
    r"|no se (?:ha podido|pudo) entregar"
    r"|échec de (?:la )?remise|mail system error|^failure notice|^warning: .*(?:not sent|could not)"
    r"|delivery status notification|message not sent|mail could not|user unknown|mailbox (?:is )?full|^error mail|mail error"
    r"|недостав|не доставлен|वितरित नहीं|تعذر (?:ال)?تسليم|فشل (?:ال)?تسليم|配信不能|送信エラー|配送失败|退信",
    re.IGNORECASE,
)
_BOUNCE_TEXT = re.compile(
    r"this is the qmail-send program|could not be delivered to (?:one or more|the following)|"
    r"(?:the )?following (?:address(?:es)?|recipient\(?s?\)?).{0,40}(?:fail|had (?:permanent|delivery)|could not|permanent)"
    r"|did not reach the following recipient|this message was created automatically by (?:the )?mail|"
    r"delivery to the following recipients? (?:failed|has been)|transcript of session follows|unable to deliver (?:your|the|this)"
    r"|message (?:that you sent )?(?:could not|cannot) be delivered|your (?:message|mail).{0,60}(?:was not delivered"
    r"|could not be delivered|couldn't be delivered|was undeliverable|has been rejected|wasn't delivered)"
    r"|unable to be delivered|recipient address rejected|user unknown|mailbox (?:unavailable|full|not found)"
    r"|returning (?:your )?message to sender|the mail system\b|各あて先|送信できません",
    re.IGNORECASE | re.DOTALL,
)
_AUTO_SUBJECT = re.compile(
    r"^\W*(?:auto(?:matic|mated)?[ -]?(?:reply|response|svar)|autoreply|autoresponder|out of (?:the )?office"
    r"|on (?:vacation|holiday|leave)"
    r"|away from|vacation"
    r"|automatisch(?:es)? antwoord|automatische? antwort|afwezig|abwesen|ich bin|niet aanwezig|réponse automatique"
    r"|absence|respuesta automática|risposta automatica|fuera de (?:la )?oficina|resposta automática|automatisk svar|autosvar"
    r"|автоответ|رد تلقائي|خارج المكتب|स्वचालित उत्तर|स्वतः उत्तर|自動応答|自动回复|不在)",
    re.IGNORECASE,
)
_AUTO_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-auto-reply",
    "x-autoresponder",
    "x-autoreply-from",
    "x-mail-autoreply",
)
_NO_PERSON = ("list-id", "list-unsubscribe", "feedback-id")
_DELAYED = re.compile(
    r"delivery.{0,20}delay|delayed|has not (?:yet )?been delivered|warning: message"
    r"|will (?:keep|continue) (?:trying|to (?:try|be tried))"
    r"|(?:this is a|only) warning|you do not need to resend|not yet been delivered|still trying",
    re.IGNORECASE,
)
_NOTICE = re.compile(r'"(?:notificationType|eventType)"\s*:\s*"(Bounce|Complaint|Delivery)"')
"""What Amazon's mail service sends instead of a report."""
_NOTICES = {"Bounce": MailKind.BOUNCE, "Complaint": MailKind.COMPLAINT, "Delivery": MailKind.ARRIVED}


def kind_of(mail: Mail) -> MailKind:
    """What kind of mail this is. The formal reports first; then what machines without manners write; then automatic answers."""
    if mail.feedback:
        asked = mail.feedback.get("feedback-type", "abuse").lower()
        return MailKind.MACHINE if asked in ("auth-failure", "not-spam", "dmarc") else MailKind.COMPLAINT
    if _is_complaint_without_form(mail):
        return MailKind.COMPLAINT
    notice = _NOTICE.search(mail.text[:20_000])
    if notice is not None:
        return _NOTICES[notice[1]]
    content = mail.header("content-type").lower()
    if "disposition-notification" in content:
        return MailKind.ARRIVED
    if mail.delivery_status:
        return _reported(mail)
    if _is_bounce(mail, content):
        return MailKind.DELAYED if _is_only_delayed(mail) else MailKind.BOUNCE
    if _is_automatic(mail):
        return MailKind.AUTO_REPLY
    if any(mail.header(name) for name in _NO_PERSON) or mail.header("precedence").lower() in ("bulk", "list", "junk"):
        return MailKind.MACHINE
    return MailKind.WRITTEN


def _is_complaint_without_form(mail: Mail) -> bool:
    """Microsoft's junk mail reports, and others that send the mail back and say in words that it was unwanted."""
    sender = " ".join(mail.addresses("from"))
    return sender.startswith(("staff@hotmail.com", "staff@outlook.com")) or (
        "x-hmxmroriginalrecipient" in mail.headers or "complaint about message from" in mail.header("subject").lower()
    )


def _reported(mail: Mail) -> MailKind:
    """By the gravest action of the report: one failed recipient is a failure."""
    actions = {group.get("action", "").lower().split(" ")[0].strip("();") for group in mail.delivery_status}
    if actions & {"failed", "failure"}:
        return MailKind.BOUNCE
    if "delayed" in actions:
        return MailKind.DELAYED
    statuses = [group["status"].strip()[:1] for group in mail.delivery_status if group.get("status")]
    if actions & {"delivered", "relayed", "expanded", "deliverable"} and "5" not in statuses:
        return MailKind.ARRIVED
    if not actions - {""} and statuses and set(statuses) == {"2"}:
        return MailKind.ARRIVED
    return MailKind.DELAYED if "4" in statuses and _is_only_delayed(mail) else MailKind.BOUNCE


def _is_bounce(mail: Mail, content: str) -> bool:
    if mail.header("x-failed-recipients") or "report-type=delivery-status" in content.replace(" ", "").replace('"', ""):
        return True
    subject = mail.header("subject")
    sender = f"{mail.header('from')} {mail.header('sender')}"
    path = mail.header("return-path").replace(" ", "")
    is_nobody = path == "<>" or _DAEMON.search(f"{sender} {path}") is not None
    says_so = _BOUNCE_SUBJECT.search(subject) is not None
    begins = mail.text[:4_000]
    if _AUTO_SUBJECT.search(subject) and not _BOUNCE_TEXT.search(begins):
        return False
    if is_nobody and (says_so or _BOUNCE_TEXT.search(begins) or mail.returned):
        return True
    return says_so and (_BOUNCE_TEXT.search(begins) is not None or bool(mail.returned))


def _is_only_delayed(mail: Mail) -> bool:
    return _DELAYED.search(f"{mail.header('subject')}\n{mail.text[:2_000]}") is not None


def _is_automatic(mail: Mail) -> bool:
    """RFC 3834 §5, and what came before it."""
    submitted = mail.header("auto-submitted").split(";")[0].strip().lower()
    if submitted:
        return submitted != "no"
    if any(name in mail.headers for name in _AUTO_HEADERS):
        return True
    if mail.header("precedence").lower() in ("auto_reply", "auto-reply"):
        return True
    return _AUTO_SUBJECT.search(mail.header("subject")) is not None
