"""What customers read of an incident, by language, as bodies state it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from beforehand.api.operations import Given
from beforehand.engine.languages import canonical_tag


def _language(tag: str) -> str:
    known = canonical_tag(tag)
    if known is None:
        raise ValueError(f"“{tag[:40]}” is not a language; write it like nl or pt-BR")
    return known


Language = Annotated[str, AfterValidator(_language)]
Text = Annotated[str, Field(min_length=1, max_length=5_000)]


class IncidentTexts(Given):
    """One language's words for the problem."""

    title: str = Field("", max_length=300)
    cause: str = Field("", max_length=5_000)
    area: str = Field("", max_length=1_000)
    advice: str = Field("", max_length=5_000)


def plain_texts(texts: Mapping[str, IncidentTexts]) -> dict[str, dict[str, str]]:
    """The texts that are stated, as actions take them."""
    return {language: {k: v for k, v in text.model_dump().items() if v} for language, text in texts.items()}
