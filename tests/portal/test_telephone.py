"""What a telephone's menu fetches: plain text, for anybody, that a cache may keep."""

from datetime import timedelta

from django.test import Client

from beforehand.incidents.actions import resolve_incident
from beforehand.incidents.affected import origin_of
from beforehand.promises.models import Promise
from tests.cast import Cast
from tests.portal.conftest import START, outage
from tests.portal.pages import reads_only

WHERE = "/status/telephone.txt"


def test_it_says_what_is_wrong_where_and_until_when_in_the_callers_language(cast: Cast, client: Client) -> None:
    incident = outage(cast)
    due = START + timedelta(minutes=40)
    Promise.objects.create(
        audience=origin_of(incident.pk),
        made_by="test",
        kind="update",
        made_at=START,
        due_at=due,
        warn_at=due,
        hold_at=due,
    )
    with reads_only(at_most=12):
        answer = client.get(WHERE, {"part": "north", "language": "nl"})
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert (answer["Content-Language"], "max-age=15" in answer["Cache-Control"]) == ("nl", True)
    text = answer.content.decode()
    for part in ("storing", "Groningen", "11:40", "Laat uw modem aan."):
        assert part in text
    assert len(text.split()) <= 40


def test_the_gravest_is_said_first_however_many_small_ones_came_after_it(cast: Cast, client: Client) -> None:
    outage(cast, texts={"en": {"cause": "a cable that was cut"}})
    for _ in range(16):
        outage(cast, severity="minor", texts={})
    assert "a cable that was cut" in client.get(WHERE).content.decode().splitlines()[0]


def test_who_asks_again_is_told_that_nothing_changed_until_something_does(cast: Cast, client: Client) -> None:
    incident = outage(cast)
    first = client.get(WHERE)
    assert client.get(WHERE, headers={"if-none-match": first["ETag"]}).status_code == 304
    resolve_incident(incident, reason="by_hand", actor="test")
    after = client.get(WHERE, headers={"if-none-match": first["ETag"]})
    assert after.content.decode() == "We know of no problem there at the moment.\n"


def test_a_part_that_there_is_not_is_not_found_and_an_odd_language_is_ours(cast: Cast, client: Client) -> None:
    assert client.get(WHERE, {"part": "node-99"}).status_code == 404
    assert client.get(WHERE, {"language": "!!"})["Content-Language"] == "en"
