"""Noorderlicht, a telecom company and web shop that does not exist: its network, its customers and what they own.

The same seed gives the same company, row by row as the API takes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from beforehand.demo.mailserver import DEAD_DOMAIN
from beforehand.demo.names import FAMILY, GIVEN, ORGANISATIONS, PLACES, QUARTERS, REGIONS, STREETS, Given, PlaceName

Row = dict[str, Any]

CUSTOMERS = 20_000
FEWEST_CUSTOMERS = 6_500
"""With fewer, a cabinet has not the forty customers who are cured early."""
CABINETS = 6
SMALL_CABINET = 7
SMALL_CABINET_CUSTOMERS = 60
SPARE = "reserve"
"""Every node has small cabinet number 7 with exactly sixty customers, and a spare card that nobody depends on."""

LANGUAGE_SHARES = {"nl": 0.60, "en": 0.18, "ar": 0.12, "hi": 0.10}
INFORMAL = {"nl": 0.6, "en": 0.7, "ar": 0.2, "hi": 0.2}
ELSEWHERE = {"nl": None, "en": "Europe/London", "ar": "Africa/Casablanca", "hi": "Asia/Kolkata"}
"""Where a few readers of a language are for the winter; their times are told in that zone."""

WITHOUT_EMAIL, DEAD_EMAIL = 0.03, 0.01
CARE_ALARM, LARGE_PRINT, ORGANISATION, AWAY = 0.006, 0.02, 0.02, 0.05
MODEM, TELEVISION, PARCEL = 0.7, 0.35, 0.05

BRAND = {
    "name": "Noorderlicht",
    "phone": "058 000 0000",
    "sender_name": "Noorderlicht",
    "languages": ["nl", "en", "ar", "hi"],
    "language": "nl",
    "time_zone": "Europe/Amsterdam",
}
TEAMS = {"network-operations": "Network operations", "customer-care": "Customer care", "web-shop": "Web shop"}


@dataclass(frozen=True, slots=True)
class Node:
    """A fibre node in a quarter of a town."""

    code: str
    place: PlaceName
    quarter: str

    @property
    def names(self) -> dict[str, str]:
        """What customers call its area, by language."""
        return {language: QUARTERS[self.quarter][language] % name for language, name in self.place.names.items()}

    def cabinet(self, number: int | str) -> str:
        """The external id of one of its street cabinets."""
        return f"{self.code}-k{number}" if isinstance(number, int) else f"{self.code}-{number}"


NODES = tuple(Node(f"{place.code}-{quarter}", place, quarter) for place in PLACES for quarter in QUARTERS)


@dataclass(slots=True)
class Company:
    """All rows. `home_of` says in which cabinet a customer's line ends; `holdings_of` what somebody owns there."""

    components: list[Row] = field(default_factory=list)
    customers: list[Row] = field(default_factory=list)
    holdings: list[Row] = field(default_factory=list)
    home_of: dict[str, str] = field(default_factory=dict)
    lines_of: dict[str, list[Row]] = field(default_factory=dict)

    def customers_of(self, *cabinets: str) -> list[Row]:
        """The customers whose lines end in these cabinets."""
        return [customer for customer in self.customers if self.home_of[customer["external_id"]] in cabinets]


def make_company(*, customers: int = CUSTOMERS, seed: int = 2026) -> Company:
    """The company with so many customers, spread evenly over the nodes."""
    random = Random(seed)
    company = Company(components=list(_components()))
    places = _cabinet_of_each(customers)
    for number, (node, cabinet) in enumerate(places, start=1):
        customer, address = _customer(random, number, node)
        company.customers.append(customer)
        company.home_of[customer["external_id"]] = cabinet
        owned = list(_holdings(random, number, customer["external_id"], cabinet, address))
        company.holdings += owned
        company.lines_of[customer["external_id"]] = [row for row in owned if cabinet in row["components"]]
    return company


def _cabinet_of_each(customers: int) -> Iterator[tuple[Node, str]]:
    """For each customer a node and one of its cabinets."""
    for number in range(customers):
        node = NODES[number % len(NODES)]
        place = number // len(NODES)
        if place < SMALL_CABINET_CUSTOMERS:
            yield node, node.cabinet(SMALL_CABINET)
        else:
            yield node, node.cabinet(1 + place % CABINETS)


