"""Messages out: the batch that says one thing to many, a message to one customer, and each attempt to deliver it.

`Message` and `Delivery` are cut by `bucket` (customer id mod 64), which leads every key and hot index; they hold bare ids
without foreign keys, since a distributed database cannot check those and each check would cost a look-up per row.
"""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from beforehand.kit.ids import uuid7


class Channel(models.TextChoices):
    """How a message gets to its customer, as people say it."""

    EMAIL = "email", _("e-mail")
    SMS = "sms", _("text message")
    INBOX = "inbox", _("inbox")
    PUSH = "push", _("notification")
    WEBHOOK = "webhook", _("webhook")
    CALL = "call", _("call")


class MessageBatch(models.Model):
    """One thing said to many at once: compiled once per language, filled per recipient.

    `effect_key` is unique (run, step, turn), so that a crash cannot say it twice. `texts` maps language to template source;
    `facts` maps language to the batch-level values. `origin` is who may hold or cancel it: "incident:42".
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        HELD = "held", _("held")
        CANCELLED = "cancelled", _("cancelled")

    effect_key = models.TextField(unique=True)
    origin = models.TextField()
    sequence = models.IntegerField(help_text=_("Order of the batches of one origin."))
    step = models.TextField()
    audience = models.TextField()
    message_class = models.TextField()
    channels = models.JSONField(default=list)
    texts = models.JSONField()
    fallback_language = models.TextField(default="en")
    facts = models.JSONField(default=dict)
    state = models.TextField(choices=State.choices, default=State.OPEN)
    state_reason = models.TextField(default="")
    next_update_at = models.DateTimeField(null=True)
    rare_update_at = models.DateTimeField(
        null=True, help_text=_("By when those hear again at the latest who want only what changes.")
    )
    is_routine = models.BooleanField(
        default=False, db_default=False, help_text=_("Nothing has changed: not for those who want only what changes.")
    )
    why = models.JSONField(default=dict, help_text=_("Ids and enums from which one sentence says why this is said."))
    decided_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    spread_at = models.DateTimeField(null=True, help_text=_("When the last message of it was written."))
    done_at = models.DateTimeField(null=True, help_text=_("When its last message had an outcome."))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["origin", "sequence"], name="outbound_batch_sequence")]


class Message(models.Model):
    """One thing that we say to one customer, sent or not; `reason` says why not, or why not yet.

    While a delivery of it is under way the row stays `queued`: that it is being sent, its delivery says. So a message costs
    one insert and one update, and the second is its end.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("waiting to be sent")
        SENT = "sent", _("sent")
        UNCERTAIN = "uncertain", _("perhaps sent")
        REFUSED = "refused", _("not sent")
        FAILED = "failed", _("could not be delivered")
        CANCELLED = "cancelled", _("cancelled")

    pk = models.CompositePrimaryKey("bucket", "id")
    bucket = models.SmallIntegerField()
    id = models.BigIntegerField(db_default=models.expressions.RawSQL("nextval('outbound_message_id_seq')", ()))
    batch_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    channel = models.TextField()
    contact_point_id = models.BigIntegerField(null=True)
    language = models.TextField()
    time_zone = models.TextField()
    formal = models.BooleanField(db_default=True)
    large_print = models.BooleanField(db_default=False)
    only_changes = models.BooleanField(db_default=False, help_text=_("Told as somebody who wants only what changes."))
    next_update_at = models.DateTimeField(
        null=True, help_text=_("By when this customer was told to hear next; empty: as the batch says.")
    )
    slots = models.JSONField(null=True, help_text=_("The recipient's own values; erasure blanks them."))
    code = models.TextField(help_text=_("The short code by which the customer can check that this is us."))
    state = models.TextField(choices=State.choices)
    reason = models.TextField(db_default="")
    reason_until = models.DateTimeField(null=True)
    priority = models.SmallIntegerField(db_default=5)
    attempts = models.SmallIntegerField(db_default=0)
    tried_before = models.SmallIntegerField(db_default=0, help_text=_("Attempts made on channels before this one."))
    passed_over = models.JSONField(
        null=True, help_text=_("Channels before this one, each with why it was not, or could not be, used.")
    )
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bucket", "customer_id", "batch_id"], name="outbound_message_told_once")
        ]
        indexes = [
            models.Index(
                fields=["bucket", "channel", "priority", "due_at"],
                name="outbound_message_waiting",
                condition=Q(state="queued"),
            ),
            # Messages are written batch by batch, so a few bytes a page find a batch; a tree would cost each message.
            BrinIndex(fields=["batch_id"], pages_per_range=32, name="outbound_message_batch"),
            models.Index(fields=["code"], name="outbound_message_code"),
            # Few, and asked for again and again while people call them.
            models.Index(
                fields=["bucket", "batch_id", "customer_id"],
                name="outbound_message_untold",
                condition=Q(state__in=["refused", "failed"]),
            ),
        ]


class Delivery(models.Model):
    """One attempt to deliver a message. What was `sending` when its worker died is `uncertain`.

    Some providers report later what became of what they accepted: `reported` is the report that settles it, which may come
    before our own record of the attempt does.
    """

    class State(models.TextChoices):
        SENDING = "sending", _("under way")
        ACCEPTED = "accepted", _("accepted by the provider")
        DEFERRED = "deferred", _("put off by the provider")
        REJECTED = "rejected", _("refused by the provider")
        UNCERTAIN = "uncertain", _("perhaps accepted")
        UNSENT = "unsent", _("not handed over")
        DELIVERED = "delivered", _("arrived, the provider reports")
        UNDELIVERED = "undelivered", _("did not arrive, the provider reports")

    pk = models.CompositePrimaryKey("bucket", "message_id", "attempt")
    bucket = models.SmallIntegerField()
    message_id = models.BigIntegerField()
    attempt = models.SmallIntegerField()
    batch_id = models.BigIntegerField()
    contact_point_id = models.BigIntegerField(null=True)
    channel = models.TextField()
    worker = models.UUIDField()
    state = models.TextField(choices=State.choices)
    code = models.SmallIntegerField(null=True)
    enhanced = models.TextField(db_default="")
    answer = models.TextField(db_default="")
    reported = models.TextField(db_default="")
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["bucket", "message_id"],
                include=("worker",),
                name="outbound_delivery_sending",
                condition=Q(state="sending"),
            )
        ]


class ToldByPerson(models.Model):
    """A person told one customer of one origin what no message could: by call, letter, poster or visit."""

    class How(models.TextChoices):
        CALL = "call", _("call")
        LETTER = "letter", _("letter")
        POSTER = "poster", _("poster")
        VISIT = "visit", _("visit")

    pk = models.CompositePrimaryKey("bucket", "origin", "customer_id")
    bucket = models.SmallIntegerField()
    origin = models.TextField()
    customer_id = models.BigIntegerField()
    how = models.TextField(choices=How.choices)
    note = models.TextField(db_default="")
    told_by = models.TextField()
    told_at = models.DateTimeField()


class Gate(models.Model):
    """What higher floors decided about an origin ("incident:42"): nothing from a held or cancelled origin is sent."""

    class State(models.TextChoices):
        HELD = "held", _("held")
        CANCELLED = "cancelled", _("cancelled")

    origin = models.TextField(primary_key=True)
    state = models.TextField(choices=State.choices)
    reason = models.TextField(default="")
    set_at = models.DateTimeField(db_default=Now())
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
