"""Shares: who booked which partition changes no byte, and what goes wrong in one comes out as it does in one process."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import BadInput, LedgerViolation, Permanent, Transient
from include.formats import artefact
from include.formats.options import FileOptions
from include.ledger import transfers
from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS
from include.reports import balance, history, liability, lots, models, projection
from include.reports.engine import shares as sharing
from include.reports.engine.booking import booked, reported
from include.reports.engine.notes import Notes
from include.reports.engine.packed import pack, unpack
from include.reports.engine.partitions import Stretch, partition
from include.reports.engine.render import Job, join, render, render_stretch
from include.reports.engine.room import Room
from include.reports.engine.shares import Seen, count_for
from include.reports.model import Asked, LocalSnapshot
from include.reports.reference import variants
from tests.examples import examples
from tests.reports.conftest import SAMPLE_END
from tests.reports.small import asked, snapshot
from tests.reports.test_stops import broken_by_a_hundredth
from tests.spark.ledgers import others, random_rows

DAY = 86_400_000_000
HOUR = DAY // 24
ACCOUNTS = 24


def looks_at_partitions(model: Any, options: Any) -> bool:
    return set(BOOKING_COLUMNS) <= set(model.needs(options).get("transactions", ()))


def every_job(folder: Path) -> dict[str, Job[str]]:
    """A job for each way to ask for each model that books, whose sink gives the hash of a file of its rows."""
    folder.mkdir()
    found: dict[str, Job[str]] = {}
    for name in models.names():
        model = models.load(name, where="test")
        every = [*variants(model)]
        for number, options in enumerate(every[:: -(-len(every) // 4)]):
            if not looks_at_partitions(model, options):
                continue
            has_start = model.PERIOD == "required" or (model.PERIOD == "optional" and number % 2 == 1)
            start, end = (SAMPLE_END - 40 * DAY, SAMPLE_END) if has_start else (None, None)
            path = folder / f"{name}-{number}.csv"
            columns = model.columns(options)

            def sink(batches: Iterator[pa.RecordBatch], path: Path = path, columns: Any = columns) -> str:
                artefact.write(path, columns, batches, FileOptions(compression="none"))
                return f"{path.stat().st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"

            question = Asked(start, end, SAMPLE_END, 2**62, options, "Europe/Warsaw")
            found[path.stem] = Job(model, question, sink, spared=path.stem)
    return found


def joined(jobs: Sequence[Job[Any]], of: LocalSnapshot, folder: Path, count: int) -> list[Any]:
    """What jobs give when stretches are seen one by one, on machines of their own, and joined on another."""
    scratch = folder / "scratch-of-stretches"
    scratch.mkdir()
    paths = [folder / f"{number}.zip" for number in range(count)]
    for number, path in enumerate(paths):
        render_stretch(jobs, of, scratch, Stretch(number, count), lambda seen, path=path: pack(seen, path))
        assert list(scratch.iterdir()) == []

    def stretches(there: Path) -> Iterator[Seen]:
        for path in paths:
            (there / path.stem).mkdir()
            yield unpack(path, there / path.stem)

    found = join(jobs, of, scratch, stretches)
    assert list(scratch.iterdir()) == []
    return found


@pytest.mark.slow
def test_the_number_of_shares_changes_no_byte_of_any_model(sample: LocalSnapshot, tmp_path: Path) -> None:
    def made(shares: int) -> tuple[dict[str, str], Notes]:
        jobs, notes = every_job(tmp_path / f"files-{shares}"), Notes()
        scratch = tmp_path / f"scratch-{shares}"
        scratch.mkdir()
        # An eighth of all rows are of one account: it is cut by time.
        how: dict[str, Any] = {"partitions": 9, "row_limit": 700, "shares": shares, "notes": notes}
        hashes = render(list(jobs.values()), sample, scratch, **how)
        assert list(scratch.iterdir()) == []
        names = [name for name in jobs if name not in notes.left_out]
        return dict(zip(names, hashes, strict=True)), notes

    alone, seen = made(1)
    shared, seen_too = made(3)
    assert {name for name in alone if shared[name] != alone[name]} == set()
    assert seen == seen_too
    apart = joined(list(every_job(tmp_path / "files-apart").values()), sample, tmp_path, 3)
    assert dict(zip(alone, apart, strict=True)) == alone
    assert len(alone) > 20


def surroundings() -> dict[str, list[dict[str, Any]]]:
    """Who holds the accounts of `random_rows`, in which tiers, and what a point is worth."""
    tiers = [
        {"program_id": "p0", "customer_id": f"c{i}", "tier_id": f"t{i % 3}", "changed_at": i * 11 * HOUR}
        for i in range(0, ACCOUNTS, 2)
    ]
    worth = {"cost_per_point": Decimal("0.01"), "standalone_price_per_point": Decimal("0.01")}
    rates = [
        {"program_id": f"p{i}", "valid_from": 0, "expected_redemption_rate": Decimal("0.8"), **worth}
        for i in range(2)
    ]
    return {**others(ACCOUNTS), "tier_changes": tiers, "program_rates": rates}


def rows_of(model: Any, question: Asked, of: LocalSnapshot, who: Sequence[int], folder: Path) -> list[Any]:
    """What a report gives when partition i is seen by another report of its kind, number `who[i]`, and given on."""

    def one(name: str) -> Any:
        (folder / name).mkdir()
        return model.report(question, of, folder / name)

    seeing, last, found, given_on = {number: one(f"{number}") for number in set(who)}, one("last"), [], []
    (folder / "parts").mkdir()
    wanted = [name for name in model.needs(question.options)["transactions"] if name not in BOOKING_COLUMNS]
    parts = partition(of.files["transactions"], last.cuts, folder / "parts", wanted, partitions=len(who))
    with Room(folder) as room:
        for index in range(parts.files_count):
            report = seeing[who[index]]
            read = booked(parts.of(index), parts.dictionaries, last.cuts, room, Notes())
            for part, each in read:
                for _, batches in reported([report], part, each):
                    found += [row for batch in batches for row in batch.to_pylist()]
            given_on.append([kept.given() for kept in report.kept])
    for all_kept in given_on:
        for kept, what in zip(last.kept, all_kept, strict=True):
            kept.take(what)
    return found + [row for batch in last.finish() for row in batch.to_pylist()]


# Of every kind of thing that is kept between partitions, the models that keep it.
MERGED = [
    *("ageing", "balance", "expiry_by_month", "journal", "liability", "members", "points_total"),
    *("projection", "redemption", "redemption_by_cohort", "rollforward_by_day"),
]


def test_nothing_is_kept_that_no_example_merges(sample: LocalSnapshot, tmp_path: Path) -> None:
    keeping = set()
    for name in models.names():
        model = models.load(name, where="test")
        start = None if model.PERIOD == "none" else SAMPLE_END - 40 * DAY
        question = Asked(start, SAMPLE_END, SAMPLE_END, 2**62, model.Options(), "UTC")
        (tmp_path / name).mkdir()
        with suppress(BadInput):  # what the sample lacks
            if model.report(question, sample, tmp_path / name).kept:
                keeping.add(name)
    # Rows in a spool, as balances, or what the reports inside keep; all are in the test above.
    alike = {"customers", "vouchers", "points_expiration", "voucher_transactions", "points_accounting"}
    alike |= {"liability_by_month", "rewards_by_day", "top_earners_by_frame"}
    assert keeping - set(MERGED) == alike


@pytest.mark.slow
@pytest.mark.parametrize("name", MERGED)
@examples(16)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 2), min_size=6, max_size=6), st.data())
def test_who_saw_which_partition_changes_no_row(
    name: str, seed: int, who: list[int], data: st.DataObject
) -> None:
    random, ledger = Random(seed), random_rows(seed, ACCOUNTS)
    sent = {"p0": ["nobody"], "p1": ["nobody"]}
    for row in ledger:
        for field in ("created_at", "activates_at", "expires_at"):
            row[field] = None if row[field] is None else (row[field] + 10) * 6 * HOUR
        if row["type"] == "transferred_out":
            sent[row["program_id"]].append(row["transaction_id"])
    for row in ledger:  # points travel between accounts, and so between partitions
        if row["type"] == "transferred_in":
            row["related_transaction_id"] = random.choice(sent[row["program_id"]])
    model = models.load(name, where="test")
    options = data.draw(st.sampled_from([one for one in variants(model) if looks_at_partitions(model, one)]))
    end = 45 * 6 * HOUR
    start = None if model.PERIOD == "none" else end // 2
    question = Asked(start, None if start is None else end, end, 2**62, options, "UTC")
    with TemporaryDirectory() as there:
        folder = Path(there)
        of = snapshot(folder, {**{each: [] for each in RELATIONS}, "transactions": ledger, **surroundings()})
        (folder / "several").mkdir()

        def rows(batches: Iterator[pa.RecordBatch]) -> list[Any]:
            return [row for batch in batches for row in batch.to_pylist()]

        [one] = render([Job(model, question, rows)], of, folder)  # nothing is given on there
        few = data.draw(st.sampled_from([1, 16_384]))  # more of them travel in files
        with patch.object(transfers, "_CHUNK_ROWS", few):
            assert rows_of(model, question, of, who, folder / "several") == one


def count(batches: Iterator[pa.RecordBatch]) -> int:
    return sum(len(batch) for batch in batches)


def jobs(*modules: ModuleType) -> list[Job[int]]:
    month_ago = SAMPLE_END - 30 * DAY
    return [
        Job(module, asked(module, SAMPLE_END, start=month_ago if module is liability else None), count)
        for module in modules
    ]


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


def nothing_is_left(scratch: Path) -> None:
    assert list(scratch.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name in {"sink", "ahead"}]


def test_shares_give_what_one_process_gives(sample, tmp_path):
    seen: list[tuple[str, int, int]] = []
    asked_for = jobs(balance, history, lots, projection)
    found = render(asked_for, sample, tmp_path, partitions=7, shares=2, progress=lambda *x: seen.append(x))
    assert found == render(asked_for, sample, tmp_path)
    assert seen[-1] == ("book", 9_000, 9_000)
    nothing_is_left(tmp_path)


def test_stretches_give_what_one_pass_gives(sample, tmp_path):
    asked_for = jobs(balance, history, lots, projection, liability)
    assert joined(asked_for, sample, tmp_path, 4) == render(asked_for, sample, tmp_path)


@pytest.mark.parametrize(
    ("change", "rule"), [({"transaction_id": "0"}, "transaction_id twice"), ({"points": 0}, "")]
)
def test_an_id_that_is_there_twice_is_found_by_one_stretch(change, rule, tmp_path):
    ledger = [
        {"transaction_id": f"{i}", "program_id": "p", "customer_id": f"c{i}", "type": "earned", "points": 1,
         "created_at": 1}
        for i in range(60)
    ]  # fmt: skip
    ledger[59] |= change  # of another account
    of, found = snapshot(tmp_path, {"transactions": ledger}), []
    for number in range(5):
        try:
            render_stretch(
                jobs(balance), of, tmp_path, Stretch(number, 5), lambda seen: found.append(seen.notes.rows)
            )
        except LedgerViolation as error:
            found.append(str(error).partition(": ")[2])
    assert [each for each in found if isinstance(each, str)] == ([f"{rule}: transactions 0"] if rule else [])
    assert rule or sum(found) == 60


def test_a_killed_share_is_transient_and_leaves_nothing(sample, tmp_path, monkeypatch):
    parent, see = os.getpid(), lots._Lots.on_partition

    def killed(*arguments: Any) -> Any:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return see(*arguments)

    monkeypatch.setattr(lots._Lots, "on_partition", killed)
    with pytest.raises(Transient, match="ended with signal SIGKILL"):
        render(jobs(history, lots), sample, tmp_path, partitions=7, shares=2)
    nothing_is_left(tmp_path)


def test_a_share_that_is_killed_while_it_finishes_is_transient(sample, tmp_path, monkeypatch):
    parent = os.getpid()

    def killed(_: Any) -> Iterator[pa.RecordBatch]:
        assert os.getpid() != parent
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()

    monkeypatch.setattr(balance._Balance, "finish", killed)
    with pytest.raises(Transient, match="ended with signal SIGKILL"):
        render(jobs(history, balance), sample, tmp_path, partitions=7, shares=2)
    nothing_is_left(tmp_path)


def test_a_share_checks_what_it_books_and_names_accounts(sample, tmp_path, monkeypatch):
    broken_by_a_hundredth(monkeypatch, "active")
    with pytest.raises(LedgerViolation, match=r"differ from active \+ pending - debt for \S+ c"):
        render(jobs(history), sample, tmp_path, partitions=7, shares=2)
    nothing_is_left(tmp_path)


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="there is no /dev/full here")
def test_a_full_scratch_in_a_share_is_permanent(sample, tmp_path, monkeypatch):
    class Full(sharing.Written):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            path.with_suffix(".0.arrow").symlink_to("/dev/full")

    monkeypatch.setattr(sharing, "Written", Full)
    with pytest.raises(Permanent, match="no space is left in"):
        render(jobs(history), sample, tmp_path, partitions=7, shares=2)
    nothing_is_left(tmp_path)


def test_a_failing_sink_ends_the_shares(sample, tmp_path):
    def fails(batches: Iterator[pa.RecordBatch]) -> int:
        next(batches)
        raise Permanent("the disk is full")

    failing = [*jobs(balance), Job(history, asked(history, SAMPLE_END), fails)]
    with pytest.raises(Permanent, match="the disk is full"):
        render(failing, sample, tmp_path, partitions=7, shares=2)
    nothing_is_left(tmp_path)


def test_a_small_ledger_and_one_processor_need_no_shares():
    assert count_for(9_000, 4) == 1
    assert count_for(10**8, 1) == 1
    assert 1 <= count_for(10**8, 64) <= len(os.sched_getaffinity(0))
