"""What the story looks at to know whether a claim holds: the public API's answers, and the customers' mailboxes."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from beforehand.demo.company import NODES, SMALL_CABINET, Company, Row
from beforehand.demo.inbox import Inbox
from beforehand.demo.mailserver import DEAD_DOMAIN
from beforehand.demo.public_api import ApiRefused, PublicApi
from beforehand.demo.telling import Story

FAILING, NEIGHBOUR = "lwd-oost", "lwd-noord"
CURED_EARLY = 40
PATIENCE = 60.0
"""Seconds for anything that should happen at once; the figures say how long it took."""
ORDER = ("nl", "en", "ar", "hi")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo's installation and its mailbox are."""

    base_url: str
    token: str
    mailbox_url: str


class Watched:
    """The outage of one node, seen from outside."""

    def __init__(
        self,
        story: Story,
        api: PublicApi,
        inbox: Inbox,
        company: Company,
        *,
        places: Places,
        kill_worker: Callable[[], int | None],
    ) -> None:
        self.story, self.api, self.inbox, self.company = story, api, inbox, company
        self.places, self.kill_worker = places, kill_worker
        node = next(node for node in NODES if node.code == FAILING)
        neighbour = next(node for node in NODES if node.code == NEIGHBOUR)
        self.node = node
        self.late_cabinet = neighbour.cabinet(SMALL_CABINET)
        cabinets = {cabinet for cabinet in company.home_of.values() if cabinet.startswith(f"{FAILING}-k")}
        self.affected = company.customers_of(*cabinets)
        self.late = company.customers_of(self.late_cabinet)
        self.cured = company.customers_of(node.cabinet(1))[:CURED_EARLY]
        self.incident: dict[str, Any] = {}
        self.began_at = datetime.now(UTC)
        self.figures: dict[str, Any] = {}
        self.report: dict[str, Any] = {}

    @property
    def room(self) -> str:
        """The incident's page."""
        return f"{self.places.base_url}/console/incidents/{self.incident['id']}/"

    def _readiness(self) -> dict[str, Any]:
        """How many could be told by the outage playbook; nothing while that is not worked out."""
        try:
            worked_out: dict[str, Any] = self.api.get("readiness/outage/all")
        except ApiRefused:
            return {}
        return worked_out

    def _open_incident(self) -> dict[str, Any]:
        page = self.api.get("incidents", state="open")
        return page["items"][0] if page["items"] else {}

    def _whole(self) -> dict[str, Any]:
        whole: dict[str, Any] = self.api.get(f"incidents/{self.incident['id']}")
        return whole

    def _affected_rows(self) -> list[dict[str, Any]]:
        return list(self.api.pages(f"incidents/{self.incident['id']}/affected", state="affected"))

    def _timeline(self, type: str) -> list[dict[str, Any]]:
        rows = self.api.pages(f"incidents/{self.incident['id']}/timeline")
        return [row for row in rows if row["type"] == type]

    def _promises_to_one(self) -> int:
        """How many customers are promised a word of their own."""
        return sum(row["incident"] is None for row in self.api.pages("promises", state="open"))

    def _decided_at(self, batch: str) -> float:
        decided = next(e for e in self._timeline("message.batch_decided") if str(e["data"]["batch"]) == batch)
        return datetime.fromisoformat(decided["occurred_at"]).timestamp()

    def _is_all_done(self) -> bool:
        return len(self._timeline("message.batch_done")) == len(self._timeline("message.batch_decided"))

    def _promises(self) -> Counter[str]:
        """The incident's promises by state."""
        of_this = (row for row in self.api.pages("promises") if row["incident"] == self.incident["id"])
        return Counter(row["state"] for row in of_this)

    def _ever_told(self) -> set[str]:
        return {mail.recipient for mail in self.inbox.mails}

    def _told(self, step: str, whom: Collection[Row], *, after: int = 0, within: float = PATIENCE) -> str:
        """Wait until a batch of this step, the one after so many, has reached all who can be reached; answers which."""
        expected = addresses(whom)

        def newest() -> str:
            self.inbox.look()
            found = self.inbox.batches(step)[after:]
            return found[0] if found else ""

        def arrived() -> str:
            batch = newest()
            return batch if batch and self.inbox.recipients(batch) >= expected else ""

        def progress() -> str:
            batch = newest()
            return f"{len(self.inbox.recipients(batch)):,} of {len(expected):,}" if batch else ""

        batch = self.story.wait_for("Mails arrive", arrived, within=within, progress=progress)
        counted = self.inbox.by_batch[batch]
        self.story.must(counted.keys() == expected, f"{len(expected):,} mails: exactly those whom it concerns")
        self.story.must(max(counted.values()) == 1, "each of them once")
        return batch

    def _in_their_language(self, batch: str) -> None:
        reads = {row["email"]: row["language"] for row in self.company.customers if "email" in row}
        wrong = [m for m in self.inbox.mails if m.batch == batch and m.language != reads[m.recipient]]
        self.story.must(not wrong, f"in their language: {by_language(self.inbox.languages(batch))}", wrong[:3])

    def _the_rest_has_reasons(self) -> None:
        """Who could not be told is on record, with the reason."""
        expected = {row["external_id"] for row in self.affected if not reachable(row)}

        def found() -> dict[str, str]:
            states: tuple[str, ...] = ("refused", "failed")
            rows = [m for s in states for m in self.api.pages("messages", incident=self.incident["id"], state=s)]
            reasons = {row["customer"]: row["reason"] or row["state"] for row in rows}
            return reasons if reasons.keys() >= expected else {}

        reasons = self.story.wait_for("Waiting for the last outcomes", found, within=PATIENCE)
        counted = ", ".join(f"{count} {reason}" for reason, count in Counter(reasons.values()).most_common())
        self.story.must(reasons.keys() == expected, f"could not tell {len(expected)}, on record: {counted}")


def ids(customers: Collection[Row]) -> set[str]:
    return {row["external_id"] for row in customers}


def reachable(customer: Row) -> bool:
    return "email" in customer and not customer["email"].endswith(f"@{DEAD_DOMAIN}")


def addresses(customers: Collection[Row]) -> set[str]:
    return {row["email"] for row in customers if reachable(row)}


def by_language(counted: Counter[str]) -> str:
    return ", ".join(f"{code} {counted[code]:,}" for code in ORDER)
