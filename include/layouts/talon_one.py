"""Talon.One: balances, ledger, join dates, tiers and cards as its loyalty exports name them. Times are UTC.

The dashboard's files are about one program: give its id as the option `programs`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from include.layouts.layout import Layout, LayoutColumn, empty, made, same
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.shaping import paths

ID, TEXT, ENUM, POINTS = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.POINTS
INSTANT, INTEGER, DATE = FieldType.INSTANT, FieldType.INTEGER, FieldType.DATE

_DETAILS = (Column("details", FieldType.JSON),)
_BALANCES = (
    same("currentBalance", POINTS, "points_balance"),
    same("pendingBalance", POINTS, "pending"),
    same("expiredBalance", POINTS, "expired"),
    same("spentBalance", POINTS, "spent"),
)
_PROGRAM = same("loyaltyProgramID", INTEGER, "program_external_id")
_SUBLEDGER = same("loyaltySubledger", ID, "subledger_id")


def _entry_type(batch: pa.RecordBatch) -> pa.Array:
    """Return addition for what adds points, expire for expiries, else subtraction."""
    adds = pc.greater(batch.column("points"), 0)
    signed = pc.if_else(adds, "addition", "subtraction")
    return pc.if_else(pc.equal(batch.column("type").cast(pa.string()), "expired"), "expire", signed)


def _amount(batch: pa.RecordBatch) -> pa.Array:
    """Return the number of points without a sign, as in the vendor's lists of the same entries: the type says it."""
    return pc.abs(batch.column("points"))


def _rfc3339(source: str, instead: str) -> Callable[[pa.RecordBatch], pa.Array]:
    """Return what writes an instant as the import reads it, to the second; `instead` where there is none."""

    def make(batch: pa.RecordBatch) -> pa.Array:
        whole = pc.floor_temporal(batch.column(source), unit="second").cast(pa.timestamp("s", tz="UTC"))
        return pc.fill_null(pc.strftime(whole, format="%Y-%m-%dT%H:%M:%SZ"), instead)

    return make


def _detail(header: str) -> LayoutColumn:
    """Return a property of `details` that the system knows and a ledger need not have; else empty."""
    return made(header, TEXT, ("details",), lambda batch: paths.value(batch, _DETAILS, f"details.{header}"))


LAYOUTS = MappingProxyType({
    "customer_balances": Layout(
        "balance",
        (
            _PROGRAM, _SUBLEDGER, same("profileIntegrationID", ID, "customer_id"), *_BALANCES,
            same("currentTier", TEXT, "tier"),
        ),
        MappingProxyType({"holders": "customers"}),
    ),
    "card_balances": Layout(
        "balance",
        (
            _PROGRAM, _SUBLEDGER, same("cardIdentifier", ID, "holder_id"), same("cardState", ENUM, "card_status"),
            *_BALANCES,
        ),
        MappingProxyType({"holders": "cards"}),
    ),
    "customer_ledger": Layout(
        "transactions",
        (
            same("customerprofileid", ID, "customer_id"),
            _detail("customersessionid"),
            _detail("rulesetid"),
            same("rulename", TEXT, "rule_name"),
            same("programid", INTEGER, "program_external_id"),
            made("type", ENUM, ("type", "points"), _entry_type),
            same("name", TEXT, "reason"),
            same("subledgerid", ID, "subledger_id"),
            same("startdate", INSTANT, "activates_at"),
            same("expirydate", INSTANT, "expires_at"),
            same("id", ID, "transaction_id"),
            same("created", INSTANT, "created_at"),
            made("amount", POINTS, ("points",), _amount),
            _detail("archived"),
            same("campaignid", ID, "campaign_id"),
            _detail("flags"),
            _detail("transactionUUID"),
        ),
    ),
    # Open lots as a points import takes them: a program moves with its dates. Of customers: filter card_id is_unknown.
    "import_points": Layout(
        "lots",
        (
            same("customerprofileid", ID, "customer_id"),
            same("amount", POINTS, "remaining"),
            made("startdate", TEXT, ("activates_at",), _rfc3339("activates_at", "immediate")),
            made("expirydate", TEXT, ("expires_at",), _rfc3339("expires_at", "unlimited")),
            empty("validityDuration", beside="lot_id"),
            same("subledgerid", ID, "subledger_id"),
            same("reason", ID, "lot_id"),
        ),
        MappingProxyType({"open_only": True}),
    ),
    "join_dates": Layout(
        "join_dates",
        (_PROGRAM, same("profileIntegrationID", ID, "customer_id"), same("joinDate", INSTANT, "joined_at")),
    ),
    "customer_tiers": Layout(
        "customer_tiers",
        (
            same("programid", INTEGER, "program_external_id"),
            same("subledgerid", ID, "subledger_id"),
            same("customerprofileid", ID, "customer_id"),
            same("tiername", TEXT, "tier"),
            same("startdate", INSTANT, "starts_at"),
            same("expirydate", INSTANT, "expires_at"),
        ),
    ),
    "dashboard_members": Layout(
        "members", (same("date", DATE), same("new_members", INTEGER), same("total_members", INTEGER)),
    ),
    "dashboard_points_total": Layout(
        "points_total",
        (
            same("date", DATE), same("active_points", POINTS, "active"), same("pending_points", POINTS, "pending"),
            same("expired_points", POINTS, "expired"),
        ),
    ),
    "dashboard_earned_redeemed": Layout(
        "earned_redeemed",
        (
            same("date", DATE), same("earned_manual", POINTS), same("earned_rules", POINTS),
            same("redeemed_manual", POINTS), same("redeemed_rules", POINTS),
        ),
    ),
    "cards": Layout(
        "cards",
        (
            same("identifier", ID, "card_id"),
            same("created", INSTANT, "created_at"),
            same("status", ENUM),
            same("userpercardlimit", INTEGER, "users_per_card_limit"),
            same("customerprofileids", ID, "customer_id"),
            same("blockreason", TEXT, "block_reason"),
            same("generated", FieldType.BOOLEAN),
            same("batchid", ID, "batch_id"),
            same("attributes", FieldType.JSON),
        ),
    ),
})  # fmt: skip
