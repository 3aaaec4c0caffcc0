"""The cast, a rule, a worker under the test's thumb, and the outage playbook with something for a person to do."""

from collections.abc import Callable, Iterator

import pytest

from beforehand.playbooks.actions import approve_version, push_version
from beforehand.playbooks.bundles import SHIPPED, read_bundle
from beforehand.playbooks.models import PlaybookVersion
from tests.cast import Cast, make_cast
from tests.driving import Drive, driving, outage_rule

TASK = """\
  - task: look
    title: Look whether it is real
    team: network-operations
    within: 20 minutes
    wait for it: yes
"""


@pytest.fixture
def people(transactional_db: None) -> Cast:
    cast = make_cast()
    outage_rule(owner=cast.team, resolve_after_seconds=1_000_000)
    return cast


@pytest.fixture
def worker(people: Cast) -> Iterator[Drive]:
    with driving() as drive:
        yield drive


@pytest.fixture
def pushed() -> Callable[..., PlaybookVersion]:
    """Store the outage playbook with these steps at its top and these words in its head, without its own tests."""

    def push(steps: str = "", *, head: str = "", is_approved: bool = True) -> PlaybookVersion:
        source, texts = read_bundle(SHIPPED / "outage")
        source = source.partition("\ntests:")[0]
        if steps:
            source = source.replace("  - wait: { from: incident.began, for: 3 minutes }", "  - wait: 3 minutes")
        source = source.replace("steps:\n", f"{head}steps:\n{steps}", 1)
        version = push_version(source=source, texts=texts, actor="test")
        if is_approved:
            approve_version(version, user=None, actor="test")
        return version

    return push
