"""Batches of rows: what became of them, row by row; and the customer that an address names."""

from typing import Any

from pydantic import BaseModel

from beforehand.api.operations import uuid_of
from beforehand.api.problems import not_found, pointer_of
from beforehand.customers.bulk.problems import BatchResult
from beforehand.customers.models import Customer


class RowProblemOut(BaseModel):
    """What is wrong with one row of a batch; `row` counts from 0, as the pointer does."""

    row: int
    pointer: str
    code: str
    detail: str


class BatchOut(BaseModel):
    """What became of a batch: rows that cannot be are refused one by one, the rest is written."""

    created: int
    updated: int
    unchanged: int
    refused: int
    problems: list[RowProblemOut]


def shown_batch(result: BatchResult) -> dict[str, Any]:
    """What became of a batch, as JSON."""
    return {
        "created": result.created,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "refused": result.refused,
        "problems": [
            {
                "row": problem.line - 1,
                "pointer": f"/rows/{problem.line - 1}/{pointer_of(problem.column)}".rstrip("/"),
                "code": problem.reason.value,
                "detail": problem.detail or problem.reason.value.replace("_", " "),
            }
            for problem in result.problems
        ],
    }


def find_customer(name: str) -> Customer:
    """The customer with this public id or external id; raises `ApiProblem` 404, also for one who was erased."""
    public_id = uuid_of(name)
    customers = Customer.objects.served().select_related("helper")
    found = customers.filter(public_id=public_id).first() if public_id else None
    found = found or customers.filter(external_id=name).first()
    if found is None:
        raise not_found("such customer")
    return found
