"""Whom we serve: customers, how to reach them, what they allowed, what they own, and on which components it depends."""

import re
import unicodedata

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Collate, Now, Upper
from django.utils.translation import gettext_lazy as _

from beforehand.kit.ids import uuid7


class CustomerQuerySet(models.QuerySet["Customer"]):
    """Customers in the words of those who look for them."""

    def served(self) -> "CustomerQuerySet":
        """Those who were not erased."""
        return self.filter(erased_at=None)

    def search(self, text: str) -> "CustomerQuerySet":
        """Whose names start with these words, in any order, or who have something at a place (a street, a postcode) with
        such words, or whose number, e-mail address or telephone starts so.

        Each asks its own index for at most `SEARCH_LIMIT` customers, so that one letter costs no more than
        a whole name; pages go through what was found.
        """
        wanted = " ".join(unicodedata.normalize("NFC", text).split())
        if not wanted:
            return self
        if _UNSEARCHABLE.search(wanted):
            return self.none()
        words = " & ".join("'{}':*".format(_QUOTED.sub(r"\g<0>\g<0>", word)) for word in wanted.split())
        beginnings = [f"{_LIKE_SPECIAL.sub(_escaped, beginning)}%" for beginning in (wanted, _as_address(wanted))]
        found = RawSQL(FOUND, [words, words, *beginnings])  # noqa: S611
        return self.filter(id__in=found)

    def before(self, customer_id: int | None) -> "CustomerQuerySet":
        """The next page, newest first: those older than the last one shown; None begins."""
        page = self.order_by("-id")
        return page if customer_id is None else page.filter(id__lt=customer_id)


SEARCH_LIMIT = 500
"""How many customers each way of searching may find."""

FOUND = f"""
(SELECT id FROM customers_customer WHERE to_tsvector('simple'::regconfig, coalesce(name, '')) @@ to_tsquery('simple', %s)
 LIMIT {SEARCH_LIMIT})
UNION ALL
(SELECT customer_id FROM customers_holding WHERE to_tsvector('simple'::regconfig, coalesce(place, '')) @@ to_tsquery('simple', %s)
 LIMIT {SEARCH_LIMIT})
UNION ALL
(SELECT id FROM customers_customer WHERE external_id LIKE %s ORDER BY external_id USING ~<~ LIMIT {SEARCH_LIMIT})
UNION ALL
(SELECT customer_id FROM customers_contactpoint WHERE upper(address) COLLATE "C" LIKE upper(%s)
 ORDER BY upper(address) COLLATE "C" LIMIT {SEARCH_LIMIT})
"""
"""Names and places by their words, so that a surname or a postcode finds.

The others come in the order of their index, read and not sorted."""

_QUOTED = re.compile(r"['\\]")

_NOT_DIALLED = re.compile(r"[\s().\-/]+")
_UNSEARCHABLE = re.compile("[\0\ud800-\udfff]")
_LIKE_SPECIAL = re.compile(r"[%_\\]")


def _escaped(special: re.Match[str]) -> str:
    return f"\\{special.group()}"


def _as_address(wanted: str) -> str:
    """The text as an address begins: a telephone number without what people write between digits."""
    digits = _NOT_DIALLED.sub("", wanted)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    return digits if digits.removeprefix("+").isdecimal() else wanted


class Customer(models.Model):
    """A person or an organisation that we serve."""

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        ORGANISATION = "organisation", _("organisation")

    class FormOfAddress(models.TextChoices):
        FORMAL = "formal", _("formal")
        INFORMAL = "informal", _("informal")

    class SkillLevel(models.TextChoices):
        BEGINNER = "beginner", _("beginner")
        ORDINARY = "ordinary", _("ordinary")
        EXPERT = "expert", _("expert")

    class Priority(models.TextChoices):
        NORMAL = "normal", _("normal")
        HIGH = "high", _("high")
        CARE_ALARM = "care_alarm", _("care alarm")

    class Rhythm(models.TextChoices):
        EVERY_STEP = "every_step", _("every step")
        ONLY_CHANGES = "only_changes", _("only what changes")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    external_id = models.TextField(help_text=_("The number that the company's own systems know the customer by."))
    kind = models.TextField(choices=Kind.choices, default=Kind.PERSON)
    name = models.TextField()
    salutation = models.TextField(
        blank=True, default="", help_text=_("How a message greets, without a comma: “Dear Ms De Vries”.")
    )
    form_of_address = models.TextField(choices=FormOfAddress.choices, default=FormOfAddress.FORMAL)
    language = models.TextField(default="en")
    time_zone = models.TextField(default="Europe/Amsterdam")
    skill_level = models.TextField(choices=SkillLevel.choices, default=SkillLevel.ORDINARY)
    access_needs = models.JSONField(default=list, help_text=_("Such as “large_print” or “read_aloud”."))
    priority = models.TextField(choices=Priority.choices, default=Priority.NORMAL)
    helper = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    quiet_from = models.TimeField(
        null=True, help_text=_("Own quiet hours, in the customer's zone; empty: the installation's.")
    )
    quiet_until = models.TimeField(null=True)
    rhythm = models.TextField(
        choices=Rhythm.choices,
        default=Rhythm.EVERY_STEP,
        db_default=Rhythm.EVERY_STEP,
        help_text=_("What they want to hear of a problem that lasts."),
    )
    attributes = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        # One index for "is" and "starts with"; `unique=True` would make two, and each costs an import its time.
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"], name="customers_external_id_once", opclasses=["text_pattern_ops"]
            ),
        ]
        indexes = [
            GinIndex(SearchVector("name", config="simple"), name="customers_name_words"),
            models.Index(fields=["erased_at"], name="customers_erased", condition=models.Q(erased_at__isnull=False)),
            models.Index(fields=["helper"], name="customers_helped", condition=Q(helper__isnull=False)),
            models.Index(fields=["id"], name="customers_care_alarms", condition=Q(priority="care_alarm")),
        ]

    def __str__(self) -> str:
        return self.name


