"""Readiness, as it was last worked out: who could be told, per network part and playbook, and who lacks what."""

from django.db import models
from django.db.models.functions import Now

from beforehand.customers.models import Component
from beforehand.kit.ids import uuid7


class ReadinessRound(models.Model):
    """One working out of everything: asked for by a person or by the hour, done by one worker."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    asked_by = models.TextField(default="")
    asked_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    customers = models.BigIntegerField(default=0)
    components = models.IntegerField(default=0)


class ReadinessProfile(models.Model):
    """What many customers have in common: language, channels that work, whether all they own is linked, answers given."""

    language = models.TextField()
    channels = models.TextField(help_text="Channels with a working address, in order, with commas.")
    is_linked = models.BooleanField()
    answers = models.TextField(help_text="“class:channel:true”, in order, with commas: those that a class asks for.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["language", "channels", "is_linked", "answers"], name="insights_profile_once"
            )
        ]


class CustomerReadiness(models.Model):
    """Which profile a customer has."""

    customer_id = models.BigIntegerField(primary_key=True)
    profile_id = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["profile_id", "customer_id"], name="insights_ready_profile")]


class Readiness(models.Model):
    """Of the customers on a component, or on what depends on it, how many a playbook could tell; None: of all customers."""

    component = models.ForeignKey(Component, null=True, on_delete=models.CASCADE, related_name="+")
    playbook = models.TextField()
    customers = models.BigIntegerField()
    linked = models.BigIntegerField()
    reachable = models.BigIntegerField()
    spoken = models.BigIntegerField(help_text="With a text in their language.")
    allowed = models.BigIntegerField(help_text="With the consent that the class needs.")
    ready = models.BigIntegerField()
    worked_out_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["component", "playbook"], name="insights_readiness_once", nulls_distinct=False
            )
        ]
        indexes = [models.Index(fields=["playbook", "component"], name="insights_readiness_playbook")]

    @property
    def share(self) -> float:
        """The part that is ready, 0 to 1."""
        return self.ready / self.customers if self.customers else 1.0
