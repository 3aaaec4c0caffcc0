"""The append-only log, its identities, its private halves, and the readers' cursors.

`events_event` and `events_eventprivate` are partitioned by month of `recorded_at`; the migration writes their SQL.
"""

from django.db import models
from django.db.models.functions import Now

from beforehand.kit.rows import Xid8Field


class EventKey(models.Model):
    """Identity of what came from outside: the same (source, id) again changes nothing but the last-seen time and the end."""

    # By bytes, whatever the database sorts by: beginnings are looked up, and comparing bytes is cheaper.
    pk = models.CompositePrimaryKey("source", "source_id")
    source = models.TextField(db_collation="C")
    source_id = models.TextField(db_collation="C")
    event_id = models.BigIntegerField()
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(null=True)
    seen = models.IntegerField(db_default=1)


class Event(models.Model):
    """Something that happened. Holds ids, enums and numbers only; what names a person lies in `EventPrivate`."""

    pk = models.CompositePrimaryKey("recorded_at", "id")
    id = models.BigIntegerField()
    recorded_at = models.DateTimeField(db_default=Now())
    occurred_at = models.DateTimeField(db_default=Now())
    epoch = models.IntegerField(db_default=1)
    xid = Xid8Field()
    type = models.TextField()
    source = models.TextField(db_default="")
    source_id = models.TextField(db_default="")
    actor = models.TextField(db_default="")
    subject = models.TextField(db_default="")
    customer_id = models.BigIntegerField(null=True)
    data = models.JSONField(db_default={})


class EventPrivate(models.Model):
    """The half of an event that erasure blanks: names, free text, foreign payloads."""

    pk = models.CompositePrimaryKey("recorded_at", "event_id")
    event_id = models.BigIntegerField()
    recorded_at = models.DateTimeField(db_default=Now())
    customer_id = models.BigIntegerField(null=True)
    data = models.JSONField(db_default={})


class IntakeBody(models.Model):
    """A raw copy of a body that was accepted, kept for the time that the setting `intake.keep_raw_days` says."""

    received_at = models.DateTimeField(db_default=Now(), db_index=True)
    source = models.TextField()
    content_type = models.TextField(db_default="")
    body = models.BinaryField()
    accepted = models.IntegerField(db_default=0)
    duplicates = models.IntegerField(db_default=0)


class SubscriptionCursor(models.Model):
    """How far one subscriber has read the log: the place (epoch, xid, id) of the last event that it handled."""

    name = models.TextField(primary_key=True)
    epoch = models.IntegerField(default=0)
    xid = models.BigIntegerField(default=0)
    event_id = models.BigIntegerField(default=0)
    handled_at = models.DateTimeField(null=True)


class SubscriptionFailure(models.Model):
    """An event that a subscriber could not handle: set aside so that the rest goes on, with the error, until retried."""

    subscriber = models.TextField()
    event_id = models.BigIntegerField()
    event_recorded_at = models.DateTimeField()
    error = models.TextField()
    failed_at = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=1)
    solved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "event_id"], name="events_failure_once"),
        ]


class WorkerBeat(models.Model):
    """A delivery loop of a worker process that lives: its deliveries are uncertain once this beat is old.

    `lag_seconds` is how long the oldest unread event, or the run that is due longest, had waited when it last looked.
    """

    worker = models.UUIDField(primary_key=True)
    host = models.TextField()
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    lag_seconds = models.FloatField(default=0)
