"""What the company's customers have in their mailboxes, read from the demo's mail server."""

from collections import Counter, defaultdict
from collections.abc import Set
from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True, slots=True)
class Delivered:
    """A mail as the server's index lists it."""

    number: int
    received_at: float
    recipient: str
    language: str
    message_id: str
    batch: str
    step: str


@dataclass(slots=True)
class Inbox:
    """Everything delivered so far, by batch and recipient; `look` reads what is new."""

    url: str
    mails: list[Delivered] = field(default_factory=list)
    by_batch: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """How many different messages of a batch each recipient has."""
    again: int = 0
    """Mails that came again under the Message-ID of one that was there: mail programs show them once."""
    steps: dict[str, str] = field(default_factory=dict)
    read: int = 0
    """How many mails of the server's index were looked at."""
    _seen: set[str] = field(default_factory=set)
    _client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def look(self) -> int:
        """Read what has come since the last look; how many mails there are now."""
        answer = self._client.get(f"{self.url}/mails.json", params={"after": self.read})
        answer.raise_for_status()
        rows = answer.json()
        self.read += len(rows)
        for row in rows:
            if not row["batch"]:
                continue  # to a colleague
            mail = Delivered(**{name: row[name] for name in Delivered.__slots__})
            if mail.message_id in self._seen:
                self.again += 1
                continue
            self._seen.add(mail.message_id)
            self.mails.append(mail)
            self.by_batch[mail.batch][mail.recipient] += 1
            self.steps[mail.batch] = mail.step
        return len(self.mails)

    def batches(self, step: str) -> list[str]:
        """The batches of a playbook's step of which a mail has come, first one first."""
        return [batch for batch, name in self.steps.items() if name == step]

    def languages(self, batch: str) -> Counter[str]:
        """How many mails of a batch have come in each language."""
        return Counter(mail.language for mail in self.mails if mail.batch == batch)

    def recipients(self, batch: str) -> Set[str]:
        """Who has a mail of this batch."""
        return self.by_batch[batch].keys()

    def twice(self) -> int:
        """Mails that told somebody what the same batch had told them already."""
        return sum(count - 1 for counted in self.by_batch.values() for count in counted.values())

    def html(self, number: int) -> str:
        """A mail's HTML."""
        return self._client.get(f"{self.url}/mails/{number}/html").text

    def last_at(self, batch: str) -> float:
        """When the last mail of this batch came, in seconds since 1970."""
        return max(mail.received_at for mail in self.mails if mail.batch == batch)

    def close(self) -> None:
        self._client.close()
