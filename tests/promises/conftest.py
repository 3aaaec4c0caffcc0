"""The cast, a rule, and a worker under the test's thumb."""

from collections.abc import Iterator

import pytest
from tests.cast import Cast, make_cast
from tests.driving import Drive, driving, outage_rule


@pytest.fixture
def people(transactional_db: None) -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=1_000_000)
    return cast


@pytest.fixture
def worker(people: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive
