"""What we agreed to do: playbooks in immutable versions, and their runs."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.accounts.models import Team, User
from beforehand.incidents.models import Incident
from beforehand.kit.ids import uuid7


class PlaybookVersion(models.Model):
    """An immutable bundle: the YAML file and its texts by name and language. Approval binds to the hash."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    slug = models.TextField()
    number = models.IntegerField()
    hash = models.TextField()
    source = models.TextField()
    texts = models.JSONField(help_text=_("Name to language to text."))
    note = models.TextField(default="")
    created_by = models.TextField(default="")
    created_at = models.DateTimeField(db_default=Now())
    approved_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_at = models.DateTimeField(null=True)
    is_current = models.BooleanField(default=False, help_text=_("The version that new runs use."))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["slug", "number"], name="playbooks_version_number"),
            models.UniqueConstraint(fields=["slug", "hash"], name="playbooks_version_hash"),
            models.UniqueConstraint(fields=["slug"], condition=Q(is_current=True), name="playbooks_one_current"),
        ]


class Approval(models.Model):
    """One team's word for one version, where the playbook names the teams that must approve it."""

    version = models.ForeignKey(PlaybookVersion, on_delete=models.CASCADE, related_name="approvals")
    team_slug = models.TextField(help_text=_("The team, as the playbook names it."))
    approved_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    approved_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "team_slug"], name="playbooks_approved_once")]


class Run(models.Model):
    """One use of a playbook for one incident: its place, and when it wakes."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        CONFIRMING = "confirming", _("waiting for a person to confirm")
        TELLING = "telling", _("telling")
        FINISHED = "finished", _("finished")
        FAILED = "failed", _("stopped by an error")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    version = models.ForeignKey(PlaybookVersion, on_delete=models.PROTECT, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")
    state = models.TextField(choices=State.choices)
    position = models.JSONField()
    wake_at = models.DateTimeField(null=True)
    pending = models.JSONField(null=True, help_text=_("The tell that waits for a person's confirmation."))
    is_confirmed = models.BooleanField(default=False, help_text=_("A person has confirmed that so many may be told."))
    side_turn = models.IntegerField(
        default=0, help_text=_("Batches decided beside the steps: joiners, leavers, holding.")
    )
    list_seen_at = models.DateTimeField(
        null=True, help_text=_("The state of the affected list that joiners were last looked for in.")
    )
    finish_reason = models.TextField(default="")
    error = models.TextField(default="")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "incident"], name="playbooks_run_once")]
        indexes = [
            models.Index(fields=["wake_at"], name="playbooks_run_due", condition=Q(state__in=["waiting", "telling"])),
            models.Index(fields=["incident"], name="playbooks_run_incident"),
        ]


class Spread(models.Model):
    """The part of a batch that one bucket of customers still has to be decided for: any worker takes the next one."""

    pk = models.CompositePrimaryKey("batch_id", "bucket")
    batch_id = models.BigIntegerField()
    bucket = models.SmallIntegerField()
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    is_done = models.BooleanField(default=False)
    written = models.IntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["batch_id", "bucket"], name="playbooks_spread_open", condition=Q(is_done=False))
        ]


class RunTask(models.Model):
    """Something that a run asks a person to do, and until when."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+")
    step = models.TextField()
    turn = models.IntegerField(help_text=_("Counts the tasks of the run."))
    title = models.TextField()
    team_slug = models.TextField(help_text=_("The team, as the playbook names it."))
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()
    overdue_at = models.DateTimeField(null=True, help_text=_("When we noticed that it was not done in time."))
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    note = models.TextField(default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step", "turn"], name="playbooks_task_once")]
        indexes = [
            models.Index(fields=["due_at"], name="playbooks_task_open", condition=Q(done_at=None)),
        ]


class WantedChange(models.Model):
    """What a team wants to change in a playbook after an incident: by whom, by when, and whether it is done."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="+")
    slug = models.TextField(help_text=_("The playbook."))
    text = models.TextField()
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    due_on = models.DateField()
    wanted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    wanted_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["owner", "due_on"], name="playbooks_change_open", condition=Q(done_at=None)),
            models.Index(fields=["slug", "-id"], name="playbooks_change_slug"),
        ]
