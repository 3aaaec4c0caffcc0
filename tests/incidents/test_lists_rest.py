"""A stream of small changes has an incident's list worked out once in a while, and misses none of them."""

from datetime import UTC, datetime, timedelta

import pytest

from beforehand.events.models import Event
from beforehand.incidents.actions import REST, open_incident, refresh_wanted, want_refresh, want_refreshes
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel
from tests.cast import Cast, make_cast

pytestmark = [pytest.mark.django_db, pytest.mark.database]
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def cast() -> Cast:
    return make_cast()


@pytest.fixture
def incident(cast: Cast) -> Incident:
    with travel(NOW):
        incident = open_incident(
            title="Node 7", kind="outage", severity="major", actor="test", began_at=NOW, known_at=NOW,
            component_ids=[cast.node.pk],
        )  # fmt: skip
        assert refresh_wanted() == 1
    return incident


def looks() -> int:
    return Event.objects.filter(type="incident.affected_listed").count()


def changes(*, after: timedelta) -> int:
    """Somebody changes something; how many lists are worked out for it now."""
    with travel(NOW + after):
        want_refreshes()
        return refresh_wanted()


def test_many_changes_within_the_rest_are_one_look(incident: Incident) -> None:
    for second in range(1, 10):
        assert changes(after=timedelta(seconds=second)) == 0
    with travel(NOW + REST):
        assert refresh_wanted() == 1
    with travel(NOW + REST * 3):
        assert refresh_wanted() == 0, "all of them were in that look"
    assert looks() == 2


def test_a_change_after_a_quiet_time_counts_at_once(incident: Incident) -> None:
    assert changes(after=REST + timedelta(seconds=1)) == 1


def test_a_stream_that_does_not_end_holds_up_no_list(incident: Incident) -> None:
    for second in range(1, 61):
        changes(after=timedelta(seconds=second))
    assert looks() == 1 + 6


def test_what_changes_while_a_list_is_worked_out_is_seen_by_the_next_look(incident: Incident) -> None:
    with travel(NOW + REST * 2):
        want_refreshes()
        seen = Incident.objects.get().affected_wanted_at
    # The look has begun: it has read `seen`, and will clear just that.
    with travel(NOW + REST * 2 + timedelta(milliseconds=1)):
        want_refreshes()
    assert Incident.objects.filter(affected_wanted_at=seen).update(affected_wanted_at=None) == 0
    with travel(NOW + REST * 3):
        assert refresh_wanted() == 1
        assert refresh_wanted() == 0


def test_a_scope_that_a_person_widens_does_not_rest(incident: Incident) -> None:
    with travel(NOW + timedelta(seconds=1)):
        want_refresh(incident.pk)
        assert refresh_wanted() == 1
