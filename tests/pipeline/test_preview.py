"""A preview shows what the file would hold, hides what its reader may not see, and estimates within what it says."""

from __future__ import annotations

import csv
import gzip
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include import pipeline
from include.connections import Secrets
from include.errors import BadInput, Transient
from include.pipeline import Context, process, snapshot_ahead, snapshot_stage
from include.pipeline.context import silent
from include.pipeline.previews import preview as previews
from include.pipeline.previews import stage as preview_stage
from include.pipeline.previews.preview import Busy, NotGathered, NothingToRead, Preview, newest, preview
from include.snapshots import sample

pytestmark = pytest.mark.slow  # it reads a whole sample ledger, or starts processes

# The estimate of rows and bytes is stated to be right within this factor, for rows that stand for customers.
FACTOR = 1.5
PERSONAL = ["customer_id", "email", "name", "loyalty_points"]


@pytest.fixture
def drawn(context, monkeypatch):
    """Draw in this process: what is shown is tested here, the other process and its limits in tests of their own."""

    def here(_: str, settings: Any, run: Any, secrets: Any, personal: bool, *, progress: Any) -> Preview:
        return preview_stage.drawn(settings, run, secrets, personal, progress=progress)

    monkeypatch.setattr(process, "in_process", here)
    # It would end the tests' own process after a while.
    monkeypatch.setattr(preview_stage, "_limit", lambda: None)
    return lambda definition, personal=True: preview(context, definition, personal=personal)


def with_snapshot(context: Context, *definitions: Any) -> None:
    for definition in definitions:
        snapshot_stage.take_for(
            context.settings,
            definition.document(),
            datetime.now(UTC) - timedelta(seconds=1),
            Secrets(),
            progress=silent,
        )


def real(context: Context, definition: Any, seen: Preview) -> list[dict[str, Any]]:
    """The files of a real run about the same moment."""
    when = {"start": seen.start, "end": seen.end} if seen.end else {"as_of": seen.as_of}
    run = pipeline.pin(context, definition, **when, dry_run=True)
    pipeline.snapshot(context, run.run_key)
    return [each for each in pipeline.render(context, run.run_key) if "rows" in each]


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys",
    [
        {"model": "balance"},
        {"model": "customers", "layout": "voucherify.customer"},
        {"model": "transactions", "period": {"kind": "custom", "start": "2026-03-01", "end": "2026-04-01"}},
        {"model": "transactions", "file": {"options": {"decimal_sign": ",", "delimiter": ";"}}},
        {"model": "transactions", "aggregation": [
            {"field": "type", "function": "group"}, {"field": "points", "function": "sum"}
        ]},
    ],
)  # fmt: skip
def test_it_is_the_beginning_of_the_real_file(context, define, drawn, keys, inline):
    definition = define(**{"file": {"compression": "gzip"}} | keys)
    with_snapshot(context, definition)
    seen = drawn(definition)
    [file] = seen.files
    [made] = real(context, definition, seen)
    content = gzip.decompress(context.store.read(made["key"])).decode()
    delimiter = keys.get("file", {}).get("options", {}).get("delimiter", ",")
    [header, *lines] = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))
    assert [column.name for column in file.columns] == header
    assert [list(row) for row in file.rows] == lines[:10]
    assert content.startswith(file.beginning or "none")
    assert (file.rows_count, file.bytes_count, file.exact) == (made["rows"], made["bytes"], True)
    assert (seen.share, seen.read_at <= datetime.now(UTC)) == (1, True)


@pytest.mark.parametrize("format_", ["csv", "psv", "tsv", "json", "jsonl", "xml", "xlsx", "parquet"])
def test_every_format_shows_its_rows(context, define, drawn, format_):
    definition = define(
        file={"format": format_}, model="balance", fields=["customer_id", "active", "registered_at"]
    )
    with_snapshot(context, definition)
    [file] = drawn(definition).files
    assert len(file.rows) == 10
    assert {len(row) for row in file.rows} == {3}
    assert all("." in (row[1] or "") or (row[1] or "0").isdigit() for row in file.rows)
    assert (file.beginning is None) == (format_ in {"xlsx", "parquet"})
    assert file.name.endswith((f".{format_}", f".{format_}.gz"))


@pytest.mark.parametrize("format_", ["csv", "jsonl", "xlsx"])
def test_who_may_not_see_personal_data_sees_that_it_is_hidden(context, define, drawn, format_):
    definition = define(model="customers", fields=PERSONAL, file={"format": format_})
    with_snapshot(context, definition)
    [clear], [hidden] = drawn(definition, True).files, drawn(definition, False).files
    assert [column.hidden for column in hidden.columns] == [False, True, True, False]
    assert {row[1:3] for row in hidden.rows} == {("hidden", "hidden")}
    assert [(row[0], row[3]) for row in hidden.rows] == [(row[0], row[3]) for row in clear.rows]
    secret = [cell for row in clear.rows for cell in row[1:3] if cell]
    assert secret
    assert not any(cell in str(hidden) for cell in secret)


