"""What detection's tests share: a worker that is driven by hand, with everybody on the network but no playbook."""

from collections.abc import Iterator

import pytest

from tests.cast import Cast, make_cast
from tests.driving import Drive, driving


@pytest.fixture
def cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def drive(cast: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive
