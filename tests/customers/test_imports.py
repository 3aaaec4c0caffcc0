"""CSV imports: everything loads once, whatever stops it; what cannot be loaded is named."""

from pathlib import Path

import pytest
from django.db import connection

from beforehand.customers import imports
from beforehand.customers.actions import declare_attribute, upsert_components
from beforehand.customers.csv_rows import FileReason, ImportRefused
from beforehand.customers.imports import Progress, import_file
from beforehand.customers.models import Consent, ContactPoint, Customer, Holding, HoldingComponent, Import
from beforehand.events.models import Event

pytestmark = pytest.mark.django_db

HEADER = "external_id,name,language,email,holding.external_id,holding.product,holding.components\n"


def write(folder: Path, text: str | bytes, name: str = "customers.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def good_rows(count: int) -> str:
    return HEADER + "".join(f"c{n},Customer {n},nl,c{n}@mail.example,h{n},fibre,node-1\n" for n in range(count))


@pytest.fixture
def node() -> None:
    upsert_components([{"external_id": "node-1", "kind": "node", "name": "Node 1"}], actor="test", source="test")


def problems(done: Import) -> list[tuple[int, str, str]]:
    return list(done.problems.order_by("line", "column").values_list("line", "column", "reason"))


@pytest.mark.usefixtures("node")
def test_one_file_brings_customers_contact_points_and_holdings(tmp_path: Path) -> None:
    seen: list[Progress] = []
    done = import_file(
        write(tmp_path, good_rows(25)), kind="customers", actor="user:1", progress=seen.append, batch_rows=10
    )
    assert (done.state, done.loaded, done.refused) == ("done", 25, 0)
    assert [p.loaded for p in seen] == [10, 20, 25]
    assert seen[-1].done_bytes == seen[-1].total_bytes
    counts = [model.objects.count() for model in (Customer, ContactPoint, Holding, HoldingComponent)]
    assert counts == [25, 25, 25, 25]
    assert Event.objects.filter(type="holdings.imported").count() == 3
    assert Event.objects.filter(type="import.finished").count() == 1


@pytest.mark.usefixtures("node")
def test_a_finished_file_again_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, good_rows(25))
    first = import_file(path, kind="customers", actor="user:1")
    events = Event.objects.exclude(type="import.finished").count()
    again = import_file(path, kind="customers", actor="user:1")
    assert again.pk != first.pk
    assert again.loaded == 25
    assert Customer.objects.count() == Holding.objects.count() == ContactPoint.objects.count() == 25
    assert Event.objects.exclude(type="import.finished").count() == events


@pytest.mark.usefixtures("node")
def test_an_import_that_broke_off_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, good_rows(25))
    really_keep = imports._keep_problems
    calls: list[int] = []

    def keep_twice_then_break(running: Import, found: list[object]) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise ConnectionError("the machine went away")
        really_keep(running, found)  # type: ignore[arg-type]

    monkeypatch.setattr(imports, "_keep_problems", keep_twice_then_break)
    with pytest.raises(ConnectionError):
        import_file(path, kind="customers", actor="user:1", batch_rows=5)
    stopped = Import.objects.get()
    assert (stopped.state, stopped.loaded) == ("running", 10)
    assert Customer.objects.count() == Holding.objects.count() == 10
    monkeypatch.undo()

    seen: list[Progress] = []
    done = import_file(path, kind="customers", actor="user:1", batch_rows=5, progress=seen.append)
    assert done.pk == stopped.pk
    assert [p.loaded for p in seen] == [15, 20, 25]
    assert Customer.objects.count() == Holding.objects.count() == 25
    assert Event.objects.filter(type="customers.imported").count() == 5


BAD = HEADER + "".join(
    [
        "good,Good,nl,good@mail.example,h1,fibre,node-1\n",  # line 2
        "c3,Three,Klingon,three@mail.example,,,\n",  # 3
        "c4,Four,nl,not an address,,,\n",  # 4
        "c5,Five\n",  # 5: too few columns
        'c6,"Six\nlines",nl,,,,\n',  # 6 and 7: a line break is no name
        ",Nobody,nl,,,,\n",  # 8
        "c9,Nine,nl,,h9,fibre,node-404\n",  # 9
        "c10,Ten,nl,,,fibre,node-1\n",  # 10: a holding without a number
        f"c11,{'x' * 301},nl,,,,\n",  # 11
        'c12,"Twelve"x,nl,,,,\n',  # 12
        "c13,Nul\0,nl,,,,\n",  # 13
        "c14,Last,ar,last@mail.example,,,\n",  # 14
    ]
)


