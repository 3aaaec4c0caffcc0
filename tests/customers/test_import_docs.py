"""What the page about imports says is what the code does."""

import re
from pathlib import Path

from beforehand.customers.bulk import components, consents, customers, holdings
from beforehand.customers.bulk.problems import RowReason

PAGE = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
SAID = set(re.findall(r"`([^`]+)`", PAGE))


def test_every_column_is_on_the_page() -> None:
    columns = {*customers.NAMED, *customers.contact_checks(""), *holdings.NAMED, *components.NAMED, *consents.NAMED}
    assert columns <= SAID


def test_every_reason_is_on_the_page() -> None:
    assert {reason.value for reason in RowReason} <= SAID
