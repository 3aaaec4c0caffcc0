"""What is said to one customer alone: that the person who was to be in touch is late, with a new time."""

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from beforehand.accounts.installation import installation
from beforehand.accounts.models import Team
from beforehand.customers.models import Customer
from beforehand.engine.message_classes import MessageClass
from beforehand.engine.promises import spoken_precision
from beforehand.incidents.answers import question_of_promise, renew_promise
from beforehand.incidents.models import Incident
from beforehand.kit import clock
from beforehand.kit.ids import bucket_of
from beforehand.outbound.actions import create_batch, finish_spread
from beforehand.outbound.writing import write_messages
from beforehand.playbooks.audiences import BatchAudience, addressees
from beforehand.playbooks.bundles import playbook_of
from beforehand.playbooks.facts import batch_facts
from beforehand.playbooks.models import Run
from beforehand.promises.models import Promise

STEP = "contact-late"
CAUSE = "contact.late"


def responsible_team(incident: Incident) -> Team | None:
    """Who sees to what is left of an incident: its own team, else the one that its playbook names."""
    run = Run.objects.filter(incident=incident).order_by("pk").first() if incident.owner_id is None else None
    return Team.objects.filter(slug=playbook_of(run.version_id).owner).first() if run else incident.owner


@transaction.atomic
def admit_lateness(promise_id: int, *, customer_id: int) -> bool:
    """Nobody was in touch in time with who said that it is still broken: say so, with a new time, and promise that.

    False when nothing is open that this promise was made for.
    """
    now = clock.now()
    answer = question_of_promise(promise_id, customer_id=customer_id)
    if answer is None:
        return False
    customer = Customer.objects.get(pk=customer_id)
    incident = Incident.objects.select_related("owner").get(pk=answer.incident_id)
    owner = Promise.objects.select_related("owner").get(pk=promise_id).owner
    due_at = renew_promise(answer, customer, owner=owner or responsible_team(incident), now=now, actor="watchdog")
    run = Run.objects.filter(incident=incident).order_by("pk").first()
    playbook = playbook_of(run.version_id) if run else None
    standard = installation()
    texts = late_texts(standard.brand.languages)
    batch, is_new = create_batch(
        effect_key=f"answer:{incident.pk}:{customer_id}:{answer.rounds}",
        origin=f"customer:{customer_id}",
        step=STEP,
        audience=BatchAudience.ONE.value,
        message_class=MessageClass(playbook.message_class.value) if playbook else MessageClass.SERVICE,
        channels=[channel.value for channel in playbook.channels] if playbook else ["email"],
        texts=texts,
        fallback_language=standard.brand.language,
        facts=batch_facts(
            incident,
            languages=texts,
            brand=standard.brand,
            decided_at=now,
            next_update_at=due_at,
            precision=spoken_precision(due_at - now),
        ),
        next_update_at=due_at,
        why={"incident": incident.pk, "cause": CAUSE},
        decided_at=now,
        actor="watchdog",
    )
    if is_new:
        found = addressees(
            BatchAudience.ONE,
            incident_id=incident.pk,
            bucket=bucket_of(customer_id),
            sequence=batch.sequence,
            origin=batch.origin,
            message_class=batch.message_class,
            channels=batch.channels,
            quiet=(standard.quiet_from, standard.quiet_until),
            is_failing=False,
            customer_id=customer_id,
        )
        write_messages(batch, found, now=now, actor="watchdog")
        finish_spread(batch, now=now)
    return True


def late_texts(languages: tuple[str, ...]) -> dict[str, str]:
    """The word in each language, as a template: it belongs to no playbook, so it comes with the product's catalogues."""
    texts = {}
    for language in languages:
        with translation.override(language):
            texts[language] = _LAYOUT.format(
                subject=_("We are late: our new time is {{ next_update_at }}"),
                told=_("You told us that something still does not work. We promised to be in touch with you by now."),
                sorry=_("Nobody has been in touch yet. We are sorry that we did not keep our promise."),
                what=_("This is about: {{ holding }}"),
                when=_("**When will you hear from us?** Our new time is {{ next_update_at }}. A person looks into it."),
                works=_("**Does it work again?** Tell us with one tap on [your page]({{ my_page_url }})."),
                check=_(
                    "**Is this message really from us?** Type the code **{{ code }}** on {{ verify_url }} to check."
                ),
                phone=_("**Do you need help?** Call us: {{ brand.phone }}"),
                comma=_("%(greeting)s,") % {"greeting": "{{ customer.salutation }}"},
            )
    return texts


_LAYOUT = """---
subject: {subject}
---
{comma}

{told} {sorry}

- {what}

{when}

{works}

{check}

{{% if brand.phone %}}{phone}

{{% endif %}}{{{{ brand.name }}}}
"""