class ContactPoint(models.Model):
    """One way to reach a customer."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("e-mail")
        SMS = "sms", _("text message")
        INBOX = "inbox", _("inbox")
        PUSH = "push", _("notification")
        WEBHOOK = "webhook", _("webhook")
        PHONE = "phone", _("telephone")
        POST = "post", _("post")

    class Status(models.TextChoices):
        WORKING = "working", _("working")
        FAILING = "failing", _("failing for now")
        DEAD = "dead", _("does not exist")
        BLOCKED = "blocked", _("wants no messages")

    # No constraint in the database, here and in Holding: docs/decisions/0010-bulk-rows-without-foreign-keys.md.
    # And no index: the unique constraint below begins with the customer.
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="contact_points", db_index=False, db_constraint=False
    )
    channel = models.TextField(choices=Channel.choices)
    address = models.TextField()
    rank = models.SmallIntegerField(default=1, help_text=_("1 is tried first."))
    status = models.TextField(choices=Status.choices, default=Status.WORKING)
    status_reason = models.TextField(blank=True, default="")
    status_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "channel", "address"], name="customers_contact_once"),
        ]
        indexes = [models.Index(Collate(Upper("address"), "C"), name="customers_contact_folded")]


class Consent(models.Model):
    """What a customer allowed or forbade: one row per answer; of a class and channel, the one answered last counts."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="consents", db_index=False)
    message_class = models.TextField()
    channel = models.TextField()
    given = models.BooleanField()
    wording = models.TextField(help_text=_("The text that the customer agreed or objected to."))
    how = models.TextField(help_text=_("Where the answer was given: “sign-up form”, “telephone”."))
    asked_by = models.TextField(blank=True, default="")
    answered_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(
                fields=["customer", "message_class", "channel", "-answered_at", "-id"], name="customers_consent_newest"
            )
        ]


class Component(models.Model):
    """A part of what we run that products depend on: region, node, service, supplier, warehouse, app."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    external_id = models.TextField(unique=True)
    kind = models.TextField()
    name = models.TextField()
    texts = models.JSONField(default=dict, help_text=_("Its name for customers, by language."))
    attributes = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class ComponentDependency(models.Model):
    """`component` stops working well when `depends_on` does."""

    component = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="+")
    depends_on = models.ForeignKey(Component, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["component", "depends_on"], name="customers_dependency_once"),
            models.CheckConstraint(condition=~Q(component=F("depends_on")), name="customers_dependency_not_itself"),
        ]


class Holding(models.Model):
    """Something that a customer owns or uses."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="holdings", db_constraint=False)
    external_id = models.TextField()
    product = models.TextField()
    place = models.TextField(blank=True, default="")
    attributes = models.JSONField(default=dict)
    since = models.DateField(null=True)
    until = models.DateField(null=True, help_text=_("The first day on which it is no longer theirs."))
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["external_id"], name="customers_holding_once", opclasses=["text_pattern_ops"]
            ),
        ]
        indexes = [GinIndex(SearchVector("place", config="simple"), name="customers_holding_places")]


class HoldingComponent(models.Model):
    """A holding depends on a component.

    The customer and the holding's end stand here too, and in the primary key's index: impact reads that index and
    nothing else. Only the action that writes holdings writes here.
    """

    pk = models.CompositePrimaryKey("component_id", "holding_id")
    component_id = models.BigIntegerField()
    holding_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    until = models.DateField(null=True)

    class Meta:
        indexes = [models.Index(fields=["holding_id"], name="customers_hc_holding")]


class AttributeDeclaration(models.Model):
    """An attribute of customers or holdings that conditions may use: named, typed, checked when written."""

    class Owner(models.TextChoices):
        CUSTOMER = "customer", _("customer")
        HOLDING = "holding", _("product or service")

    owner = models.TextField(choices=Owner.choices)
    name = models.TextField()
    type = models.TextField(help_text=_("text, number, boolean, date or timestamp"))
    title = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="customers_attribute_once")]


class Segment(models.Model):
    """A named group of customers, described by a condition."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    slug = models.SlugField(unique=True)
    name = models.TextField()
    condition = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())


class Import(models.Model):
    """One import of a file or of API batches: how far it is, and what could not be read."""

    class State(models.TextChoices):
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    kind = models.TextField()
    name = models.TextField()
    digest = models.TextField(
        db_index=True, help_text=_("SHA-256 of the file: the same file goes on where it stopped.")
    )
    state = models.TextField(choices=State.choices, default=State.RUNNING)
    total_bytes = models.BigIntegerField(default=0)
    done_bytes = models.BigIntegerField(default=0)
    done_lines = models.BigIntegerField(default=0)
    loaded = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "digest"], name="customers_import_running_once", condition=Q(state="running")
            ),
        ]


class ImportProblem(models.Model):
    """One row that was refused: line, column and reason."""

    imported = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="problems")
    line = models.BigIntegerField()
    column = models.TextField()
    reason = models.TextField()
    detail = models.TextField(default="")
