"""What is checked of a playbook's blocks before it is stored and before it is approved."""

from beforehand.engine.playbooks.check import check_playbook
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import ProblemReason, Severity
from beforehand.playbooks.bundles import SHIPPED, read_bundle

SOURCE, TEXTS = read_bundle(SHIPPED / "outage")
READ = {"en": 0.5, "nl": 0.5}


def found(blocks: dict[tuple[str, str], str]) -> list[tuple[ProblemReason, str]]:
    """What is wrong with the shipped outage playbook if it had these blocks, in English and Dutch, and no others."""
    texts = {key: text for key, text in TEXTS.items() if not key[0].startswith("block-")}
    problems = check_playbook(parse_playbook(SOURCE), {**texts, **blocks}, READ)
    return [(problem.reason, problem.file) for problem in problems]


def test_a_block_in_each_language_of_the_audience_is_in_order() -> None:
    assert (
        found({("block-cause-cut", "en"): "A cable was cut.", ("block-cause-cut", "nl"): "Een kabel is geraakt."}) == []
    )


def test_a_block_that_lacks_a_language_of_the_audience_is_an_error() -> None:
    texts = {key: text for key, text in TEXTS.items() if not key[0].startswith("block-")}
    texts["block-cause-cut", "en"] = "A cable was cut."
    (problem,) = check_playbook(parse_playbook(SOURCE), texts, READ)
    assert (problem.reason, problem.severity) == (ProblemReason.LANGUAGE_MISSING, Severity.ERROR)
    assert "blocks/cause-cut.nl.md" in problem.message


def test_a_block_must_exist_in_the_fallback_language() -> None:
    assert (ProblemReason.TEXT_MISSING, "playbook.yaml") in found({("block-cause-cut", "nl"): "Een kabel is geraakt."})


def test_a_name_says_the_kind() -> None:
    assert found({("block-reason-cut", "en"): "A cable was cut."}) == [
        (ProblemReason.BLOCK_WITHOUT_KIND, "blocks/reason-cut.en.md")
    ]


def test_slots_are_known_ones_and_the_same_in_each_language_and_no_liquid_passes() -> None:
    blocks = {
        ("block-area-named", "en"): "It is in {area}.",
        ("block-area-named", "nl"): "Het is daar.",
        ("block-next-on-site", "en"): "We come by {{ next_update_at }}.",
        ("block-next-on-site", "nl"): "We komen om {uur}.",
    }
    assert found(blocks) == [
        (ProblemReason.BLOCK_SLOT_MISSING, "blocks/area-named.nl.md"),
        (ProblemReason.BLOCK_SLOT_UNKNOWN, "blocks/next-on-site.en.md"),
        (ProblemReason.BLOCK_SLOT_UNKNOWN, "blocks/next-on-site.nl.md"),
    ]


def test_an_empty_block_and_empty_words_are_found_and_a_time_makes_words_full() -> None:
    blocks = {
        ("block-cause-cut", "en"): "---\nfact: a cut\n---\n",
        ("block-cause-cut", "nl"): "Een kabel is geraakt.",
        ("block-next-soon", "en"): "We are looking into it.",
        ("block-next-soon", "nl"): "We zoeken het uit en melden ons om 14:30.",
        ("block-next-time", "en"): "We are looking into it. You hear more by {time}.",
        ("block-next-time", "nl"): "Om {time} volgt nieuws.",
    }
    assert found(blocks) == [
        (ProblemReason.TEXT_EMPTY, "blocks/cause-cut.en.md"),
        (ProblemReason.EMPTY_WORDS, "blocks/next-soon.en.md"),
    ]
