"""A page that shows every component in each of its states, in both themes and both directions."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from beforehand.kit.clock import now

WORDS = {
    "en": {
        "title": "Fibre node UTR-04 is down",
        "name": "Bram de Vries",
        "text": "Half of Utrecht-West has no internet. An engineer is on the way.",
        "lede": "One incident needs an update within four minutes.",
    },
    "ar": {
        "title": "عقدة الألياف UTR-04 متوقفة",
        "name": "عائشة الحداد",
        "text": "نصف غرب أوترخت بلا إنترنت. المهندس في الطريق إلى الموقع.",
        "lede": "حادثة واحدة تحتاج إلى تحديث خلال أربع دقائق.",
    },
    "hi": {
        "title": "फाइबर नोड UTR-04 बंद है",
        "name": "चित्रा शर्मा",
        "text": "पश्चिम उट्रेख्ट के आधे हिस्से में इंटरनेट नहीं है। इंजीनियर रास्ते में हैं।",
        "lede": "एक घटना को चार मिनट के भीतर अपडेट चाहिए।",
    },
}
PANELS = (
    ("calm-light", "ltr", "en"), ("calm-dark", "ltr", "en"), ("calm-light", "rtl", "ar"), ("calm-dark", "rtl", "ar"),
    ("calm-light", "ltr", "hi"),
)  # fmt: skip


class SampleForm(forms.Form):
    """One field of each layout."""

    update = forms.CharField(
        widget=forms.Textarea, help_text="Say what happened, what you do, and when they hear next."
    )
    email = forms.EmailField(label="E-mail")
    reference = forms.CharField(required=False, help_text="As on the letter.")
    severity = forms.ChoiceField(choices=[("minor", "Minor"), ("major", "Major")])
    rhythm = forms.ChoiceField(choices=[("steps", "Every step"), ("changes", "Only changes")], widget=forms.RadioSelect)
    sure = forms.BooleanField(label="I have read the sample.")


def panels() -> list[dict[str, Any]]:
    """What each panel shows."""
    instant = now()
    rows = []
    for theme, direction, language in PANELS:
        prefix = f"{theme}-{direction}-{language}"
        typed = {"update": WORDS[language]["text"], "email": "bram@", "severity": "major", "rhythm": "steps"}
        form = SampleForm({f"{prefix}-{name}": value for name, value in typed.items()}, prefix=prefix)
        form.add_error(None, "Two things need your attention.")
        rows.append(
            {
                "theme": theme,
                "dir": direction,
                "lang": language,
                "words": WORDS[language],
                "form": form,
                "id": prefix,
                "later": instant + timedelta(hours=2, minutes=5),
                "soon": instant + timedelta(minutes=3, seconds=41),
                "late": instant - timedelta(minutes=12),
                "past": instant - timedelta(minutes=3),
                "long_ago": instant - timedelta(days=3),
                "options": [
                    ("", "All", 1284),
                    ("open", "Open", 3),
                    ("watching", "Watching", 12),
                    ("over", "Over", 1269),
                ],
            }
        )
    return rows


def gallery(request: HttpRequest) -> HttpResponse:
    """Served while developing."""
    if "quiet" not in request.GET and hasattr(request, "_messages"):
        messages.success(request, "The update was sent.")
        messages.error(request, "The mail server refused the message.")
    return render(request, "kit/gallery.html", {"panels": panels()})
