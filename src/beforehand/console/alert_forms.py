"""What people type about alert rules, mutes and heartbeats."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from beforehand.accounts.models import Team
from beforehand.console.incident_forms import LONGEST, TextsForm
from beforehand.customers.models import Component
from beforehand.detection.matching import rule_condition
from beforehand.detection.models import (
    FLAP_CHANGES,
    FLAP_HOLD_DOWN_SECONDS,
    FLAP_WINDOW_SECONDS,
    HOLD_DOWN_SECONDS,
    RESOLVE_AFTER_SECONDS,
    Alert,
    AlertRule,
    Heartbeat,
)
from beforehand.engine.alerts import KEPT_CHANGES
from beforehand.engine.conditions import ConditionError
from beforehand.incidents.models import Incident
from beforehand.kit import clock

MINUTE, DAY = 60, 24 * 3600


class ConditionField(forms.CharField):
    """CEL over an alert; a mistake is named with its line and column."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 3, "dir": "ltr", "class": "mono", "spellcheck": "false"})
        super().__init__(max_length=LONGEST, widget=widget, **options)

    def clean(self, value: Any) -> str:
        text = str(super().clean(value)).strip()
        if text:
            try:
                rule_condition(text)
            except ConditionError as error:
                raise forms.ValidationError(
                    _("Line %(line)d, column %(column)d: %(problem)s")
                    % {"line": error.line, "column": error.column, "problem": str(error)}
                ) from None
        return text


class LabelsField(forms.CharField):
    """Names of labels, with commas between them."""

    def clean(self, value: Any) -> list[str]:
        names = [name.strip() for name in str(super().clean(value)).split(",") if name.strip()]
        too_long = next((name for name in names if len(name) > 200), None)
        if too_long or len(names) > 20:
            raise forms.ValidationError(_("At most 20 labels, of at most 200 characters each."))
        return list(dict.fromkeys(names))


class ComponentField(forms.CharField):
    """A network part by its number or its name; there may be thousands, so it is typed and not chosen."""

    def clean(self, value: Any) -> Component | None:
        text = str(super().clean(value)).strip()
        if not text:
            return None
        found = Component.objects.filter(external_id=text).first()
        named = [] if found else list(Component.objects.filter(name__iexact=text)[:2])
        if found is None and len(named) != 1:
            several = _("Several network parts have this name: write its number.")
            raise forms.ValidationError(several if named else _("There is no network part of this number or name."))
        return found or named[0]


class RuleForm(TextsForm):
    """An alert rule."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=300)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"), help_text=gettext_lazy("For files and the API, such as node-down. It stays.")
    )
    condition = ConditionField(
        label=gettext_lazy("Which alerts"),
        help_text=gettext_lazy('Asks for labels, annotations and source: labels.severity == "critical"'),
    )
    component_labels = LabelsField(
        label=gettext_lazy("Labels that name the network part"),
        required=False,
        help_text=gettext_lazy(
            "Their values are the numbers of network parts: whom it touches is worked out from them."
        ),
    )
    group_by = LabelsField(
        label=gettext_lazy("One problem for each"),
        required=False,
        help_text=gettext_lazy("Alerts with equal values of these labels are one problem, and one incident."),
    )
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=Incident.Kind.choices)
    severity = forms.ChoiceField(label=gettext_lazy("Severity"), choices=Incident.Severity.choices)
    owner = forms.ModelChoiceField(
        Team.objects.order_by("name"), required=False, label=gettext_lazy("Owner"),
        empty_label=gettext_lazy("as the playbook says"),
    )  # fmt: skip
    hold_down_seconds = forms.IntegerField(
        label=gettext_lazy("Over when quiet for (seconds)"), min_value=0, max_value=DAY, initial=HOLD_DOWN_SECONDS
    )
    resolve_after_seconds = forms.IntegerField(
        label=gettext_lazy("Given up when not heard of for (seconds)"), min_value=1, max_value=30 * DAY,
        initial=RESOLVE_AFTER_SECONDS,
    )  # fmt: skip
    flap_changes = forms.IntegerField(
        label=gettext_lazy("Comes and goes after so many changes (0: never)"), min_value=0, max_value=KEPT_CHANGES,
        initial=FLAP_CHANGES,
    )  # fmt: skip
    flap_window_seconds = forms.IntegerField(
        label=gettext_lazy("… within (seconds)"), min_value=1, max_value=7 * DAY, initial=FLAP_WINDOW_SECONDS
    )
    flap_hold_down_seconds = forms.IntegerField(
        label=gettext_lazy("… and is then over when quiet for (seconds)"), min_value=0, max_value=DAY,
        initial=FLAP_HOLD_DOWN_SECONDS,
    )  # fmt: skip
    is_enabled = forms.BooleanField(label=gettext_lazy("In force"), required=False, initial=True)

    def __init__(self, *args: Any, rule: AlertRule | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rule = rule
        if rule is not None:
            del self.fields["slug"]

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if AlertRule.objects.filter(slug=slug).exists():
            raise forms.ValidationError(_("There is a rule of this short name already."))
        return slug

    def timing(self) -> list[Any]:
        """The fields that have sound values for most rules."""
        names = ("hold_down_seconds", "resolve_after_seconds", "flap_changes", "flap_window_seconds",
                 "flap_hold_down_seconds")  # fmt: skip
        return [self[name] for name in names]

    def stated(self) -> dict[str, Any]:
        """The rule as the action takes it; texts in languages that this form does not show stay as they are."""
        shown = {
            name: self.cleaned_data[name] for name in self.cleaned_data if not name.startswith(self._text_prefixes())
        }
        kept = {
            code: text for code, text in (self.rule.texts if self.rule else {}).items() if code not in self.languages
        }
        return {**shown, "slug": self.rule.slug if self.rule else shown["slug"], "texts": {**kept, **self.texts()}}

    def _text_prefixes(self) -> tuple[str, ...]:
        return ("title_", "cause_", "area_", "advice_")


def rule_initial(rule: AlertRule) -> dict[str, Any]:
    """A rule's values for the form."""
    plain = {name: getattr(rule, name) for name in RuleForm.base_fields if hasattr(rule, name)}
    texts = {f"{part}_{code}": text for code, parts in rule.texts.items() for part, text in parts.items()}
    return {
        **plain,
        "group_by": ", ".join(rule.group_by),
        "component_labels": ", ".join(rule.component_labels),
        **texts,
    }


