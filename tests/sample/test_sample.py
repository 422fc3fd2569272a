"""The sample ledger: whole, sound, the same for the same seed, and with every oddity it should have."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from include.errors import BadInput
from include.ledger.catalog import RELATIONS, arrow_schema
from include.sample import Plan, generate, load
from include.sample.plan import END
from include.snapshots.check import check
from include.snapshots.source import Source, open_read

SMALL = Plan(customers=400, transactions=12_000)


def tables(plan: Plan) -> dict[str, pa.Table]:
    parts: dict[str, list[pa.RecordBatch]] = {}
    for relation, batch in generate(plan):
        parts.setdefault(relation, []).append(batch)
    return {name: pa.Table.from_batches(batches) for name, batches in parts.items()}


@pytest.fixture(scope="module")
def small() -> dict[str, pa.Table]:
    return tables(SMALL)


def test_every_relation_is_filled_in_its_types(small: dict[str, pa.Table]) -> None:
    assert set(small) == set(RELATIONS)
    for name, table in small.items():
        assert table.schema == arrow_schema(RELATIONS[name])
        table.validate(full=True)
        assert table.num_rows > 0


def test_enumerations_hold_their_values_only(small: dict[str, pa.Table]) -> None:
    for name, table in small.items():
        for field in RELATIONS[name].fields:
            if field.values:
                assert set(pc.unique(table[field.name]).to_pylist()) <= {*field.values, None}, (
                    name,
                    field.name,
                )


def test_the_same_seed_gives_the_same_rows_another_seed_does_not(small: dict[str, pa.Table]) -> None:
    assert tables(SMALL) == small
    other = tables(Plan(customers=400, transactions=12_000, seed=2))
    assert other["transactions"] != small["transactions"]


@pytest.mark.parametrize("count", [0, 1, 12_000, 100_001])
def test_there_are_exactly_as_many_transactions_as_asked_for(count: int) -> None:
    rows = sum(
        b.num_rows for name, b in generate(Plan(customers=50, transactions=count)) if name == "transactions"
    )
    assert rows == count


def test_rows_are_written_in_time_order_and_all_before_the_end(small: dict[str, pa.Table]) -> None:
    written = small["transactions"]["recorded_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(written) >= 0).all()
    assert written[-1] < SMALL.end_us
    assert pc.min(small["transactions"]["created_at"].cast(pa.int64())).as_py() >= SMALL.start_us


def test_every_oddity_is_there() -> None:
    rows = tables(Plan(customers=2000, transactions=60_000))["transactions"]
    kinds = Counter(rows["type"].to_pylist())
    assert set(kinds) == set(RELATIONS["transactions"].field("type").values)
    accounts = {
        *zip(
            rows["program_id"].to_pylist(),
            rows["subledger_id"].to_pylist(),
            pc.is_valid(rows["card_id"]).to_pylist(),
            strict=True,
        )
    }
    assert accounts == {("club", None, False), ("travel", "base", True), ("travel", "bonus", True)}
    late = pc.greater(rows["recorded_at"], rows["created_at"])
    assert pc.sum(late).as_py() > 50
    assert pc.any(pc.is_null(rows["customer_id"])).as_py()  # cards that nobody owns
    assert rows["points"].null_count == 0
    assert pc.any(
        pc.not_equal(pc.subtract(rows["points"], pc.multiply(pc.divide(rows["points"], 100), 100)), 0)
    ).as_py()
    by_type = {kind: rows.filter(pc.equal(rows["type"], kind)) for kind in kinds}
    assert set(pc.is_valid(by_type["expired"]["related_transaction_id"]).to_pylist()) == {True, False}
    assert by_type["earned_reversed"]["related_transaction_id"].null_count == 0
    assert by_type["redemption_refunded"]["related_transaction_id"].null_count == 0
    assert set(pc.is_valid(by_type["earned"]["expires_at"]).to_pylist()) == {True, False}
    assert set(pc.is_valid(by_type["earned"]["activates_at"]).to_pylist()) == {True, False}
    assert set(np.sign(by_type["adjusted"]["points"].to_numpy())) == {-1, 1}


def test_transfers_are_pairs_of_one_instant_and_amount(small: dict[str, pa.Table]) -> None:
    rows = {row["transaction_id"]: row for row in small["transactions"].to_pylist()}
    outgoing = [row for row in rows.values() if row["type"] == "transferred_out"]
    assert outgoing
    for row in outgoing:
        other = rows[row["related_transaction_id"]]
        assert other["type"] == "transferred_in"
        assert other["related_transaction_id"] == row["transaction_id"]
        assert (other["points"], other["created_at"], other["program_id"]) == (
            -row["points"],
            row["created_at"],
            row["program_id"],
        )
        assert (other["customer_id"], other["subledger_id"]) != (
            row["customer_id"],
            row["subledger_id"],
        ) or other["card_id"] is None


def test_a_whale_has_its_share_and_the_customers_are_unequal() -> None:
    rows = tables(Plan(customers=1000, transactions=30_000, whale=0.1))["transactions"]
    counts = Counter(row for row in rows["customer_id"].to_pylist() if row)
    assert 0.09 < counts.most_common(1)[0][1] / rows.num_rows < 0.16
    assert counts.most_common(2)[1][1] < rows.num_rows * 0.03


@pytest.mark.slow
def test_it_has_no_blocking_violation_and_few_reported(sqlite_ledger: str) -> None:
    load(sqlite_ledger, SMALL)
    violations = check(Source(sqlite_ledger))
    assert [v for v in violations if v.blocking] == []
    assert sum(v.count for v in violations) < 300
    assert not [v.rule for v in violations if v.rule.startswith("unknown_")]


@pytest.mark.slow
def test_loaded_rows_are_the_generated_rows(any_ledger: str, small: dict[str, pa.Table]) -> None:
    seen: list[tuple[str, int]] = []
    counts = load(any_ledger, SMALL, progress=lambda relation, rows: seen.append((relation, rows)))
    assert counts == {name: table.num_rows for name, table in small.items()}
    assert dict(seen) == counts
    with open_read(Source(any_ledger)) as reading:
        for name, table in small.items():
            key = [(part, "ascending") for part in RELATIONS[name].key]
            batches = reading.stream(name, RELATIONS[name].names)
            read = pa.Table.from_batches(batches, arrow_schema(RELATIONS[name])).sort_by(key)
            expected = table.sort_by(key)
            for column in read.column_names:
                if column in RELATIONS[name].key and not RELATIONS[name].field(column).required:
                    continue  # '' where the generator says null
                assert read[column].combine_chunks().equals(expected[column].combine_chunks()), (name, column)


def test_a_ledger_with_transactions_is_not_touched(sqlite_ledger: str) -> None:
    load(sqlite_ledger, Plan(customers=10, transactions=10))
    with pytest.raises(BadInput, match="empty ledger"):
        load(sqlite_ledger, Plan(customers=10, transactions=10))


@pytest.mark.parametrize(
    "wrong",
    [{"customers": 1}, {"transactions": -1}, {"years": 0}, {"whale": 1.0}, {"end": END.replace(tzinfo=None)}],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="sample: " + next(iter(wrong))):
        Plan(**wrong)  # type: ignore[arg-type]


def test_another_end_moves_everything() -> None:
    end = datetime(2020, 1, 1, tzinfo=UTC)
    rows = tables(Plan(customers=50, transactions=500, years=1, end=end))["transactions"]
    assert pc.max(rows["recorded_at"]).as_py() < end
    assert pc.min(rows["created_at"]).as_py() >= datetime(2018, 12, 31, tzinfo=UTC)


# Nobody states a balance here: what the ledger's owner states would have to be booked first.
NOT_FILLED = {("customers", "stated_balance"), ("cards", "stated_balance")}


def test_every_field_of_the_catalog_has_a_value_somewhere(small: dict[str, pa.Table]) -> None:
    empty = {
        (name, field)
        for name, table in small.items()
        for field in table.column_names
        if table[field].null_count == table.num_rows
    }
    assert empty == NOT_FILLED


def test_gift_cards_end_with_the_balance_of_their_last_movement(small: dict[str, pa.Table]) -> None:
    last: dict[str, object] = {}
    total: Counter[str] = Counter()
    for row in sorted(small["gift_card_transactions"].to_pylist(), key=lambda row: row["created_at"]):
        total[row["voucher_id"]] += row["amount"]
        assert row["balance"] == total[row["voucher_id"]]
        last[row["voucher_id"]] = row["balance"]
    gifts = [row for row in small["vouchers"].to_pylist() if row["voucher_type"] == "GIFT_VOUCHER"]
    assert {row["voucher_id"]: row["gift_balance"] for row in gifts} == last


def test_each_card_is_a_loyalty_card_of_its_owner(small: dict[str, pa.Table]) -> None:
    owner = {row["card_id"]: row["customer_id"] for row in small["cards"].to_pylist()}
    cards = [row for row in small["vouchers"].to_pylist() if row["voucher_type"] == "LOYALTY_CARD"]
    assert {row["card_id"]: row["customer_id"] for row in cards} == owner


def test_who_referred_a_customer_was_there_before(small: dict[str, pa.Table]) -> None:
    joined = {row["customer_id"]: row["registered_at"] for row in small["customers"].to_pylist()}
    referred = [row for row in small["customers"].to_pylist() if row["referrer_id"]]
    assert referred
    for row in referred:
        assert joined[row["referrer_id"]] < row["registered_at"]