@pytest.mark.usefixtures("node")
def test_bad_rows_of_every_kind_are_named_by_line_and_column_and_the_rest_is_loaded(tmp_path: Path) -> None:
    text = BAD.encode() + "c15,Zoë,nl,,,,\n".encode("latin-1") + b"c16,Sixteen,nl,,,,\n"
    done = import_file(write(tmp_path, text), kind="customers", actor="user:1", batch_rows=4)
    assert problems(done) == [
        (3, "language", "not_a_language"),
        (4, "email", "not_an_email"),
        (5, "", "wrong_column_count"),
        (6, "name", "control_character"),
        (8, "external_id", "missing"),
        (9, "holding.components", "unknown_component"),
        (10, "holding.external_id", "missing"),
        (11, "name", "too_long"),
        (12, "", "bad_quoting"),
        (13, "name", "control_character"),
        (15, "name", "not_utf8"),
    ]
    assert (done.loaded, done.refused) == (3, 11)
    assert set(Customer.objects.values_list("external_id", flat=True)) == {"good", "c14", "c16"}
    assert "Klingon" in done.problems.get(line=3).detail
    assert "node-404" in done.problems.get(line=9).detail


@pytest.mark.parametrize(
    ("header", "kind", "reason", "said"),
    [
        ("external_id,name,langauge", "customers", FileReason.UNKNOWN_COLUMN, "“language”"),
        ("external_id,language", "customers", FileReason.MISSING_COLUMN, "“name”"),
        ("external_id,name,attributes.size", "customers", FileReason.UNKNOWN_COLUMN, "declared"),
        ("external_id,name,holding.product", "customers", FileReason.MISSING_COLUMN, "holding.external_id"),
        (
            "external_id,name,holding.external_id,holding.product,holding.customer",
            "customers",
            FileReason.UNKNOWN_COLUMN,
            "customer",
        ),
        ("external_id,product", "holdings", FileReason.MISSING_COLUMN, "“customer”"),
        ("external_id,name,name", "customers", FileReason.COLUMN_TWICE, "name"),
        ("external_id,name", "components", FileReason.MISSING_COLUMN, "“kind”"),
        ("customer,message_class", "consents", FileReason.MISSING_COLUMN, "“channel”"),
    ],
)
def test_a_file_whose_columns_do_not_fit_is_refused_as_a_whole(
    tmp_path: Path, header: str, kind: str, reason: FileReason, said: str
) -> None:
    with pytest.raises(ImportRefused, match=said) as refused:
        import_file(write(tmp_path, f"{header}\n1,2\n"), kind=kind, actor="user:1")
    assert refused.value.reason is reason
    assert Import.objects.count() == 0


@pytest.mark.usefixtures("node")
def test_a_customer_with_several_holdings_stands_on_several_lines(tmp_path: Path) -> None:
    text = HEADER + "c1,Bram,nl,,h1,fibre,node-1\nc1,Bram,,,h2,mobile,\nc2,Dana,en,,,,\n"
    done = import_file(write(tmp_path, text), kind="customers", actor="user:1", batch_rows=2)
    assert (done.loaded, done.refused) == (3, 0)
    assert list(Holding.objects.order_by("external_id").values_list("customer__external_id", "product")) == [
        ("c1", "fibre"),
        ("c1", "mobile"),
    ]


def test_components_holdings_and_consents_have_files_of_their_own(tmp_path: Path) -> None:
    declare_attribute(owner="holding", name="firmware", type="text", actor="user:1")
    for kind, text in {
        "components": "external_id;kind;name;depends_on;texts.nl\nnode;node;Node;region;Knoop\nregion;region;Region;;\n",
        "customers": "external_id;name;phone\nc1;Bram;020 1234567\n",
        "holdings": "external_id;customer;product;components;since;attributes.firmware\nh1;c1;fibre;node;2025-03-01;1.2\n",
        "consents": "customer;message_class;channel;given;wording;how\nc1;outage;email;yes;May we?;form\n",
    }.items():
        done = import_file(write(tmp_path, text, f"{kind}.csv"), kind=kind, actor="user:1", region="NL")
        assert (kind, problems(done)) == (kind, [])
    assert ContactPoint.objects.get().address == "+31201234567"
    assert Holding.objects.get().attributes == {"firmware": "1.2"}
    assert Consent.objects.get().given is True


def test_a_file_without_rows_is_an_import_of_nothing(tmp_path: Path) -> None:
    done = import_file(write(tmp_path, "external_id,name\n"), kind="customers", actor="user:1")
    assert (done.state, done.loaded, done.refused) == ("done", 0, 0)


def test_a_batch_that_another_process_took_is_not_loaded_twice(tmp_path: Path) -> None:
    path = write(tmp_path, "external_id,name\n" + "".join(f"c{n},Name\n" for n in range(10)))

    def another_process_goes_on(_: Progress) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE customers_import SET done_bytes = done_bytes + 1")

    with pytest.raises(ImportRefused) as refused:
        import_file(path, kind="customers", actor="user:1", batch_rows=5, progress=another_process_goes_on)
    assert refused.value.reason is FileReason.RUNNING_ELSEWHERE
    assert Customer.objects.count() == 5
