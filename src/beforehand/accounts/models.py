"""Agents, their teams and roles, API tokens, and the installation's settings as versioned rows."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.kit.ids import uuid7


class Role(models.TextChoices):
    """What a person may do; each role contains the one before it."""

    VIEWER = "viewer", _("viewer")
    AGENT = "agent", _("agent")
    SUPERVISOR = "supervisor", _("supervisor")
    ADMIN = "admin", _("administrator")


class MailAbout(models.TextChoices):
    """What a colleague wants to be mailed about."""

    ALL = "all", _("everything that waits for me or my team")
    OWN = "own", _("only what I alone am asked")
    NONE = "none", _("nothing: I look at Today")


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """An employee who signs in."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    email = models.EmailField(unique=True)
    name = models.TextField()
    role = models.TextField(choices=Role.choices, default=Role.AGENT)
    language = models.TextField(default="en")
    time_zone = models.TextField(default="Europe/Amsterdam")
    is_active = models.BooleanField(default=True)
    mail_about = models.TextField(
        choices=MailAbout.choices,
        default=MailAbout.ALL,
        db_default=MailAbout.ALL.value,
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_staff(self) -> bool:
        """Django's admin asks for this; only administrators enter it."""
        return self.role == Role.ADMIN


class Team(models.Model):
    """A group of people who own something: playbooks name it, promises belong to it."""

    slug = models.SlugField(unique=True)
    name = models.TextField()
    members: "models.ManyToManyField[User, models.Model]" = models.ManyToManyField(
        User, related_name="teams", blank=True
    )
    time_zone = models.TextField(
        default="Europe/Amsterdam", help_text=_("The zone in which the team's shifts are written.")
    )
    supervisor = models.ForeignKey(
        User,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("Who is asked when neither the person on duty nor the deputy answers."),
    )

    def __str__(self) -> str:
        return self.name


class DutyRole(models.Model):
    """What somebody of a team is on duty for; the first of a team's roles answers for its promises."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="duty_roles")
    slug = models.SlugField()
    name = models.TextField()
    position = models.SmallIntegerField(default=1)

    class Meta:
        ordering = ["team_id", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["team", "slug"], name="accounts_duty_role")]

    def __str__(self) -> str:
        return self.name


class Shift(models.Model):
    """A person's time on a role. `external_id` is the planner's own name for it, so that a second upload changes it."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    role = models.ForeignKey(DutyRole, on_delete=models.CASCADE, related_name="shifts")
    external_id = models.TextField()
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    place = models.SmallIntegerField(default=1, help_text=_("1 has the duty, 2 is the deputy."))
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    planned = models.JSONField(
        null=True, help_text=_("What the planner said of it, where somebody has changed it by hand since.")
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["role", "external_id"], name="accounts_shift_once"),
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="accounts_shift_lasts"),
        ]
        indexes = [models.Index(fields=["role", "ends_at"], name="accounts_shift_role")]


class RemovedShift(models.Model):
    """A shift that somebody took out by hand: it stays out until the planner says something else of it than this."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    external_id = models.TextField()
    planned = models.JSONField(help_text=_("What the planner had said of it."))
    removed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "external_id"], name="accounts_shift_removed_once")]


class Absence(models.Model):
    """When a person is away, whatever their shifts say. Why is nobody's business here."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "starts_at"], name="accounts_absence_once"),
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="accounts_absence_lasts"
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], name="accounts_absence_ends")]


class Notice(models.Model):
    """Something that one colleague is to hear of by mail. What it is about is looked at anew when the mail is written."""

    class Outcome(models.TextChoices):
        SENT = "sent", _("sent")
        MOOT = "moot", _("no longer needed")
        REFUSED = "refused", _("refused by the mail server")

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    about = models.TextField()  # such as promise:42, run:7, task:9
    reason = models.TextField()
    once = models.TextField()  # what made it: a repeat makes no second one
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()  # not mailed before then; while it is being mailed, when its sender counts as dead
    attempts = models.SmallIntegerField(default=0)
    mail_key = models.UUIDField(null=True)  # the mail that it went into, the same at every attempt
    done_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcome.choices, default="", blank=True)
    answer = models.TextField(default="")  # the mail server's last word

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "about", "once"], name="accounts_notice_once")]
        indexes = [
            models.Index(fields=["person", "due_at"], name="accounts_notice_due", condition=models.Q(done_at=None)),
            models.Index(fields=["person", "done_at"], name="accounts_notice_done"),
        ]


class ApiToken(models.Model):
    """A bearer token of the API: only its hash is kept; scopes are action names such as `events:write`."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    name = models.TextField()
    hash = models.TextField(unique=True)
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)


class SettingVersion(models.Model):
    """One version of one installation setting; the newest row of a key is in force, the others are its history."""

    key = models.TextField()
    value = models.JSONField()
    set_by = models.TextField(default="")
    set_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["key", "-id"], name="accounts_setting_newest")]


class IdempotentAnswer(models.Model):
    """What the API answered to an Idempotency-Key, so that a repeated POST gets the same answer and does nothing."""

    pk = models.CompositePrimaryKey("token_id", "key")
    token_id = models.BigIntegerField()
    key = models.TextField()
    request_hash = models.TextField()
    status = models.IntegerField(null=True)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)