def test_what_privacy_protects_is_not_hidden(context, define, drawn):
    definition = define(
        model="customers", fields=["customer_id", "email"], privacy={"fields": {"email": "mask"}}
    )
    with_snapshot(context, definition)
    [file] = drawn(definition, False).files
    assert not any(column.personal for column in file.columns)
    assert all((row[1] or "***").count("***") for row in file.rows)


def test_a_filter_by_personal_data_tells_nothing_to_who_may_not_see_it(context, define, drawn):
    filters = [{"any": [{"field": "email", "starts_with": "a"}, {"field": "loyalty_points", "more_than": 0}]}]
    definition = define(model="customers", filters=filters)
    with_snapshot(context, definition)
    with pytest.raises(BadInput) as refused:
        drawn(definition, False)
    assert [(problem.value, problem.code) for problem in refused.value.problems] == [
        ("email", "personal_filter")
    ]
    assert drawn(definition, True).files


@pytest.mark.parametrize(
    "keys",
    [
        {"model": "customers", "order": ["-email"]},
        {"model": "customers", "aggregation": [{"field": "email", "function": "group"}], "order": ["email"]},
        {
            "model": "customers",
            "aggregation": [
                {"field": "customer_id", "function": "group"},
                {"field": "email", "function": "min", "header": "x"},
            ],
            "order": ["x"],
        },
    ],
)
def test_an_order_by_personal_data_is_refused_too(context, define, drawn, keys):
    definition = define(**keys)
    with_snapshot(context, definition)
    with pytest.raises(BadInput) as refused:
        drawn(definition, False)
    assert [problem.code for problem in refused.value.problems] == ["personal_order"]
    assert drawn(definition, True).files


@pytest.mark.parametrize(
    "options",
    [{"quoting": "none", "delimiter": "@"}, {"encoding": "latin-1"}],
)
def test_what_cannot_be_written_is_not_told_to_who_may_not_see_it(context, define, drawn, options):
    definition = define(model="customers", fields=["customer_id", "email", "name"], file={"options": options})
    with_snapshot(context, definition)
    assert drawn(definition, False).files


def test_the_size_of_a_file_says_nothing_of_what_is_hidden(context, define, drawn):
    """Of one row the size would be the length of the address, and packed, whether a guess in a header is right."""
    definition = define(model="customers", fields=["customer_id", "email"])
    with_snapshot(context, definition)
    [clear] = drawn(definition).files
    one = define(
        model="customers",
        fields=["email"],
        filters=[{"field": "customer_id", "is": clear.rows[0][0]}],
        file={"compression": "none"},
    )
    [shown] = drawn(one, False).files
    assert (shown.rows, shown.bytes_count) == ((("hidden",),), len("email\nhidden\n"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "factor"),
    [
        ({"model": "balance"}, FACTOR),
        ({"model": "transactions"}, FACTOR),
        ({"model": "customers"}, FACTOR),
        ({"model": "transactions", "filters": [{"field": "type", "is": "earned"}]}, FACTOR),
        ({"model": "transactions", "file": {"format": "parquet"}}, FACTOR),
        # Groups and totals do not grow with the customers, but for what is rare.
        ({"model": "liability", "period": {"kind": "custom", "start": "2026-01-01", "end": "2026-02-01"}}, 2),
        ({"model": "transactions", "aggregation": [
            {"field": "type", "function": "group"}, {"field": "points", "function": "sum"}
        ]}, 2),
        ({"model": "balance", "limit": 50}, 1.2),
    ],
)  # fmt: skip
def test_the_estimate_is_near_what_comes(context, define, drawn, monkeypatch, keys, factor):
    definition = define(**{"file": {"compression": "gzip"}} | keys)
    with_snapshot(context, definition)
    [exact] = drawn(definition).files
    monkeypatch.setattr(sample, "ROWS", 600)  # of 6,000 transactions: one customer in ten
    seen = drawn(definition)
    [file] = seen.files
    assert (seen.share, file.exact, exact.exact) == (10, False, True)
    assert 1 / factor <= file.rows_count / exact.rows_count <= factor
    assert 1 / factor <= file.bytes_count / exact.bytes_count <= factor
    if "limit" not in keys:
        assert file.found_rows <= exact.rows_count


def test_a_pack_shows_each_of_its_files(context, define, drawn):
    definition = define(
        model=None, file={},
        exports=[{"id": "points", "model": "balance"}, {"id": "people", "model": "customers"}],
        bundle="workbook",
    )  # fmt: skip
    with_snapshot(context, definition)
    assert [(file.export, len(file.rows)) for file in drawn(definition).files] == [
        ("points", 10),
        ("people", 10),
    ]


