"""Problems that touch customers: what they are on, whom they touch and why, what we said, and how they ended."""

from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.accounts.models import Team, User
from beforehand.customers.models import Component
from beforehand.kit.ids import uuid7

IS_OVER = ExpressionWrapper(~Q(state="open"), output_field=BooleanField())
"""Sorts the open ones first; an index of incidents has it."""


class Incident(models.Model):
    """A problem, or a planned change, that touches customers."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        RESOLVED = "resolved", _("resolved")
        CANCELLED = "cancelled", _("false alarm")

    class Severity(models.TextChoices):
        MINOR = "minor", _("minor")
        MAJOR = "major", _("major")
        CRITICAL = "critical", _("critical")

    class Kind(models.TextChoices):
        OUTAGE = "outage", _("outage")
        DEGRADED = "degraded", _("degraded service")
        PLANNED = "planned", _("planned work")
        RECALL = "recall", _("recall")
        DATA = "data", _("personal data")
        DELIVERY = "delivery", _("delivery")
        OTHER = "other", _("other")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    title = models.TextField()
    texts = models.JSONField(
        default=dict, help_text=_("By language: title, cause, area and advice, as customers read them.")
    )
    kind = models.TextField(choices=Kind.choices, default=Kind.OUTAGE)
    severity = models.TextField(choices=Severity.choices, default=Severity.MAJOR)
    state = models.TextField(choices=State.choices, default=State.OPEN)
    group_key = models.TextField(default="", help_text=_("Alerts of this group belong to this incident."))
    owner = models.ForeignKey(Team, null=True, on_delete=models.PROTECT, related_name="+")
    is_public = models.BooleanField(default=True, help_text=_("Shown on the public status page."))
    began_at = models.DateTimeField(help_text=_("When customers were first touched; may be dated back."))
    known_at = models.DateTimeField(help_text=_("When the first signal of it reached us."))
    opened_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    end_reason = models.TextField(default="")
    affected_count = models.IntegerField(
        default=0, help_text=_("Affected now; kept by the action that joins and leaves.")
    )
    affected_at = models.DateTimeField(null=True, help_text=_("When the list last changed or was worked out."))
    affected_wanted_at = models.DateTimeField(null=True, help_text=_("When the list was asked to be worked out anew."))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group_key"], condition=Q(state="open") & ~Q(group_key=""), name="incidents_one_open_per_group"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-id"], name="incidents_by_state"),
            models.Index(IS_OVER, F("id").desc(), name="incidents_open_first"),
            models.Index(fields=["-ended_at"], name="incidents_ended", condition=Q(ended_at__isnull=False)),
            models.Index(
                fields=["affected_wanted_at"], name="incidents_wanted", condition=Q(affected_wanted_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title


class IncidentScope(models.Model):
    """What an incident is on: a component with all that depends on it, or a condition on customers and holdings."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="scopes")
    component = models.ForeignKey(Component, null=True, on_delete=models.PROTECT, related_name="+")
    condition = models.TextField(default="")
    added_at = models.DateTimeField(db_default=Now())
    added_by = models.TextField(default="")
    removed_at = models.DateTimeField(null=True)
    removed_reason = models.TextField(default="", help_text=_("“cured” or “mistaken”."))

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(component__isnull=False, condition="") | Q(component__isnull=True) & ~Q(condition=""),
                name="incidents_scope_one_of_two",
            ),
        ]


class Affected(models.Model):
    """A customer whom an incident touches or touched, and why."""

    class State(models.TextChoices):
        AFFECTED = "affected", _("affected")
        CURED = "cured", _("no longer affected")
        MISTAKEN = "mistaken", _("was never affected")

    pk = models.CompositePrimaryKey("bucket", "incident_id", "customer_id")
    bucket = models.SmallIntegerField()
    incident_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    state = models.TextField(choices=State.choices)
    scope_id = models.BigIntegerField(help_text=_("Why: the part of the scope that reached this customer."))
    component_id = models.BigIntegerField(null=True, help_text=_("Why: the component that the holding depends on."))
    holding_id = models.BigIntegerField(null=True, help_text=_("Why: the product or service that is touched."))
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    is_by_hand = models.BooleanField(
        db_default=False, help_text=_("Put on or taken off by name: a refresh leaves it so.")
    )
    told_sequence = models.IntegerField(
        db_default=0, help_text=_("Sequence of the last batch decided for this customer.")
    )

    class Meta:
        indexes = [
            models.Index(fields=["bucket", "customer_id"], name="incidents_affected_customer"),
            models.Index(
                fields=["incident_id", "bucket"],
                name="incidents_affected_unsettled",
                condition=Q(state="affected", told_sequence=0) | ~Q(state="affected") & Q(told_sequence__gt=0),
            ),
        ]