def initial_from(alert: Alert) -> dict[str, Any]:
    """A first draft of a rule for alerts like this one: its name, and the label that names a network part."""
    name = alert.labels.get("alertname", "")
    values = {str(value): label for label, value in alert.labels.items() if label != "alertname"}
    parts = set(Component.objects.filter(external_id__in=values).values_list("external_id", flat=True))
    on = [label for value, label in values.items() if value in parts]
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return {
        "name": name,
        "slug": re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()).strip("-"),
        "condition": f'labels.alertname == "{quoted}"' if name else f'source == "{alert.source}"',
        "group_by": ", ".join(["alertname", *on] if name else on),
        "component_labels": ", ".join(on),
        "severity": Incident.Severity.MAJOR,
    }


class MuteForm(forms.Form):
    """A mute: what, until when, why."""

    component = ComponentField(
        label=gettext_lazy("Network part"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Its number or name. Mutes what depends on it, too."),
    )
    condition = ConditionField(
        label=gettext_lazy("Which alerts"),
        required=False,
        help_text=gettext_lazy('With a network part: only these on it. For example labels.alertname == "DiskFull"'),
    )
    starts_at = forms.DateTimeField(
        label=gettext_lazy("From"),
        required=False,
        help_text=gettext_lazy("Empty: now. In your own time zone."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Until"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    reason = forms.CharField(label=gettext_lazy("Why"), max_length=1000)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["starts_at"] = cleaned.get("starts_at") or clock.now()
        ends_at = cleaned.get("ends_at")
        if not self.errors and not cleaned.get("condition") and cleaned.get("component") is None:
            raise forms.ValidationError(_("Say which alerts: a network part, a condition, or both."))
        if ends_at is not None and ends_at <= cleaned["starts_at"]:
            self.add_error("ends_at", _("It ends before it begins."))
        elif ends_at is not None and ends_at <= clock.now():
            self.add_error("ends_at", _("That time has passed."))
        return cleaned


class HeartbeatForm(forms.Form):
    """A heartbeat: what is expected to say that it lives, how often, and what its silence means."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=300)
    slug = forms.SlugField(
        label=gettext_lazy("Short name"), help_text=gettext_lazy("It stands in the address. It stays.")
    )
    sender = forms.CharField(
        label=gettext_lazy("What sends it"), required=False, max_length=300,
        help_text=gettext_lazy("For whoever looks for it when it is silent."),
    )  # fmt: skip
    interval_seconds = forms.IntegerField(
        label=gettext_lazy("Comes every (seconds)"), min_value=5, max_value=366 * DAY, initial=5 * MINUTE
    )
    grace_seconds = forms.IntegerField(
        label=gettext_lazy("May be late by (seconds)"), min_value=0, max_value=31 * DAY, initial=MINUTE
    )
    component = ComponentField(
        label=gettext_lazy("Network part"), required=False, max_length=200,
        help_text=gettext_lazy("Whom its silence touches: the number or name of what it speaks for."),
    )  # fmt: skip
    rule = forms.ModelChoiceField(
        AlertRule.objects.order_by("name"), required=False, label=gettext_lazy("Alert rule"), to_field_name="slug",
        empty_label=gettext_lazy("the first that its alert meets"),
    )  # fmt: skip
    is_enabled = forms.BooleanField(label=gettext_lazy("Watched"), required=False, initial=True)

    def __init__(self, *args: Any, heartbeat: Heartbeat | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heartbeat = heartbeat
        if heartbeat is not None:
            del self.fields["slug"]

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if Heartbeat.objects.filter(slug=slug).exists():
            raise forms.ValidationError(_("There is a heartbeat of this short name already."))
        return slug


def heartbeat_initial(heartbeat: Heartbeat) -> dict[str, Any]:
    """A heartbeat's values for the form."""
    plain = {name: getattr(heartbeat, name) for name in HeartbeatForm.base_fields}
    return {**plain, "component": heartbeat.component.external_id if heartbeat.component else ""}
