"""The parts that pages are made of, drawn without a database."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django import forms
from django.template import engines
from django.test import RequestFactory
from django.test.html import Element, parse_html
from django.utils import timezone, translation

from beforehand.kit.clock import travel
from beforehand.kit.web import times
from beforehand.kit.web.forms import LongSelect
from beforehand.kit.web.gallery import SampleForm
from beforehand.kit.web.tones import tone_of

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def a_still_clock_in_amsterdam() -> Iterator[None]:
    with travel(NOW), timezone.override(ZoneInfo("Europe/Amsterdam")), translation.override("en"):
        yield


def draw(source: str, path: str = "/", **context: object) -> str:
    request = RequestFactory().get(path)
    return str(engines["django"].from_string("{% load kit %}" + source).render(context, request))


def test_a_countdown_shows_the_exact_time_without_a_script() -> None:
    html = draw("{% countdown at %}", at=NOW + timedelta(hours=2))
    assert ">12:30</time>" in html
    assert 'datetime="2026-03-02T11:30:00+00:00"' in html
    assert 'data-state="ok"' in html


@pytest.mark.parametrize(("seconds", "state"), [(-1, "overdue"), (0, "soon"), (299, "soon"), (300, "ok")])
def test_a_countdown_warns_before_it_is_overdue(seconds: int, state: str) -> None:
    assert times.countdown_state(NOW + timedelta(seconds=seconds), now=NOW) == state
    assert f'data-state="{state}"' in draw("{% countdown at %}", at=NOW + timedelta(seconds=seconds))


def test_an_overdue_countdown_says_so_in_words_and_not_by_colour_alone() -> None:
    html = draw("{% countdown at %}", at=NOW - timedelta(minutes=3))
    assert re.search(r"data-left>overdue<", html)


def test_nothing_promised_is_said() -> None:
    assert "nothing promised" in draw("{% countdown None %}")


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "3 minutes ago"), ("nl", "3 minuten geleden"), ("ar", "قبل 3 دقائق"), ("hi", "3 मिनट पहले")],
)
def test_a_past_time_is_relative_in_the_readers_language(language: str, words: str) -> None:
    with translation.override(language):
        assert times.relative(NOW - timedelta(minutes=3), now=NOW) == words


def test_the_hover_has_the_exact_time_in_the_readers_zone() -> None:
    assert 'title="Mar 2, 2026, 10:27 CET"' in draw("{% ago at %}", at=NOW - timedelta(minutes=3))
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        assert "14:57" in draw("{% ago at %}", at=NOW - timedelta(minutes=3))


def test_a_time_on_another_day_carries_its_date() -> None:
    assert times.clock(NOW, now=NOW) == "10:30"
    assert times.clock(NOW + timedelta(days=1), now=NOW) == "Mar 3, 10:30"
    assert times.clock(NOW + timedelta(days=400), now=NOW) == "Apr 6, 2027, 11:30"


def test_the_day_turns_at_the_readers_midnight_not_at_utc() -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert not times.is_today(late, now=NOW)
    with timezone.override(UTC):
        assert times.is_today(late, now=NOW)


def test_an_unknown_language_falls_back_to_english() -> None:
    assert times.babel_locale("xx").language == "en"
    assert times.babel_locale("pt-br").territory == "BR"


def test_a_name_cannot_upset_the_text_around_it_nor_the_page() -> None:
    assert draw("{{ name|bdi }}", name="<b>عائشة</b>") == "<bdi>&lt;b&gt;عائشة&lt;/b&gt;</bdi>"
    assert draw("{{ name|ltr }}", name="+31 30") == '<bdi dir="ltr" class="num">+31 30</bdi>'
    assert draw("{{ name|bdi }}", name=None) == ""


def test_a_table_escapes_what_people_typed_and_keeps_our_markup() -> None:
    html = draw("{% table caption=name %}<tbody><tr><td>{{ name }}</td></tr></tbody>{% endtable %}", name='"><script>')
    assert "<tbody><tr><td>&quot;&gt;&lt;script&gt;</td></tr></tbody>" in html
    assert "<script>" not in html


def test_each_cell_of_a_table_says_its_columns_name_where_a_telephone_makes_cards_of_rows() -> None:
    html = draw(
        '{% table caption="c" %}<thead><tr><th>Who</th><th>What & "how"<br>much</th><th><span class="sr-only">Do</span></th></tr></thead>'
        '<tbody><tr><th scope="row">{{ name }}</th><td class="is-prose">1</td><td>2</td></tr><tr><td>3</td></tr>'
        '<tr><td colspan="2">both</td><td>4</td></tr><tr><th scope="row">E</th><td></td></tr></tbody>{% endtable %}',
        name="Bram",
    )
    assert '<table class="is-cards">' in html
    assert (
        '<th scope="row">Bram</th><td data-label="What & &quot;how&quot; much" class="is-prose">1</td><td>2</td>'
        in html
    )
    assert '<tr><td data-label="Who">3</td></tr>' in html
    assert '<tr><td colspan="2">both</td><td>4</td></tr>' in html


def test_a_brief_tables_cells_keep_their_columns_names_for_whoever_hears_them() -> None:
    html = draw(
        '{% table caption="c" brief=True %}<thead><tr><th>Who</th><th>State</th></tr></thead>'
        '<tbody><tr><th scope="row">E</th><td>sent</td></tr></tbody>{% endtable %}'
    )
    assert '<table class="is-cards is-brief">' in html
    assert '<td data-label="State">sent</td>' in html


def test_a_table_of_a_few_figures_stays_one_on_a_telephone() -> None:
    head = '<thead><tr><th>Language</th><th class="is-number">Told</th>{{ more }}</tr></thead><tbody></tbody>'
    assert "is-cards" not in draw(f'{{% table caption="c" %}}{head}{{% endtable %}}', more="")
    many = head.replace("{{ more }}", '<th class="is-number">x</th>' * 3)
    assert "is-cards" in draw(f'{{% table caption="c" %}}{many}{{% endtable %}}')


def test_a_timeline_entry_escapes_its_text_and_takes_its_direction() -> None:
    html = draw(
        '{% timeline label="t" %}{% entry at=at title=t lang="ar" %}{{ t }}{% endentry %}{% endtimeline %}',
        at=NOW,
        t="<i>نعم",
    )
    assert "<i>" not in html
    assert '<div class="entry-body" lang="ar" dir="rtl">&lt;i&gt;نعم</div>' in html


def test_a_confirmation_shows_the_count_and_posts_what_was_seen() -> None:
    html = draw(
        '{% confirm id="tell" title="Tell?" action="/tell" press="Tell 12,480" count=12480 count_label="people" %}x{% endconfirm %}'
    )
    assert "<strong>12,480</strong>" in html
    assert 'name="count_seen" value="12480"' in html
    assert 'name="confirmed" value="yes"' in html
    assert " open" not in html.split(">")[0]


def test_a_field_keeps_what_was_typed_and_ties_its_error_to_its_control() -> None:
    form = SampleForm({"email": "bram@", "update": "</textarea><script>"})
    html = draw("{% field form.email %}{% field form.update %}", form=form)
    assert 'value="bram@"' in html
    assert "<script>" not in html
    assert 'aria-invalid="true"' in html
    for described in re.findall(r'aria-describedby="([^"]+)"', html):
        for name in described.split():
            assert f'id="{name}"' in html


@pytest.mark.parametrize("name", list(SampleForm.base_fields))
def test_every_field_has_a_label_that_points_at_it(name: str) -> None:
    html = draw("{% field form.x %}".replace("x", name), form=SampleForm())
    assert f'for="id_{name}"' in html or "<legend" in html


def test_a_long_menu_is_the_one_that_django_draws() -> None:
    zones = [("Asia/Kolkata", "Asia/Kolkata"), ("Europe/Amsterdam", "<Amsterdam>"), ("", "…")]

    def drawn(widget: type[forms.Select], chosen: str | None) -> Element:
        class Zones(forms.Form):
            zone = forms.ChoiceField(choices=zones, widget=widget(attrs={"class": "wide"}))

        return parse_html(str(Zones(initial={"zone": chosen})["zone"]))

    for chosen in ("Europe/Amsterdam", "", None, "Mars"):
        assert drawn(LongSelect, chosen) == drawn(forms.Select, chosen)
    assert drawn(LongSelect, "Europe/Amsterdam") != drawn(LongSelect, "Asia/Kolkata")


def test_a_search_field_starts_on_the_side_of_what_is_typed() -> None:
    class Search(forms.Form):
        q = forms.CharField()
        mail = forms.EmailField()

    html = draw("{% field form.q %}{% field form.mail %}", form=Search())
    assert 'dir="auto"' in html.split('name="mail"')[0]
    assert re.search(r'name="mail"[^>]*dir="ltr"', html)


def test_pills_keep_the_other_parameters_and_start_at_the_first_page() -> None:
    html = draw(
        '{% pills label="State" parameter="state" options=o current="open" %}',
        "/?q=b%26c&cursor=9",
        o=[("", "All"), ("open", "Open", 3)],
    )
    assert 'href="?q=b%26c&amp;state=open" aria-current="true"' in html
    assert "cursor" not in html


def test_the_pager_changes_only_the_cursor() -> None:
    html = draw('{% pager next="n/1" shown=50 total=1200 %}', "/?state=open&cursor=9")
    assert 'href="?state=open&amp;cursor=n%2F1"' in html
    assert "50 shown of 1,200" in html
    assert 'rel="prev"' not in html


def test_every_definition_on_a_page_has_an_id_of_its_own() -> None:
    html = draw('{% define "A" "a" %}{% stat "A" 1 definition="a" %}{% stat "B" 2 definition="b" %}')
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) == 3
    assert re.findall(r'popovertarget="([^"]+)"', html) == ids


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "1,234,567"), ("nl", "1.234.567"), ("ar", "1,234,567"), ("hi", "12,34,567")]
)
def test_counts_are_grouped_as_the_reader_groups_them(language: str, shown: str) -> None:
    with translation.override(language):
        assert draw("{{ n|number }}", n=1234567) == shown


def test_a_language_is_named_in_its_own_script_and_direction() -> None:
    html = draw('{% language_chip "ar" %}')
    assert 'dir="rtl"' in html
    assert ">العربية<" in html
    assert 'title="Arabic"' in html
    assert draw('{% language_chip "x1" %}').endswith(">x1</bdi>")


@pytest.mark.parametrize(
    ("word", "tone"), [("urgent", "urgent"), ("broken", "urgent"), ("KEPT", "ok"), ("anything", ""), ("", "")]
)
def test_colour_is_given_only_to_words_that_mean_urgency_or_an_end(word: str, tone: str) -> None:
    assert tone_of(word) == tone
