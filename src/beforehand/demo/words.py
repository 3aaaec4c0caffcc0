"""What the company's people and machines write in the story: the alert, the update, the customers' letters."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

NO_END = "0001-01-01T00:00:00Z"
"""How Alertmanager writes an end that is not known."""

UPDATE = {
    "nl": "Een graafmachine heeft een glasvezelkabel geraakt. Onze monteurs zijn ter plaatse en lassen de vezels.",
    "en": "An excavator has hit a fibre cable. Our engineers are on site and are splicing the fibres.",
    "ar": "أصابت حفّارة كابلاً من الألياف الضوئية. مهندسونا في الموقع ويعملون على وصل الألياف.",
    "hi": "एक खुदाई मशीन से फ़ाइबर केबल कट गई है। हमारे तकनीशियन मौके पर हैं और फ़ाइबर जोड़ रहे हैं।",
}

ASKED = ("Mijn internet doet het niet. Is er een storing?", "Is the internet down?", "الإنترنت لا يعمل عندي، ما السبب؟")


def alertmanager_webhook(*, node: str, began_at: datetime, ended_at: datetime | None = None) -> dict[str, Any]:
    """What Alertmanager posts when a node fails, and when it is well again: its webhook's own form, version 4."""
    status = "resolved" if ended_at else "firing"
    labels = {"alertname": "FibreNodeDown", "node": node, "severity": "critical", "job": "snmp"}
    return {
        "receiver": "beforehand",
        "status": status,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": {"summary": f"Fibre node {node} does not answer", "runbook_url": ""},
                "startsAt": began_at.isoformat(),
                "endsAt": ended_at.isoformat() if ended_at else NO_END,
                "generatorURL": "http://prometheus.noorderlicht.example/graph?g0.expr=up%3D%3D0",
                "fingerprint": "8f6d1c0e5a7b4932",
            }
        ],
        "groupLabels": {"alertname": "FibreNodeDown"},
        "commonLabels": labels,
        "commonAnnotations": {"summary": f"Fibre node {node} does not answer"},
        "externalURL": "http://alertmanager.noorderlicht.example",
        "version": "4",
        "groupKey": '{}:{alertname="FibreNodeDown"}',
        "truncatedAlerts": 0,
    }


def letters(customers: Sequence[str], *, at: datetime) -> list[dict[str, Any]]:
    """CloudEvents by which the company's desk says that these customers wrote."""
    return [
        {
            "specversion": "1.0",
            "id": str(uuid4()),
            "source": "https://desk.noorderlicht.example",
            "type": "contact.received",
            "time": at.isoformat(),
            "customer": customer,
            "data": {"channel": "email", "text": ASKED[number % len(ASKED)]},
        }
        for number, customer in enumerate(customers)
    ]
