"""What can be wrong with a playbook: a reason for programs, a sentence with the cure for people, and the place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PLAYBOOK_FILE = "playbook.yaml"


class Severity(StrEnum):
    """An error keeps a playbook from being approved; a warning is shown to whoever approves it."""

    ERROR = "error"
    WARNING = "warning"


class ProblemReason(StrEnum):
    """Why a playbook is not (quite) in order."""

    # The file
    TOO_LARGE = "too large"
    TOO_DEEP = "too deep"
    TOO_MANY_PARTS = "too many parts"
    NOT_YAML = "not yaml"
    UNREADABLE_CHARACTER = "unreadable character"
    HIDDEN_CHARACTER = "hidden character"
    ANCHOR = "anchor"
    TAG = "tag"
    DUPLICATE_KEY = "duplicate key"
    KEY_NOT_TEXT = "key not text"
    MORE_THAN_ONE_DOCUMENT = "more than one document"
    EMPTY = "empty"
    # The words
    NOT_A_MAPPING = "not a mapping"
    NOT_A_LIST = "not a list"
    EMPTY_LIST = "empty list"
    CALL_NOT_LAST = "call not last"
    NOT_TEXT = "not text"
    UNKNOWN_KEY = "unknown key"
    MISSING_KEY = "missing key"
    BAD_NAME = "bad name"
    BAD_EVENT = "bad event"
    BAD_LANGUAGE = "bad language"
    BAD_NUMBER = "bad number"
    BAD_DURATION = "bad duration"
    BAD_PROMISE = "bad promise"
    BAD_TIME_OF_DAY = "bad time of day"
    BAD_EVERY = "bad every"
    BAD_NIGHT = "bad night"
    STAGE_ENDLESS = "stage endless"
    LAST_STAGE_ENDS = "last stage ends"
    TOO_MANY_STAGES = "too many stages"
    BAD_CHOICE = "bad choice"
    TOO_LONG = "too long"
    NO_STEPS = "no steps"
    TOO_MANY_STEPS = "too many steps"
    TOO_MANY_IFS = "too many ifs"
    NO_VERB = "no verb"
    TWO_VERBS = "two verbs"
    DUPLICATE_ID = "duplicate id"
    RESERVED_ID = "reserved id"
    DUPLICATE_LABEL = "duplicate label"
    DUPLICATE_EXIT = "duplicate exit"
    UNKNOWN_LABEL = "unknown label"
    FROM_NOT_FIRST = "from not first"
    BAD_MOMENT = "bad moment"
    DUPLICATE_TEST = "duplicate test"
    TOO_MANY_TESTS = "too many tests"
    # The sense
    AUDIENCE_MISMATCH = "audience mismatch"
    UNUSED_LABEL = "unused label"
    UNREACHABLE = "unreachable"
    END_MISSING = "end missing"
    NO_TELL = "no tell"
    NO_EXIT = "no exit"
    REPEAT_WITHOUT_EXIT = "repeat without exit"
    TELL_WITHOUT_PROMISE = "tell without promise"
    PROMISE_NOT_KEPT = "promise not kept"
    PROMISE_NOT_IN_RHYTHM = "promise not in rhythm"
    PROMISE_WITHOUT_RHYTHM = "promise without rhythm"
    PROMISE_THEN_END = "promise then end"
    PROMISE_TIGHT = "promise tight"
    PROMISE_LOOSE = "promise loose"
    # The playbook's own tests
    TEST_UNKNOWN_NAME = "test unknown name"
    TEST_BEFORE_KNOWN = "test before known"
    TEST_OTHER = "test other"
    TEST_NOTHING = "test nothing"
    TEST_MORE = "test more"
    TEST_ENDLESS = "test endless"
    # The texts
    NO_HOLDING_TEXT = "no holding text"
    NO_LEAVING_TEXT = "no leaving text"
    TEXT_MISSING = "text missing"
    LANGUAGE_MISSING = "language missing"
    RARE_LANGUAGE_MISSING = "rare language missing"
    TEXT_UNUSED = "text unused"
    TEXT_WITHOUT_SUBJECT = "text without subject"
    TEXT_EMPTY = "text empty"
    TEXT_MESSAGE_LONG = "text message long"
    BLOCK_WITHOUT_KIND = "block without kind"
    BLOCK_SLOT_UNKNOWN = "block slot unknown"
    BLOCK_SLOT_MISSING = "block slot missing"
    EMPTY_WORDS = "empty words"
    LONG_SENTENCE = "long sentence"
    # What the engine cannot judge alone: names that the installation knows
    CONDITION_WRONG = "condition wrong"
    TEXT_WRONG = "text wrong"


WARNINGS = frozenset(
    {
        ProblemReason.PROMISE_TIGHT,
        ProblemReason.PROMISE_LOOSE,
        ProblemReason.RARE_LANGUAGE_MISSING,
        ProblemReason.TEXT_UNUSED,
        ProblemReason.TEXT_MESSAGE_LONG,
        ProblemReason.EMPTY_WORDS,
        ProblemReason.LONG_SENTENCE,
    }
)

SENTENCES: Mapping[ProblemReason, str] = {
    ProblemReason.TOO_LARGE: "The file has {size} bytes. Keep it under {limit}; long texts belong in texts/.",
    ProblemReason.TOO_DEEP: "This is nested more than {limit} levels deep. Use fewer steps inside steps.",
    ProblemReason.TOO_MANY_PARTS: "The file has more than {limit} parts. Split it into several playbooks.",
    ProblemReason.NOT_YAML: "This is not valid YAML: {detail}. Check indentation, colons and quotes here.",
    ProblemReason.UNREADABLE_CHARACTER: (
        "The character {code} cannot be read here. Remove it, and save the file as UTF-8."
    ),
    ProblemReason.HIDDEN_CHARACTER: "The hidden character {code} changes what a reviewer sees. Remove it.",
    ProblemReason.ANCHOR: "Anchors (&) and aliases (*) are not allowed. Write the value out.",
    ProblemReason.TAG: "Tags such as {tag} are not allowed. Remove it.",
    ProblemReason.DUPLICATE_KEY: "“{key}” is written twice; the first is on line {first}. Keep one.",
    ProblemReason.KEY_NOT_TEXT: "A list or mapping cannot be a key. Write a word before the colon.",
    ProblemReason.MORE_THAN_ONE_DOCUMENT: "One file holds one playbook. Move what follows “---” to a file of its own.",
    ProblemReason.EMPTY: "The file is empty. Start with “playbook:” and a name.",
    ProblemReason.NOT_A_MAPPING: "“{key}” must hold lines of the form “word: value”.",
    ProblemReason.NOT_A_LIST: "“{key}” must hold a list; start each item with a dash.",
    ProblemReason.CALL_NOT_LAST: "“call” asks a person to call, and nothing follows by itself. Put it last.",
    ProblemReason.EMPTY_LIST: "“{key}” is empty. Name at least one.",
    ProblemReason.NOT_TEXT: "“{key}” must hold one value on its line.",
    ProblemReason.UNKNOWN_KEY: "“{key}” is not known here. {hint}",
    ProblemReason.MISSING_KEY: "“{key}” is missing. Add it.",
    ProblemReason.BAD_NAME: "“{value}” is not a name. Use small letters, digits and hyphens, starting with a letter.",
    ProblemReason.BAD_EVENT: "“{value}” is not an event type. Write it like “incident.opened”.",
    ProblemReason.BAD_LANGUAGE: "“{value}” is not a language. Write it like “nl” or “pt-BR”.",
    ProblemReason.BAD_NUMBER: "“{value}” is not a whole number above zero. Write it in digits, like 25000.",
    ProblemReason.BAD_DURATION: "“{value}” is not a duration. {hint}",
    ProblemReason.BAD_PROMISE: "“{value}” is not a promise. Write “next update within 60 minutes”, or “next update in rhythm”.",
    ProblemReason.BAD_TIME_OF_DAY: "“{value}” is not a time of day. Write it with two digits each, like 09:00.",
    ProblemReason.BAD_EVERY: "“{value}” is not an interval. Write one like “2 hours”, or “day at 09:00”.",
    ProblemReason.BAD_NIGHT: "“{value}” is not a night. Write it like “22:00 to 07:00”.",
    ProblemReason.STAGE_ENDLESS: "Another interval follows this one. Say how long this one holds, like “for: 2 hours”.",
    ProblemReason.LAST_STAGE_ENDS: "Nothing follows this interval: it holds until the end. Remove its “for”.",
    ProblemReason.TOO_MANY_STAGES: "There are more than {limit} intervals. Fewer are easier to keep in mind.",
    ProblemReason.BAD_CHOICE: "“{value}” cannot be used for “{key}”. {hint}",
    ProblemReason.TOO_LONG: "“{key}” is longer than {limit} characters. Shorten it.",
    ProblemReason.NO_STEPS: "There are no steps. Add at least one “tell” and an “end”.",
    ProblemReason.TOO_MANY_STEPS: "There are more than {limit} steps. Split this into several playbooks.",
    ProblemReason.TOO_MANY_IFS: "There are more than {limit} “if” steps. Split this into several playbooks.",
    ProblemReason.NO_VERB: "This step does nothing. Begin it with one of: {choices}.",
    ProblemReason.TWO_VERBS: "This step does two things, “{first}” and “{second}”. Make two steps of it.",
    ProblemReason.DUPLICATE_ID: (
        "Two steps are called “{id}”; the first is on line {first}. Give this one an “id:” of its own."
    ),
    ProblemReason.RESERVED_ID: "“{id}” is a name that the product uses itself. Give this step another “id:”.",
    ProblemReason.DUPLICATE_LABEL: "The label “{label}” is already on line {first}. Rename one.",
    ProblemReason.DUPLICATE_EXIT: "“{event}” already leaves the playbook on line {first}. Keep one.",
    ProblemReason.UNKNOWN_LABEL: "There is no label “{label}”. {hint}",
    ProblemReason.FROM_NOT_FIRST: (
        "Only the first step can wait from the beginning of the incident. Write “wait: {duration}”."
    ),
    ProblemReason.BAD_MOMENT: (
        "“{value}” is not a time in a test. Write “start”, or how long after the incident began, like “3 minutes”. {hint}"
    ),
    ProblemReason.DUPLICATE_TEST: "Two tests are called “{name}”; the first is on line {first}. Rename one.",
    ProblemReason.TOO_MANY_TESTS: "There are more than {limit} of them. Keep those that say something new.",
    ProblemReason.TEST_UNKNOWN_NAME: "The playbook has no {kind} “{name}”. {hint}",
    ProblemReason.TEST_BEFORE_KNOWN: (
        "At {at} the run has not begun: the incident is known after {known}. Move this to a later time."
    ),
    ProblemReason.TEST_OTHER: "The test “{test}” expected: {expected}. What came: {came}.",
    ProblemReason.TEST_NOTHING: "The test “{test}” expected: {expected}. Nothing more came until {until}.",
    ProblemReason.TEST_MORE: "The test “{test}” expected nothing more until {until}. What came: {came}.",
    ProblemReason.TEST_ENDLESS: "The test “{test}” runs through more than {limit} steps. End it sooner.",
    ProblemReason.AUDIENCE_MISMATCH: (
        "“{event}” is not about an incident, so nobody is affected. Use “audience: customer”, or another “when”."
    ),
    ProblemReason.UNUSED_LABEL: "No exit goes to “{label}”. Add an exit for it, or remove the label.",
    ProblemReason.UNREACHABLE: (
        "This step is never reached, because “{before}” above it does not go on. Move or remove it."
    ),
    ProblemReason.END_MISSING: "The steps above run out here without an end. Write “end: {end}” as their last step.",
    ProblemReason.NO_TELL: "This playbook tells nobody anything. Add a “tell”.",
    ProblemReason.NO_EXIT: "Nothing happens when “{event}” comes. Add it to “exits”, with the label to go to.",
    ProblemReason.REPEAT_WITHOUT_EXIT: "This repeat would never stop. Add an exit, or use “tell” instead.",
    ProblemReason.TELL_WITHOUT_PROMISE: (
        "Whoever reads “{text}” does not know when they hear next. Add “promise: next update within …”."
    ),
    ProblemReason.PROMISE_NOT_KEPT: (
        "This promises the next update within {promise}, but it comes after {gap}. Promise more time, or wait less."
    ),
    ProblemReason.PROMISE_NOT_IN_RHYTHM: (
        "The time between two words stretches here. Write “promise: next update in rhythm”."
    ),
    ProblemReason.PROMISE_WITHOUT_RHYTHM: (
        "No repeat with a list of intervals says how often. Write “promise: next update within …”."
    ),
    ProblemReason.PROMISE_THEN_END: (
        "This promises a next update, but the playbook ends without one. Remove the promise."
    ),
    ProblemReason.PROMISE_TIGHT: (
        "The next update comes after {gap} and is promised within {promise}: too little time to send it. "
        "Wait a little less, or promise a little more."
    ),
    ProblemReason.PROMISE_LOOSE: (
        "The next update comes after {gap} but is promised within {promise}. Promise a time nearer to the truth."
    ),
    ProblemReason.NO_HOLDING_TEXT: "There is no text for a late update. Name one: “texts: {{ holding: holding }}”.",
    ProblemReason.NO_LEAVING_TEXT: (
        "There is no text for “{key}”. Name one under “texts”, so that nobody is left without an end."
    ),
    ProblemReason.TEXT_MISSING: "The text “{text}” does not exist in {language}. Write {file}.",
    ProblemReason.LANGUAGE_MISSING: "{percent} of the audience reads {language}, and “{text}” lacks it. Write {file}.",
    ProblemReason.RARE_LANGUAGE_MISSING: (
        "{percent} of the audience reads {language} and will get “{text}” in {fallback}. Write {file} if you can."
    ),
    ProblemReason.TEXT_UNUSED: "No step uses the text “{text}”. Remove the file, or name it in a step.",
    ProblemReason.TEXT_WITHOUT_SUBJECT: "The text has no subject. Begin the file with “---”, “subject: …”, “---”.",
    ProblemReason.BLOCK_WITHOUT_KIND: "A block's name begins with what it says: {choices}. Rename the file.",
    ProblemReason.BLOCK_SLOT_UNKNOWN: "A block has no slot “{slot}”. It may have: {choices}.",
    ProblemReason.BLOCK_SLOT_MISSING: "In the fallback language this block has the slot “{slot}”. Say it here too.",
    ProblemReason.EMPTY_WORDS: (
        "“{phrase}” promises nothing. Say in the same paragraph when they hear more, like {{{{ next_update_at }}}}."
    ),
    ProblemReason.LONG_SENTENCE: "The sentence “{start} …” has {words} words. Make two of it: {limit} are enough.",
    ProblemReason.CONDITION_WRONG: "The condition cannot be used: {detail}",
    ProblemReason.TEXT_WRONG: "No message can be made of this text: {reason}: {detail}.",
    ProblemReason.TEXT_MESSAGE_LONG: (
        "The text message takes {count} parts in {alphabet}, and {limit} are enough. Shorten the subject, "
        "or write “sms: …” below it with fewer words."
    ),
    ProblemReason.TEXT_EMPTY: "The text says nothing. Write what the customer should read below the subject.",
}


@dataclass(frozen=True)
class PlaybookProblem:
    """One thing to put right. `line` and `column` count from 1; `values` fill `SENTENCES[reason]`, for translation."""

    line: int
    column: int
    reason: ProblemReason
    values: Mapping[str, str] = field(default_factory=dict)
    file: str = PLAYBOOK_FILE

    @property
    def severity(self) -> Severity:
        return Severity.WARNING if self.reason in WARNINGS else Severity.ERROR

    @property
    def message(self) -> str:
        """What is wrong and what to do, as a plain English sentence."""
        return SENTENCES[self.reason].format(**self.values)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class PlaybookErrors(Exception):
    """A playbook could not be read; `problems` says where and why, in the order of the file."""

    def __init__(self, problems: list[PlaybookProblem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