def test_encryption_needs_no_key_to_preview(context, define, drawn):
    encrypted = {"encryption": {"kind": "openpgp", "options": {"recipients": ["nobody"]}}}
    definition = define(model="customers", fields=PERSONAL, file=encrypted)
    with_snapshot(context, definition)
    assert drawn(definition).files[0].rows


def test_without_a_snapshot_it_says_so(context, define):
    with pytest.raises(NothingToRead, match="no snapshot"):
        preview(context, define(), personal=True)


def test_a_snapshot_that_lacks_a_relation_is_none(context, define):
    with_snapshot(context, define(model="programs"))
    assert newest(context, define(model="programs")) is not None
    assert newest(context, define(model="orders")) is None


def test_a_period_to_come_has_nothing_to_show(context, define):
    definition = define(
        model="transactions", period={"kind": "custom", "start": "2100-01-01", "end": "2101-01-01"}
    )
    with_snapshot(context, definition)
    with pytest.raises(NothingToRead, match="2100-01-01"):
        preview(context, definition, personal=True)


def test_the_run_is_the_last_that_the_schedule_had(context, define, drawn):
    definition = define(
        model="transactions",
        period="previous_month",
        schedule={"kind": "monthly", "days": [1], "time": "06:00"},
    )
    with_snapshot(context, definition)
    seen = drawn(definition)
    assert seen.end is not None
    assert seen.start is not None
    assert seen.end.astimezone(UTC) <= seen.read_at
    assert 27 <= (seen.end - seen.start).days <= 31


@pytest.mark.slow
def test_it_is_drawn_in_another_process(context, define):
    definition = define()
    with_snapshot(context, definition)
    assert preview(context, definition, personal=True).files[0].rows
    assert not list(context.settings.scratch.glob("preview*"))


@pytest.mark.slow
def test_what_takes_too_long_is_ended(context, define, monkeypatch):
    definition = define()
    with_snapshot(context, definition)
    started = time.monotonic()
    with pytest.raises(Transient, match="longer than 1 seconds"):
        process.in_process("tests.pipeline.slow_preview:draw", context.settings, progress=silent)
    assert time.monotonic() - started < 30


def test_no_more_than_some_are_drawn_at_once(context, define):
    definition = define()
    with_snapshot(context, definition)
    held = [previews._free.acquire(blocking=False) for _ in range(previews.AT_ONCE)]
    try:
        assert all(held)
        with pytest.raises(Busy):
            preview(context, definition, personal=True)
    finally:
        for _ in held:
            previews._free.release()


@pytest.mark.slow
def test_a_snapshot_is_made_in_the_background(context, define):
    definition = define()
    making = snapshot_ahead.make(context, definition)
    assert snapshot_ahead.make(context, definition) is making
    for _ in range(600):
        if not making.running:
            break
        time.sleep(0.1)
    assert (making.running, making.failure) == (False, "")
    assert newest(context, definition) is not None


def test_a_ledger_that_cannot_be_read_is_told(settings_for, define, tmp_path):
    context = Context(settings_for(f"sqlite:///{tmp_path / 'no' / 'ledger.sqlite'}"))
    making = snapshot_ahead.make(context, define())
    for _ in range(600):
        if not making.running:
            break
        time.sleep(0.1)
    assert making.failure
    assert not making.running


@pytest.mark.slow
def test_a_large_snapshot_is_sampled_before_it_is_looked_at(context, define, monkeypatch):
    definition = define(model="transactions")
    with_snapshot(context, definition)
    monkeypatch.setattr(sample, "ROWS", 600)
    monkeypatch.setattr(previews, "ROWS_AT_ONCE", 5_999)
    with pytest.raises(NotGathered) as refused:
        preview(context, definition, personal=True)
    preview_stage.gather(context.settings, refused.value.run, progress=silent)
    monkeypatch.setattr(process, "in_process", lambda *_, **__: "drawn")
    assert preview(context, definition, personal=True) == "drawn"


@pytest.mark.slow
def test_gathering_is_done_in_the_background(context, define, monkeypatch):
    definition = define(model="transactions")
    with_snapshot(context, definition)
    with monkeypatch.context() as patch:
        patch.setattr(previews, "ROWS_AT_ONCE", -1)
        with pytest.raises(NotGathered) as refused:
            preview(context, definition, personal=True)
    making = snapshot_ahead.gather(context, refused.value.run)
    assert snapshot_ahead.state(context) is making
    for _ in range(600):
        if not making.running:
            break
        time.sleep(0.1)
    assert (making.running, making.failure, making.what) == (False, "", "A sample of the snapshot")
