"""Alert rules: what each did lately; made, changed and tried on recent alerts before they are saved."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from beforehand.accounts.access import may
from beforehand.accounts.installation import installation
from beforehand.console.access import PageRequest, actor_of, allowed
from beforehand.console.alert_forms import RuleForm, initial_from, rule_initial
from beforehand.customers.models import Component
from beforehand.detection.actions import disable_rule, enable_rule, save_rule
from beforehand.detection.models import Alert, AlertRule
from beforehand.detection.queries import met_lately, tried_condition
from beforehand.incidents.queries import raised_lately
from beforehand.kit import clock

LATELY = timedelta(days=7)
SHOWN = 20
GET_OR_POST = require_http_methods(["GET", "HEAD", "POST"])


@allowed()
def rules(request: PageRequest) -> HttpResponse:
    """Every rule in the order in which they are asked, with what it did in the last week."""
    since = clock.now() - LATELY
    met, raised = met_lately(since=since), raised_lately(since=since)
    found = AlertRule.objects.select_related("owner").order_by("pk")
    rows = [(rule, *met.get(rule.pk, (0, None)), raised.get(rule.slug, 0)) for rule in found]
    return render(request, "console/alerts/rules.html", {"nav": "alerts", "tab": "rules", "rows": rows})


@allowed("detection:write")
@GET_OR_POST
def make(request: PageRequest) -> HttpResponse:
    """A new rule; begun from an alert that no rule met, if the address names one."""
    number = request.GET.get("alert", "")
    alert = Alert.objects.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
    form = RuleForm(request.POST or None, languages=_languages(), initial=initial_from(alert) if alert else {})
    return _saved_or_tried(request, form, None)


@allowed()
@GET_OR_POST
def rule(request: PageRequest, slug: str) -> HttpResponse:
    """One rule: read, changed, and tried on recent alerts as it is or as it would be."""
    found = get_object_or_404(AlertRule, slug=slug)
    if request.method == "POST" and not may(request.user, "detection:write"):
        raise PermissionDenied
    form = RuleForm(request.POST or None, languages=_languages(), rule=found, initial=rule_initial(found))
    return _saved_or_tried(request, form, found)


def _saved_or_tried(request: PageRequest, form: RuleForm, rule: AlertRule | None) -> HttpResponse:
    """Saved if that was pressed and all is well; else the form, with what the condition would have matched."""
    if request.method == "POST" and "save" in request.POST and form.is_valid():
        saved = save_rule(**form.stated(), actor=actor_of(request))
        messages.success(request, _("Saved. Alerts that come from now on are judged by it."))
        return redirect("console:alert-rule", slug=saved.slug)
    if request.method == "POST":
        form.is_valid()
        condition, labels = form.cleaned_data.get("condition", ""), form.cleaned_data.get("component_labels", [])
    else:
        condition = str(form.initial.get("condition", ""))
        labels = [label for label in str(form.initial.get("component_labels", "")).split(", ") if label]
    context = {
        "nav": "alerts",
        "form": form,
        "rule": rule,
        "can_change": may(request.user, "detection:write"),
        **(_tried(condition, labels, rule) if condition else {}),
    }
    return render(request, "console/alerts/rule.html", context)


def _tried(condition: str, labels: list[str], rule: AlertRule | None) -> dict[str, Any]:
    """What the condition would have matched, which rule asked before takes it, and which network parts it is on."""
    trial = tried_condition(condition, now=clock.now())
    shown = trial.alerts[:SHOWN]
    values = {str(alert.labels.get(label, "")) for alert in shown for label in labels} - {""}
    parts = dict(Component.objects.filter(external_id__in=values).values_list("external_id", "name"))
    rows = []
    for alert in shown:
        named = [str(alert.labels[label]) for label in labels if alert.labels.get(label)]
        is_before = alert.rule_id is not None and (rule is None or alert.rule_id < rule.pk)
        rows.append((alert, [parts[one] for one in named if one in parts], alert.rule if is_before else None))
    return {"trial": trial, "matched": rows, "more": len(trial.alerts) - len(rows)}


@allowed("detection:write")
@require_POST
def switch(request: PageRequest, slug: str) -> HttpResponse:
    """Put a rule in force, or out of it."""
    found = get_object_or_404(AlertRule, slug=slug)
    if request.POST.get("to") == "on":
        enable_rule(found, actor=actor_of(request))
        messages.success(request, _("In force: alerts that come from now on are judged by it."))
    else:
        disable_rule(found, actor=actor_of(request))
        messages.success(request, _("Out of force. What it opened stays open until its alerts end."))
    return redirect("console:alert-rules")


def _languages() -> tuple[str, ...]:
    return installation().brand.languages
