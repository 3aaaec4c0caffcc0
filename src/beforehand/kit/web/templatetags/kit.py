"""The components of every page, as template tags and filters; docs/pages.md shows each with its use."""

import zlib
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from babel.numbers import format_decimal
from django import template
from django.conf import settings
from django.http import QueryDict
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import translation
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from beforehand.kit.clock import now
from beforehand.kit.web import times
from beforehand.kit.web.cells import is_of_figures, labelled
from beforehand.kit.web.forms import control
from beforehand.kit.web.tones import tone_of

register = template.Library()

MIRRORED_ICONS = frozenset({"next", "previous", "sign-out", "send", "external", "playbook"})
THEMES = {"light": "calm-light", "dark": "calm-dark"}


def _id(context: Context, name: str, *told: str) -> str:
    """An id that nobody chose: new for each use on a page, and made of what is told, so that a part which htmx brings
    later meets at most its own twin."""
    page: dict[Any, Any] = context.render_context.dicts[0]
    page[f"kit-{name}"] = count = page.get(f"kit-{name}", 0) + 1
    return f"{name}-{zlib.crc32(repr(told).encode()):08x}-{count}"


def _drawn(content: str) -> SafeString:
    """The body of a block tag: the template engine has drawn, and escaped, it already."""
    return mark_safe(content.strip())  # noqa: S308


def _request(context: Context) -> Any:
    return context.get("request")


# --- the page itself ---------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def theme(context: Context) -> SafeString:
    """The theme that the reader chose, as `<html>`'s attribute; nothing where the system decides."""
    request = _request(context)
    chosen = THEMES.get(request.COOKIES.get("theme", "")) if request else None
    return format_html(' data-theme="{}"', chosen) if chosen else SafeString("")


@register.simple_tag
def server_now() -> str:
    """The server's time, by which the page's countdowns run."""
    return now().isoformat(timespec="milliseconds")


@register.inclusion_tag("kit/_language_switch.html", takes_context=True)
def language_switch(context: Context) -> dict[str, Any]:
    """A menu of the installation's languages, each in its own script; a POST to Django's `set_language`."""
    request = _request(context)
    return {
        "languages": [translation.get_language_info(code) for code, _name in settings.LANGUAGES],
        "current": translation.get_language(),
        "next": request.get_full_path() if request else "/",
        "csrf_token": context.get("csrf_token"),
    }


@register.inclusion_tag("kit/_theme_toggle.html")
def theme_toggle() -> dict[str, Any]:
    """Light or dark, remembered in a cookie."""
    return {}


@register.inclusion_tag("kit/_toasts.html", takes_context=True)
def toasts(context: Context) -> dict[str, Any]:
    """Where notices appear: Django's messages, and `toast` events of the live stream."""
    return {"messages": context.get("messages"), "live": context.get("live_url")}


# --- small parts -------------------------------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """An icon from static/beforehand/icons.svg; hidden from screen readers unless it has a label."""
    if not label:
        return _silent_icon(name, css)
    return _svg(name, css, format_html(' role="img" aria-label="{}"', label))


@cache
def _silent_icon(name: str, css: str = "") -> SafeString:
    return _svg(name, css, SafeString(' aria-hidden="true"'))


def _svg(name: str, css: str, role: SafeString) -> SafeString:
    flip = " icon-flip" if name in MIRRORED_ICONS else ""
    return format_html(
        '<svg class="icon{} {}" focusable="false"{}><use href="{}#{}"></use></svg>',
        flip, css, role, static("beforehand/icons.svg"), name,
    )  # fmt: skip


BADGE_ICONS = {"urgent": "alert", "alarm": "alert", "ok": "check"}


@register.simple_tag
def badge(label: str, tone: str = "", icon: str = "", title: str = "") -> SafeString:
    """A state in a word. `tone`: "" (neutral), accent, ok, warn, urgent, alarm; or the state's own word (`broken`)."""
    tone = tone_of(tone)
    shown = icon or BADGE_ICONS.get(tone, "")
    return format_html(
        '<span class="badge{}"{}>{}{}</span>',
        f" tone-{tone}" if tone else "", format_html(' title="{}"', title) if title else "",
        _silent_icon(shown) if shown else "", label,
    )  # fmt: skip


@register.filter
def tone(state: object) -> str:
    """The tone of a state's word: `{% badge incident.get_severity_display incident.severity|tone %}`."""
    return tone_of(str(state))


@register.filter
def bdi(value: object) -> SafeString:
    """A name or other foreign text, kept from upsetting the direction of the text around it."""
    return format_html("<bdi>{}</bdi>", value) if value not in (None, "") else SafeString("")


@register.filter
def ltr(value: object) -> SafeString:
    """A telephone number, code or address: reads left to right in every language."""
    return format_html('<bdi dir="ltr" class="num">{}</bdi>', value) if value not in (None, "") else SafeString("")


