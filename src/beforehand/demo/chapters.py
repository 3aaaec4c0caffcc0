"""The demo's ten chapters: what each shows, and which steps of the story belong to it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter as its page shows it before anything has happened."""

    title: str
    about: str
    steps: tuple[str, ...]


CHAPTERS = (
    Chapter(
        "Yesterday",
        "Noorderlicht sells internet and gadgets, in four languages. Nothing is wrong, and nobody waits for news.",
        ("company", "playbook", "nobody_waits"),
    ),
    Chapter(
        "Ready before anything breaks",
        "How many customers could be told if it broke now, and what the others lack: mended today, not during the outage.",
        ("readiness",),
    ),
    Chapter(
        "The fault, and our head start",
        "A fibre node fails. The monitoring says so, and the clock starts: who is quicker, we or the first customer?",
        ("alert",),
    ),
    Chapter(
        "Who is affected, and why",
        "From what customers own and what that hangs on: a list of people, each with the reason.",
        ("affected",),
    ),
    Chapter(
        "Told, each in their own language",
        "By the plan agreed beforehand: what happened, and when they hear next. Who cannot be told is somebody’s task.",
        ("told", "could_not_tell"),
    ),
    Chapter(
        "Somebody calls",
        "Who picks up the phone knows as much as the caller’s mail does, and the time that was promised.",
        ("customers_write",),
    ),
    Chapter(
        "A worker is killed",
        "In the middle of telling everybody, the process that does it dies. Nothing is lost, and nobody is left hanging.",
        ("update", "kept_told", "joined_late", "cured_early"),
    ),
    Chapter(
        "Restored, earlier than promised",
        "The cable is spliced. Everybody who was told hears that it is over.",
        ("repaired",),
    ),
    Chapter(
        "Is it solved?",
        "Over is what customers say is over. They are asked, and what they answer is looked after.",
        ("solved",),
    ),
    Chapter(
        "What we learn",
        "Counted at the mail server, and against our own record; then the report, with what should go better.",
        ("counted", "report"),
    ),
)
