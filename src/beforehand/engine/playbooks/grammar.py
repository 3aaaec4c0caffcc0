"""The words of the playbook language: one table for the parser, the did-you-mean hints and the JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from beforehand.engine.message_classes import MessageClass
from beforehand.engine.playbooks.durations import DURATION_PATTERN
from beforehand.engine.playbooks.language import Audience, AudienceSource, CalledFirst, Channel, EndReason
from beforehand.engine.playbooks.trials import A_PERSON, NOT_STARTED, START

MAX_STEPS = 200
MAX_TEXT = 2_000
MAX_TRIALS = 100
MAX_IFS = 6
"""Each doubles the ways through a playbook, and every way is checked."""

NAME = r"[a-z][a-z0-9-]{0,62}"
EVENT = r"[a-z][a-z_]*(?:\.[a-z][a-z_]*)+"
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*"
NUMBER = r"[1-9][0-9]{0,8}"
MOMENT = rf"(?:{START}|{DURATION_PATTERN})"
WORD = r"[a-z][a-z_-]{0,62}"
PROMISE_IN_RHYTHM = "next update in rhythm"
PROMISE = rf"next update within ({DURATION_PATTERN})|{PROMISE_IN_RHYTHM}"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
DAILY = rf"day at ({CLOCK})"
NIGHT = rf"({CLOCK}) to ({CLOCK})"
MAX_STAGES = 10

TELL_AUDIENCES = (Audience.AFFECTED.value, Audience.TOLD.value)

Json = dict[str, Any]


class PersonDoes(StrEnum):
    """What a person may do in a test."""

    CONFIRMS = "confirms"


class YesNo(StrEnum):
    """A question that a word answers."""

    NO = "no"
    YES = "yes"


class Asked(StrEnum):
    """Whom a run asks before it tells."""

    A_PERSON = A_PERSON


class Beginning(StrEnum):
    """What a first wait may be counted from."""

    INCIDENT_BEGAN = "incident.began"


@dataclass(frozen=True)
class Key:
    """What a key may hold, as JSON Schema, and whether it must be there."""

    schema: Json
    is_required: bool = False


def _text(description: str, pattern: str | None = None) -> Json:
    schema: Json = {"type": "string", "description": description, "minLength": 1, "maxLength": MAX_TEXT}
    return schema | {"pattern": f"^(?:{pattern})$"} if pattern else schema


def _choice(description: str, *values: str) -> Json:
    return {"enum": list(values), "description": description}


def _channels(description: str) -> Json:
    return {"type": "array", "uniqueItems": True, "items": _choice(description, *Channel)}


def shape(keys: Mapping[str, Key]) -> Json:
    """The JSON Schema of a mapping with exactly these keys."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: key.schema for name, key in keys.items()},
        "required": [name for name, key in keys.items() if key.is_required],
    }


def _text_or_none(description: str) -> Json:
    return {"anyOf": [_text(description, NAME), {"type": "null"}], "description": description}


_DURATION = _text("A duration in words, like “3 minutes”", DURATION_PATTERN)
_PROMISE = _text("When the next update comes: “next update within 60 minutes”, or “next update in rhythm”", PROMISE)
_TO = _choice("Whom it reaches: everyone affected, or only those told before", *TELL_AUDIENCES)

