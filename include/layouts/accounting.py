"""Accounting: journals that QuickBooks Online and Xero import, and the points roll-forward of finance teams.

Lines of one journal stay in one file. QuickBooks Online comes twice: with the names of its import page, and with
those of its sample file, which also has the currency; it takes either. Xero counts at most 300 lines a file.
The two change their templates now and then: docs/user-guide.md says what to compare.
"""

from __future__ import annotations

from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from include.definitions.split import Split
from include.layouts.layout import Layout, LayoutColumn, empty, made, same
from include.ledger.catalog import FieldType

TEXT, MONEY, POINTS = FieldType.TEXT, FieldType.MONEY, FieldType.POINTS


def _day(header: str, written: str) -> LayoutColumn:
    return made(header, TEXT, ("date",), lambda batch: pc.strftime(batch.column("date"), format=written))


def _narration(batch: pa.RecordBatch) -> pa.Array:
    """Return what Xero groups lines by, beside the date: the journal's number and program."""
    name = pc.coalesce(batch.column("program_name"), batch.column("program_id"))
    return pc.binary_join_element_wise(batch.column("journal_no"), name, " ")


LAYOUTS = MappingProxyType({
    "quickbooks_online": Layout(
        "journal",
        (
            same("Journal No.", FieldType.ID, "journal_no"),
            _day("Journal Date", "%m/%d/%Y"),
            same("Account Name", TEXT, "account"),
            same("Description", TEXT, "description"),
            same("Debits", MONEY, "debit"),
            same("Credits", MONEY, "credit"),
        ),
        split=Split(rows=1000, together="Journal No."),
    ),
    "quickbooks_online_sample": Layout(
        "journal",
        (
            same("*JournalNo", FieldType.ID, "journal_no"),
            _day("*JournalDate", "%m/%d/%Y"),
            same("*AccountName", TEXT, "account"),
            same("*Debits", MONEY, "debit"),
            same("*Credits", MONEY, "credit"),
            same("Description", TEXT, "description"),
            empty("Name", beside="program_id"),
            same("Currency", TEXT, "currency"),
            empty("Location", beside="program_id"),
            empty("Class", beside="program_id"),
        ),
        split=Split(rows=1000, together="*JournalNo"),
    ),
    "xero": Layout(
        "journal",
        (
            made("*Narration", TEXT, ("journal_no", "program_name", "program_id"), _narration),
            _day("*Date", "%d/%m/%Y"),
            same("Description", TEXT, "description"),
            same("*AccountCode", TEXT, "account_code"),
            same("*TaxRate", TEXT, "tax_rate"),
            same("*Amount", MONEY, "amount"),
            same("TrackingName1", TEXT, "tracking_name"),
            same("TrackingOption1", TEXT, "tracking_option"),
            empty("TrackingName2", beside="program_id"),
            empty("TrackingOption2", beside="program_id"),
        ),
        split=Split(rows=300, together="*Narration"),
    ),
    "points_accounting": Layout(
        "points_accounting",
        (
            same("Date", FieldType.DATE, "date"),
            same("Earned", POINTS, "earned"),
            same("Earned Reversed", POINTS, "earned_reversed"),
            same("Redeemed", POINTS, "redeemed"),
            same("Redeemed Reimbursed", POINTS, "refunded"),
            same("Expired", POINTS, "expired"),
            same("Outstanding Start", POINTS, "outstanding_start"),
            same("Outstanding End", POINTS, "outstanding_end"),
            same("Difference", POINTS, "outstanding_difference"),
        ),
    ),
})  # fmt: skip
