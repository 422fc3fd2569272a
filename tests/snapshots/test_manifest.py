"""The manifest is canonical, and says exactly what it serves and covers."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from include.snapshots.manifest import SnapshotManifest, SnapshotRelation, SnapshotTotals, source_key

R = datetime(2026, 7, 1, 0, 5, tzinfo=UTC)
MANIFEST = SnapshotManifest(
    id="k-1",
    source="sqlite:///ledger.sqlite",
    source_key="k",
    mapping_hash=None,
    generation=1,
    attempt="a",
    read_at=R,
    oldest_open_transaction=None,
    has_recorded_at=True,
    relations={"transactions": SnapshotRelation(columns=("points",), absent=("details",), rows=0, files=())},
    absent=("events",),
    totals=SnapshotTotals(),
    code_version="1",
)


def test_a_manifest_comes_back_as_it_was():
    assert SnapshotManifest.model_validate_json(MANIFEST.encode()) == MANIFEST
    assert MANIFEST.encode() == SnapshotManifest.model_validate_json(MANIFEST.encode()).encode()


def test_an_unknown_part_is_refused():
    with pytest.raises(ValidationError):
        SnapshotManifest.model_validate({**MANIFEST.model_dump(), "more": 1})


@pytest.mark.parametrize(
    ("needs", "covered"),
    [
        ({}, True),
        ({"transactions": ("points",)}, True),
        ({"transactions": ("points", "details")}, True),
        ({"transactions": ("points", "order_id")}, False),
        ({"events": ("event_id",)}, True),
        ({"customers": ()}, False),
    ],
)
def test_what_it_covers(needs, covered):
    assert MANIFEST.covers(needs) is covered


def test_what_it_serves():
    delay = timedelta(minutes=5)
    assert MANIFEST.serves(R - delay, delay)
    assert not MANIFEST.serves(R - delay + timedelta(microseconds=1), delay)


def test_a_mapping_makes_another_ledger():
    assert (
        len({source_key("a", None), source_key("b", None), source_key("a", "m"), source_key("a", "n")}) == 4
    )
