"""Every export that ships runs on the sample ledger, and gives what its first lines promise."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.definitions.model import ExportDefinition
from include.formats.manifest import read_manifest
from include.formats.verify import verify
from include.pipeline import Context
from include.pipeline.checks import load_definitions
from include.sample.plan import END
from include.settings import ROOT, Settings
from tests.pipeline.test_steps import whole

EXAMPLES = load_definitions(ROOT / "include" / "exports")
MANIFEST = ".manifest.json"
pytestmark = pytest.mark.usefixtures("inline")


@pytest.fixture
def delivered(
    ledger_url: str, settings_for: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, bytes]]:
    """Run an example at its last occurrence before the ledger ends; return its verified files by name."""

    def run(name: str) -> dict[str, bytes]:
        context = Context(replace(settings_for(ledger_url), exports=tmp_path))
        _, summary = whole(context, inside(EXAMPLES[name], tmp_path), occurrence=last(EXAMPLES[name]))
        assert summary["status"] == "done"
        names = [each["name"] for each in summary["files"]]  # type: ignore[attr-defined, index, union-attr]
        assert verify(tmp_path / "delivered" / names[-1]) == []
        return {each: (tmp_path / "delivered" / each).read_bytes() for each in names[:-1]}

    return run


def inside(definition: ExportDefinition, folder: Path) -> ExportDefinition:
    """The example with its folder below the test's."""
    document: dict[str, Any] = definition.document()
    document["targets"] = [{"kind": "folder", "options": {"folder": str(folder / "delivered")}}]
    return ExportDefinition.model_validate(document)


def last(definition: ExportDefinition) -> Any:
    assert definition.recurrence
    return definition.recurrence.previous_before(END)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_files_with_rows(
    name: str, delivered: Callable[..., dict[str, bytes]], tmp_path: Path
):
    assert delivered(name)
    [manifest] = (tmp_path / "delivered").glob(f"*{MANIFEST}")
    assert all(file.rows for file in read_manifest(manifest).files)


def test_the_bookkeepers_pack_is_one_archive_whose_files_agree(delivered: Callable[..., dict[str, bytes]]):
    [(name, content)] = delivered("monthly-bookkeeper-pack").items()
    assert name == "bookkeeper_2026-05.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {
            each.removeprefix("monthly-bookkeeper-pack_").removesuffix("_2026-05.csv"): rows(
                archive.read(each)
            )
            for each in archive.namelist()
        }
    assert list(files) == ["balances", "history", "loyalty-discounts", "liability", "top-earners", "growth"]

    def total(file: str, *columns: str) -> Decimal:
        return sum((Decimal(row[name]) for row in files[file] for name in columns), Decimal(0))

    held = total("balances", "active", "pending") - total("balances", "negative_balance")
    assert held == total("liability", "closing")
    assert total("history", "points_change") == held - total("liability", "opening")
    assert total("loyalty-discounts", "Points") == total("liability", "redeemed")
    assert total("top-earners", "points_earned") <= total("liability", "earned")
    assert len(files["growth"]) == 2 * 31, "each day of May, each program"
    assert Counter(row["rank"] for row in files["top-earners"])["1"] >= 2, "the first of each program"


def test_tiers_are_files_of_their_own_for_two_importers(delivered: Callable[..., dict[str, bytes]]):
    files = delivered("tier-segments")
    salesforce, hubspot = (
        {
            name.split("_")[3].removesuffix(".csv"): rows(text)
            for name, text in files.items()
            if system in name
        }
        for system in ("salesforce", "hubspot")
    )
    assert list(salesforce) == list(hubspot) == ["Bronze", "Gold", "Silver"]
    for tier, members in salesforce.items():
        assert {member["Loyalty Tier"] for member in members} == {tier}
        assert [member["Email"] for member in members] == [member["Email"] for member in hubspot[tier]]
        assert all("@" in member["Email"] for member in members)
    phones = [member["Business Phone"] for members in salesforce.values() for member in members]
    assert any(phone.startswith("+") for phone in phones), "a number stays one that can be dialled"


def test_the_members_about_to_be_lost_are_those(delivered: Callable[..., dict[str, bytes]]):
    [content] = delivered("lapsing-members").values()
    found = rows(gzip.decompress(content))
    assert len(found) > 10
    points = [Decimal(row["Points"]) for row in found]
    assert points == sorted(points, reverse=True)
    assert min(points) > 0
    assert {row["Tier"] for row in found} == {"Gold", "Silver"}
    # T is 5 June at midnight in Paris: today is that day, and 90 days before it is 7 March
    assert max(row["Last seen"] for row in found) < "2026-03-06T23:00:00Z"


def test_the_journal_balances(delivered: Callable[..., dict[str, bytes]]):
    [(name, content)] = delivered("month-end-journal").items()
    assert name == "journal_2026-05_0001.csv"
    for number in {row["Journal No."] for row in rows(content)}:
        lines = [row for row in rows(content) if row["Journal No."] == number]
        debits, credits_ = (sum(Decimal(row[side] or 0) for row in lines) for side in ("Debits", "Credits"))
        assert debits == credits_ > 0
