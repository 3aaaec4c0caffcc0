"""`beforehand rule`: rules come from a file whose faults are named with file and line, and the shipped example works as it is."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cast import make_cast
from tests.driving import alert, driving, post_webhook

from beforehand.config.cli import main
from beforehand.config.rule_file import RuleFileError, read_rules
from beforehand.detection.matching import first_match
from beforehand.detection.models import AlertRule
from beforehand.events.models import Event
from beforehand.incidents.models import Incident
from beforehand.kit.clock import travel

with_database = pytest.mark.django_db(transaction=True)

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "alert-rules.yaml"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
GOOD = """
rules:
  - slug: one
    name: One
    condition: labels.a == "b"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def faults(file: Path, text: str | bytes) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RuleFileError) as refused:
        read_rules(file)
    return [f"{one.line}: {one.message}" for one in refused.value.problems]


@with_database
def test_the_example_can_be_pushed_as_it_is_and_opens_an_incident(capsys: pytest.CaptureFixture[str]) -> None:
    cast = make_cast()
    assert main(["rule", "list"]) == 0
    assert "docs/examples/alert-rules.yaml" in capsys.readouterr().err
    assert main(["rule", "push", str(EXAMPLE)]) == 0
    assert main(["rule", "list"]) == 0
    assert "node-down" in capsys.readouterr().out
    with travel(NOW), driving() as drive:
        post_webhook([alert(starts_at=NOW)])
        drive.settle()
    opened = Incident.objects.get()
    assert (opened.title, opened.scopes.get().component) == ("Node down", cast.node)
    assert opened.texts["nl"]["title"] == "Storing"


@pytest.mark.parametrize(
    ("source", "labels", "slug"),
    [
        ("prometheus", {"alertname": "InstanceDown"}, "node-down"),
        ("prometheus", {"alertname": "NodeDown", "severity": "warning"}, None),
        ("grafana", {"alertname": "HighLatency", "severity": "warning"}, "service-slow"),
        ("uptime-kuma", {"alertname": "shop"}, "monitor-down"),
        ("heartbeat", {"alertname": "HeartbeatMissing", "heartbeat": "probe"}, "silence"),
        ("prometheus", {"alertname": "DiskFull"}, None),
    ],
)
def test_each_rule_of_the_example_means_what_it_says(source: str, labels: dict[str, str], slug: str | None) -> None:
    one = {"source": source, "labels": labels, "annotations": {}}
    rules = [AlertRule(slug=filed.slug, condition=filed.rule.condition) for filed in read_rules(EXAMPLE)]
    met = first_match(one, rules, now=NOW)
    assert (met.slug if met else None) == slug


@with_database
def test_rules_are_changed_and_a_disabled_one_stays_so_unless_the_file_says_otherwise(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD)
    assert main(["rule", "push", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "stored": ["one"]}
    assert main(["rule", "disable", "one"]) == 0
    assert main(["rule", "disable", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_enabled"] is False
    file.write_text(GOOD.replace("One", "Two"))
    assert main(["rule", "push", str(file)]) == 0
    rule = AlertRule.objects.get()
    assert (rule.name, rule.is_enabled) == ("Two", False)
    assert main(["rule", "enable", "one"]) == 0
    assert AlertRule.objects.get().is_enabled
    file.write_text(GOOD + "    is_enabled: false\n")
    assert main(["rule", "push", str(file)]) == 0
    assert not AlertRule.objects.get().is_enabled
    said = [one.type for one in Event.objects.filter(type__startswith="alert_rule.").order_by("id")]
    assert said == [f"alert_rule.{verb}" for verb in ("saved", "disabled", "saved", "enabled", "saved")]
    assert main(["rule", "list", "--json"]) == 0
    assert [one["slug"] for one in json.loads(capsys.readouterr().out)] == ["one"]


@with_database
def test_a_file_with_a_fault_stores_nothing_and_names_file_and_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD + "  - slug: two\n    nmae: Two\n    condition: labels.a ==\n    owner: nobody\n")
    assert main(["rule", "push", str(file)]) == 1
    said = capsys.readouterr()
    assert f'{file}:7: There is no field "nmae"; name is meant?' in said.out
    assert f'{file}:6: A rule needs "name".' in said.out
    assert "nothing was stored" in said.err
    file.write_text(GOOD + "    owner: nobody\n")
    assert main(["rule", "push", str(file)]) == 1
    assert f'{file}:6: There is no team "nobody".' in capsys.readouterr().out
    assert main(["rule", "push", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] == [{"line": 6, "message": 'There is no team "nobody".'}]
    assert main(["rule", "push", str(file.with_name("none.yaml"))]) == 1
    assert "cannot be read" in capsys.readouterr().err
    file.write_text(GOOD)
    assert main(["rule", "push", "--check", str(file)]) == 0
    assert not AlertRule.objects.exists()
    assert main(["rule", "enable", "one"]) == 1
    assert "there is no rule 'one'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1: The file is empty."]),
        ("- a", ['1: The file holds "rules:", and under it a list of rules.']),
        ("rules:\n  - one", ["2: A rule is a list of fields, such as slug, name and condition."]),
        (
            GOOD.replace("slug: one\n", "slug: One Two\n"),
            ["3: slug: String should match pattern '^[a-z0-9][a-z0-9-]{0,49}$'"],
        ),
        (GOOD.replace("slug: one\n    ", ""), ['3: A rule needs "slug".']),
        (GOOD + "    kind: flood\n", None),
        (GOOD + "    texts:\n      nl:\n        titel: Storing\n", ['8: There is no field "texts.nl.titel".']),
        (GOOD + "    texts:\n      12:\n        title: Storing\n", None),
        (GOOD + "    hold_down_seconds: soon\n", None),
        (GOOD + "    name: Two\n", ['6: The name "name" stands here twice.']),
        (GOOD + GOOD.partition("rules:\n")[2], ['6: The slug "one" stands here twice.']),
        (GOOD + "    group_by: &a [b]\n    component_labels: *a\n", None),
        ("rules: [", None),
        ("? [a]\n: b", ["1: A name is a single text."]),
        (b"\xff\xfe", ["1: The file is not UTF-8."]),
        (b"#" * (1024 * 1024 + 1), ["1: A file of rules has at most 1,048,576 bytes."]),
    ],
)
def test_every_fault_has_its_line(file: Path, text: str | bytes, said: list[str] | None) -> None:
    found = faults(file, text)
    assert found == said if said is not None else len(found) == 1


def test_a_condition_that_cannot_be_is_named_at_its_line(file: Path) -> None:
    (said,) = faults(file, GOOD.replace('labels.a == "b"', "nobody.knows"))
    assert said.startswith("5: condition: ")


def test_json_is_read_too_with_tabs_and_with_characters_in_two_halves(tmp_path: Path) -> None:
    rule: dict[str, Any] = {"slug": "one", "name": "Fire 🔥", "condition": "true", "flap_changes": 0, "owner": None}
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"rules": [rule]}, indent="\t"))
    (found,) = read_rules(file)
    assert (found.slug, found.rule.name, found.rule.flap_changes, found.rule.owner) == ("one", "Fire 🔥", 0, None)