LIMITS: Mapping[str, Key] = {
    "confirm above": Key(
        {
            "type": "integer",
            "minimum": 1,
            "maximum": 999_999_999,
            "description": "A person must confirm before more customers than this are told",
        }
    ),
}
TEXTS: Mapping[str, Key] = {
    "holding": Key(_text_or_none("Told when an update would be late")),
    "joined": Key(_text_or_none("Told to who joins later; without it, they get the latest notice")),
    "left cured": Key(_text_or_none("Told to who is no longer affected while others still are")),
    "told by mistake": Key(_text_or_none("Told to who was told but was never affected")),
}
EXIT: Mapping[str, Key] = {
    "on": Key(_text("The event type that leaves the main part at once", EVENT), is_required=True),
    "go to": Key(_text("The label to go to", NAME), is_required=True),
}
WAIT_UNTIL: Mapping[str, Key] = {
    "until": Key(_text("The event type to wait for", EVENT), is_required=True),
    "at most": Key(_DURATION, is_required=True),
}
WAIT_FROM: Mapping[str, Key] = {
    "from": Key(_choice("From the beginning of the incident", *Beginning), is_required=True),
    "for": Key(_DURATION, is_required=True),
}
STAGE: Mapping[str, Key] = {
    "for": Key(_text("How long this interval holds; the last one holds until the end", DURATION_PATTERN)),
    "every": Key(
        _text("What is promised: an interval, like “2 hours”, or “day at 09:00”", f"{DURATION_PATTERN}|{DAILY}"),
        is_required=True,
    ),
    "quiet": Key(_text("When nothing is said, by the installation's clock, like “22:00 to 07:00”", NIGHT)),
}
HANDLER: Mapping[str, Key] = {
    "tell": Key(_text("The text that is told at once", NAME), is_required=True),
    "promise": Key(_PROMISE),
}
_INNER_STEPS: Json = {"type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": {"$ref": "#/$defs/inner-step"}}
STEPS: Mapping[str, Mapping[str, Key]] = {
    "wait": {
        "wait": Key({"anyOf": [_DURATION, shape(WAIT_UNTIL), shape(WAIT_FROM)]}, is_required=True),
        "id": Key(_text("The step's own name", NAME)),
    },
    "tell": {
        "tell": Key(_text("The text that is told", NAME), is_required=True),
        "to": Key(_TO),
        "promise": Key(_PROMISE),
        "id": Key(_text("The step's own name", NAME)),
    },
    "repeat": {
        "repeat": Key(_text("The step's own name", NAME), is_required=True),
        "every": Key(
            {
                "description": "How often; a list of intervals stretches the longer it lasts",
                "anyOf": [
                    _DURATION,
                    {"type": "array", "minItems": 1, "maxItems": MAX_STAGES, "items": shape(STAGE)},
                ],
            },
            is_required=True,
        ),
        "tell": Key(_text("The text that is told each time", NAME), is_required=True),
        "to": Key(_TO),
        "promise": Key(_PROMISE),
        "on": Key(
            {
                "type": "object",
                "description": "What is told at once when an event comes; the rhythm starts anew after it",
                "propertyNames": {"pattern": f"^{EVENT}$"},
                "additionalProperties": shape(HANDLER),
            }
        ),
    },
    "if": {
        "if": Key(_text("A condition on the incident, in CEL, judged when the run comes here"), is_required=True),
        "then": Key(_INNER_STEPS | {"description": "The steps where it holds"}, is_required=True),
        "else": Key(_INNER_STEPS | {"description": "The steps where it does not; without it, none"}),
        "id": Key(_text("The step's own name", NAME)),
    },
    "task": {
        "task": Key(_text("The step's own name", NAME), is_required=True),
        "title": Key(_text("What a person must do, as they read it"), is_required=True),
        "team": Key(_text("The team that must do it", NAME), is_required=True),
        "within": Key(_DURATION, is_required=True),
        "wait for it": Key(_choice("Whether the run waits until it is done, at most until it is due", *YesNo)),
    },
    "label": {"label": Key(_text("Where exits go to", NAME), is_required=True)},
    "end": {"end": Key(_choice("How the run ends", *EndReason), is_required=True)},
}
INNER_STEPS = {verb: keys for verb, keys in STEPS.items() if verb != "label"}
"""What may stand inside an `if`: exits go to labels, so these stand outside."""

