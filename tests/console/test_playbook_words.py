"""A playbook and its changes in words, as the pages and the command say them."""

from beforehand.console.playbook_changes import change_sentence
from beforehand.console.runs import playbook_lines
from beforehand.engine.playbooks.diff import playbook_changes
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.playbooks.bundles import SHIPPED

OUTAGE = (SHIPPED / "outage" / "playbook.yaml").read_text("utf-8")
STAGES = OUTAGE[OUTAGE.index("every:") : OUTAGE.index("    tell: still-working")]
PLAIN = OUTAGE.partition("\ntests:")[0].replace(STAGES, "every: 55 minutes\n") + "\n"
STEADY = PLAIN.replace("update in rhythm", "update within 60 minutes")
STRETCHING = OUTAGE.partition("\ntests:")[0] + "\n"


def said(old: str, new: str) -> list[str]:
    return [change_sentence(one) for one in playbook_changes(parse_playbook(old), {}, parse_playbook(new), {})]


def test_a_rhythm_is_said_interval_by_interval() -> None:
    lines = [line.text for line in playbook_lines(parse_playbook(STRETCHING))]
    assert (
        "Tells “still-working” to everyone affected again and again: for 4 hours, every 1 hour; then for 20 hours, "
        "every 3 hours, but not from 22:00 to 07:00; then every day at 09:00."
    ) in lines
    assert lines.count("Promises the next update in this rhythm.") == 3
    assert "Promises the next update within 1 hour." in [line.text for line in playbook_lines(parse_playbook(STEADY))]


def test_a_change_of_rhythm_and_of_what_is_promised_is_said() -> None:
    stretched = said(STEADY, STRETCHING)
    assert "“first-notice” now promises the next update in the rhythm of its repeat." in stretched
    (rhythm,) = [one for one in stretched if "comes" in one]
    assert rhythm.startswith("“still-working” now comes: for 4 hours, every 1 hour; then ")
    assert rhythm.endswith(" Before: every 55 minutes.")
    assert "“first-notice” now promises the next update within 1 hour." in said(STRETCHING, STEADY)
    gone = STRETCHING.replace(
        "  - tell: first-notice\n    promise: next update in rhythm\n", "  - tell: first-notice\n"
    )
    assert said(STRETCHING, gone) == [
        "“first-notice” no longer promises a next update; it did, in the rhythm of its repeat."
    ]
