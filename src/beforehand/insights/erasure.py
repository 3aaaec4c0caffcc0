"""What readiness notes of one customer: which profile they have."""

from beforehand.customers.holders import Erasing, Holder, register_holder, rows_of
from beforehand.kit.rows import bulk


def _erase(erasing: Erasing) -> dict[str, int]:
    forgotten = bulk(
        "DELETE FROM insights_customerreadiness WHERE customer_id = %(customer)s::bigint",
        {"customer": erasing.customer_id},
    )
    return {"insights_customerreadiness": forgotten}


def register() -> None:
    """Say what this package holds."""
    register_holder(
        Holder(
            name="insights",
            tables=frozenset({"insights_customerreadiness"}),
            export=lambda customer_id: {
                "readiness": rows_of(
                    """
                    FROM (SELECT p.language, p.channels, p.is_linked, p.answers FROM insights_customerreadiness r
                          JOIN insights_readinessprofile p ON p.id = r.profile_id
                          WHERE r.customer_id = %(customer)s::bigint) t
                    """,
                    customer_id,
                )
            },
            erase=_erase,
        )
    )
