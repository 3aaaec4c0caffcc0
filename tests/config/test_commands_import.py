"""`beforehand import`: files come in, each bad row is named, and the rest is loaded."""

import json
from pathlib import Path

import pytest

from beforehand.config.cli import main
from beforehand.customers.models import Component, Consent, Customer, Holding

pytestmark = pytest.mark.django_db(transaction=True)


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def test_the_four_kinds_of_file_are_loaded_one_after_the_other(tmp_path: Path) -> None:
    components = written(tmp_path / "parts.csv", "external_id,kind,name", "node-7,node,Node 7")
    customers = written(
        tmp_path / "people.csv", "external_id,name,language,email", "C1,Aisha,ar,aisha@customers.example"
    )
    holdings = written(tmp_path / "owned.csv", "external_id,customer,product,components", "H1,C1,Fibre,node-7")
    consents = written(
        tmp_path / "said.csv", "customer,message_class,channel,given,wording,how", "C1,care,email,yes,May we?,form"
    )
    assert main(["import", "components", components]) == 0
    assert main(["import", "customers", customers]) == 0
    assert main(["import", "holdings", holdings]) == 0
    assert main(["import", "consents", consents]) == 0
    counts = [model.objects.count() for model in (Component, Customer, Holding, Consent)]
    assert counts == [1, 1, 1, 1]


def test_a_bad_row_is_named_with_line_column_and_reason_and_the_rest_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(
        tmp_path / "people.csv", "external_id,name,language", "C1,Bram,nl", "C2,Dana,klingonese", "C3,Aisha,ar"
    )
    assert main(["import", "customers", file]) == 1
    assert f"{file}:3: language: " in capsys.readouterr().out
    assert sorted(Customer.objects.values_list("external_id", flat=True)) == ["C1", "C3"]


def test_a_program_gets_every_problem_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "people.csv", "external_id,name", "C1,Bram", ",Dana")
    assert main(["import", "customers", file, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["loaded"], answer["refused"]) == (1, 1)
    assert [(one["line"], one["column"], one["reason"]) for one in answer["problems"]] == [
        (3, "external_id", "missing")
    ]


def test_a_file_with_an_unknown_column_is_refused_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path / "people.csv", "external_id,name,shoe_size", "C1,Bram,43")
    assert main(["import", "customers", file]) == 1
    assert "shoe_size" in capsys.readouterr().err
    assert not Customer.objects.exists()


def test_a_file_that_is_not_there_is_refused_before_the_database_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "customers", str(tmp_path / "none.csv")]) == 1
    assert capsys.readouterr().err == f"beforehand: {tmp_path / 'none.csv'} cannot be read\n"