class IncidentUpdate(models.Model):
    """What a person wrote for the customers, in one language or more."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    texts = models.JSONField(help_text=_("Language to text."))
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    posted_at = models.DateTimeField(db_default=Now())


class PlannedWork(models.Model):
    """The window of an incident that is known beforehand, and how far it is."""

    class Phase(models.TextChoices):
        PLANNED = "planned", _("planned")
        ANNOUNCED = "announced", _("announced")
        STARTED = "started", _("under way")
        FINISHED = "finished", _("finished")
        CANCELLED = "cancelled", _("called off")

    incident = models.OneToOneField(Incident, primary_key=True, on_delete=models.CASCADE, related_name="planned")
    phase = models.TextField(choices=Phase.choices, default=Phase.PLANNED)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    announce_at = models.DateTimeField(help_text=_("When customers are told of it."))
    before_starts_at = models.DateTimeField(null=True, help_text=_("The window before it was last moved."))
    before_ends_at = models.DateTimeField(null=True)
    moves = models.IntegerField(default=0)
    announced_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    late_at = models.DateTimeField(null=True, help_text=_("When it was first longer than planned."))
    word_at = models.DateTimeField(null=True, help_text=_("When word that it goes on was last due."))
    mute_ids = models.JSONField(default=list, help_text=_("The mutes that hold back its alerts."))
    external_id = models.TextField(blank=True, default="", help_text=_("Its name in the planner's calendar (UID)."))
    sequence = models.IntegerField(default=0, help_text=_("How often it changed, for calendars."))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"], condition=~Q(external_id=""), name="incidents_planned_once"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=models.F("starts_at")), name="incidents_planned_lasts"),
        ]
        indexes = [models.Index(fields=["starts_at"], name="incidents_planned_starts")]


class Answer(models.Model):
    """What a customer says of a problem on their page: does it work again for them, and how did we do?"""

    class Says(models.TextChoices):
        WORKS = "works", _("it works again")
        BROKEN = "broken", _("still broken")

    class Settled(models.TextChoices):
        CONTACTED = "contacted", _("we were in touch")
        WORKS = "works", _("the customer says that it works")
        REOPENED = "reopened", _("the incident was opened again")
        ERASED = "erased", _("the customer’s data was erased")

    pk = models.CompositePrimaryKey("bucket", "incident_id", "customer_id")
    bucket = models.SmallIntegerField()
    incident_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    says = models.TextField(choices=Says.choices)
    said_at = models.DateTimeField()
    was_over = models.BooleanField(help_text=_("Said after we had told them that it is over."))
    asked_at = models.DateTimeField(null=True, help_text=_("Since when a person has to look into it."))
    rounds = models.SmallIntegerField(db_default=0, help_text=_("How often a person’s word was promised."))
    promise_id = models.BigIntegerField(null=True, help_text=_("The promise by which they hear from us."))
    settled_at = models.DateTimeField(null=True)
    settled_how = models.TextField(choices=Settled.choices, db_default="", default="", blank=True)
    settled_by = models.TextField(db_default="", default="", blank=True)
    note = models.TextField(db_default="", default="", blank=True, help_text=_("What the person found."))
    score = models.SmallIntegerField(null=True, help_text=_("How we did, 1 to 5."))
    comment = models.TextField(db_default="", default="", blank=True)
    scored_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(score=None) | Q(score__range=(1, 5)), name="incidents_answer_score")
        ]
        indexes = [
            # Few, and asked for again and again while people see to them.
            models.Index(
                fields=["bucket", "incident_id", "customer_id"],
                name="incidents_answer_open",
                condition=Q(asked_at__isnull=False, settled_at=None),
            ),
        ]
