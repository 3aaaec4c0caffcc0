"""What was said to whom, counted at the mail server and held against what the database says."""

from collections import Counter
from datetime import timedelta

from beforehand.events.models import WorkerBeat
from beforehand.kit import clock
from beforehand.kit.rows import fetch
from beforehand.outbound.models import Delivery, Message
from tests.company import addresses, make_company
from tests.driving import alert, approve_shipped, outage_rule, post_webhook
from tests.faults.processes import CONNECTIONS
from tests.mailbox import Mailbox, parsed

FLIGHT = 50


def node_fails(count: int) -> set[str]:
    """So many customers hang on a node that went down long enough ago for them to be told at once."""
    make_company(count)
    outage_rule()
    approve_shipped()
    post_webhook([alert(starts_at=clock.now() - timedelta(minutes=5))])
    return addresses(count)


def is_all_told(count: int) -> bool:
    return Message.objects.filter(state="sent").count() == count


def uncertain_addresses() -> set[str]:
    rows = fetch(
        """
        SELECT c.external_id || '@customers.example' FROM outbound_delivery d
        JOIN outbound_message m ON m.bucket = d.bucket AND m.id = d.message_id
        JOIN customers_customer c ON c.id = m.customer_id WHERE d.state = 'uncertain'
        """
    )
    return {row[0] for row in rows}


def in_doubt_of_each() -> Counter[int]:
    """Attempts in doubt by the process that began them, which may send on several threads."""
    processes = dict(WorkerBeat.objects.values_list("worker", "pid"))
    workers = Delivery.objects.filter(state="uncertain").values_list("worker", flat=True)
    return Counter(processes[worker] for worker in workers)


def check_counts(mailbox: Mailbox, everybody: set[str], *, killed: int) -> None:
    counts = mailbox.counts()
    assert set(counts) == everybody
    twice = {address for address, times in counts.items() if times > 1}
    assert twice <= uncertain_addresses()
    of_each = in_doubt_of_each()
    assert len(of_each) <= killed
    assert max(of_each.values(), default=0) <= FLIGHT * CONNECTIONS
    identities: dict[str, set[str]] = {}
    for mail in mailbox.accepted:
        if mail.recipient in twice:
            identities.setdefault(mail.recipient, set()).add(str(parsed(mail.data)["Message-ID"]))
    assert all(len(ids) == 1 for ids in identities.values())
    assert Message.objects.count() == len(everybody)
    assert not Delivery.objects.filter(state="sending").exists()
