"""The ledger: what we told a customer, or everyone whom an incident touches, that we would do, and by when."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.accounts.models import Team, User
from beforehand.kit.ids import uuid7

AFTER_NIGHT = "after_night"
"""Stands for the rhythm where a promise is to those alone in whose night everybody's time fell."""


class Promise(models.Model):
    """One promise. `audience` is to whom: "incident:42" (all whom it touches) or "customer:7"."""

    class Kind(models.TextChoices):
        UPDATE = "update", _("next update")
        OUTCOME = "outcome", _("outcome")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        KEPT = "kept", _("kept")
        KEPT_EARLY = "kept_early", _("kept early")
        BROKEN = "broken", _("broken")
        MOVED = "moved", _("moved")
        ENDED = "ended", _("no longer needed")

    class Outcome(models.TextChoices):
        RESTORED = "restored", _("restored")
        DELIVERED = "delivered", _("delivered")
        VISITED = "visited", _("visited")

    class Rung(models.TextChoices):
        DUTY = "duty", _("on duty")
        DEPUTY = "deputy", _("deputy")
        SUPERVISOR = "supervisor", _("supervisor")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    kind = models.TextField(choices=Kind.choices, default=Kind.UPDATE)
    audience = models.TextField()
    rhythm = models.TextField(default="every_step")
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()
    warn_at = models.DateTimeField()
    hold_at = models.DateTimeField(help_text=_("When an honest holding message has to be decided, to arrive in time."))
    made_by = models.TextField(help_text=_("Effect key of the batch that made it; for an outcome, who made it."))
    kept_by = models.TextField(default="", help_text=_("Effect key of the batch that kept it."))
    owner = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.TextField(choices=State.choices, default=State.OPEN)
    reason = models.TextField(default="")
    warned_at = models.DateTimeField(null=True)
    held_at = models.DateTimeField(null=True, help_text=_("When the holding message was asked for."))
    ended_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcome.choices, db_default="", default="", blank=True)
    moved_from = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("The promise that this one replaced."),
    )
    told_at = models.DateTimeField(null=True, help_text=_("When a word to all first carried this outcome."))
    assignee = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text=_("Who answers for it now.")
    )
    rung = models.TextField(choices=Rung.choices, db_default="", default="", blank=True)
    assigned_at = models.DateTimeField(null=True)
    pass_at = models.DateTimeField(null=True, help_text=_("When it passes on, unless somebody acknowledges it."))
    acknowledged_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["audience", "made_by", "rhythm"], condition=~Q(rhythm="after_night"), name="promises_made_once"
            ),
            models.UniqueConstraint(
                fields=["audience", "made_by", "due_at"],
                condition=Q(rhythm="after_night"),
                name="promises_each_night_once",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="promises_open_due", condition=Q(state="open")),
            models.Index(fields=["audience", "-id"], name="promises_audience"),
            models.Index(
                fields=["warn_at"], name="promises_to_warn", condition=Q(state="open", warned_at__isnull=True)
            ),
            models.Index(fields=["hold_at"], name="promises_to_hold", condition=Q(state="open", held_at__isnull=True)),
            models.Index(
                fields=["assignee"], name="promises_assigned", condition=Q(state="open", assignee__isnull=False)
            ),
        ]