@register.filter
def number(value: int | float | Decimal | None) -> str:
    """A number with the reader's grouping (12,345; 12.345; 12,34,567) in Latin digits; "" for None."""
    if value is None:
        return ""
    return format_decimal(value, locale=times.babel_locale(), numbering_system="latn")


@register.filter
def direction(language: str) -> str:
    """`rtl` or `ltr` for a language code, for `dir=` beside `lang=`."""
    return times.babel_locale(language).text_direction


@register.simple_tag
def language_chip(code: str) -> SafeString:
    """A language by its own name in its own script, its name in the reader's language on hover."""
    locale = times.babel_locale(code)
    shown = times.babel_locale().languages.get(locale.language, code)
    own = (locale.get_display_name(locale) or code) if locale.language == code.split("-")[0].lower() else code
    return format_html(
        '<bdi class="chip" lang="{}" dir="{}" title="{}">{}</bdi>', code, locale.text_direction, shown, own
    )


@register.inclusion_tag("kit/_copy.html")
def copy(text: str, label: str = "") -> dict[str, Any]:
    """A code or address with a button that copies it. `label` says what is copied."""
    return {"text": text, "label": label}


@register.inclusion_tag("kit/_define.html", takes_context=True)
def define(
    context: Context, label: str, text: str, numerator: str = "", denominator: str = "", left_out: str = ""
) -> dict[str, Any]:
    """A button that opens a figure's definition: what it counts, over what, and what was left out."""
    return {
        "id": _id(context, "define", label, text), "label": label, "text": text,
        "numerator": numerator, "denominator": denominator, "left_out": left_out,
    }  # fmt: skip


# --- time --------------------------------------------------------------------------------------------------------


@register.simple_tag
def countdown(due_at: datetime | None, soon: int = times.SOON_SECONDS, size: str = "") -> SafeString:
    """A promise's due time, counting down. `soon`: how many seconds before it warns; `size="big"` for heads."""
    if due_at is None:
        return format_html('<span class="muted">{}</span>', _("nothing promised"))
    instant = now()
    state = times.countdown_state(due_at, now=instant, soon_seconds=soon)
    is_over = state == "overdue"
    return format_html(
        '<span class="countdown{}" data-countdown="{}" data-soon="{}" data-state="{}" data-text-left="{}"'
        ' data-text-overdue="{}">{}<span class="countdown-left" role="timer" data-left{}>{}</span>'
        '<time datetime="{}" title="{}" data-moment="clock">{}</time></span>',
        " countdown-big" if size == "big" else "", due_at.isoformat(), soon, state,
        _("%(time)s left") % {"time": "{time}"}, _("overdue by %(time)s") % {"time": "{time}"},
        _silent_icon("alert" if is_over else "promise"), "" if is_over else " hidden", _("overdue"),
        due_at.isoformat(), times.exact(due_at), times.clock(due_at, now=instant),
    )  # fmt: skip


@register.simple_tag
def ago(moment: datetime | None) -> SafeString:
    """ "3 minutes ago", the exact time on hover."""
    if moment is None:
        return SafeString("")
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.isoformat(), times.exact(moment), times.relative(moment, now=now()),
    )  # fmt: skip


@register.simple_tag
def moment(at: datetime | None) -> SafeString:
    """The time on the clock (with its date where that is not today), zone on hover."""
    if at is None:
        return SafeString("")
    instant = now()
    form = "clock" if times.is_today(at, now=instant) else "date"
    return format_html(
        '<time datetime="{}" title="{}" data-moment="{}">{}</time>',
        at.isoformat(), times.exact(at), form, times.clock(at, now=instant),
    )  # fmt: skip


# --- larger parts ------------------------------------------------------------------------------------------------


@register.inclusion_tag("kit/_stat.html")
def stat(label: str, value: Any, **more: Any) -> dict[str, Any]:
    """A figure. `unit`; `trend` (a signed number, or text), `trend_text`, `trend_tone`; `tone`; `href`; and its
    `definition` with `numerator`, `denominator`, `left_out`.
    """
    trend = more.get("trend")
    arrow = ""
    if isinstance(trend, (int, float)):
        arrow = "flat" if trend == 0 else "up" if trend > 0 else "down"
        trend = number(abs(trend))
    return {
        **more, "label": label, "value": number(value) if isinstance(value, int) else value, "arrow": arrow,
        "tone": tone_of(more.get("tone", "")), "trend_tone": tone_of(more.get("trend_tone", "")),
        "trend": trend,
    }  # fmt: skip


@register.inclusion_tag("kit/_empty.html")
def empty(title: str, text: str, action_url: str = "", action: str = "", icon: str = "inbox") -> dict[str, Any]:
    """What an empty list says: what is not there, and the next step."""
    return {"title": title, "text": text, "action_url": action_url, "action": action, "icon": icon}


