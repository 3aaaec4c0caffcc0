"""One customer's data: all of it, and its erasure."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router
from pydantic import BaseModel, Field

from beforehand.api.batches import find_customer
from beforehand.api.operations import REFUSALS, Given, May, actor_of
from beforehand.api.problems import ApiProblem, Fault, invalid
from beforehand.customers.erasure import ErasureHindered, ReasonMissing, erase_customer, export_customer

router = Router(tags=["customers"])


class ErasureIn(Given):
    """Why; and whether to erase although something is still going on with the customer."""

    reason: str = Field(max_length=500)
    force: bool = False


class ErasureOut(BaseModel):
    """What an erasure changed: rows by table, and mentions where no id says whose they are."""

    erased_at: datetime
    rows: dict[str, int]
    mentions: int


@router.get("/{customer}/export", auth=May("customers:erase"), response={200: dict[str, Any], **REFUSALS})
def export_data(request: HttpRequest, customer: str) -> Any:
    """Everything that is held on the customer: a list of rows for each part."""
    return export_customer(find_customer(customer).pk, actor=actor_of(request))


@router.post("/{customer}/erase", auth=May("customers:erase"), response={200: ErasureOut, **REFUSALS})
def erase_data(request: HttpRequest, customer: str, erasure: ErasureIn) -> Any:
    """Erase what names the customer; 409 while a problem touches them or they are owed a word, unless forced."""
    try:
        done = erase_customer(
            find_customer(customer).pk, reason=erasure.reason, actor=actor_of(request), is_forced=erasure.force
        )
    except ReasonMissing:
        raise invalid("Say why.", pointer="/reason") from None
    except ErasureHindered as hindered:
        faults = [Fault(one.reason.value, one.title) for one in hindered.hindrances]
        raise ApiProblem(409, "hindered", "Something is still going on with this customer.", faults=faults) from None
    return {"erased_at": done.at, "rows": done.rows, "mentions": done.mentions}
