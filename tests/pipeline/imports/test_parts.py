"""An import is worked on in parts, by ranges of lines and by hashes of accounts; no figure and no row knows of them.

Guards `include/imports/bench.py`: small files in tiny parts here, and one that is larger than any part at the end.
"""

from __future__ import annotations

import csv
import functools
from decimal import Decimal
from typing import Any

import pytest

from include.errors import BadInput
from include.imports import csv_records, kept, plan, sqlite
from include.imports.bench import Bench, Sizes
from include.imports.effects import Rehearsal, RowStatus
from include.pipeline import imports
from include.pipeline.imports import stage
from include.state.imports import ImportRecord
from tests.pipeline.imports.desk import Desk, earned
from tests.pipeline.imports.many import File, added, fill_many, held, reset

MEMBERS = 40


@pytest.fixture(params=[(40, 30), (1000, 30)], ids=str)
def desk(
    sqlite_ledger: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Desk:
    """Forty members; parts of so many rows by hash and by lines, and batches of less."""
    hashed, lines = request.param
    sizes = Sizes(hashed_rows=hashed, line_rows=lines, batch_rows=4)
    monkeypatch.setattr(stage, "Bench", functools.partial(Bench, sizes=sizes))
    monkeypatch.setattr(csv_records, "_BLOCK_BYTES", 400)
    for module, name in ((sqlite, "_AT_ONCE"), (kept, "_BATCH_ROWS"), (plan, "_BATCH_ROWS")):
        monkeypatch.setattr(module, name, 6)
    fill_many(sqlite_ledger, MEMBERS)
    return Desk(sqlite_ledger, tmp_path / "home")


def told(desk: Desk, record: ImportRecord) -> list[tuple[Any, ...]]:
    """The rows of the result file as `File` has them."""
    content = b"".join(imports.result_file(desk.context, record.import_id) or ()).decode()

    def number(text: str) -> Decimal | None:
        return Decimal(text) if text else None

    return [
        (
            int(row["row"]), row["customer_id"], number(row["points"]), row["status"], row["message"],
            number(row["balance_before"]), number(row["balance_after"]),
        )
        for row in csv.DictReader(content.splitlines())
    ]  # fmt: skip


def pages(desk: Desk, record: ImportRecord, only: RowStatus | None, begins: list[int]) -> list[list[int]]:
    return [
        [each.row for each in imports.rows(desk.context, record.import_id, only=only, offset=at, limit=7)]
        for at in begins
    ]


def check(desk: Desk, record: ImportRecord, file: File, begins: list[int]) -> Rehearsal:
    """Compare every row, some pages of rows, and the figures."""
    assert told(desk, record) == file.rows
    for only in (None, *RowStatus):
        lines = [line for line, _, _, status, *_ in file.rows if only in (None, status)]
        assert pages(desk, record, only, begins) == [lines[at : at + 7] for at in begins]
    found, counts = record.rehearsal, file.counts()
    assert found is not None
    assert (found.done, found.skipped, found.wrong) == (counts["done"], counts["skipped"], counts["wrong"])
    booked = [each for each in file.rows if each[3] == "done"]
    last = {customer: after for _, customer, _, _, _, _, after in booked}
    first = {customer: before for _, customer, _, _, _, before, _ in reversed(booked)}
    assert (found.members, found.accounts) == (len(last), len(last))
    assert (found.balance_before, found.balance_after) == (sum(first.values()), sum(last.values()))
    assert found.debts == sum(after < 0 for after in last.values())
    assert found.points_in == sum(each[2] for each in booked if each[2] > 0)
    assert found.points_out == sum(each[2] for each in booked if each[2] < 0)
    return found


def test_every_row_and_figure_of_a_rehearsal(desk: Desk) -> None:
    file = added(110, MEMBERS, wrong=True)
    check(desk, desk.rehearse(file.text), file, list(range(0, 120, 5)))


@pytest.mark.slow
def test_what_is_booked_and_taken_back(desk: Desk) -> None:
    file = added(90, MEMBERS, wrong=False)
    record = desk.run(file.text)
    assert [each["points"] for each in desk.booked(record)] == [each[2] for each in file.rows if each[2]]
    back = desk.agree(imports.undo(desk.context, record.import_id, by="olga"))
    assert back.state == "posted"
    look = desk.rehearse("customer_id,points\n" + "".join(f"m{n},1\n" for n in range(MEMBERS)), name="look")
    assert [each[3] for each in desk.rows(look)] == [held(n) for n in range(MEMBERS)]


@pytest.mark.slow
def test_a_reset_and_a_balance_that_changes_before_it_is_posted(desk: Desk) -> None:
    file = reset(MEMBERS)
    record = desk.rehearse(file.text, "reset")
    check(desk, record, file, [0, 33])
    desk.insert(earned("m31", "1", day=3))
    with pytest.raises(BadInput, match="one balance has changed since the rehearsal"):
        desk.agree(record)
    again = desk.agree(imports.rehearse(desk.context, record.import_id))
    assert again.state == "posted"
    look = desk.rehearse("customer_id,points\n" + "".join(f"m{n},1\n" for n in range(MEMBERS)), name="look")
    assert [each[3] for each in desk.rows(look)] == [each[6] for each in file.rows]


def test_who_stands_twice_in_a_reset_wherever(desk: Desk) -> None:
    again = range(0, MEMBERS, 3)
    record = desk.rehearse(reset(MEMBERS).text + "".join(f"m{member},99\n" for member in again), "reset")
    lines = [*(member + 2 for member in again), *(MEMBERS + 2 + at for at in range(len(again)))]
    twice = "this member is in several rows of the file: say one of them"
    assert [line for line, why in desk.why(record).items() if why == twice] == lines


@pytest.mark.slow
def test_a_file_of_more_rows_than_any_part_has(sqlite_ledger: str, tmp_path: Any) -> None:
    """400,000 rows: 5 parts by lines, 3 by hash; 13 batches and more in all."""
    fill_many(sqlite_ledger, 30_000)
    desk = Desk(sqlite_ledger, tmp_path / "home")
    file = added(400_000, 30_000, wrong=True)
    rows, sizes = len(file.rows), Sizes()
    assert rows > 3 * sizes.line_rows
    assert rows > sizes.hashed_rows
    edges = [0, sizes.batch_rows, sizes.line_rows, 2 * sizes.line_rows, sizes.hashed_rows, rows]
    check(desk, desk.rehearse(file.text), file, [max(0, at - 3) for at in edges])
