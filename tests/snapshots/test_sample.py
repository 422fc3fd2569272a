"""A sample of a snapshot: the same customers in every relation, each with all that is theirs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from include import sample as ledgers
from include.ledger.catalog import RELATIONS
from include.snapshots import extract, registry
from include.snapshots.manifest import SnapshotManifest
from include.snapshots.sample import is_of_customers, sample, share_of
from include.snapshots.source import Source
from include.snapshots.store import Store
from include.state import open as open_state

SHARE = 5
NAMES = (
    "customers",
    "cards",
    "transactions",
    "tier_changes",
    "vouchers",
    "gift_card_transactions",
    "orders",
    "rewards",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """A store with one snapshot of a ledger of 300 customers with cards and vouchers."""
    folder = tmp_path_factory.mktemp("sample")
    url = f"sqlite:///{folder / 'ledger.sqlite'}"
    ledgers.load(url, ledgers.Plan(customers=300, transactions=6_000))
    store, state = Store(f"file://{folder / 'store'}"), open_state(f"sqlite:///{folder / 'state.sqlite'}")
    manifest = extract.take(
        Source(url), store, state,
        needs={name: RELATIONS[name].names for name in NAMES},
        not_before=datetime.now(UTC) - timedelta(minutes=1),
        settle_delay=timedelta(0),
        scratch=folder / "scratch",
    )  # fmt: skip
    return store, state, manifest


@pytest.fixture
def taken(made, tmp_path):
    store, _, manifest = made
    return sample(store, manifest, NAMES, SHARE, tmp_path)


def table(paths):
    return pq.read_table([str(path) for path in paths])


def everything(made, relation: str):
    store, _, manifest = made
    return table([store.path(file.key) for file in manifest.relations[relation].files])


def test_it_holds_about_its_share_of_the_customers(made, taken):
    some, all_ = table(taken.files["customers"]), everything(made, "customers")
    assert 0.5 < len(some) * SHARE / len(all_) < 1.5
    half = table(taken.half["customers"])
    assert 0.2 < len(half) / len(some) < 0.8
    assert set(half["customer_id"].to_pylist()) < set(some["customer_id"].to_pylist())


@pytest.mark.parametrize("which", ["files", "half"])
def test_a_customer_of_the_sample_has_every_row_and_no_other_has_one(made, taken, which):
    files = getattr(taken, which)
    customers = table(files["customers"])["customer_id"]
    cards = table(files["cards"])
    owned = cards.filter(pc.is_valid(cards["customer_id"]))
    assert pc.all(pc.is_in(owned["customer_id"], value_set=customers.combine_chunks())).as_py()
    rows, all_rows = table(files["transactions"]), everything(made, "transactions")
    on_card = pc.fill_null(pc.greater(pc.binary_length(all_rows["card_id"]), 0), False)
    theirs = pc.if_else(
        on_card,
        pc.is_in(all_rows["card_id"], value_set=cards["card_id"].combine_chunks()),
        pc.is_in(all_rows["customer_id"], value_set=customers.combine_chunks()),
    )
    wanted = all_rows.filter(theirs)["transaction_id"].to_pylist()
    assert pc.any(on_card).as_py()
    assert rows["transaction_id"].to_pylist() == wanted  # in the order of the snapshot too


def test_movements_of_a_gift_card_come_with_the_card(made, taken):
    vouchers = set(table(taken.files["vouchers"])["voucher_id"].to_pylist())
    all_rows = everything(made, "gift_card_transactions")
    wanted = [row["transaction_id"] for row in all_rows.to_pylist() if row["voucher_id"] in vouchers]
    assert table(taken.files["gift_card_transactions"])["transaction_id"].to_pylist() == wanted


def test_what_is_about_no_customer_is_whole(made, taken):
    assert table(taken.files["rewards"]).equals(everything(made, "rewards"))
    assert not is_of_customers("rewards")


def test_it_counts_what_it_grew_from(made, taken):
    _, _, manifest = made
    assert set(taken.counts) == {
        name for name in NAMES if is_of_customers(name) and manifest.relations[name].rows
    }
    for name, counts in taken.counts.items():
        assert counts == (
            len(table(taken.files[name])),
            len(table(taken.half[name])),
            manifest.relations[name].rows,
        )
    assert taken.like(counts.rows) is not None
    assert taken.like(len(table(taken.files["transactions"]))) == taken.counts["transactions"]
    assert taken.like(0) is not None


def test_it_is_made_once_and_goes_with_its_snapshot(made, tmp_path):
    store, _, manifest = made

    def kept() -> set[str]:
        return {entry.key for entry in store.list("snapshots") if "sample-" in entry.key}

    sample(store, manifest, NAMES, SHARE, tmp_path / "one")
    there = kept()
    times = {entry.key: entry.modified for entry in store.list("snapshots")}
    sample(store, manifest, NAMES, SHARE, tmp_path / "two")
    assert {entry.key: entry.modified for entry in store.list("snapshots")} == times
    assert len(there) == 2 * len(
        [name for name in NAMES if is_of_customers(name) and manifest.relations[name].files]
    )
    registry.sweep(store, manifest.source_key, older_than=timedelta(0))
    assert kept() == there


def test_small_relations_need_no_sample(made):
    _, _, manifest = made
    assert share_of(manifest, NAMES) == 1
    assert share_of(larger(manifest, "transactions", 10_000_000), NAMES) == 250
    # The same one in 250 where the relation itself is small enough to be all of it.
    assert share_of(larger(manifest, "transactions", 10_000_000), ["customers"]) == 1
    assert share_of(larger(manifest, "rewards", 10_000_000), ["rewards"]) == 1


def larger(manifest: SnapshotManifest, relation: str, rows: int) -> SnapshotManifest:
    held = manifest.relations[relation].model_copy(update={"rows": rows})
    return manifest.model_copy(update={"relations": {**manifest.relations, relation: held}})


def test_a_sample_that_is_not_of_a_folder_is_copied(made, tmp_path: Path):
    store, _, manifest = made
    found = sample(store, manifest, ["transactions"], 2, tmp_path)
    assert found.counts["transactions"].rows < found.counts["transactions"].snapshot
    assert all(path.exists() for path in found.files["transactions"])
