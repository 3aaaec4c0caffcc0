"""How the company sets itself up: its brand and teams, its network and customers, one alert rule, one playbook."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from beforehand.demo.company import BRAND, TEAMS, Company, Row
from beforehand.demo.public_api import ApiRefused, PublicApi

BATCH = 2_500
PLAYBOOK = "outage"
LASTS, PROMISE = 5, 60
"""Seconds: how long a fault must last, and within what time there is news again."""

IN_SECONDS = {
    "for: 3 minutes": f"for: {LASTS} seconds",
    "every: 60 minutes": f"every: {PROMISE} seconds",
}
"""What the demo changes in the shipped playbook, so that an afternoon passes in two minutes; its texts stay."""

RULE: dict[str, Any] = {
    "name": "Fibre node down",
    "condition": 'labels.alertname == "FibreNodeDown" && labels.severity == "critical"',
    "group_by": ["alertname", "node"],
    "component_labels": ["node"],
    "hold_down_seconds": 0,
    "kind": "outage",
    "severity": "major",
    "owner": "network-operations",
    "texts": {
        "nl": {"title": "Storing in uw glasvezelverbinding"},
        "en": {"title": "Your fibre connection is down"},
        "ar": {"title": "انقطاع في اتصال الألياف الضوئية لديكم"},
        "hi": {"title": "आपके फ़ाइबर कनेक्शन में ख़राबी"},
    },
}


def set_up(api: PublicApi, company: Company, *, console: Console) -> None:
    """Everything, through the public API."""
    api.put("settings/brand", {"value": BRAND})
    for slug, name in TEAMS.items():
        api.put(f"teams/{slug}", {"name": name})
    _load(api, company, console=console)
    api.put("alert-rules/fibre-node-down", RULE)


def agree(api: PublicApi) -> dict[str, Any]:
    """The shipped outage playbook in seconds: pushed as a version of the company's own, and approved by its hash."""
    shipped = api.get(f"playbooks/{PLAYBOOK}")
    bundle = {
        "source": in_seconds(shipped["source"]),
        "texts": shipped["texts"],
        "builds_on": shipped["hash"],
        "note": "waits and rhythm in seconds, for the demo",
    }
    version = api.put(f"playbooks/{PLAYBOOK}", bundle)
    approved: dict[str, Any] = api.post(f"playbooks/{PLAYBOOK}/approve", {"hash": version["hash"]})
    return approved


def in_seconds(source: str) -> str:
    """The shipped playbook with its waits and its rhythm in seconds; raises ValueError if it reads otherwise.

    Without its tests, which end the file and speak of the times that were agreed.
    """
    source = source.partition("\ntests:")[0] + "\n"
    for written, wanted in IN_SECONDS.items():
        if written not in source:
            raise ValueError(f"the shipped playbook does not say “{written}”")
        source = source.replace(written, wanted)
    return source


def _load(api: PublicApi, company: Company, *, console: Console) -> None:
    kinds = {"components": company.components, "customers": company.customers, "holdings": company.holdings}
    columns = (TextColumn("{task.description:<38}"), BarColumn(bar_width=30), MofNCompleteColumn())
    with Progress(*columns, console=console) as bar:
        for kind, rows in kinds.items():
            task = bar.add_task(f"  Loading {len(rows):,} {_SPOKEN[kind]}", total=len(rows))
            for batch in _batches(rows):
                answer = api.post(kind, {"rows": batch})
                if answer["refused"]:
                    raise ApiRefused(f"{answer['refused']} {kind} were refused: {answer['problems'][:3]}")
                bar.advance(task, len(batch))


_SPOKEN = {"components": "network parts", "customers": "customers", "holdings": "products & services"}


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), BATCH):
        yield list(rows[start : start + BATCH])
