"""The people of the tests. Customers: Aisha reads Arabic, Bram Dutch, Chitra Hindi, Dana English; Zeno is a stranger.

Agents: Ester and Farid; supervisor: Noor. All of Aisha, Bram, Chitra and Dana hang on node-7; Elif, who hangs on node-8,
is never touched by what happens to node-7.
"""

from dataclasses import dataclass

from beforehand.accounts.actions import create_user, ensure_team
from beforehand.accounts.models import Role, Team, User
from beforehand.customers.actions import upsert_components, upsert_customers, upsert_holdings
from beforehand.customers.models import Component, Customer

CUSTOMERS = {
    "aisha": ("عائشة الفاسي", "ar", "Africa/Casablanca", "formal"),
    "bram": ("Bram de Vries", "nl", "Europe/Amsterdam", "informal"),
    "chitra": ("चित्रा शर्मा", "hi", "Asia/Kolkata", "formal"),
    "dana": ("Dana O'Neill", "en", "Europe/London", "formal"),
    "elif": ("Elif Kaya", "nl", "Europe/Amsterdam", "formal"),
}
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Cast:
    aisha: Customer
    bram: Customer
    chitra: Customer
    dana: Customer
    elif_: Customer
    node: Component
    other_node: Component
    region: Component
    team: Team
    ester: User
    farid: User
    noor: User

    @property
    def touched(self) -> list[Customer]:
        return [self.aisha, self.bram, self.chitra, self.dana]


def make_cast() -> Cast:
    """Everybody, written through the same actions that the product uses."""
    upsert_components(
        [
            {
                "external_id": "north",
                "kind": "region",
                "name": "North",
                "texts": {"en": "the north", "nl": "het noorden"},
            },
            {
                "external_id": "node-7",
                "kind": "node",
                "name": "Node 7",
                "texts": {"en": "Groningen", "nl": "Groningen", "ar": "خرونينغن", "hi": "ग्रोनिंगन"},
                "depends_on": ["north"],
            },
            {"external_id": "node-8", "kind": "node", "name": "Node 8", "depends_on": ["north"]},
        ],
        actor="test",
        source="test",
    )
    upsert_customers(
        [
            {
                "external_id": key,
                "name": name,
                "language": language,
                "time_zone": zone,
                "form_of_address": form,
                "email": f"{key}@customers.example",
            }
            for key, (name, language, zone, form) in CUSTOMERS.items()
        ],
        actor="test",
        source="test",
    )
    upsert_holdings(
        [
            {
                "external_id": f"modem-{key}",
                "customer": key,
                "product": "Fibre 500",
                "place": "Kerkstraat 12",
                "components": ["node-8" if key == "elif" else "node-7"],
            }
            for key in CUSTOMERS
        ],
        actor="test",
        source="test",
    )
    team = ensure_team(slug="network-operations", name="Network operations", actor="test")
    people = {
        name: create_user(
            email=f"{name}@company.example", name=name.title(), role=role, password=PASSWORD, actor="test"
        )
        for name, role in (("ester", Role.AGENT), ("farid", Role.AGENT), ("noor", Role.SUPERVISOR))
    }
    known = {customer.external_id: customer for customer in Customer.objects.all()}
    parts = {component.external_id: component for component in Component.objects.all()}
    return Cast(
        aisha=known["aisha"],
        bram=known["bram"],
        chitra=known["chitra"],
        dana=known["dana"],
        elif_=known["elif"],
        node=parts["node-7"],
        other_node=parts["node-8"],
        region=parts["north"],
        team=team,
        **people,
    )
