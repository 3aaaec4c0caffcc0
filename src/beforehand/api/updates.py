"""Updates: the sentences that there are to choose from, and telling everyone now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import AwareDatetime, BaseModel, Field

from beforehand.accounts.installation import installation
from beforehand.api.idempotency import creates
from beforehand.api.incident_texts import Language, Text
from beforehand.api.incidents import UpdateOut, find_incident, refused
from beforehand.api.operations import REFUSALS, Given, May, actor_of
from beforehand.api.problems import ApiProblem, Fault, invalid
from beforehand.engine.playbooks.blocks import BlockKind, Composed
from beforehand.incidents.actions import IncidentError, post_update
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.playbooks.updates import Filling, UpdateRefused, offered_blocks, put_together

router = Router(tags=["incidents"])
SENTENCES = {
    "unknown_block": "The playbook of this incident has no block “{what}”.",
    "slot_empty": "The block “{what}” needs this.",
}


class BlockOut(BaseModel):
    """Approved sentences, by language, with slots such as {area}; `facts` is what the incident states from then on."""

    name: str
    kind: BlockKind
    slots: list[str]
    sentences: dict[str, str]
    facts: dict[str, str]


class BlocksOut(BaseModel):
    """`is_approved`: whether every playbook that runs for the incident is approved in its version."""

    items: list[BlockOut]
    is_approved: bool


class SlotsIn(Given):
    """What stands in the sentences' slots; without an area, the public names of the network parts do."""

    area: str = Field("", max_length=200)
    what: str = Field("", max_length=200)
    number: str = Field("", max_length=50)
    time: AwareDatetime | None = None


class UpdateIn(Given):
    """What customers are told now: blocks, each in every language; own texts by language; or both, the blocks first."""

    texts: dict[Language, Text] = {}
    blocks: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=8)] = []
    slots: SlotsIn = SlotsIn(area="", what="", number="", time=None)


class PreviewOut(BaseModel):
    """The update by language, and the languages in which a part of it, or all of it, is not translated."""

    texts: dict[str, str]
    states: dict[str, dict[str, str]]
    partly_untranslated: list[str]
    untranslated: list[str]


@router.get("/{incident}/blocks", auth=May("incidents:read"), response={200: BlocksOut, **REFUSALS})
def list_blocks(request: HttpRequest, incident: UUID) -> Any:
    """The sentences from which an update on this incident can be put together."""
    offer = offered_blocks(find_incident(incident))
    shown = [
        {
            "name": block.name,
            "kind": block.kind,
            "slots": list(block.slots),
            "sentences": dict(block.sentences),
            "facts": dict(block.facts),
        }
        for block in offer.blocks
    ]
    return {"items": shown, "is_approved": offer.is_approved}


@router.post("/{incident}/updates/preview", auth=May("incidents:read"), response={200: PreviewOut, **REFUSALS})
def preview_update(request: HttpRequest, incident: UUID, update: UpdateIn) -> Any:
    """The update as customers would read it in each language; nothing is told."""
    composed = _composed(find_incident(incident), update)
    languages = installation().brand.languages
    return {
        "texts": dict(composed.texts),
        "states": {language: dict(facts) for language, facts in composed.stated.items()},
        "partly_untranslated": sorted(composed.partly),
        "untranslated": [code for code in languages if code not in composed.texts],
    }


@router.post("/{incident}/updates", auth=May("incidents:write"), response={201: UpdateOut, **REFUSALS})
@creates
def add_update(request: HttpRequest, incident: UUID, update: UpdateIn) -> Any:
    """Tell those who are affected something now; who reads a language that is missing gets the first one, marked so."""
    found = find_incident(incident)
    composed = _composed(found, update)
    try:
        posted = post_update(found, texts=composed.texts, stated=composed.stated, author=None, actor=actor_of(request))
    except IncidentError as error:
        raise refused(error) from None
    return Status(201, _shown(posted.public_id, posted.texts, posted.posted_at))


def _shown(public_id: UUID, texts: Mapping[str, str], posted_at: datetime) -> dict[str, Any]:
    return {"id": public_id, "texts": texts, "posted_at": posted_at}


def _composed(incident: Incident, update: UpdateIn) -> Composed:
    if not update.texts and not update.blocks:
        raise invalid("Name blocks, or write texts.", pointer="/texts")
    slots = update.slots
    filling = Filling(
        words={"area": slots.area.strip(), "what": slots.what.strip(), "number": slots.number.strip()},
        time=slots.time,
        own=update.texts,
    )
    try:
        blocks = offered_blocks(incident).named(dict.fromkeys(update.blocks))
        return put_together(incident, blocks, filling, brand=installation().brand, now=clock.now())
    except UpdateRefused as error:
        detail = SENTENCES[error.code].format(what=error.what)
        pointer = "/blocks" if error.where == "blocks" else f"/slots/{error.where}"
        raise ApiProblem(422, error.code, detail, faults=[Fault(error.code, detail, pointer=pointer)]) from None
