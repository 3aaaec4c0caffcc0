"""Messages in: what came in as it came, and what a customer said with it."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.kit.ids import uuid7


class Incoming(models.Model):
    """Something that came in, as it came: kept before it is read, so that what cannot be read is not lost.

    `key` is its identity: the same mail or text again changes nothing. `attempts` counts readings before they begin, so
    that what kills its reader is put aside in the end.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting to be read")
        READ = "read", _("read")
        ASIDE = "aside", _("put aside")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    channel = models.TextField()
    key = models.TextField(unique=True)
    raw = models.BinaryField()
    received_at = models.DateTimeField()
    state = models.TextField(choices=State.choices, default=State.WAITING)
    kind = models.TextField(default="")
    reason = models.TextField(default="")
    customer_id = models.BigIntegerField(null=True)
    attempts = models.SmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="conversations_waiting", condition=Q(state="waiting")),
            models.Index(fields=["-id"], name="conversations_aside", condition=Q(state="aside")),
            models.Index(
                fields=["customer_id"], name="conversations_incoming_of", condition=Q(customer_id__isnull=False)
            ),
            models.Index(fields=["received_at"], name="conversations_raw", condition=~Q(raw=b"")),
        ]


class MessageIn(models.Model):
    """One thing that a customer said to us.

    `origin` is what it is about (“incident:42”), as far as the message that it answers says so. `foreign_id` is its name
    where it comes from: of one customer, the same one is not taken twice. `answers_…` is the message of ours that it answers;
    `text` is all of it, `new_text` without quotations and signature, and `html` as it came: cleaned whenever it is shown.
    """

    class Kind(models.TextChoices):
        WRITTEN = "written", _("written by a person")
        AUTO_REPLY = "auto_reply", _("automatic answer")
        OPT_OUT = "opt_out", _("no more messages")
        OPT_IN = "opt_in", _("messages again")

    class Match(models.TextChoices):
        REPLY_ADDRESS = "reply_address", _("the address that it was sent to")
        REFERENCE = "reference", _("the message that it answers")
        SENDER = "sender", _("the sender’s address or number")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    incoming = models.ForeignKey(Incoming, null=True, on_delete=models.SET_NULL, related_name="+")
    customer_id = models.BigIntegerField()
    channel = models.TextField()
    kind = models.TextField(choices=Kind.choices)
    origin = models.TextField(default="")
    answers_bucket = models.SmallIntegerField(null=True)
    answers_id = models.BigIntegerField(null=True)
    matched_by = models.TextField(choices=Match.choices)
    is_known_sender = models.BooleanField()
    sender = models.TextField()
    foreign_id = models.TextField()
    subject = models.TextField(default="")
    text = models.TextField()
    new_text = models.TextField()
    html = models.TextField(default="")
    attachments = models.JSONField(default=list)
    language = models.TextField(default="")
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)
    handled_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "foreign_id"], name="conversations_taken_once"),
        ]
        indexes = [
            models.Index(fields=["origin", "-id"], name="conversations_of_origin", condition=~Q(origin="")),
            models.Index(fields=["-id"], name="conversations_unhandled", condition=Q(handled_at=None, kind="written")),
        ]


class Mailbox(models.Model):
    """How far a mailbox on a mail server has been read (RFC 9051: a UID is good while UIDVALIDITY stays).

    `claimed_until` keeps the workers from reading it beside each other; a claim whose worker died runs out.
    """

    name = models.TextField(primary_key=True)
    uid_validity = models.BigIntegerField(default=0)
    last_uid = models.BigIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(null=True)
    failed_since = models.DateTimeField(null=True)
    reason = models.TextField(default="", db_default="", help_text=_("What kind of trouble it is."))
    error = models.TextField(default="", help_text=_("The server's own words."))
