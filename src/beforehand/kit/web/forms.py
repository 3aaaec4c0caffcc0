"""How a form's control is drawn: the style that fits its widget, and the attributes that help the one who types."""

from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class LongSelect(forms.Select):
    """A menu of hundreds, such as the time zones: Django draws a template for each of its options."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """The menu, with what is chosen."""
        chosen = "" if value is None else str(value)
        return format_html(
            "<select{}>{}</select>",
            flatatt({**self.build_attrs(self.attrs, attrs), "name": name}),
            format_html_join(
                "",
                '<option value="{}"{}>{}</option>',
                ((key, SELECTED if str(key) == chosen else "", label) for key, label in self.choices),
            ),
        )


SELECTED = SafeString(" selected")
CHOICES = (forms.RadioSelect, forms.CheckboxSelectMultiple)
LEFT_TO_RIGHT = (forms.EmailInput, forms.URLInput, forms.NumberInput)


def kind(bound: BoundField) -> str:
    """`choices`, `check` or `line`: which of the three layouts the field needs."""
    widget = bound.field.widget
    if isinstance(widget, CHOICES):
        return "choices"
    return "check" if isinstance(widget, forms.CheckboxInput) else "line"


def control(bound: BoundField) -> dict[str, Any]:
    """The drawn control and its layout; what was typed stays in it."""
    widget = bound.field.widget
    attributes: dict[str, Any] = {}
    if kind(bound) != "line":
        # The browser's own boxes, in our accent (components.css): Django would give a class to the whole list too.
        return {"html": bound.as_widget(), "kind": kind(bound)}
    if isinstance(widget, forms.Select):
        attributes["class"] = "select"
    else:
        attributes["class"] = "textarea" if isinstance(widget, forms.Textarea) else "input"
        # Whatever script someone types in, it starts on its own side; addresses and numbers always run left to right.
        attributes["dir"] = widget.attrs.get("dir") or ("ltr" if isinstance(widget, LEFT_TO_RIGHT) else "auto")
        if isinstance(widget, forms.Textarea):
            attributes["rows"] = widget.attrs.get("rows", 5) if str(widget.attrs.get("rows")) != "10" else 5
    attributes["class"] = f"{attributes['class']} {widget.attrs.get('class', '')}".strip()
    drawn: SafeString = bound.as_widget(attrs=attributes)
    return {"html": drawn, "kind": kind(bound)}
