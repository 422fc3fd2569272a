"""When a total moved too far: exactly at the limit, from nothing, in one export of a pack, over several files."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from include.definitions.model import ExportDefinition
from include.formats.manifest import ManifestFile
from include.pipeline.changes import Earlier, alerts

Define = Callable[..., ExportDefinition]


def file(points: str | None, export: str | None = None, holds: str = "rows") -> ManifestFile:
    return ManifestFile.model_validate({
        "name": "x.csv", "export": export, "holds": holds, "format": "csv", "options": {}, "compression": "none",
        "media_type": "text/csv", "bytes": 1, "sha256": "0" * 64, "uncompressed_bytes": 1,
        "uncompressed_sha256": "0" * 64, "columns": [], "rows": 1, "id_column": None, "id_hash_total": None,
        "totals": {} if points is None else {"points": points},
    })  # fmt: skip


def told(define: Define, then: list[ManifestFile], now: list[ManifestFile], **alert: Any) -> tuple[str, ...]:
    wanted = {"column": "points", "moved_more_than": 5} | alert
    definition = define(conditions={"alerts": [wanted]})
    manifest = SimpleNamespace(files=then)
    return alerts(definition, now, Earlier(cast("Any", None), cast("Any", None), cast("Any", manifest)))


@pytest.mark.parametrize(
    ("then", "now", "percent"),
    [
        # before -> after, alert above 5 %: exactly 5 % is not above
        ("100.00", "105.00", None),
        ("100.00", "105.01", "by 5.0 %"),
        ("100.00", "94.99", "by 5.0 %"),
        ("-100.00", "-105.00", None),
        ("-100.00", "-110.00", "by 10.0 %"),
        ("0.00", "0.01", "from nothing"),
        ("0.00", "0.00", None),
        (None, "7.00", None),
    ],
)
def test_what_moved_further_than_the_limit_is_told(
    define: Define, then: str | None, now: str, percent: str | None
) -> None:
    found = told(define, [file(then)], [file(now)])
    assert found == ((f"points moved {percent}, from {then} to {now} (alert above 5 %)",) if percent else ())


def test_currencies_are_never_added(define: Define) -> None:
    def money(**sums: str) -> ManifestFile:
        totals = {f"points ({currency})": total for currency, total in sums.items()}
        return file(None).model_copy(update={"totals": totals})

    # 100 EUR and 100 USD -> 90 EUR and 110 USD: the same sum, and both moved
    found = told(define, [money(EUR="100.00", USD="100.00")], [money(EUR="90.00", USD="110.00")])
    assert found == (
        "points (EUR) moved by 10.0 %, from 100.00 to 90.00 (alert above 5 %)",
        "points (USD) moved by 10.0 %, from 100.00 to 110.00 (alert above 5 %)",
    )
    new = told(define, [money(EUR="100.00")], [money(EUR="100.00", USD="3.00")])
    assert new == ("points (USD) moved from nothing, from 0 to 3.00 (alert above 5 %)",)
    assert told(define, [file("100.00")], [money(EUR="1.00")]) == ()  # an older manifest knew no currencies


def test_nothing_is_told_of_a_first_delivery(define: Define) -> None:
    definition = define(conditions={"alerts": [{"column": "points", "moved_more_than": 5}]})
    assert alerts(definition, [file("1.00")], None) == ()


def test_files_of_a_split_are_one_total_and_files_of_changes_none(define: Define) -> None:
    then = [file("50.00"), file("50.00"), file("900.00", holds="changes")]
    assert told(define, then, [file("20.00"), file("80.00")]) == ()
    assert len(told(define, then, [file("20.00"), file("90.00")])) == 1


def test_an_alert_is_of_one_export_or_of_all_that_have_the_column(define: Define) -> None:
    then = [file("100.00", "a"), file("100.00", "b"), file(None, "c")]
    now = [file("200.00", "a"), file("200.00", "b"), file(None, "c")]
    assert [one.split(" moved")[0] for one in told(define, then, now)] == ["a: points", "b: points"]
    assert [one.split(" moved")[0] for one in told(define, then, now, export="b")] == ["b: points"]
