"""What must hold between reports, and whatever the partitions, on the sample ledger (docs/ledger.md sections 4, 5, 7)."""

from __future__ import annotations

import hashlib
import importlib
from collections import defaultdict
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from include.reports import allocations, balance, history, lots, projection, redemption
from include.reports.model import LocalSnapshot
from tests.reports.conftest import SAMPLE_END
from tests.reports.small import rows, table

DAY = 86_400_000_000
HALF = SAMPLE_END - 500 * DAY
REPORTS = {
    "history": {"profile": "all"},
    "balance": {"grain": "account"},
    "balance by customer": {"grain": "customer"},
    "lots": {},
    "allocations": {},
    "redemption": {},
    "projection": {"grain": "account"},
    "projection by customer": {"grain": "customer"},
}
FIGURES = ("active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned")


def total(of: pa.Table, name: str) -> int:
    return int(pc.sum(of.column(name)).as_py() or 0)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.slow
def test_neither_partitions_nor_their_size_change_a_byte(name, sample, tmp_path):
    module = importlib.import_module(f"include.reports.{name.split()[0]}")

    def digest(**how: int) -> str:
        found = table(module, sample, tmp_path, HALF, **REPORTS[name], **how)
        assert len(found) > 100
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, found.schema) as writer:
            writer.write_table(found.combine_chunks(), max_chunksize=1_000)
        return hashlib.sha256(sink.getvalue()).hexdigest()

    once = digest(partitions=1)
    assert digest(partitions=19) == once
    assert digest(partitions=2, row_limit=100) == once  # the largest account is cut by time
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("as_of", [HALF, SAMPLE_END])
def test_history_chains_and_ends_at_the_balance(as_of, sample, tmp_path):
    held: dict[tuple[str, ...], int] = defaultdict(int)
    for row in rows(history, sample, tmp_path, as_of):
        account = (row["program_id"], row["subledger_id"], row["card_id"] or row["customer_id"])
        assert row["balance_before"] == held[account]
        assert row["balance_after"] == row["balance_before"] + row["points_change"]
        held[account] = row["balance_after"]
    found = rows(balance, sample, tmp_path, as_of)
    assert {
        (x["program_id"], x["subledger_id"], x["holder_id"]): x["points_balance"] + x["pending"]
        for x in found
    } == held


def test_history_of_periods_adds_up_to_history_of_all_time(sample, tmp_path):
    whole = table(history, sample, tmp_path, SAMPLE_END)
    cuts = [HALF - 400 * DAY, HALF, HALF + 1, SAMPLE_END]
    first = table(history, sample, tmp_path, cuts[0])
    parts = [table(history, sample, tmp_path, end, start=start) for start, end in pairwise(cuts)]
    ids = [row for part in [first, *parts] for row in part.column("transaction_id").to_pylist()]
    assert sorted(ids) == sorted(whole.column("transaction_id").to_pylist())


def test_customers_add_up_to_accounts(sample, tmp_path):
    accounts = table(balance, sample, tmp_path, SAMPLE_END)
    customers = table(balance, sample, tmp_path, SAMPLE_END, grain="customer")
    assert {name: total(customers, name) for name in FIGURES} == {
        name: total(accounts, name) for name in FIGURES
    }
    assert len(customers) < len(accounts)
    keys = customers.select(["program_id", "holder_kind", "holder_id"]).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(customers)


def test_lots_add_up_to_balances_and_to_their_allocations(sample, tmp_path):
    accounts = table(balance, sample, tmp_path, SAMPLE_END)
    found = table(lots, sample, tmp_path, SAMPLE_END)
    assert total(found, "remaining") == total(accounts, "active") + total(accounts, "pending")
    assert total(found, "expired") == total(accounts, "expired")
    used: dict[str, int] = defaultdict(int)
    for row in rows(allocations, sample, tmp_path, SAMPLE_END):
        used[row["lot_id"]] += row["points"]
    for lot in found.to_pylist():
        assert used[lot["lot_id"]] == lot["used"] + lot["expired"] == lot["points"] - lot["remaining"]


def test_redemptions_add_up_to_spent(sample, tmp_path):
    accounts = table(balance, sample, tmp_path, SAMPLE_END)
    found = table(redemption, sample, tmp_path, SAMPLE_END)
    refunds = [
        x["points_change"]
        for x in rows(history, sample, tmp_path, SAMPLE_END)
        if x["type"] == "redemption_refunded"
    ]
    assert total(found, "points_cost") - sum(refunds) == total(accounts, "spent")
    assert total(found, "points_refunded") == sum(refunds)
    assert found.column("reward_name").null_count == 0
    assert set(found.column("redemption_status").to_pylist()) == {"used", "unused", "expired"}


@pytest.mark.parametrize("grain", ["account", "customer"])
def test_a_projection_is_the_balance_of_later_when_nothing_happens(grain, sample, tmp_path):
    # Everything is known by HALF, so a balance later sees the same rows as the projection.
    days = rows(projection, sample, tmp_path, HALF, known_at=HALF, grain=grain, days=31, include_zero=True)
    ends = sorted({row["projected_at"] for row in days})
    assert len(ends) == 31
    for end in (ends[0], ends[7], ends[30]):
        later = int(end.timestamp()) * 1_000_000
        expected = {
            (x["program_id"], x.get("subledger_id"), x["holder_id"]): (x["points_balance"], x["pending"])
            for x in rows(balance, sample, tmp_path, later, known_at=HALF - 1, grain=grain)
        }
        found = {
            (x["program_id"], x.get("subledger_id"), x["holder_id"]): (x["points_balance"], x["pending"])
            for x in days
            if x["projected_at"] == end
        }
        assert found == expected
    assert sum(x["points_expiring"] for x in days) > 0
    assert sum(x["points_activating"] for x in days) > 0


def test_the_projection_of_customers_is_that_of_accounts(sample, tmp_path):
    accounts = table(projection, sample, tmp_path, HALF, grain="account", days=5)
    customers = table(projection, sample, tmp_path, HALF, grain="customer", days=5)
    for name in ("points_expiring", "points_activating", "pending", "points_balance"):
        assert total(customers, name) == total(accounts, name)


def test_a_ledger_without_optional_relations_still_has_balances(sample, tmp_path):
    files = {name: sample.files[name] for name in ("transactions", "programs", "customers")}
    least = LocalSnapshot(files, {name: sample.columns[name] for name in files})
    found = table(balance, least, tmp_path, SAMPLE_END)
    assert total(found, "active") == total(table(balance, sample, tmp_path, SAMPLE_END), "active")
    assert set(found.column("tier").to_pylist()) == {None}
