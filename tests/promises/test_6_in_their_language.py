"""Guarantee 6: no approval without the languages that are read; the rest get the fallback, counted; a fifth needs only files."""

import pytest
from tests.cast import Cast
from tests.company import make_company
from tests.driving import Drive
from tests.mailbox import html_of, text_of
from tests.promises.story import node_fails, outage_playbook

from beforehand.customers.models import Customer
from beforehand.engine.playbooks.problems import ProblemReason
from beforehand.outbound.models import Message
from beforehand.playbooks.actions import PlaybookRefused, approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


def test_a_playbook_is_not_approved_while_one_in_a_hundred_reads_a_language_that_it_lacks(people: Cast) -> None:
    make_company(195, node="node-9")
    Customer.objects.filter(external_id__in=["c1", "c2"]).update(language="tr")
    source, texts = read_bundle(SHIPPED / "outage")
    version = push_version(source=source, texts=texts, actor="test")
    with pytest.raises(PlaybookRefused) as refused:
        approve_version(version, user=people.noor, actor="noor")
    assert {problem.reason for problem in refused.value.problems} == {ProblemReason.LANGUAGE_MISSING}
    assert PlaybookVersion.objects.get(slug="outage").approved_at is None
    Customer.objects.filter(external_id="c2").update(language="nl")  # now it is one in two hundred
    approve_version(version, user=people.noor, actor="noor")
    assert PlaybookVersion.objects.get(slug="outage").approved_by == people.noor


def test_a_rare_language_gets_the_fallback_and_is_counted(people: Cast, worker: Drive) -> None:
    outage_playbook()
    Customer.objects.filter(pk=people.bram.pk).update(language="tr")
    node_fails(worker)
    (mail,) = worker.mailbox.mails_to("bram@customers.example")
    assert mail["Content-Language"] == "en"
    assert Message.objects.filter(language="en").count() == 2
    assert Customer.objects.get(pk=people.bram.pk).language == "tr"


def test_a_regional_form_reads_its_language(people: Cast, worker: Drive) -> None:
    outage_playbook()
    Customer.objects.filter(pk=people.bram.pk).update(language="nl-BE")
    node_fails(worker)
    (mail,) = worker.mailbox.mails_to("bram@customers.example")
    assert mail["Content-Language"].startswith("nl")


def test_a_fifth_language_needs_only_files(people: Cast, worker: Drive) -> None:
    source, texts = read_bundle(SHIPPED / "outage")
    fifth = {
        (name, "tr"): text.replace("There is an outage", "Bir kesinti var")
        for (name, _), text in texts.items()
        if _ == "en"
    }
    Customer.objects.filter(pk=people.bram.pk).update(language="tr")
    approve_version(push_version(source=source, texts={**texts, **fifth}, actor="test"), user=None, actor="test")
    node_fails(worker)
    (mail,) = worker.mailbox.mails_to("bram@customers.example")
    assert mail["Content-Language"] == "tr"
    assert "Bir kesinti var" in text_of(mail)


def test_right_to_left_text_arrives_right_to_left(worker: Drive) -> None:
    outage_playbook()
    node_fails(worker)
    (arabic,) = worker.mailbox.mails_to("aisha@customers.example")
    (dutch,) = worker.mailbox.mails_to("bram@customers.example")
    assert 'dir="rtl"' in html_of(arabic)
    assert 'lang="ar"' in html_of(arabic)
    assert 'dir="rtl"' not in html_of(dutch)
