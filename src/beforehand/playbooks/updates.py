"""An update put together from the approved blocks of the playbooks that run for an incident, in every language at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import BrandSetting
from beforehand.engine.languages import fallback_chain
from beforehand.engine.playbooks.blocks import Block, Composed, Slot, blocks_of, compose
from beforehand.incidents.models import Incident
from beforehand.incidents.queries import affected_zones, place_names
from beforehand.kit.web.times import babel_locale
from beforehand.outbound.localise import spoken_at
from beforehand.playbooks.models import Run


@dataclass(frozen=True, slots=True)
class Offer:
    """The blocks that somebody may choose from for an incident, and whether all of them are approved."""

    blocks: tuple[Block, ...]
    is_approved: bool

    def named(self, names: Iterable[str]) -> list[Block]:
        """The blocks of these names; raises `UpdateRefused` for one that there is not."""
        known = {block.name: block for block in self.blocks}
        found = []
        for name in names:
            if name not in known:
                raise UpdateRefused("blocks", "unknown_block", name)
            found.append(known[name])
        return found


@dataclass(frozen=True, slots=True)
class Filling:
    """What a person typed: the slots, and words of their own by language, as they were typed first to last."""

    words: Mapping[str, str] = field(default_factory=dict)  # slot to text
    time: datetime | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    blank: str = ""
    """What stands in a slot that is not filled; "" refuses it."""


class UpdateRefused(Exception):
    """An update that cannot be put together: `where` names the field, `code` says why, `what` is the block or slot."""

    def __init__(self, where: str, code: str, what: str) -> None:
        super().__init__(f"{where}: {code}: {what}")
        self.where, self.code, self.what = where, code, what


def offered_blocks(incident: Incident) -> Offer:
    """The blocks of the playbooks that run for the incident, each in the version of its run."""
    runs = list(Run.objects.filter(incident=incident).select_related("version").order_by("pk"))
    texts = {name: files for run in runs for name, files in run.version.texts.items()}
    return Offer(blocks_of(texts), is_approved=all(run.version.approved_at is not None for run in runs))


def put_together(
    incident: Incident, blocks: list[Block], filling: Filling, *, brand: BrandSetting, now: datetime
) -> Composed:
    """The update in every language; raises `UpdateRefused` naming the slot that is not filled."""
    languages = list(dict.fromkeys([*brand.languages, *(code for block in blocks for code in block.sentences)]))
    places = place_names(incident) if any(Slot.AREA in block.slots for block in blocks) else {}
    with_zone = filling.time is not None and _is_read_elsewhere(incident, filling.time, zone=brand.time_zone)
    values = {
        code: _values(code, filling, places=places, brand=brand, now=now, with_zone=with_zone) for code in languages
    }
    for block in blocks:
        for slot in block.slots:
            if not values[brand.language].get(slot):
                if not filling.blank:
                    raise UpdateRefused(slot, "slot_empty", block.name)
                for of_language in values.values():
                    of_language.setdefault(slot, filling.blank)
    notes = {code: _untranslated_note(code, next(iter(filling.own), "")) for code in languages}
    return compose(blocks, values=values, own=filling.own, notes=notes)


def _is_read_elsewhere(incident: Incident, at: datetime, *, zone: str) -> bool:
    """Whether a clock on some reader's wall shows another time than the company's."""
    here = at.astimezone(ZoneInfo(zone)).utcoffset()
    return any(at.astimezone(ZoneInfo(there)).utcoffset() != here for there in affected_zones(incident))


def _values(
    language: str,
    filling: Filling,
    *,
    places: Mapping[str, str],
    brand: BrandSetting,
    now: datetime,
    with_zone: bool,
) -> dict[str, str]:
    """What stands in each slot in this language. Where nobody typed a place, the names of the parts do."""
    values = {slot: text for slot, text in filling.words.items() if text}
    named = next(iter(fallback_chain(language, places, brand.language)), next(iter(places), ""))
    if named and Slot.AREA not in values:
        values[Slot.AREA] = places[named]
    if filling.time is not None:
        zone = ZoneInfo(brand.time_zone)
        values[Slot.TIME] = spoken_at(filling.time, language=language, zone=zone, now=now, with_zone=with_zone)
    return values


def _untranslated_note(language: str, own: str) -> str:
    """What stands above words in another language than the reader's."""
    if not own:
        return ""
    name = babel_locale(own).get_display_name(babel_locale(language)) or own
    with translation.override(language):
        # Translators: stands in a message to a customer, above words in a language that is not theirs (%(language)s).
        return _("The following has not been translated. It is in this language: %(language)s.") % {"language": name}
