"""What one customer was promised, alone or with everyone whom a problem touched; and what they are still owed."""

from collections.abc import Sequence

from beforehand.customers.holders import Erasing, Hindrance, HindranceReason, Holder, Rows, register_holder, rows_of
from beforehand.promises.actions import end_promises
from beforehand.promises.models import Promise


def audience_of(customer_id: int) -> str:
    """How a promise to one customer alone names whom it is to."""
    return f"customer:{customer_id}"


def _export(customer_id: int) -> dict[str, Rows]:
    return {
        "promises": rows_of(
            "FROM promises_promise t WHERE audience = %(audience)s::text AND %(customer)s::bigint > 0 ORDER BY id",
            customer_id,
            audience=audience_of(customer_id),
        )
    }


def _erase(erasing: Erasing) -> dict[str, int]:
    """The ledger's rows stay, with ids and times only; what is still open is owed to nobody any more."""
    return {"promises_promise": end_promises(audience_of(erasing.customer_id), at=erasing.at, actor=erasing.actor)}


def _hindrances(customer_id: int) -> Sequence[Hindrance]:
    owed = Promise.objects.filter(audience=audience_of(customer_id), state=Promise.State.OPEN)
    return [
        Hindrance(HindranceReason.PROMISE_OWED, f"promise:{promise.pk}", promise.get_kind_display()) for promise in owed
    ]


def register() -> None:
    """Say what this package holds."""
    register_holder(
        Holder(
            name="promises",
            tables=frozenset({"promises_promise"}),
            export=_export,
            erase=_erase,
            hindrances=_hindrances,
        )
    )
