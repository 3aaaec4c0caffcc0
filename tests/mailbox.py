"""A mailbox that a test can read: a real SMTP conversation, with the scripted server's ways to misbehave."""

from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.outbound.scripted_server import ScriptedServer


class Mailbox(ScriptedServer):
    """The scripted server, with what it accepted by recipient."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __exit__(self, *exc_info: object) -> None:
        if not self._loop.is_closed():  # a test may have closed it before
            super().__exit__(*exc_info)

    def mails_to(self, address: str) -> list[EmailMessage]:
        """What this recipient got, parsed, in order."""
        return [parsed(mail.data) for mail in list(self.accepted) if mail.recipient == address]

    def counts(self) -> Counter[str]:
        """How many mails each recipient got."""
        return Counter(mail.recipient for mail in list(self.accepted))


def parsed(data: bytes) -> EmailMessage:
    """A mail as the standard library reads it."""
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(mail: EmailMessage) -> str:
    """Its plain text."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(mail: EmailMessage) -> str:
    """Its HTML."""
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content())
