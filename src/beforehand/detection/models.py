"""Alerts as they stand, and the rules that raise and clear a problem."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.accounts.models import Team
from beforehand.customers.models import Component
from beforehand.kit.ids import uuid7

RESOLVE_AFTER_SECONDS = 5 * 3600
"""How long an alert that says no end lives without a repeat: Alertmanager repeats every four hours unless told otherwise,
and giving up sooner would tell customers that a fault is over which is not."""
HOLD_DOWN_SECONDS = 120
"""Quiet for so long before a problem counts as over, so that nobody is told "over" of what is back a minute later."""
FLAP_CHANGES = 3
"""It fired, was quiet and fired again: from then on it is one problem that comes and goes."""
FLAP_WINDOW_SECONDS = 30 * 60
FLAP_HOLD_DOWN_SECONDS = 15 * 60
HEARTBEAT_SOURCE = "heartbeat"
"""The source of the alerts that are made when a heartbeat fails to come."""


class AlertRule(models.Model):
    """Which alerts mean that customers are touched, and how they belong together.

    `condition` is CEL over the alert (`labels.severity == "critical"`); alerts with equal values of `group_by` are one
    problem; the values of `component_labels` name the components that it is on.
    """

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    slug = models.SlugField(unique=True)
    name = models.TextField()
    condition = models.TextField()
    group_by = models.JSONField(default=list)
    component_labels = models.JSONField(default=list)
    kind = models.TextField(default="outage")
    severity = models.TextField(default="major")
    texts = models.JSONField(default=dict, help_text=_("By language: title, cause and advice, as customers read them."))
    resolve_after_seconds = models.IntegerField(
        default=RESOLVE_AFTER_SECONDS, help_text=_("An alert not heard of again for so long has ended.")
    )
    hold_down_seconds = models.IntegerField(
        default=HOLD_DOWN_SECONDS, help_text=_("Quiet for so long before the problem counts as over.")
    )
    flap_changes = models.IntegerField(
        default=FLAP_CHANGES, help_text=_("So many changes within the window: it comes and goes. 0: not watched.")
    )
    flap_window_seconds = models.IntegerField(default=FLAP_WINDOW_SECONDS)
    flap_hold_down_seconds = models.IntegerField(
        default=FLAP_HOLD_DOWN_SECONDS,
        help_text=_("Quiet for so long before a problem that comes and goes counts as over."),
    )
    owner = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="+")
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class AlertGroup(models.Model):
    """A problem as its alerts make it: whether one fires, how often that changed, and what is to be done about it when."""

    key = models.TextField(primary_key=True)
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="+")
    is_firing = models.BooleanField(default=False, help_text=_("An alert of it fires that no mute holds back."))
    changes = models.JSONField(default=list, help_text=_("When it began to fire or fell quiet, within the window."))
    flapping_until = models.DateTimeField(null=True, help_text=_("It comes and goes, until then at least."))
    ended_at = models.DateTimeField(null=True, help_text=_("When its last alert ended."))
    ended_how = models.TextField(default="")
    due_at = models.DateTimeField(
        null=True, help_text=_("When to look again: quiet, it is over then; firing, it is raised anew.")
    )
    joined = models.TextField(default="", help_text=_("The origin that it is evidence for, such as incident:42."))

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="detection_group_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["joined"], name="detection_group_joined", condition=~Q(joined="")),
        ]


class Mute(models.Model):
    """Alerts that open nothing for a time: those on a component with all that depends on it, those that meet a condition,
    or, with both, those that do both."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    condition = models.TextField(default="", help_text=_("CEL over the alert, as in an alert rule."))
    component = models.ForeignKey(Component, null=True, on_delete=models.PROTECT, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text=_("From then on it mutes no longer; ended early, it is when."))
    reason = models.TextField()
    made_by = models.TextField(help_text=_("Who muted, as the log names them."))
    ended_by = models.TextField(default="", help_text=_("Who ended it early."))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(condition="") | Q(component__isnull=False), name="detection_mute_means"
            ),
            models.CheckConstraint(condition=Q(ends_at__gte=F("starts_at")), name="detection_mute_forward"),
        ]
        indexes = [models.Index(fields=["ends_at"], name="detection_mute_end")]


class Heartbeat(models.Model):
    """Something that says at intervals that it lives: a backup, a probe, a supplier's feed. Silence raises a problem."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    slug = models.SlugField(unique=True, help_text=_("Its address: POST /api/v1/heartbeats/SLUG."))
    name = models.TextField()
    sender = models.TextField(default="", help_text=_("What should send it, for who looks for it."))
    interval_seconds = models.IntegerField()
    grace_seconds = models.IntegerField(help_text=_("So much later than expected is still in time."))
    component = models.ForeignKey(Component, null=True, on_delete=models.PROTECT, related_name="+")
    rule = models.ForeignKey(
        AlertRule,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("What its silence means; without one, the first rule that its alert meets."),
    )
    is_enabled = models.BooleanField(default=True)
    heard_at = models.DateTimeField(null=True, help_text=_("When it last came."))
    watched_since = models.DateTimeField(help_text=_("Before the first beat, it is counted from here."))
    missing_at = models.DateTimeField(help_text=_("Missing from then on unless it comes."))
    missed_since = models.DateTimeField(null=True, help_text=_("When the beat that failed to come was expected."))
    created_at = models.DateTimeField(db_default=Now())

    # No index on missing_at: there are hundreds of these at most, and without one a beat is written in place.

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One alert instance: the same fingerprint that fires anew is a new row."""

    class Status(models.TextChoices):
        FIRING = "firing", _("firing")
        RESOLVED = "resolved", _("resolved")
        TIMED_OUT = "timed_out", _("ended without word")

    source = models.TextField()
    fingerprint = models.TextField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True, help_text=_("Ends without word at this time unless heard of again."))
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    status = models.TextField(choices=Status.choices)
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="+")
    group_key = models.TextField(default="")
    mute = models.ForeignKey(Mute, null=True, on_delete=models.SET_NULL, related_name="+")
    is_held = models.BooleanField(
        db_default=False, default=False, help_text=_("Held back by the mute: it raised nothing.")
    )
    event_id = models.BigIntegerField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "fingerprint", "starts_at"], name="detection_alert_once")
        ]
        indexes = [
            models.Index(fields=["group_key"], name="detection_alert_group", condition=Q(status="firing")),
            models.Index(fields=["-id"], name="detection_alert_newest"),
            models.Index(fields=["expires_at"], name="detection_alert_expiry", condition=Q(status="firing")),
            models.Index(fields=["mute"], name="detection_alert_held", condition=Q(status="firing", is_held=True)),
            models.Index(fields=["ends_at"], name="detection_alert_given_up", condition=Q(status="timed_out")),
        ]
