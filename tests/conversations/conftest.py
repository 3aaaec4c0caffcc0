"""An outage in which everybody has been told, and a mailbox on a real IMAP server to which they answer."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from beforehand.conversations.actions import read_waiting
from beforehand.conversations.polling import poll_mailbox
from beforehand.kit import clock
from tests.console.conftest import (  # noqa: F401 -- they serve here too
    _surroundings,
    agent,
    cast,
    drive,
    outage,
    scene,
    signed_in,
    supervisor,
    viewer,
)
from tests.conversations.imap_server import ImapMailServer
from tests.driving import Drive


class Post:
    """What customers send comes in here, by way of a mail server's mailbox."""

    def __init__(self, mails: ImapMailServer, driven: Drive) -> None:
        self.mails, self.drive = mails, driven

    def told(self, customer: str, *, nth: int = 0) -> EmailMessage:
        """What this customer got from us."""
        return self.drive.mailbox.mails_to(f"{customer}@customers.example")[nth]

    def answer(self, customer: str, text: str, **headers: str | None) -> EmailMessage:
        """An answer to our first mail, as a mail program makes one; a header given as None is left out."""
        ours = self.told(customer)
        mail = EmailMessage()
        usual = {
            "From": f"{customer}@customers.example",
            "To": ours["Reply-To"],
            "Subject": f"Re: {ours['Subject']}",
            "Message-ID": f"<{abs(hash((customer, text)))}@customers.example>",
            "In-Reply-To": ours["Message-ID"],
            "References": ours["Message-ID"],
        }
        for name, value in {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            if value is not None:
                mail[name] = value
        mail.set_content(text)
        return mail

    def comes_in(self, *mails: EmailMessage | bytes) -> int:
        """They arrive, and are read; how many."""
        for mail in mails:
            self.mails.deliver(mail if isinstance(mail, bytes) else mail.as_bytes())
        poll_mailbox(self.mails.server, now=clock.now())
        return read_waiting(now=clock.now())


@pytest.fixture
def imap(tmp_path: Path) -> Iterator[ImapMailServer]:
    with ImapMailServer(tmp_path / "imap") as server:
        yield server


@pytest.fixture
def post(imap: ImapMailServer, outage: Any, drive: Drive) -> Post:  # noqa: F811
    return Post(imap, drive)
