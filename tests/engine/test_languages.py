import pytest

from beforehand.engine.languages import Direction, canonical_tag, direction, fallback_chain, is_language_tag


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("nl", "nl"),
        ("NL-be", "nl-BE"),
        ("nl_BE", "nl-BE"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("ckb", "ckb"),
        ("", None),
        ("n", None),
        ("nl-", None),
        ("nederlands, graag", None),
        ("nl-BE-x", None),
        ("nl\n", None),
        ("../nl", None),
    ],
)
def test_a_language_tag_is_known_by_its_form(tag: str, canonical: str | None) -> None:
    assert canonical_tag(tag) == canonical
    assert is_language_tag(tag) == (canonical is not None)


@pytest.mark.parametrize(
    "tag", ["ar", "ar-EG", "fa", "he", "ur-PK", "ckb", "az-Arab", "pa-PK", "pa-Arab-PK", "dv", "yi"]
)
def test_it_runs_right_to_left_where_the_script_does(tag: str) -> None:
    assert direction(tag) is Direction.RTL


@pytest.mark.parametrize("tag", ["nl", "en-GB", "hi", "ar-Latn", "pa", "pa-IN", "zh-Hant", "not a tag", ""])
def test_all_else_runs_left_to_right(tag: str) -> None:
    assert direction(tag) is Direction.LTR


@pytest.mark.parametrize(
    ("language", "available", "default", "chain"),
    [
        ("nl-BE", ["en", "nl", "nl-BE"], "en", ("nl-BE", "nl", "en")),
        ("nl-BE", ["en", "nl"], "en", ("nl", "en")),
        ("nl-BE", ["en", "nl-NL"], "en", ("nl-NL", "en")),
        ("nl", ["nl-NL", "nl-BE", "en"], "en", ("nl-BE", "nl-NL", "en")),
        ("NL_be", ["en", "nl-be"], "EN", ("nl-be", "en")),
        ("hi", ["en", "nl"], "en", ("en",)),
        ("hi", ["nl"], "en", ()),
        ("", ["en"], "en", ("en",)),
        ("not a tag", ["en"], "en", ("en",)),
        ("zh-TW", ["zh", "en", "zh-Hant"], "en", ("zh-Hant", "en")),
        ("zh-Hant-TW", ["zh-HK", "zh-CN", "en"], "en", ("zh-HK", "en")),
        ("sr-Latn", ["sr", "en"], "en", ("en",)),
        ("en", ["en"], "en", ("en",)),
        ("fr", ["fr", "en"], "", ("fr",)),
    ],
)
def test_the_nearest_language_that_has_a_text_comes_first(
    language: str, available: list[str], default: str, chain: tuple[str, ...]
) -> None:
    assert fallback_chain(language, available, default) == chain
