"""The shipped playbook for planned work, by the engine alone."""

from pathlib import Path

import beforehand
from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import ProblemReason
from beforehand.engine.playbooks.try_out import trial_problems

FOLDER = Path(beforehand.__file__).parent / "playbooks" / "shipped" / "planned-maintenance"
SOURCE = (FOLDER / "playbook.yaml").read_text(encoding="utf-8")
TEXTS = {
    (path.name.split(".")[0], path.name.split(".")[1]): path.read_text(encoding="utf-8")
    for path in (FOLDER / "texts").glob("*.md")
}


def test_it_is_whole_in_four_languages_and_does_what_its_own_tests_say() -> None:
    playbook = parse_playbook(SOURCE)
    assert check_playbook(playbook, TEXTS, dict.fromkeys(("en", "nl", "ar", "hi"), 0.25)) == []
    assert trial_problems(playbook) == []


def test_what_is_told_on_an_event_may_promise_sooner_than_the_rhythm_and_no_later_than_the_rhythm_allows() -> None:
    loose = SOURCE.replace("promise: next update within 90 minutes", "promise: next update within 90 days")
    found = check_playbook(parse_playbook(loose), TEXTS, {"en": 1.0})
    assert [problem.reason for problem in found] == [ProblemReason.PROMISE_LOOSE]
