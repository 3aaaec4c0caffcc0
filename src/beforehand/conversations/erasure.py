"""What one customer wrote to us: given out whole, and blanked. That they wrote, when and about what, stays."""

from beforehand.customers.holders import Erasing, Holder, Rows, register_holder, rows_of
from beforehand.kit.rows import bulk


def _export(customer_id: int) -> dict[str, Rows]:
    said = rows_of("FROM conversations_messagein t WHERE customer_id = %(customer)s::bigint ORDER BY id", customer_id)
    came = rows_of(
        """
        FROM (SELECT id, public_id, channel, received_at, state, kind, reason, encode(raw, 'escape') AS as_it_came
              FROM conversations_incoming WHERE customer_id = %(customer)s::bigint ORDER BY id) t
        """,
        customer_id,
    )
    return {"messages_in": said, "messages_in_as_they_came": came}


BLANK_SAID = """
UPDATE conversations_messagein
SET sender = '', foreign_id = 'erased:' || id, subject = '', text = '', new_text = '', html = '', attachments = '[]'
WHERE customer_id = %(customer)s::bigint AND foreign_id <> 'erased:' || id
"""
BLANK_RAW = "UPDATE conversations_incoming SET raw = '' WHERE customer_id = %(customer)s::bigint AND raw <> ''"


def _erase(erasing: Erasing) -> dict[str, int]:
    own = {"customer": erasing.customer_id}
    return {"conversations_messagein": bulk(BLANK_SAID, own), "conversations_incoming": bulk(BLANK_RAW, own)}


def register() -> None:
    """Say what this package holds."""
    register_holder(
        Holder(
            name="conversations",
            tables=frozenset({"conversations_messagein", "conversations_incoming"}),
            export=_export,
            erase=_erase,
        )
    )
