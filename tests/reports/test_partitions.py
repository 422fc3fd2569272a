"""What stops a run before anything is booked, what a cut keeps, and how rows travel through partitions."""

from __future__ import annotations

import re
import resource
from itertools import pairwise

import numpy as np
import pytest

from include.errors import LedgerViolation, Transient
from include.reports import allocations, balance, history
from include.reports.engine.notes import Notes
from include.reports.engine.partitions import partition
from include.reports.engine.replay import load
from include.reports.engine.splitting import files_for
from include.reports.model import Cut
from tests.ledger.ledger_text import day
from tests.reports.small import FAR, of_text, rows, snapshot, taken

SOUND = "A earned 100 on 01-01\nR redeemed -60 on 02-15"


def changed(text: str, **changes: object) -> list[dict[str, object]]:
    """The ledger with its last row changed."""
    found = of_text(text)
    found[-1].update(changes)
    return found


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"transaction_id": "A"}, "transaction_id twice: transactions A"),
        ({"program_id": ""}, "no program_id: transactions R"),
        ({"customer_id": ""}, "no holder: transactions R"),
        ({"type": "gifted"}, "unknown type: transactions R"),
        ({"points": 100}, "sign that the type does not allow: transactions R"),
        ({"points": None}, "no points: transactions R"),
        ({"created_at": None}, "no created_at: transactions R"),
    ],
)
def test_a_blocking_problem_stops_the_run_and_names_its_rows(change, sentence, tmp_path):
    broken = snapshot(tmp_path, {"transactions": changed(SOUND, **change)})
    with pytest.raises(LedgerViolation, match=re.escape(sentence)):
        rows(balance, broken, tmp_path, day("03-01"))
    assert [path.name for path in tmp_path.iterdir()] == ["transactions.parquet"]


def test_a_blocking_problem_outside_the_cut_stops_nothing(tmp_path):
    broken = snapshot(tmp_path, {"transactions": changed(SOUND, transaction_id="A", program_id="")})
    (found,) = rows(balance, broken, tmp_path, day("02-15"))
    assert found["active"] == 10_000


def test_many_problems_are_counted_and_only_some_named(tmp_path):
    broken = [
        {**row, "type": "gifted"}
        for row in of_text("\n".join(f"T{i:03} earned 1 on 01-01" for i in range(70)))
    ]
    with pytest.raises(LedgerViolation, match=r"unknown type: transactions T000, .*, T019 and 50 more"):
        rows(balance, snapshot(tmp_path, {"transactions": broken}), tmp_path, day("03-01"))


def test_the_cut_keeps_what_was_created_before_t_and_known_by_k(tmp_path):
    ledger = of_text("A earned 100 on 01-01\nB earned 50 on 01-02\nC earned 20 on 03-01\nD earned 7 on 01-03")
    ledger[1]["recorded_at"] = day("02-10")
    of = snapshot(tmp_path, {"transactions": ledger})

    def active(as_of: str, known_at: str) -> float:
        (found,) = rows(balance, of, tmp_path, day(as_of), known_at=day(known_at))
        return found["active"] / 100

    assert active("02-01", "02-09") == 107  # B was not known yet
    assert active("02-01", "02-10") == 157  # K itself counts
    assert active("03-01", "04-01") == 157  # T itself does not
    assert active("03-02", "04-01") == 177
    assert active("01-02", "04-01") == 100


def test_a_row_of_the_future_of_k_is_reported(tmp_path):
    ledger = of_text("A earned 100 on 01-01\nB earned 50 on 03-01")
    ledger[1]["recorded_at"] = day("01-15")
    notes = Notes()
    of = snapshot(tmp_path, {"transactions": ledger})
    rows(balance, of, tmp_path, day("04-01"), known_at=day("02-01"), notes=notes)
    assert dict(notes.problems) == {"created_after_known": 1}
    assert (notes.rows, notes.accounts) == (2, 1)
    notes = Notes()
    rows(balance, of, tmp_path, day("04-01"), known_at=day("03-01"), notes=notes)
    assert dict(notes.problems) == {}  # created at K itself is no future


def test_a_row_that_is_not_known_yet_is_nobody_s_target(tmp_path):
    text = "A earned 100 on 01-01 expires 06-01\nB earned 50 on 01-02 expires 05-01"
    ledger = of_text(f"{text}\nV earned_reversed -20 on 01-05 of A")
    ledger[0]["recorded_at"] = day("02-01")
    of = snapshot(tmp_path, {"transactions": ledger})
    notes = Notes()
    (early,) = rows(balance, of, tmp_path, day("03-01"), known_at=day("01-31"), notes=notes)
    assert (early["active"], dict(notes.problems)) == (3_000, {"reversal_target_missing": 1})
    (later,) = rows(balance, of, tmp_path, day("05-02"), known_at=day("02-01"))
    assert (later["active"], later["expired"]) == (8_000, 5_000)  # V took A, B expired whole


def test_no_purse_is_one_purse_and_no_card_is_no_card(tmp_path):
    ledger = of_text("A earned 100 on 01-01\nB earned 50 on 01-02\nC earned 20 on 01-03")
    ledger[0] |= {"subledger_id": None, "card_id": None}
    ledger[1] |= {"subledger_id": "", "card_id": ""}
    ledger[2] |= {"subledger_id": "bonus", "card_id": None}
    found = rows(balance, snapshot(tmp_path, {"transactions": ledger}), tmp_path, day("02-01"))
    assert {(x["subledger_id"], x["holder_kind"], x["active"]) for x in found} == {
        ("", "customer", 15_000),
        ("bonus", "customer", 2_000),
    }