def _components() -> Iterator[Row]:
    """Regions, nodes, cabinets, the television platform, the warehouse and its carrier: each after what it needs."""
    for code, names in REGIONS.items():
        yield _component(f"region-{code}", "region", f"Region {names['nl']}", names)
    for node in NODES:
        yield _component(node.code, "node", f"Fibre node {node.names['en']}", node.names, f"region-{node.place.region}")
        for number in (*range(1, CABINETS + 1), SMALL_CABINET, SPARE):
            name = f"Street cabinet {number}, {node.names['en']}"
            # The spare card hangs on the region directly: it is what customers are moved to when the node fails.
            above = f"region-{node.place.region}" if number == SPARE else node.code
            yield _component(node.cabinet(number), "cabinet", name, node.names, above)
    television = {"nl": "Televisie", "en": "Television", "ar": "التلفزيون", "hi": "टेलीविज़न"}
    yield _component("tv-platform", "service", "Television platform", television)
    warehouse = {"nl": "Webwinkel", "en": "Web shop", "ar": "المتجر الإلكتروني", "hi": "वेब दुकान"}
    yield _component("carrier", "supplier", "Parcel carrier", warehouse)
    yield _component("warehouse-heerenveen", "warehouse", "Warehouse Heerenveen", warehouse, "carrier")


def _component(external_id: str, kind: str, name: str, names: dict[str, str], *depends_on: str) -> Row:
    return {"external_id": external_id, "kind": kind, "name": name, "texts": names, "depends_on": list(depends_on)}


def _customer(random: Random, number: int, node: Node) -> tuple[Row, str]:
    """A customer, and the street address of the connection."""
    language = random.choices(list(LANGUAGE_SHARES), list(LANGUAGE_SHARES.values()))[0]
    given = random.choice(GIVEN[language])
    family = random.choice(FAMILY[language])
    is_formal = random.random() >= INFORMAL[language]
    address = f"{random.choice(STREETS)} {random.randint(1, 240)}, {node.place.names['nl']}"
    is_organisation = random.random() < ORGANISATION
    row: Row = {
        "external_id": f"N-{number:06}",
        "kind": "organisation" if is_organisation else "person",
        "name": f"{random.choice(ORGANISATIONS)} {family.written}"
        if is_organisation
        else f"{given.written} {family.written}",
        "salutation": salutation(language, given, family.written, is_formal=is_formal),
        "form_of_address": "formal" if is_formal else "informal",
        "language": language,
        "time_zone": _zone(random, language),
        "access_needs": ["large_print"] if random.random() < LARGE_PRINT else [],
        "priority": "care_alarm" if random.random() < CARE_ALARM else "normal",
    }
    chance = random.random()
    if chance < WITHOUT_EMAIL:
        row["post"] = f"{address.replace(', ', f', {node.place.postcode} AB ')}"
    else:
        is_dead = chance < WITHOUT_EMAIL + DEAD_EMAIL
        domain = DEAD_DOMAIN if is_dead else random.choice(("post.example", "mail.example", "inbox.example"))
        row["email"] = f"{given.latin}.{family.latin}{number}@{domain}"
    return row, address


def _zone(random: Random, language: str) -> str:
    elsewhere = ELSEWHERE[language]
    return elsewhere if elsewhere and random.random() < AWAY else "Europe/Amsterdam"


def salutation(language: str, given: Given, family: str, *, is_formal: bool) -> str:
    """How this person is greeted, without a comma."""
    match language, is_formal:
        case "nl", True:
            return f"Geachte {'mevrouw' if given.is_woman else 'heer'} {family[0].upper()}{family[1:]}"
        case "nl", False:
            return f"Beste {given.written}"
        case "ar", True:
            return f"{'السيدة' if given.is_woman else 'السيد'} {given.written} {family}"
        case "ar", False:
            return f"{'عزيزتي' if given.is_woman else 'عزيزي'} {given.written}"
        case "hi", True:
            return f"{'आदरणीया' if given.is_woman else 'आदरणीय'} {given.written} {family} जी"
        case "hi", False:
            return f"प्रिय {given.written}"
        case _, True:
            return f"Dear {'Ms' if given.is_woman else 'Mr'} {family}"
        case _:
            return f"Dear {given.written}"


def _holdings(random: Random, number: int, customer: str, cabinet: str, address: str) -> Iterator[Row]:
    """A fibre line, and perhaps a modem, television, and a parcel under way."""
    speed = random.choice((200, 400, 1000))
    yield _holding(f"F-{number:06}", customer, f"Fibre {speed}", address, cabinet)
    if random.random() < MODEM:
        yield _holding(f"M-{number:06}", customer, "Modem N7", address, cabinet)
    if random.random() < TELEVISION:
        yield _holding(f"T-{number:06}", customer, "Television", address, cabinet, "tv-platform")
    if random.random() < PARCEL:
        yield _holding(f"P-{number:06}", customer, f"Parcel 3S{number:08}", "", "warehouse-heerenveen")


def _holding(external_id: str, customer: str, product: str, place: str, *components: str) -> Row:
    return {
        "external_id": external_id,
        "customer": customer,
        "product": product,
        "place": place,
        "components": list(components),
    }
