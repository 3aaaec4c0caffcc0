"""Every refusal as RFC 9457 problem details: a code for programs, one sentence for people, and the place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from django.http import HttpResponse

from beforehand.customers.bulk.problems import RowProblem
from beforehand.engine.conditions import ConditionError
from beforehand.engine.playbooks.bundle import text_of_file
from beforehand.engine.playbooks.problems import PLAYBOOK_FILE, PlaybookProblem
from beforehand.events.intake.errors import IntakeCode, IntakeError, escaped

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 50
"""So many faults of one request are listed; batches answer row by row and are not bound by this."""

_UNREADABLE = {IntakeCode.NOT_UTF8, IntakeCode.NOT_JSON, IntakeCode.TOO_DEEP}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request, and where: one of `pointer`, `header` and `parameter`."""

    code: str
    detail: str
    pointer: str | None = None
    header: str | None = None
    parameter: str | None = None
    line: int | None = None
    column: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The fault without the places that it has not."""
        places = {name: getattr(self, name) for name in ("pointer", "header", "parameter", "line", "column")}
        return {"code": self.code, "detail": self.detail} | {k: v for k, v in places.items() if v is not None}


class ApiProblem(Exception):
    """A request that is refused; raised anywhere below a route, and answered as problem details."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)[:MAX_FAULTS]
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """The members of the answer; `type` is left at its default, about:blank, so `title` is the status's phrase."""
        return {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        } | ({"errors": [fault.as_json() for fault in self.faults]} if self.faults else {})

    def response(self) -> HttpResponse:
        """The answer as HTTP."""
        return HttpResponse(
            orjson.dumps(self.as_json()), status=self.status, content_type=MEDIA_TYPE, headers=self.headers
        )


def not_found(what: str) -> ApiProblem:
    """There is no such thing, or not one that this address names."""
    return ApiProblem(404, "not_found", f"There is no {what}.")


def invalid(detail: str, *, code: str = "invalid", **place: Any) -> ApiProblem:
    """One field that cannot be; `place` is pointer=, header= or parameter=."""
    return ApiProblem(422, code, detail, faults=[Fault(code=code, detail=detail, **place)])


def from_rows(problems: Iterable[RowProblem], *, at: str = "/") -> ApiProblem:
    """A change that was refused, with every problem found."""
    faults = [
        Fault(
            code=p.reason.value, detail=p.detail or p.reason.value.replace("_", " "), pointer=at + pointer_of(p.column)
        )
        for p in problems
    ]
    return ApiProblem(422, "refused", "; ".join(fault.detail for fault in faults)[:500], faults=faults)


def pointer_of(column: str) -> str:
    """A column as the rest of a JSON pointer: what stands in `attributes` is a member of it."""
    return "/".join(escaped(part) for part in column.split(".", 1))


def from_condition(error: ConditionError, *, pointer: str) -> ApiProblem:
    """A condition that cannot be, with its line and column."""
    fault = Fault(error.reason.value, str(error), pointer=pointer, line=error.line, column=error.column)
    return ApiProblem(422, "bad_condition", str(error), faults=[fault])


def from_playbook(problems: Iterable[PlaybookProblem]) -> ApiProblem:
    """A playbook that cannot be, with the file, line and column of each fault."""
    faults = [
        Fault(
            code=problem.reason.value.replace(" ", "_"),
            detail=str(problem),
            pointer=_in_bundle(problem.file),
            line=problem.line,
            column=problem.column,
        )
        for problem in problems
    ]
    return ApiProblem(422, "bad_playbook", faults[0].detail if faults else "", faults=faults)


def _in_bundle(file: str) -> str:
    if file == PLAYBOOK_FILE:
        return "/source"
    name, language = text_of_file(file)
    return f"/texts/{escaped(name)}/{escaped(language)}"


def database_unavailable() -> ApiProblem:
    """The database is away: nothing was stored, and whoever asked should ask again."""
    return ApiProblem(503, "database_unavailable", "Nothing was stored; try again.", headers={"Retry-After": "5"})


def from_intake(error: IntakeError) -> ApiProblem:
    """A body that was not taken in: 400 for what cannot be read, 422 for fields, 413 and 415 as they are."""
    status = error.status
    if status == HTTPStatus.BAD_REQUEST and error.code not in _UNREADABLE:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    faults = [
        Fault(
            code=problem.code.value,
            detail=problem.message,
            line=error.line,
            pointer=None if _is_header(problem.pointer) else problem.pointer,
            header=problem.pointer if _is_header(problem.pointer) else None,
        )
        for problem in error.problems
    ]
    return ApiProblem(status, error.code.value, error.message, faults=faults)


def _is_header(place: str) -> bool:
    return place == "content-type" or place.startswith("ce-")


def from_validation(errors: Iterable[Mapping[str, Any]]) -> ApiProblem:
    """What pydantic found: unknown, missing and wrong fields, each by its pointer or parameter."""
    faults = []
    for error in errors:
        where, *rest = error["loc"]
        if where == "body":
            # The first is the name of the argument that the body is read into; its fields follow.
            place: dict[str, Any] = {"pointer": "".join(f"/{escaped(str(part))}" for part in rest[1:])}
        else:
            place = {"parameter": str(rest[0]) if rest else ""}
        name = str(error["loc"][-1])
        match error["type"]:
            case "extra_forbidden":
                faults.append(Fault("unknown_field", f"“{name}” is not known here.", **place))
            case "missing":
                faults.append(Fault("missing", f"“{name}” is needed.", **place))
            case code:
                faults.append(Fault(str(code), str(error["msg"]), **place))
    return ApiProblem(422, "invalid", faults[0].detail if faults else "The request is not valid.", faults=faults)