def test_a_related_row_counts_only_in_its_own_account(tmp_path):
    text = """
    A earned 100 on 01-01 account a
    B earned 100 on 01-01 account b
    V earned_reversed -100 on 01-02 of A account b
    """
    found = rows(history, taken(tmp_path, text), tmp_path, day("02-01"), profile="all")
    assert {x["transaction_id"]: x["problems"] for x in found if x["problems"]} == {
        "V": "reversal_target_missing"
    }


@pytest.mark.parametrize("batch_rows", [2, 100])  # too many values in one batch, or only in all of them
def test_columns_with_more_values_than_thought_travel_as_text(batch_rows, tmp_path, monkeypatch):
    monkeypatch.setattr("include.reports.engine.partitions._MOST_VALUES", 3)
    monkeypatch.setattr("include.reports.engine.partitions._BATCH_ROWS", batch_rows)
    ledger = of_text("\n".join(f"T{i} earned 1 on 01-01 account c{i % 7}" for i in range(40)))
    for number, row in enumerate(ledger):
        purse = None if number % 2 else f"s{number % 8}"
        row |= {"program_id": f"p{number % 5}", "subledger_id": purse, "reason": f"why {number}"}
    of = snapshot(tmp_path, {"transactions": ledger})
    cut = [Cut(day("02-01"), FAR)]
    parts = partition(of.files["transactions"], cut, tmp_path, ["reason"], partitions=3)
    assert set(parts.dictionaries) == {"type"}
    found = rows(history, of, tmp_path, day("02-01"), profile="all")
    expected = {(x["transaction_id"], x["program_id"], x["subledger_id"] or "", x["reason"]) for x in ledger}
    assert {(x["transaction_id"], x["program_id"], x["subledger_id"], x["reason"]) for x in found} == expected


@pytest.mark.parametrize(
    ("rows_count", "may_be_open", "files"),
    [
        (0, 2048, 1),
        (45_000, 2048, 1),
        (45_001, 2048, 2),
        (20_000_000, 2048, 445),  # 20,000,000 / 45,000 = 444.4: none is split again
        (50_000_000, 2048, 1024),  # 48,829 rows each
        (69_000_000, 2048, 1024),  # 67,383 rows each
        (70_000_000, 2048, 256),  # too full for a partition each
        (10_000_000, 1024, 223),
        (20_000_000, 1024, 256),  # the system lets few be open
    ],
)
def test_a_file_holds_a_partition_where_so_many_may_be_open(rows_count, may_be_open, files):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (may_be_open, hard))
    try:
        assert files_for(rows_count) == files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_account_over_the_limit_is_cut_by_time_and_others_are_not(tmp_path):
    whale = [f"W{i:03} earned 1 on {1 + i // 28:02}-{1 + i % 28:02} account whale" for i in range(200)]
    others = [f"O{i:03} earned 1 on 01-01 account c{i % 9}" for i in range(60)]
    of = taken(tmp_path, "\n".join(whale[::-1] + others))
    folder = tmp_path / "partitions"
    folder.mkdir()
    asked = [Cut(FAR, FAR)]
    parts = list(partition(of.files["transactions"], asked, folder, [], partitions=1, row_limit=50))
    assert sum(part.rows_count for part in parts) == 260
    (large,) = (part for part in parts if len(part.pieces) > 1)
    assert large.rows_count == 200
    assert max(piece.rows for piece in large.pieces) <= 50 + 1
    ends = [np.sort(piece.table(["created_at"]).column(0).to_numpy())[[0, -1]] for piece in large.pieces]
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    assert all(part.rows_count <= 50 for part in parts if part is not large)


@pytest.mark.parametrize(
    "damage",
    [
        lambda held: held[:-1],
        lambda held: held[:-9] + bytes([held[-9] ^ 1]) + held[-8:],
        lambda held: bytes([held[9] ^ 1]).join([held[:9], held[10:]]),
    ],
    ids=["cut off", "a bit in rows", "a bit in the schema"],
)
@pytest.mark.parametrize("accounts", [1, 9])  # one that is cut by time, or many in one file
def test_a_damaged_partition_is_found_and_the_next_attempt_makes_it_again(tmp_path, damage, accounts):
    text = "\n".join(f"O{i:03} earned 1 on 01-{1 + i % 28:02} account c{i % accounts}" for i in range(60))
    of = taken(tmp_path, text)
    folder = tmp_path / "partitions"
    folder.mkdir()

    def parts():
        return partition(of.files["transactions"], [Cut(FAR, FAR)], folder, [], partitions=1, row_limit=50)

    for part in parts():
        for piece in part.pieces:
            piece.path.write_bytes(damage(piece.path.read_bytes()))
        with pytest.raises(
            Transient, match=re.escape(f"{part.pieces[0].path}: the file is not what was written")
        ):
            load(part, {})
    whole = parts()
    assert sum(len(load(part, whole.dictionaries).rows) for part in whole) == 60


def test_allocations_of_one_account_are_the_same_in_stretches_of_any_size(tmp_path, monkeypatch):
    # Lots of a day expire a month later, as many are used before, and some at the very instant.
    lots = [f"L{i:02} earned 2 on 01-{1 + i // 3:02} expires 02-{1 + i // 3:02}" for i in range(60)]
    debits = [f"D{i:02} redeemed -3 on 02-{1 + i // 2:02}" for i in range(30)]
    of = taken(tmp_path, "\n".join(lots + debits))
    whole = rows(allocations, of, tmp_path, day("03-01"))
    assert {row["kind"] for row in whole} == {"debit", "expiry"}
    for at_once in (1, 7):
        monkeypatch.setattr(allocations, "_AT_ONCE", at_once)
        assert rows(allocations, of, tmp_path, day("03-01")) == whole
