"""A definition is said in one sentence that a person would say, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.load import from_document, load_all
from include.definitions.model import AS_OF_WORDS
from include.definitions.periods import MEANINGS
from include.definitions.sentence import NAMED_AT_MOST, destinations, listed, sentence, when
from include.settings import ROOT

FOLDER = {"kind": "folder", "options": {"folder": "delivered/finance"}}


def definition(**more):
    document = {
        "id": "x", "name": "X", "model": "liability", "timezone": "Europe/Paris", "targets": [FOLDER],
        "file": {"compression": "none"},
    } | more  # fmt: skip
    return from_document({key: value for key, value in document.items() if value is not None}, where="test")


def people(*addresses):
    return {"kind": "email", "options": {"connection": "loyalty_mail", "to": list(addresses)}}


def test_the_sentence_of_the_brief():
    found = definition(
        period="this_month",
        schedule={"kind": "monthly", "days": ["last"], "time": "06:00"},
        targets=[
            {"kind": "sftp", "name": "finance", "options": {"connection": "sftp_finance", "folder": "in"}},
            people("a@shop.example", "b@shop.example", "c@shop.example"),
        ],
    )
    assert sentence(found) == (
        "Every month on the Last day at 06:00 Europe/Paris, liability of this month, CSV, "
        "to SFTP finance and 3 recipients."
    )


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (None, "by hand"),
        ({"kind": "once", "date": "2027-01-31"}, "once, on 31 January 2027 at 06:00 Europe/Paris"),
        ({"kind": "daily"}, "every day at 06:00 Europe/Paris"),
        ({"kind": "weekly", "days": ["thu", "monday"]}, "every Monday and Thursday at 06:00 Europe/Paris"),
        ({"kind": "monthly", "days": [1]}, "every month on day 1 at 06:00 Europe/Paris"),
        ({"kind": "monthly", "days": ["last", 15, 1]},
         "every month on days 1 and 15 and the Last day at 06:00 Europe/Paris"),
        ({"kind": "monthly", "days": [1], "months": [7, 1]},
         "every January and July on day 1 at 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": 3}, "every month on business day 3 at 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": -1}, "every month on the last business day at 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": -3, "holidays": ["2026-05-01"]},
         "every month on business day 3 from the end (1 holiday left out) at 06:00 Europe/Paris"),
        ({"kind": "quarter_end"}, "every quarter on the Last day at 06:00 Europe/Paris"),
        # `end` is the first day without a run, so people hear the day before.
        ({"kind": "daily", "start": "2026-03-01", "end": "2027-01-01"},
         "every day at 06:00 Europe/Paris, from 1 March 2026, until 31 December 2026"),
    ],
)  # fmt: skip
def test_every_schedule(schedule, words):
    given_ = schedule and {"time": "06:00", **schedule}
    assert when(definition(period="previous_month", schedule=given_)) == words


PERIODS = {
    "since_previous_occurrence": "since the run before", "since_last_delivery": "since the last delivery",
    "this_day": "of this day", "this_week": "of this week", "this_month": "of this month",
    "this_quarter": "of this quarter", "this_year": "of this year",
    "previous_day": "of the previous day", "previous_week": "of the previous week",
    "previous_month": "of the previous month", "previous_quarter": "of the previous quarter",
    "previous_year": "of the previous year",
    "last_7_days": "of the last 7 days", "last_30_days": "of the last 30 days", "last_90_days": "of the last 90 days",
    "last_3_months": "of the last 3 months", "last_12_months": "of the last 12 months",
    "last_24_months": "of the last 24 months",
    "month_to_date": "of the month to date", "quarter_to_date": "of the quarter to date",
    "year_to_date": "of the year to date",
    "custom": "from 1 January 2026 to 31 January 2026", "all_time": "of all time",
}  # fmt: skip


def test_the_table_below_knows_every_period():
    assert PERIODS.keys() == MEANINGS.keys()


@pytest.mark.parametrize(("kind", "words"), PERIODS.items())
def test_every_period(kind, words):
    bounds = {"start": "2026-01-01", "end": "2026-02-01"} if kind == "custom" else {}
    found = definition(period={"kind": kind, **bounds}, schedule={"kind": "daily", "time": "06:00"})
    assert sentence(found) == (
        f"Every day at 06:00 Europe/Paris, liability {words}, CSV, to folder delivered/finance."
    )


def test_the_current_day_is_told():
    found = definition(period={"kind": "month_to_date", "include_current_day": True})
    assert "liability of the month to date, the current day included, CSV" in sentence(found)


AS_OF = {
    "occurrence": "as of the moment of the run",
    **{f"end_of_previous_{x}": f"as of the end of the previous {x}" for x in ("day", "week", "month", "quarter", "year")},
    **{f"end_of_this_{x}": f"as of the end of this {x}" for x in ("day", "week", "month", "quarter", "year")},
    # Midnight of the first of February in Paris.
    "2026-01-31T23:00:00Z": "as of 1 February 2026 00:00",
}  # fmt: skip


@pytest.mark.parametrize(("as_of", "words"), AS_OF.items())
def test_every_as_of(as_of, words):
    found = definition(model="balance", as_of=as_of)
    assert sentence(found) == f"By hand, balance {words}, CSV, to folder delivered/finance."
    assert set(AS_OF) | {"period_end"} >= set(AS_OF_WORDS)


def test_a_schedule_without_as_of_reports_its_own_moment():
    found = definition(model="balance", schedule={"kind": "daily", "time": "06:00"})
    assert "balance as of that moment, CSV" in sentence(found)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({}, "CSV"),
        ({"compression": "gzip"}, "CSV (gzip)"),
        ({"format": "xlsx"}, "Excel"),
        ({"format": "jsonl", "compression": "zstd"}, "JSON Lines (zstd)"),
        ({"format": "parquet"}, "Parquet"),
        ({"format": "xml", "compression": "zip"}, "XML (ZIP)"),
        ({"split": {"field": "Tier"}}, "CSV split by Tier"),
        ({"split": {"rows": 50000}}, "CSV split by 50,000 rows"),
        ({"split": {"bytes": 4096}}, "CSV split by size"),
        ({"encryption": {"kind": "openpgp", "options": {"recipients": ["finance"]}}}, "CSV encrypted with OpenPGP"),
    ],
)  # fmt: skip
def test_every_file(file, words):
    found = definition(period="this_month", file=file)
    assert sentence(found) == f"By hand, liability of this month, {words}, to folder delivered/finance."


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"filters": [{"field": "tier", "is": "Gold"}]}, "balance as of the moment of the run, filtered, CSV"),
        ({"limit": 500}, "balance as of the moment of the run, the first 500 rows, CSV"),
        ({"layout": "voucherify.customer", "model": "customers"},
         "customers as of the moment of the run, in the layout voucherify.customer, CSV"),
        ({"aggregation": [{"field": "tier", "function": "group"}, {"field": "program_name", "function": "group"},
                          {"field": "active", "function": "sum"}]},
         "balance by tier and program name as of the moment of the run, CSV"),
        ({"conditions": {"only_when_changed": True, "when_empty": "skip"}},
         "balance as of the moment of the run, only when something changed, unless it is empty, CSV"),
    ],
)  # fmt: skip
def test_what_the_rows_are(more, words):
    assert words in sentence(definition(**({"model": "balance"} | more)))


def pack(*names, **more):
    exports = [{"id": name, "model": "balance", "file": {"compression": "none"}} for name in names]
    return definition(model=None, file=None, exports=exports, **more)


def test_packs():
    assert sentence(pack("balances", "history", period="previous_month", bundle="zip")) == (
        "By hand, 2 exports together (balances and history) of the previous month, CSV in one ZIP archive, "
        "to folder delivered/finance."
    )
    many = sentence(pack("a", "b", "c", "d", "e"))
    assert "5 exports together (a, b, c and 2 more) as of the moment of the run" in many


def test_a_workbook():
    exports = [{"id": name, "model": "balance"} for name in ("a", "b")]
    found = definition(model=None, file=None, exports=exports, bundle="workbook")
    assert "2 exports together (a and b) as of the moment of the run, one Excel workbook, to" in sentence(
        found
    )


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([FOLDER], "folder delivered/finance"),
        ([{"kind": "folder", "name": "archive", "options": {"folder": "a"}}], "folder archive"),
        ([{"kind": "s3", "options": {"connection": "aws", "bucket": "acme-points"}}], "S3 acme-points"),
        ([{"kind": "gcs", "options": {"bucket": "acme"}}], "Google Cloud Storage acme"),
        ([{"kind": "azure_blob", "options": {"container": "acme"}}], "Azure acme"),
        ([{"kind": "google_sheets", "name": "board", "options": {}}], "Google Sheets board"),
        ([{"kind": "webhook", "options": {"connection": "crm"}}], "webhook crm"),
        ([{"kind": "sftp", "options": {}}], "SFTP"),
        ([{"kind": "carrier_pigeon", "options": {}}], "carrier pigeon"),
        ([people("a@shop.example")], "1 recipient"),
        # One person in two mails is one recipient.
        ([people("a@shop.example"), {**people("A@shop.example", "b@shop.example"), "name": "board"}], "2 recipients"),
        ([{"kind": "folder", "name": f"f{n}", "options": {"folder": "x"}} for n in range(20)],
         "folder f0, folder f1, folder f2 and 17 more"),
        ([people("a@shop.example"), *({"kind": "sftp", "name": f"s{n}", "options": {}} for n in range(4))],
         "SFTP s0, SFTP s1, 2 more places and 1 recipient"),
    ],
)  # fmt: skip
def test_every_target(targets, words):
    assert destinations(definition(period="this_month", targets=targets).targets) == words


def test_every_export_that_ships_has_a_sentence():
    for found in load_all(ROOT / "include" / "exports").values():
        said = sentence(found)
        assert said.endswith(".")
        assert said[0].isupper()
        assert not {"_", "None", "  "} & set(said.split(", ")[0].split())


@given(st.lists(st.text(st.characters(categories=["Lu", "Ll"]), min_size=1), max_size=6))
def test_a_list_of_words_is_said_whole(words):
    said = listed(words)
    assert [part for piece in said.split(", ") for part in piece.split(" and ")] == (words or [""])
    assert NAMED_AT_MOST == 3
