"""The skeleton pages: language, direction, theme, navigation, and nothing that the content policy would refuse."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone, translation

from beforehand.kit.web.gallery import panels
from beforehand.kit.web.middleware import CompressionMiddleware, ContentSecurityMiddleware, ReaderZoneMiddleware

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "src/beforehand/kit/web"
PHYSICAL_CSS = re.compile(
    r"(?<![\w-])(?:(?:(?:margin|padding|border)-(?:left|right)|left|right)\s*:|(?:text-align|float):\s*(?:left|right)\b)"
)
PHYSICAL_CLASS = re.compile(
    r"""class="[^"]*(?<![\w-])(?:[a-z]+:)*-?(?:[mp][lr]-|left-|right-|text-left|text-right|border-[lr]\b|rounded-[lr]\b)"""
)


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(template: str, cookies: dict[str, str] | None = None, **context: object) -> str:
    request = RequestFactory().get("/somewhere?q=1")
    request.COOKIES.update(cookies or {})
    return render_to_string(template, context, request)


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("nl", "ltr"), ("ar", "rtl"), ("hi", "ltr")])
@pytest.mark.parametrize("base", ["console/base.html", "portal/base.html"])
def test_a_page_says_its_language_and_direction(base: str, language: str, direction: str) -> None:
    with translation.override(language):
        assert f'<html lang="{language}" dir="{direction}"' in page(base)


def test_the_chosen_theme_is_in_the_first_byte_sent_so_that_nothing_flashes() -> None:
    assert 'data-theme="calm-dark"' in page("console/base.html", {"theme": "dark"}).split("<head>")[0]
    assert "data-theme=" not in page("console/base.html").split("<head>")[0]


def test_a_forged_theme_cookie_writes_nothing() -> None:
    assert '"><script' not in page("console/base.html", {"theme": '"><script>'})


@pytest.mark.parametrize("template", ["console/base.html", "portal/base.html", "kit/gallery.html"])
def test_a_page_has_no_inline_script_style_or_handler(template: str) -> None:
    for tag, attributes in Elements(page(template, panels=panels(), live_url="/live")).found:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith(("on", "hx-on"))]


@pytest.mark.parametrize("template", ["console/base.html", "portal/base.html"])
def test_no_request_leaves_the_site(template: str) -> None:
    for tag, attributes in Elements(page(template)).found:
        if tag in {"script", "link", "img", "use"}:
            address = attributes.get("src") or attributes.get("href") or ""
            assert address.startswith("/"), address
            assert not address.startswith("//")


@pytest.mark.parametrize("template", ["console/base.html", "portal/base.html"])
def test_the_first_stop_of_the_keyboard_is_a_way_to_the_content(template: str) -> None:
    elements = Elements(page(template)).found
    links = [attributes for tag, attributes in elements if tag in {"a", "button", "summary"}]
    assert links[0]["href"] == "#main"
    assert [attributes for _tag, attributes in elements if attributes.get("id") == "main"] != []


def test_a_page_without_a_stream_opens_none() -> None:
    assert "sse-connect" not in page("console/base.html")
    assert 'sse-connect="/live?after=7&amp;x=1"' in page("console/base.html", live_url="/live?after=7&x=1")


def test_no_id_stands_twice_in_the_gallery() -> None:
    ids = [
        attributes["id"]
        for _tag, attributes in Elements(page("kit/gallery.html", panels=panels())).found
        if "id" in attributes
    ]
    assert sorted(ids) == sorted(set(ids))


def test_every_icon_that_a_template_names_exists() -> None:
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (WEB / "static/beforehand/icons.svg").read_text()))
    templates = (ROOT / "src/beforehand").glob("**/templates/**/*.html")
    named = {name for path in templates for name in re.findall(r'{% icon "([^"]+)"', path.read_text())}
    assert len(named) > 10
    assert named - drawn == set()


def test_every_component_is_in_the_page_about_pages() -> None:
    source = (WEB / "templatetags/kit.py").read_text()
    tags = re.findall(r"@register\.(?:simple_tag|simple_block_tag|inclusion_tag|filter).*\ndef (\w+)", source)
    told = (ROOT / "docs/pages.md").read_text()
    of_the_base = {"theme", "server_now", "language_switch", "theme_toggle", "toasts"}
    assert [
        name for name in tags if name not in of_the_base and f"% {name}" not in told and f"|{name}`" not in told
    ] == []


def test_styles_are_written_for_both_directions() -> None:
    for path in (ROOT / "frontend/css").glob("*.css"):
        assert PHYSICAL_CSS.findall(path.read_text()) == [], path.name


def test_templates_use_classes_that_fit_both_directions() -> None:
    for path in (ROOT / "src/beforehand").glob("**/templates/**/*.html"):
        if "mail" not in path.parts:
            assert PHYSICAL_CLASS.findall(path.read_text()) == [], path


def test_the_rule_about_directions_finds_what_it_forbids() -> None:
    assert PHYSICAL_CSS.search("margin-left: 1px")
    assert PHYSICAL_CSS.search("{ right: 0")
    assert not PHYSICAL_CSS.search("margin-inline: 0")
    assert PHYSICAL_CLASS.search('class="flex md:ml-2"')
    assert not PHYSICAL_CLASS.search('class="flex ms-2 leading-left"')


def test_the_policy_runs_no_foreign_code_and_a_view_may_set_its_own() -> None:
    plain = ContentSecurityMiddleware(lambda request: HttpResponse("x"))(RequestFactory().get("/"))
    assert "script-src 'self'" in plain["Content-Security-Policy"]
    assert "unsafe" not in plain["Content-Security-Policy"]
    own = ContentSecurityMiddleware(
        lambda request: HttpResponse("x", headers={"Content-Security-Policy": "default-src 'none'"})
    )
    assert own(RequestFactory().get("/"))["Content-Security-Policy"] == "default-src 'none'"


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [("Asia/Kolkata", "Asia/Kolkata"), ("Asia%2FKolkata", "Asia/Kolkata"), ("../etc", None), ("", None)],
)
def test_times_are_in_the_zone_that_the_browser_named(cookie: str, zone: str | None) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["zone"] = cookie
    seen: list[str] = []
    before = timezone.get_current_timezone_name()

    def view(_request: object) -> HttpResponse:
        seen.append(timezone.get_current_timezone_name())
        return HttpResponse("x")

    ReaderZoneMiddleware(view)(request)
    assert seen == [zone or before]
    assert timezone.get_current_timezone_name() == before


def test_a_page_goes_compressed_and_a_stream_as_it_comes() -> None:
    request = RequestFactory().get("/", headers={"Accept-Encoding": "gzip"})
    page = CompressionMiddleware(lambda _: HttpResponse("word " * 100))(request)
    assert page["Content-Encoding"] == "gzip"
    assert gzip.decompress(page.content) == b"word " * 100
    stream = CompressionMiddleware(lambda _: StreamingHttpResponse([b"word " * 100]))(request)
    assert not stream.has_header("Content-Encoding")
    plain = CompressionMiddleware(lambda _: HttpResponse("word " * 100))(RequestFactory().get("/"))
    assert not plain.has_header("Content-Encoding")


@pytest.mark.parametrize("name", ["app.css", "app.js", "portal.js"])
def test_what_is_built_lies_compressed_beside_itself(name: str) -> None:
    path = Path(str(finders.find(f"beforehand/built/{name}")))
    assert gzip.decompress(path.with_name(f"{name}.gz").read_bytes()) == path.read_bytes()
