"""The simulated company: the same every time, and as varied as the story needs."""

from collections import Counter

import pytest

from beforehand.accounts.actions import SCOPES
from beforehand.config.commands import demo
from beforehand.customers.bulk.checks import email
from beforehand.demo.company import (
    BRAND,
    FEWEST_CUSTOMERS,
    LANGUAGE_SHARES,
    NODES,
    SMALL_CABINET,
    SMALL_CABINET_CUSTOMERS,
    SPARE,
    Company,
    make_company,
    salutation,
)
from beforehand.demo.names import GIVEN
from beforehand.demo.setting_up import LASTS, PROMISE, RULE, in_seconds
from beforehand.demo.watching import CURED_EARLY, FAILING
from beforehand.demo.words import UPDATE, alertmanager_webhook, letters
from beforehand.detection.actions import rule_condition
from beforehand.engine.playbooks.parse import parse_playbook
from beforehand.engine.playbooks.problems import Severity
from beforehand.events.intake.alertmanager import decode_webhook
from beforehand.events.intake.cloudevents import decode_request
from beforehand.kit import clock
from beforehand.playbooks.bundles import SHIPPED, bundle_problems, read_bundle


@pytest.fixture(scope="module")
def company() -> Company:
    return make_company(customers=FEWEST_CUSTOMERS)


def test_the_same_seed_gives_the_same_company(company: Company) -> None:
    again = make_company(customers=FEWEST_CUSTOMERS)
    assert (again.customers, again.holdings) == (company.customers, company.holdings)
    assert make_company(customers=FEWEST_CUSTOMERS, seed=1).customers != company.customers


def test_its_customers_read_four_languages_in_about_the_shares_that_were_asked_for(company: Company) -> None:
    counted = Counter(row["language"] for row in company.customers)
    for language, share in LANGUAGE_SHARES.items():
        assert counted[language] / len(company.customers) == pytest.approx(share, abs=0.03)


def test_names_stand_in_their_bearers_script(company: Company) -> None:
    arabic = next(row for row in company.customers if row["language"] == "ar" and row["kind"] == "person")
    hindi = next(row for row in company.customers if row["language"] == "hi" and row["kind"] == "person")
    assert "\u0600" < arabic["name"][0] < "\u06ff"
    assert "\u0900" < hindi["name"][0] < "\u097f"


def test_every_address_is_one_that_an_import_takes_and_none_is_anybodys(company: Company) -> None:
    addresses = [row["email"] for row in company.customers if "email" in row]
    assert len(set(addresses)) == len(addresses)
    for address in addresses:
        assert email(address).endswith(".example")


def test_some_have_no_address_some_a_dead_one_some_a_care_alarm_some_need_large_print(company: Company) -> None:
    without = [row for row in company.customers if "email" not in row]
    assert without
    assert all(row["post"] for row in without)
    assert any(row.get("email", "").endswith("@gone.example") for row in company.customers)
    assert any(row["priority"] == "care_alarm" for row in company.customers)
    assert any("large_print" in row["access_needs"] for row in company.customers)


def test_every_holding_hangs_on_parts_that_come_before_it(company: Company) -> None:
    known: set[str] = set()
    for part in company.components:
        assert set(part["depends_on"]) <= known
        known.add(part["external_id"])
    assert all(set(row["components"]) <= known for row in company.holdings)


def test_the_small_cabinet_has_sixty_customers_and_the_cured_ones_share_a_cabinet(company: Company) -> None:
    for node in NODES:
        assert len(company.customers_of(node.cabinet(SMALL_CABINET))) == SMALL_CABINET_CUSTOMERS
    node = next(node for node in NODES if node.code == FAILING)
    assert len(company.customers_of(node.cabinet(1))) >= CURED_EARLY
    assert company.customers_of(node.cabinet(SPARE)) == []


def test_salutations_are_formal_or_familiar_in_each_language() -> None:
    woman = {language: next(one for one in given if one.is_woman) for language, given in GIVEN.items()}
    assert salutation("nl", woman["nl"], "de Vries", is_formal=True) == "Geachte mevrouw De Vries"
    assert salutation("nl", woman["nl"], "de Vries", is_formal=False) == "Beste Sanne"
    assert salutation("en", woman["en"], "Clarke", is_formal=True) == "Dear Ms Clarke"
    assert salutation("ar", woman["ar"], "حداد", is_formal=False) == "عزيزتي فاطمة"
    assert salutation("hi", woman["hi"], "शर्मा", is_formal=True) == "आदरणीया चित्रा शर्मा जी"


@pytest.mark.usefixtures("no_database")
def test_the_playbook_in_seconds_is_in_order_and_differs_in_its_times_only() -> None:
    source, texts = read_bundle(SHIPPED / "outage")
    shortened = in_seconds(source)
    problems = bundle_problems(shortened, texts, audience_languages=LANGUAGE_SHARES)
    assert [str(problem) for problem in problems if problem.severity is Severity.ERROR] == []
    changed = [pair for pair in zip(source.splitlines(), shortened.splitlines(), strict=False) if pair[0] != pair[1]]
    assert [line.strip() for _, line in changed if "every" in line] == [
        f"- {{ for: 4 hours, every: {PROMISE} seconds }}"
    ]
    assert LASTS < PROMISE
    assert parse_playbook(shortened).name == "outage"


def test_a_playbook_that_reads_otherwise_is_not_shortened_by_guessing() -> None:
    with pytest.raises(ValueError, match="does not say"):
        in_seconds("playbook: outage\n")


def test_its_alert_is_one_that_the_intake_reads_and_its_rule_meets() -> None:
    import orjson

    now = clock.now()
    for ended_at, status in ((None, "firing"), (now, "resolved")):
        body = orjson.dumps(alertmanager_webhook(node=FAILING, began_at=now, ended_at=ended_at))
        (alert,) = decode_webhook(body, received_at=now).alerts
        assert alert.status == status
        facts = {"source": "alertmanager", "labels": dict(alert.labels), "annotations": dict(alert.annotations)}
        assert rule_condition(RULE["condition"]).matches(facts, now=now)


def test_its_letters_are_cloudevents_that_name_their_customer() -> None:
    import orjson

    body = orjson.dumps(letters(["N-000001", "N-000002"], at=clock.now()))
    events = decode_request(body, content_type="application/cloudevents-batch+json", headers={})
    assert [(one.type, one.customer_ref) for one in events] == [
        ("contact.received", "N-000001"),
        ("contact.received", "N-000002"),
    ]


def test_what_it_says_exists_in_every_language_that_its_customers_read() -> None:
    assert set(UPDATE) == set(RULE["texts"]) == set(LANGUAGE_SHARES) == set(BRAND["languages"])


def test_its_token_has_scopes_that_exist() -> None:
    assert set(f"{demo.SCOPES} {demo.SETTING_UP_SCOPES}".split()) <= set(SCOPES)
