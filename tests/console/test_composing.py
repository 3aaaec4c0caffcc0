"""An update is put together from approved sentences, read in every language before it is sent, and says who reads what."""

import pytest
from django.test import Client

from beforehand.customers.models import Customer
from beforehand.incidents.affected import take_off_list
from beforehand.incidents.models import Affected, Incident, IncidentUpdate
from beforehand.kit.clock import travel
from beforehand.playbooks.models import PlaybookVersion
from tests.cast import Cast
from tests.console.conftest import at, room
from tests.driving import Drive
from tests.mailbox import text_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

CUT = {"block_cause": "cause-cable-cut"}
YES = {"confirmed": "yes", "count_seen": "4"}


def readings(agent: Client, outage: Incident, typed: dict[str, str]) -> str:
    return agent.post(f"{room(outage)}update/preview/", typed).content.decode()


def test_a_sentence_is_told_to_each_in_their_own_language_and_becomes_the_cause_of_later_messages(
    agent: Client, outage: Incident, drive: Drive
) -> None:
    with travel(at(4)):
        asked = agent.post(f"{room(outage)}update/", CUT).content.decode()
        assert "<strong>4</strong>" in asked
        assert "not translated" not in asked
        assert not IncidentUpdate.objects.exists()
        agent.post(f"{room(outage)}update/", {**CUT, **YES})
        drive.settle()
    mails = {
        who: text_of(drive.mailbox.mails_to(f"{who}@customers.example")[-1]) for who in ("bram", "aisha", "chitra")
    }
    assert "Bij graafwerk is een van onze kabels geraakt." in mails["bram"]
    assert "Oorzaak: een kabel die bij graafwerk is geraakt" in mails["bram"]
    assert "قُطع أحد كابلاتنا" in mails["aisha"]
    assert "केबल कट गई है" in mails["chitra"]
    outage.refresh_from_db()
    assert outage.texts["en"]["cause"] == "a cable cut by digging works"


def test_a_press_that_comes_twice_is_told_once_and_the_same_words_later_are_news(
    agent: Client, outage: Incident, drive: Drive
) -> None:
    with travel(at(4)):
        for _press in range(2):
            assert agent.post(f"{room(outage)}update/", {**CUT, **YES}).status_code == 302
        drive.settle()
    assert IncidentUpdate.objects.count() == 1
    assert len(drive.mailbox.mails_to("dana@customers.example")) == 2
    with travel(at(6)):
        agent.post(f"{room(outage)}update/", {**CUT, **YES})
    assert IncidentUpdate.objects.count() == 2


def test_it_is_read_in_every_language_while_it_is_written_with_its_readers_and_its_direction(
    agent: Client, outage: Incident
) -> None:
    page = readings(agent, outage, CUT)
    assert page.count('class="reading"') == 4
    assert page.count("1 customer reads this") == 4
    assert 'lang="ar" dir="rtl"' in page
    assert not IncidentUpdate.objects.exists()


def test_a_place_that_nobody_types_is_the_public_name_of_the_part_in_each_language(
    agent: Client, outage: Incident
) -> None:
    page = readings(agent, outage, {"block_area": "area-named"})
    assert "The outage is in Groningen." in page
    assert "العطل في خرونينغن." in page
    assert "The outage is in Helpman." in readings(agent, outage, {"block_area": "area-named", "area": "Helpman"})


def test_a_time_is_written_as_each_language_writes_it_and_asked_for_before_anything_is_sent(
    agent: Client, outage: Incident
) -> None:
    with travel(at(4)):
        later = {"block_next": "next-repaired"}
        assert "repaired by …" in readings(agent, outage, later)
        page = agent.post(f"{room(outage)}update/", {**later, **YES}).content.decode()
        assert "The sentence that you chose needs this." in page
        assert 'value="next-repaired" data-slots="time" checked' in page
        assert not IncidentUpdate.objects.exists()
        agent.post(f"{room(outage)}update/", {**later, **YES, "time": at(90).strftime("%Y-%m-%dT%H:%M")})
    (update,) = IncidentUpdate.objects.all()
    assert set(update.texts) == {"en", "nl", "ar", "hi"}
    assert all("{" not in text for text in update.texts.values())


def test_a_time_names_its_zone_where_somebody_reads_it_by_another_clock(
    agent: Client, outage: Incident, cast: Cast
) -> None:
    typed = {"block_next": "next-repaired", "time": at(90).strftime("%Y-%m-%dT%H:%M")}
    with travel(at(4)):
        said = readings(agent, outage, typed)
        for words in ("(Netherlands Time)", "(tijd in Nederland)", "(توقيت هولندا)", "(नीदरलैंड समय)"):
            assert words in said
        Customer.objects.update(time_zone="Europe/Brussels")
        take_off_list(outage.pk, customer_ids=[cast.chitra.pk], state=Affected.State.CURED, now=at(4), actor="test")
        assert "Netherlands Time" not in readings(agent, outage, typed)


def test_own_words_stand_below_the_sentences_and_say_to_whom_they_are_foreign(
    agent: Client, outage: Incident, drive: Drive
) -> None:
    typed = {**CUT, "text_nl": "De gemeente is ter plaatse."}
    page = readings(agent, outage, typed)
    assert page.count("partly untranslated") == 3
    with travel(at(4)):
        asked = agent.post(f"{room(outage)}update/", typed).content.decode()
        assert asked.count("your own words are not translated. 1 customers") == 3
        agent.post(f"{room(outage)}update/", {**typed, **YES})
        drive.settle()
    bram = text_of(drive.mailbox.mails_to("bram@customers.example")[-1])
    assert "geraakt." in bram
    assert "De gemeente is ter plaatse." in bram
    assert "not been translated" not in bram
    dana = text_of(drive.mailbox.mails_to("dana@customers.example")[-1])
    assert (
        dana.index("cut one of our cables") < dana.index("It is in this language: Dutch.") < dana.index("De gemeente")
    )


def test_advice_alone_is_the_news_and_beside_other_news_it_has_its_own_place(agent: Client, outage: Incident) -> None:
    advice = {"block_advice": "advice-emergency"}
    agent.post(f"{room(outage)}update/", {**advice, **YES})
    agent.post(f"{room(outage)}update/", {**advice, **CUT, **YES})
    alone, beside = IncidentUpdate.objects.order_by("pk")
    assert "In an emergency" in alone.texts["en"]
    assert beside.texts["en"] == "Digging works have cut one of our cables."
    outage.refresh_from_db()
    assert "In an emergency" in outage.texts["en"]["advice"]


def test_a_sentence_of_another_playbook_is_no_choice(agent: Client, outage: Incident) -> None:
    page = agent.post(f"{room(outage)}update/", {"block_cause": "cause-fire", **YES}).content.decode()
    assert "Before you go on" not in page
    assert not IncidentUpdate.objects.exists()


def test_sentences_that_nobody_approved_say_so(agent: Client, outage: Incident) -> None:
    assert "not approved yet" not in agent.get(f"{room(outage)}update/").content.decode()
    PlaybookVersion.objects.update(approved_at=None)
    assert "not approved yet" in agent.get(f"{room(outage)}update/").content.decode()
