"""`beforehand playbook`: faults are named with file and line, and what is stored is what was checked."""

import json
import shutil
from pathlib import Path

import pytest
from django.test import Client

from beforehand.config.cli import main
from beforehand.engine.playbooks.schema import playbook_json_schema
from beforehand.playbooks.bundles import SHIPPED
from beforehand.playbooks.models import PlaybookVersion

SHIPPED_NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/playbook.yaml"))


@pytest.fixture(autouse=True)
def no_database_unless_it_is_asked_for(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("django_db") is None:
        request.getfixturevalue("no_database")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "outage"
    shutil.copytree(SHIPPED / "outage", folder)
    return folder


def change(path: Path, old: str, new: str) -> None:
    source = path.read_text("utf-8")
    assert old in source
    path.write_text(source.replace(old, new, 1), "utf-8")


def test_the_shipped_playbook_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "check", str(SHIPPED / "outage")]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err.endswith("is in order.\n")) == ("", True)


def test_a_fault_in_the_file_is_named_with_its_line(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(bundle / "playbook.yaml", "for: 3 minutes", "for: a while")
    line = 1 + (bundle / "playbook.yaml").read_text("utf-8").split("for: a while")[0].count("\n")
    assert main(["playbook", "check", str(bundle)]) == 1
    assert f"{bundle / 'playbook.yaml'}:{line}: “a while” is not a duration." in capsys.readouterr().out


def test_a_word_that_does_not_exist_is_found_in_the_text_of_one_language(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(bundle / "texts" / "update.ar.md", "{{ holding }}", "{{ incident.colour }}")
    line = 1 + (bundle / "texts/update.ar.md").read_text("utf-8").split("incident.colour")[0].count("\n")
    assert main(["playbook", "check", "--json", str(bundle)]) == 1
    answer = json.loads(capsys.readouterr().out)
    (problem,) = answer["problems"]
    assert (answer["ok"], problem["file"], problem["line"]) == (False, "texts/update.ar.md", line)
    assert "incident.colour" in problem["message"]


def test_a_condition_that_cannot_be_read_is_an_error_at_its_place(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(bundle / "playbook.yaml", 'incident.kind == "outage"', 'incident.weather == "outage"')
    assert main(["playbook", "check", "--json", str(bundle)]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["file"], problem["severity"]) == ("playbook.yaml", "error")
    assert "incident.weather" in problem["message"]


def test_a_language_that_the_audience_reads_and_nobody_wrote_is_an_error(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["playbook", "check", "--languages", "en,uk", str(bundle)]) == 1
    assert "“first-notice” lacks it. Write texts/first-notice.uk.md" in capsys.readouterr().out


def test_a_folder_without_a_playbook_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"beforehand: {tmp_path} holds no playbook.yaml\n"


@pytest.mark.django_db(transaction=True)
def test_a_pushed_version_asks_first_until_it_is_approved(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "push", "--json", str(bundle)]) == 0
    pushed = json.loads(capsys.readouterr().out)
    version = PlaybookVersion.objects.get(slug="outage", is_current=True)
    assert (version.hash, version.approved_at) == (pushed["hash"], None)
    assert main(["playbook", "approve", "outage", "--hash", "0000"]) == 1
    assert main(["playbook", "approve", "outage", "--hash", pushed["hash"][:12]]) == 0
    version.refresh_from_db()
    assert version.approved_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_bundle_with_a_faulty_text_is_not_stored(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(bundle / "texts" / "update.nl.md", "{{ update.text }}", "{{ update.text ")
    assert main(["playbook", "push", str(bundle)]) == 1
    assert f"{bundle / 'texts/update.nl.md'}:" in capsys.readouterr().out
    assert not PlaybookVersion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_migrate_brings_the_shipped_playbooks_once_and_leaves_changed_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"applied": [], "playbooks": SHIPPED_NAMES}
    assert main(["migrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"applied": [], "playbooks": []}


@pytest.mark.django_db(transaction=True)
def test_approving_what_is_not_there_names_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "install"]) == 0
    assert main(["playbook", "approve", "outrage"]) == 1
    assert f"known: {', '.join(SHIPPED_NAMES)}" in capsys.readouterr().err


def test_a_bundles_own_tests_are_run_without_a_database(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "test", str(bundle)]) == 0
    assert capsys.readouterr().err.endswith("tests passed.\n")
    change(bundle / "playbook.yaml", "every: 3 hours", "every: 4 hours")
    assert main(["playbook", "test", str(bundle)]) == 1
    printed = capsys.readouterr()
    line = 1 + (bundle / "playbook.yaml").read_text("utf-8").split("{ at: 15 hours")[0].count("\n")
    assert f"{bundle / 'playbook.yaml'}:{line}: The test “It lasts for days" in printed.out
    assert "What came: at 15 hours tell “still-working” to affected, next update by 19 hours" in printed.out
    assert main(["playbook", "test", "--json", str(bundle)]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], [test["ok"] for test in answer["tests"]].count(False)) == (False, 1)


def test_a_bundle_that_carries_no_tests_or_has_errors_is_not_tested(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (bundle / "playbook.yaml").read_text("utf-8")
    (bundle / "playbook.yaml").write_text(source.partition("\ntests:")[0] + "\n", "utf-8")
    assert main(["playbook", "test", str(bundle)]) == 1
    assert "carries no tests" in capsys.readouterr().err
    change(bundle / "playbook.yaml", "  - end: resolved\n", "")
    assert main(["playbook", "test", str(bundle)]) == 1
    assert "nothing was tested" in capsys.readouterr().err


def test_the_language_is_printed_as_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == playbook_json_schema()


def test_the_schema_is_open_to_every_editor(client: Client) -> None:
    answer = client.get("/schemas/playbook.json")
    assert answer.json() == playbook_json_schema()
    assert answer.headers["Content-Type"] == "application/schema+json"
    assert client.post("/schemas/playbook.json").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_a_bundle_that_fails_its_own_tests_is_not_stored(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(bundle / "playbook.yaml", "for: 3 minutes", "for: 5 minutes")
    assert main(["playbook", "push", str(bundle)]) == 1
    assert "What came: at 5 minutes tell “first-notice”" in capsys.readouterr().out
    assert not PlaybookVersion.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_a_bundle_changes_is_said_in_words(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["playbook", "diff", str(bundle)]) == 1
    assert main(["playbook", "install"]) == 0
    assert main(["playbook", "diff", str(bundle)]) == 0
    assert "The same as outage 1." in capsys.readouterr().err
    change(bundle / "playbook.yaml", "for: 3 minutes", "for: 5 minutes")
    change(bundle / "playbook.yaml", "  - tell: first-notice\n", "  - wait: 1 minute\n  - tell: first-notice\n")
    change(bundle / "playbook.yaml", "owner: network-operations", "owner: care")
    change(bundle / "texts/first-notice.ar.md", "{{ holding }}", "{{ holding }}!")
    assert main(["playbook", "diff", str(bundle)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "“owner” is now care instead of network-operations.",
        "“first-notice” now waits 5 minutes instead of 3 minutes.",
        "New: Waits 1 minute.",
        "The text “first-notice” changed in Arabic.",
    ]
    assert main(["playbook", "diff", "--json", str(bundle)]) == 0
    assert json.loads(capsys.readouterr().out)["changes"][1]["kind"] == "wait"
