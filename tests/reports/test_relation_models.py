"""Relations as models: which rows, in which order, and how little is read for them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.definitions.filters import Filter
from include.errors import BadInput
from include.ledger.ageing import instant
from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports import models, relation
from include.reports.engine import files, relation_rows
from include.reports.model import Asked, LocalSnapshot
from tests.reports.liability_ledger import at, program, rendered, row, snapshot

TRANSACTIONS = models.load("transactions", where="test")


def ids(rows: list[dict[str, Any]], key: str = "transaction_id") -> list[str]:
    return [one[key] for one in rows]


def test_rows_are_those_of_the_period_and_known_by_k(tmp_path: Path):
    # before  a on 01-31, b on 02-01, c on 02-28, d on 03-01; e on 02-10, recorded in 2031
    # apply   February                   -> b, c (an interval holds its start, not its end; e is not known)
    # apply   all before 03-01           -> a, b, c
    taken = snapshot(tmp_path, [
        row("a", "earned", 1, "2026-01-31T23:59:59.999999"),
        row("b", "earned", 1, "2026-02-01"),
        row("c", "earned", 1, "2026-02-28T23:59:59.999999"),
        row("d", "earned", 1, "2026-03-01"),
        row("e", "earned", 1, "2026-02-10", recorded_at="2031-01-01"),
    ])  # fmt: skip
    assert ids(rendered(TRANSACTIONS, taken, tmp_path, "2026-03-01", "2026-02-01")) == ["b", "c"]
    assert ids(rendered(TRANSACTIONS, taken, tmp_path, "2026-03-01")) == ["a", "b", "c"]


def test_rows_without_a_moment_are_in_the_state_and_in_no_period(tmp_path: Path):
    model = replace_model("customers")
    taken = snapshot(tmp_path, [], customers=[
        {"customer_id": "later", "registered_at": at("2026-03-01")},
        {"customer_id": "always"},
        {"customer_id": "february", "registered_at": at("2026-02-02")},
    ])  # fmt: skip
    assert ids(rendered(model, taken, tmp_path, "2026-03-01"), "customer_id") == ["always", "february"]
    assert ids(rendered(model, taken, tmp_path, "2026-03-01", "2026-02-01"), "customer_id") == ["february"]


def replace_model(name: str) -> relation.RelationModel:
    """The plain model of a relation for which there is a richer one, too."""
    return relation.load(name)


def test_a_relation_that_the_ledger_lacks_is_named(tmp_path: Path):
    with pytest.raises(BadInput, match="report events: 'events': the ledger does not have it"):
        rendered(models.load("events", where="test"), snapshot(tmp_path, []), tmp_path, "2026-03-01")


@pytest.mark.parametrize("seed", range(5))
def test_rows_leave_by_key_whatever_order_the_ledger_gives_them_in(seed: int, tmp_path: Path):
    # ids compare as UTF-8 bytes: Z before a, a before é, é before the emoji
    names = ["a", "Z", "é", "a1", "\U0001f600", "z", "b"]
    shuffled = random.Random(seed).sample(names, len(names))
    taken = snapshot(tmp_path, [row(name, "earned", 1, "2026-01-01") for name in shuffled])
    assert ids(rendered(TRANSACTIONS, taken, tmp_path, "2026-02-01")) == sorted(names, key=str.encode)


def test_keys_of_several_fields_are_compared_in_order(tmp_path: Path):
    changes = [
        {"program_id": p, "subledger_id": s, "customer_id": c, "changed_at": at(d)}
        for p in "ab" for s in ("", "x") for c in "12" for d in ("2026-01-01", "2026-01-02")
    ]  # fmt: skip
    model = models.load("tier_changes", where="test")
    for order in (changes, changes[::-1]):
        taken = snapshot(tmp_path, [], tier_changes=order)
        found = rendered(model, taken, tmp_path, "2026-02-01")
        assert [{name: one[name] for name in changes[0]} for one in found] == [
            {**one, "changed_at": one["changed_at"]} for one in changes
        ]


def test_a_null_in_a_key_stands_last_in_its_group_in_any_order(tmp_path: Path):
    changes = [
        {"program_id": "p", "subledger_id": purse, "customer_id": "c", "changed_at": at("2026-01-01")}
        for purse in ("a", "b", None)
    ]
    model = models.load("tier_changes", where="test")
    for order in (changes, changes[::-1]):
        taken = snapshot(tmp_path, [], tier_changes=order)
        assert ids(rendered(model, taken, tmp_path, "2026-02-01"), "subledger_id") == ["a", "b", None]


@pytest.mark.parametrize("rows_at_once", [1, 2, 3])
def test_rows_in_order_within_each_batch_alone_are_sorted(
    rows_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # before  b, c, d, a, e, f: each three are in order, the fourth comes before the first
    taken = snapshot(tmp_path, [row(name, "earned", 1, "2026-01-01") for name in "bcdaef"])
    monkeypatch.setattr(relation_rows, "_READ_ROWS", rows_at_once)
    assert ids(rendered(TRANSACTIONS, taken, tmp_path, "2026-02-01")) == list("abcdef")


def test_what_is_in_order_is_not_sorted_and_keeps_its_dictionaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    taken = snapshot(tmp_path, [row(f"{n:03}", "earned", 1, "2026-01-01") for n in range(100)])
    monkeypatch.setattr("include.shaping.ordering.ordered", lambda *_: pytest.fail("sorted"))
    monkeypatch.setattr(relation_rows, "_READ_ROWS", 7)
    wanted = relation_rows.columns_of(RELATIONS["transactions"])
    batches = list(
        relation.in_key_order(asked(None, "2026-02-01"), taken, RELATIONS["transactions"], wanted, tmp_path)
    )
    assert sum(map(len, batches)) == 100
    assert pa.types.is_dictionary(batches[0].column("type").type)


def asked(start: str | None, end: str, keep: Filter | None = None) -> Asked:
    begin = None if start is None else instant(at(start))
    last = instant(at(end))
    return Asked(
        begin,
        None if begin is None else last,
        last,
        instant(at("2030-01-01")),
        relation.NoOptions(),
        "UTC",
        None,
        keep,
    )


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> LocalSnapshot:
    """One transaction an hour of 2026, a row group a day, a file a month; every 50th came two days late."""
    tmp_path, first = tmp_path_factory.mktemp("year"), at("2026-01-01")
    paths, rows, month = [], [], 1
    for hour in range(365 * 24):
        written = first + timedelta(hours=hour)
        if written.month != month:
            paths.append(write(tmp_path, month, rows))
            rows, month = [], written.month
        created = written - timedelta(days=2) if hour % 50 == 49 and hour > 48 else written
        rows.append(
            row(f"t{hour:05}", "earned", 1, created.isoformat()[:19], recorded_at=written.isoformat()[:19])
        )
    paths.append(write(tmp_path, month, rows))
    return LocalSnapshot({"transactions": paths}, {"transactions": RELATIONS["transactions"].names})


def write(folder: Path, month: int, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"{month:02}.parquet"
    table = pa.Table.from_pylist(rows, schema=arrow_schema(RELATIONS["transactions"]))
    pq.write_table(table, path, row_group_size=24, write_statistics=["created_at"])
    return path


KEEPS = [
    [{"field": "created_at", "after": "2026-05-03T00:00:00Z", "before": "2026-05-05T12:00:00Z"}],
    [
        {
            "any": [
                {"field": "created_at", "before": "2026-01-02T00:00:00Z"},
                {"field": "points", "more_than": 5},
            ]
        }
    ],
    [{"field": "created_at", "less_than_ago": 3}],
    [{"field": "created_at", "before": "2020-01-01T00:00:00Z"}],
    [{"field": "details.till", "is": "7"}, {"field": "created_at", "after": "2026-05-20"}],
    # the first and the last row of a row group, exactly
    [{"field": "created_at", "is": "2026-05-03T00:00:00Z"}],
    [{"field": "created_at", "is": ["2026-02-03T23:00:00Z", "2026-05-03T23:00:00Z"]}],
]


@pytest.mark.parametrize("keep", [None, *KEEPS], ids=str)
@pytest.mark.parametrize(
    ("start", "end"), [("2026-05-01", "2026-06-01"), (None, "2026-03-01"), ("2026-12-31", "2027-01-01")]
)
def test_pruning_loses_no_row(
    year: LocalSnapshot, keep: list[dict[str, Any]] | None, start: str | None, end: str
):
    """Whatever the statistics say, what is read and filtered is what all rows filtered are."""
    from include.shaping.filtering import mask

    ledger = RELATIONS["transactions"]
    filter_ = None if keep is None else Filter.model_validate(keep)
    one = asked(start, end, filter_)
    columns = relation_rows.columns_of(ledger)

    def kept(batches: Any) -> list[str]:
        test = None
        if filter_ is not None:
            begin = None if start is None else at(start)
            test = mask(filter_, columns, at=at(end), zone="UTC", start=begin)
        return [
            x
            for b in batches
            for x in (b if test is None else b.filter(test(b))).column("transaction_id").to_pylist()
        ]

    unfiltered = relation_rows.rows(replace(one, keep=None), whole(year), ledger, ledger.names)
    assert kept(relation_rows.rows(one, year, ledger, ledger.names)) == kept(unfiltered)


def whole(of: LocalSnapshot) -> LocalSnapshot:
    """The same rows in files without statistics: nothing can be left out."""
    for path in of.files["transactions"]:
        other = path.with_suffix(".whole")
        if not other.exists():
            pq.write_table(pq.read_table(path), other, write_statistics=False)
    return LocalSnapshot(
        {"transactions": [path.with_suffix(".whole") for path in of.files["transactions"]]}, of.columns
    )


def test_row_groups_of_other_times_are_not_read(year: LocalSnapshot):
    # May: 31 groups of its days, and the one of June with a late row of May: every 50 hours there is one
    one, ledger = asked("2026-05-01", "2026-06-01"), RELATIONS["transactions"]
    read = [
        relation_rows.row_groups(one, ledger)(pq.read_metadata(path)) for path in year.files["transactions"]
    ]
    assert [len(groups) for groups in read] == [0, 0, 0, 0, 31, 1, 0, 0, 0, 0, 0, 0]
    narrow = asked("2026-05-01", "2026-06-01", Filter.model_validate(KEEPS[0]))
    read = [
        relation_rows.row_groups(narrow, ledger)(pq.read_metadata(path))
        for path in year.files["transactions"]
    ]
    assert 3 <= len(read[4]) <= 5
    assert sum(map(len, read)) == len(read[4])


def test_a_filter_may_name_the_programs_number_and_prunes_by_the_rest(year: LocalSnapshot, tmp_path: Path):
    programs = snapshot(tmp_path, [], programs=[program(external_id=7)]).files["programs"]
    numbered = LocalSnapshot(
        {**year.files, "programs": programs}, {**year.columns, "programs": RELATIONS["programs"].names}
    )
    keep = Filter.model_validate([{"field": "program_external_id", "is": 7}, *KEEPS[0]])
    rows = rendered(TRANSACTIONS, numbered, tmp_path, "2026-06-01", "2026-05-01", keep=keep)
    # 4 days of 24 hours at most: the others' row groups were left out by created_at
    assert 0 < len(rows) <= 5 * 24
    assert {one["program_external_id"] for one in rows} == {7}


def test_only_wanted_columns_are_read(year: LocalSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read: set[str] = set()
    original = files.batches

    def watched(name: str, paths: Any, columns: Any, **more: Any) -> Any:
        read.update(columns)
        return original(name, paths, columns, **more)

    monkeypatch.setattr(files, "batches", watched)
    rows = rendered(
        TRANSACTIONS, year, tmp_path, "2026-06-01", "2026-05-01", wanted=frozenset({"points", "reason"})
    )
    assert read == {"transaction_id", "created_at", "recorded_at", "points", "reason"}
    assert {one["points"] for one in rows} == {100}
    assert {one["type"] for one in rows} == {None}


def test_a_filter_on_a_column_that_only_the_model_has_is_left_to_who_asks(
    year: LocalSnapshot, tmp_path: Path
):
    keep = Filter.model_validate([
        {"field": "program_external_id", "is": 7}, {"field": "created_at", "before": "2026-05-02T00:00:00Z"},
    ])  # fmt: skip
    rows = rendered(TRANSACTIONS, year, tmp_path, "2026-06-01", "2026-05-01", keep=keep)
    assert 20 <= len(rows) <= 48