@register.inclusion_tag("kit/_bar.html")
def bar(label: str, value: int, maximum: int, tone: str = "") -> dict[str, Any]:
    """How far something has come, as a bar with its two numbers."""
    return {"label": label, "value": value, "maximum": maximum, "tone": tone_of(tone)}


@register.inclusion_tag("kit/_pager.html", takes_context=True)
def pager(
    context: Context, next: str = "", previous: str = "", shown: int | None = None, total: int | None = None
) -> dict[str, Any]:
    """Earlier and later by cursor (`?cursor=`); the other query parameters stay."""
    return {
        "next": _with(context, cursor=next) if next else "",
        "previous": _with(context, cursor=previous) if previous else "",
        "shown": shown, "total": total,
    }  # fmt: skip


@register.inclusion_tag("kit/_pills.html", takes_context=True)
def pills(context: Context, label: str, parameter: str, options: Any, current: str = "") -> dict[str, Any]:
    """Filters side by side. `options`: (value, label) or (value, label, count); "" is "all". The cursor starts anew."""
    rows = []
    for option in options:
        value, text, *count = option
        url = _with(context, **{parameter: str(value), "cursor": ""})
        is_current = str(value) == str(current or "")
        rows.append({"url": url, "label": text, "count": count[0] if count else None, "current": is_current})
    return {"label": label, "rows": rows}


def _with(context: Context, **changes: str) -> str:
    """This page's query string with these parameters changed, and those set to "" taken out."""
    request = _request(context)
    query = request.GET.copy() if request else QueryDict(mutable=True)
    for name, value in changes.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"?{query.urlencode()}" if query else "?"


@register.inclusion_tag("kit/_field.html")
def field(bound: Any, optional: bool = True) -> dict[str, Any]:
    """A form's field with label, help, errors and what was typed. `optional=False` leaves out the word "optional"."""
    return {"field": bound, "control": control(bound), "says_optional": optional and not bound.field.required}


# --- parts with a body -------------------------------------------------------------------------------------------


@register.simple_block_tag
def table(content: str, caption: str, hide_caption: bool = False, brief: bool = False) -> SafeString:
    """`{% table caption="…" %}<thead>…<tbody>…{% endtable %}`: scrolls sideways within itself, its head stays.

    On a telephone each row is a card in which every cell says its column's name; a few columns of figures stay a table.
    `brief=True`: the card's short cells stand side by side, and only figures show their column's name, for lists whose
    cells say by themselves what they are. A screen reader hears every name.
    """
    cards = " is-brief" if brief else ""
    return format_html(
        '<div class="table-box" role="region" aria-label="{}" tabindex="0">'
        '<table{}><caption class="{}">{}</caption>{}</table></div>',
        caption, format_html(' class="is-cards{}"', cards) if not is_of_figures(content) else "",
        "sr-only" if hide_caption else "", caption, labelled(content.strip()),
    )  # fmt: skip


@register.simple_block_tag
def timeline(content: str, label: str) -> SafeString:
    """`{% timeline label="…" %}{% entry … %}…{% endentry %}{% endtimeline %}`."""
    return format_html('<ol class="timeline" aria-label="{}">{}</ol>', label, _drawn(content))


@register.simple_block_tag
def entry(
    content: str, at: datetime | None, title: str, icon: str = "info", tone: str = "", lang: str = ""
) -> SafeString:
    """One thing that happened: icon, title, time, and its text in the text's own direction."""
    values = {"at": at, "title": title, "icon": icon, "tone": tone_of(tone), "lang": lang, "body": _drawn(content)}
    return render_to_string("kit/_entry.html", values)


@register.simple_block_tag(takes_context=True)
def confirm(context: Context, content: str, id: str, title: str, action: str, press: str, **more: Any) -> SafeString:
    """A dialog that shows the count first and asks for an explicit press.

    `{% confirm id="tell" title="…" action=url press="Tell 512 customers" count=512 … %}…{% endconfirm %}`
    posts `confirmed=yes` and `count_seen`: a view refuses without the first, and asks again if the count has changed.
    `tone="urgent"` makes the press red.
    """
    values = {
        "id": id, "title": title, "action": action, "press": press, "body": _drawn(content),
        "csrf_token": context.get("csrf_token"), "tone": more.get("tone", ""), "count": more.get("count"),
        "count_label": more.get("count_label", ""), "inline": more.get("inline", False),
    }  # fmt: skip
    return render_to_string("kit/_confirm.html", values)


@register.simple_tag
def opens(dialog: str, label: str, tone: str = "quiet", icon: str = "") -> SafeString:
    """A button that opens the dialog of that id. `tone`: quiet, primary, error."""
    return render_to_string("kit/_opens.html", {"dialog": dialog, "label": label, "tone": tone, "icon": icon})