_AT = Key(_text("When: “start”, or how long after the incident began, like “3 minutes”", MOMENT), is_required=True)
_CHANGE: Mapping[str, Key] = {
    "kind": Key(_text("The incident's kind", WORD)),
    "severity": Key(_text("How bad it is", WORD)),
    "affected": Key(
        {"type": "integer", "minimum": 1, "maximum": 999_999_999, "description": "How many customers it touches"}
    ),
}
TRIAL_CHANGE = _CHANGE
TRIAL_INCIDENT: Mapping[str, Key] = {
    **_CHANGE,
    "began": Key(_text("The time of day at which it began, like 22:00; without it, at 12:00", CLOCK)),
    "known after": Key(_text("How long after it began the run starts; without it, at once", MOMENT)),
}
TRIAL_CUSTOMER: Mapping[str, Key] = {
    "has": Key(_channels("The channels by which they can be told; without it, all that the playbook names")),
    "over the failure": Key(_channels("Those of them that run over what has failed, while it lasts")),
}
TRIAL_GIVEN: Mapping[str, Mapping[str, Key]] = {
    "event": {"at": _AT, "event": Key(_text("The event type that comes", EVENT), is_required=True)},
    "person": {"at": _AT, "person": Key(_choice("What a person does", *PersonDoes), is_required=True)},
    "done": {"at": _AT, "done": Key(_text("The step whose task is done", NAME), is_required=True)},
    "incident": {
        "at": _AT,
        "incident": Key(shape(TRIAL_CHANGE) | {"description": "What the incident becomes"}, is_required=True),
    },
}
TRIAL_EXPECT: Mapping[str, Mapping[str, Key]] = {
    "tell": {
        "at": _AT,
        "tell": Key(_text("The text that is told", NAME), is_required=True),
        "to": Key(_TO),
        "promise by": Key(_text("Until when the next update is promised, counted like “at”", MOMENT)),
        "by": Key(_choice("By which channel the test's customer is told; or only by a person", *Channel, A_PERSON)),
    },
    "task": {
        "at": _AT,
        "task": Key(_text("The step whose task begins", NAME), is_required=True),
        "due": Key(_text("Until when it is to be done, counted like “at”", MOMENT)),
    },
    "ask": {"at": _AT, "ask": Key(_choice("The run asks before it tells", *Asked), is_required=True)},
    "end": {
        "at": _AT,
        "end": Key(_choice("How the run ends, or that it does not start", *EndReason, NOT_STARTED), is_required=True),
    },
}
TRIAL: Mapping[str, Key] = {
    "name": Key(_text("What this test shows"), is_required=True),
    "incident": Key(shape(TRIAL_INCIDENT) | {"description": "The incident; without it, a major outage for 100"}),
    "customer": Key(shape(TRIAL_CUSTOMER) | {"description": "One of those whom it touches, for “by”"}),
    "given": Key({"type": "array", "items": {"anyOf": [shape(keys) for keys in TRIAL_GIVEN.values()]}}),
    "expect": Key(
        {"type": "array", "items": {"anyOf": [shape(keys) for keys in TRIAL_EXPECT.values()]}}, is_required=True
    ),
    "until": Key(_text("Until when nothing else may happen; without it, the last time in the test", MOMENT)),
}
PLAYBOOK: Mapping[str, Key] = {
    "playbook": Key(_text("The playbook's name, the same as its folder's", NAME), is_required=True),
    "title": Key(_text("The title that people read"), is_required=True),
    "owner": Key(_text("The duty that owns what this playbook promises", NAME), is_required=True),
    "approve by": Key(
        {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": _text("A team that must approve each version", NAME),
        }
    ),
    "class": Key(_choice("What the messages are for", *MessageClass), is_required=True),
    "when": Key(_text("The event type that starts a run", EVENT), is_required=True),
    "if": Key(_text("A condition on that event, in CEL")),
    "audience": Key(_choice("Whom the run is about", *AudienceSource), is_required=True),
    "channels": Key(_channels("How customers are reached") | {"minItems": 1}, is_required=True),
    "call first": Key(_choice("Who is called as well as written to, once while it lasts", *CalledFirst)),
    "limits": Key(shape(LIMITS)),
    "fallback language": Key(_text("The language for whom no text exists in their own", LANGUAGE), is_required=True),
    "texts": Key(shape(TEXTS)),
    "exits": Key({"type": "array", "items": shape(EXIT)}),
    "restart on": Key(_text("The event type that starts again from the top, after an exit", EVENT)),
    "steps": Key(
        {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_STEPS,
            "items": {"anyOf": [shape(keys) for keys in STEPS.values()]},
        },
        is_required=True,
    ),
    "tests": Key({"type": "array", "maxItems": MAX_TRIALS, "items": shape(TRIAL)}),
}
