"""What every column of every model means, in one place; docs/reference/models.md is made from it.

A column that is a field of the model's own relation, or of `transactions`, means what the catalog says. A name
means the same in every model, except where `_OF_MODEL` says otherwise. A column that is `required` is never null.
"""

from __future__ import annotations

from collections.abc import Iterable

from include.ledger.columns import Column
from include.ledger.fields import Field, FieldType, may, need
from include.ledger.relations import RELATIONS
from include.ledger.relations.movements import TRANSACTION_TYPES

ID, TEXT, ENUM, INSTANT = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.INSTANT
POINTS, MONEY, INTEGER, DATE = FieldType.POINTS, FieldType.MONEY, FieldType.INTEGER, FieldType.DATE
BOOLEAN, RATE = FieldType.BOOLEAN, FieldType.RATE

_EVERYWHERE = (
    # who
    may("program_name", TEXT, "Name of the program."),
    may("program_external_id", INTEGER, "The program's number in systems that know programs by integers."),
    need("subledger_id", ID, "The purse inside the program; '' when it has one."),
    need("holder_kind", ENUM, "What holds the account.", "customer", "card"),
    need("holder_id", ID, "The customer, or the card, that holds the account."),
    may("card_status", ENUM, "Whether the card may be used; null: no card.", "active", "inactive", "blocked"),
    may("customer_id", ID, "The customer; of a card, its owner; null: a card nobody owns."),
    may("customer_name", TEXT, "Full name of the customer.", pii=True),
    may("customer_source_id", ID, "The customer's id in the system it came from.", pii=True),
    may("email", TEXT, "E-mail address of the customer.", pii=True),
    may("tier", TEXT, "Name of the customer's tier as of T; null: none."),
    may("registered_at", INSTANT, "When the customer joined."),
    may("last_activity_at", INSTANT, "When the last row before T was created that is no expiry."),
    # points of an account, or of what accounts add up to
    need("active", POINTS, "Points that can be used."),
    need("pending", POINTS, "Points of lots that are not usable yet."),
    need("expired", POINTS, "All points that have expired so far."),
    need("spent", POINTS, "Redeemed less refunded."),
    need("negative_balance", POINTS, "Debt: points spent that no lot covered; it or `active` is 0."),
    need("points_balance", POINTS, "Active less negative balance."),
    need("lifetime_earned", POINTS, "All points of rows of type `earned`."),
    may("stated_balance", POINTS, "Active less negative balance, as the ledger's owner states it."),
    may("stated_difference", POINTS, "Stated balance less points balance."),
    need("outstanding", POINTS, "Active and pending points: what liability is owed for."),
    need("debt", POINTS, "Points spent that no lot covered."),
    # lots and what uses them
    need("lot_id", ID, "The transaction that brought the points in."),
    need("issued_at", INSTANT, "When the lot was created."),
    need("used", POINTS, "Points of the lot that debits used."),
    need("remaining", POINTS, "Points of the lot that are left."),
    need("debit_id", ID, "The debit, or `expiry:` and the lot for what expired by itself."),
    need("debit_type", ENUM, "Type of the debit.", *TRANSACTION_TYPES),
    need("allocated_at", INSTANT, "When the lot was used."),
    # history
    need("points_change", POINTS, "What the row changed; of a posted expiry, minus its excess only."),
    need("balance_before", POINTS, "Active and pending points less debt of the account, before the row."),
    need("balance_after", POINTS, "Active and pending points less debt of the account, after the row."),
    need("posted_points", POINTS, "Points as the ledger has them; 0 for a derived expiry."),
    need("confirmed_points", POINTS, "Of a posted expiry: what it confirms of expiries booked before."),
    may("problems", TEXT, "What is odd about the row, in the words of `loyalty ledger check`."),
    # liability
    may("currency", TEXT, "ISO 4217 code of the money figures beside it."),
    need("as_of", INSTANT, "The instant T."),
    may("period_start", INSTANT, "Where the period begins; null: from the beginning."),
    need("period_end", INSTANT, "Where the period ends; itself not included."),
    need("issue_month", TEXT, "Month of issue in the program's time zone, or `none`."),
    may("months_since_issue", TEXT, "Months since the points were issued, as a range; null: debt."),
    may("months_to_expiry", TEXT, "Months until the points expire, as a range, or `never`; null: debt."),
    need("opening", POINTS, "Outstanding less debt when the period begins."),
    need("earned", POINTS, "Earned in the period."),
    need("earned_reversed", POINTS, "Earned points that were taken back."),
    need("redeemed", POINTS, "Redeemed in the period."),
    need("refunded", POINTS, "Redemptions that were given back."),
    need("adjusted", POINTS, "Adjustments, upwards less downwards."),
    need("transferred_in", POINTS, "Points received from other accounts."),
    need("transferred_out", POINTS, "Points given to other accounts."),
    need("reclassified", POINTS, "Moved between tiers or issue months; 0 in sum."),
    need("closing", POINTS, "Outstanding less debt when the period ends."),
    need("difference", POINTS, "What does not add up: always 0."),
    may("method", ENUM, "How points are valued.", "cost", "deferred_revenue"),
    may("rate_source", ENUM, "Where redemption rates come from.", "program_rates", "chain_ladder"),
    may("redemption_rate", RATE, "Share of the points that is expected to be redeemed."),
    may("liability_opening", MONEY, "Owed when the period begins."),
    may("liability_added", MONEY, "Owed for points issued in the period."),
    may("revenue_redemption", MONEY, "Released because points were redeemed."),
    may("revenue_change_of_estimate", MONEY, "Released because expectations changed."),
    may("liability_revalued", MONEY, "Changed by rates and expectations."),
    may("liability_reclassified", MONEY, "Moved between tiers or issue months; 0 in sum."),
    may("liability_closing", MONEY, "Owed when the period ends."),
    may("revenue", MONEY, "Revenue of the period."),
    # projection and daily figures
    need("date", DATE, "The day, in the definition's time zone; figures are those at its end."),
    need("projected_at", INSTANT, "The end of the day."),
    need("points_expiring", POINTS, "Points that expire on the day."),
    need("points_activating", POINTS, "Points that become usable on the day."),
    need("new_members", INTEGER, "Customers who had active or pending points on the day for the first time."),
    need("total_members", INTEGER, "Customers with active or pending points at the end of the day."),
    need("earned_manual", POINTS, "Points given by people: earned, or adjusted upwards."),
    need("earned_rules", POINTS, "Points given by rules and systems: earned, or adjusted upwards."),
    need("redeemed_manual", POINTS, "Points taken by people: redeemed, or adjusted downwards."),
    need("redeemed_rules", POINTS, "Points taken by rules and systems: redeemed, or adjusted downwards."),
    need("month", TEXT, "Month, in the definition's time zone."),
    need("customers", INTEGER, "How many customers."),
    need("redemptions", INTEGER, "How many transactions redeemed points for it."),
    may("from_tier", TEXT, "Name of the tier before; null: none."),
    may("to_tier", TEXT, "Name of the tier from then on; null: none."),
    need("age_months", INTEGER, "Whole months since the issue month: 0 is the issue month itself."),
    need("issued", POINTS, "Points issued in the month, less those taken back since."),
    may("share_redeemed", RATE, "Redeemed by issued, rounded half to even; null: nothing issued is left."),
    need("frame", TEXT, "The time frame, in the words of `period`; it ends before T."),
    need("rank", INTEGER, "1 for whom most points were earned by; equal points have equal ranks."),
    need("points_earned", POINTS, "Points of rows of type `earned` in the period, less those taken back."),
    need("earning_count", INTEGER, "Rows of type `earned` in the period."),
    # redemptions and vouchers
    may("reward_name", TEXT, "Name of the reward."),
    may("reward_type", TEXT, "Kind of reward."),
    need("points_cost", POINTS, "Points that were redeemed."),
    need("points_refunded", POINTS, "Points of them that were given back."),
    may("reward_value", MONEY, "What it was worth then, else what the reward is worth."),
    may("coupon_used_at", INSTANT, "When the coupon was used; null: not yet."),
    may("coupon_expires_at", INSTANT, "Until when the coupon may be used; null: open."),
    need("redemption_status", ENUM, "Where it stands at T.", "used", "unused", "expired"),
    may("campaign", TEXT, "Name of the campaign."),
    may("voucher_code", ID, "The code of the voucher."),
    may("loyalty_balance", POINTS, "Active points less debt that a loyalty card holds at T; null: no loyalty card."),
    # customers
    *(
        need(f"redemptions_total_{name}", INTEGER, meaning)
        for name, meaning in (
            ("redeemed", "All redemptions that the customer tried."),
            ("failed", "Redemptions that failed."),
            ("succeeded", "Redemptions that succeeded."),
            ("rolled_back", "Redemptions that somebody tried to undo."),
            ("rollback_failed", "Redemptions that could not be undone."),
            ("rollback_succeeded", "Redemptions that were undone."),
        )
    ),
    need("orders_total_count", INTEGER, "Orders in `orders_currency`; canceled ones never count."),
    may("orders_total_amount", MONEY, "What the customer paid for these orders."),
    may("orders_average_amount", MONEY, "Total by count, rounded half up to the currency's minor unit."),
    may("orders_last_order_amount", MONEY, "What the customer paid for the last of these orders."),
    may("orders_last_order_date", INSTANT, "When the last of these orders was made."),
    may("orders_currency", TEXT, "The currency asked for, else that of the customer's last order."),
    need("orders_other_currencies", INTEGER, "Orders in other currencies, whose amounts cannot be added."),
    need("loyalty_points", POINTS, "Active points less debt, over all accounts and cards of the customer."),
    need("points_active", POINTS, "Points that can be used, over all accounts and cards of the customer."),
    need("points_pending", POINTS, "Points not usable yet, over all accounts and cards of the customer."),
    need("is_member", BOOLEAN, "Whether the customer has active or pending points."),
    need("loyalty_referred_customers", INTEGER, "Customers whom this one referred."),
    need("joined_at", INSTANT, "The first sign of the customer in the program: a transaction or a tier; where the "
         "ledger has one program, the registration too."),
)  # fmt: skip

_OF_ROW = "The customer whom the row names, which of a card need not be its owner; null: none."
_OF_MODEL: dict[str, tuple[Field, ...]] = {
    "history": (may("customer_id", ID, _OF_ROW),),
    "points_accounting": (
        need("date", DATE, "The last day of the period, in the definition's time zone."),
        need("earned", POINTS, "Earned in the period, and what was added by hand or transfer, net."),
        need("earned_reversed", POINTS, "Earned points taken back, and what was removed by hand or transfer, net."),
        need("expired", POINTS, "Expired in the period."),
        need("outstanding_start", POINTS, "Outstanding less debt when the period begins."),
        need("outstanding_end", POINTS, "Outstanding less debt when the period ends."),
        need("outstanding_difference", POINTS, "End less start."),
    ),
    "journal": (
        need("journal_no", ID, "Number of the journal: the same for the same program and period, however often made."),
        need("date", DATE, "The last day of the period, in the definition's time zone."),
        need("account", TEXT, "Name of the account, `Parent:Child` for a sub-account."),
        may("account_code", TEXT, "Code of the account."),
        need("description", TEXT, "What the line is, and of which program."),
        may("debit", MONEY, "Debited; null on a credit."),
        may("credit", MONEY, "Credited; null on a debit."),
        need("amount", MONEY, "Debit, or minus the credit; 0 in sum."),
        may("tax_rate", TEXT, "Name of the tax rate."),
        may("tracking_name", TEXT, "The tracking category that the option `tracking` names."),
        may("tracking_option", TEXT, "Its option: the program's name."),
    ),
    "allocations": (
        may("customer_id", ID, _OF_ROW),
        need("kind", ENUM, "How the lot was used.", "debit", "repayment", "posted_expiry", "expiry"),
        need("points", POINTS, "Points of the lot that were used."),
    ),
    "lots": (
        may("customer_id", ID, _OF_ROW),
        need("points", POINTS, "Points that the lot brought in."),
        need("expired", POINTS, "Points of the lot that expired."),
        need("status", ENUM, "What became of it.", "pending", "active", "spent", "expired"),
    ),
    "liability": (
        need("expired", POINTS, "Expired in the period."),
        need("tier", TEXT, "Name of the tier of the account's owner, or `none`."),
    ),
    "liability_by_month": (
        need("expired", POINTS, "Expired in the month."),
        need("tier", TEXT, "Name of the tier of the account's owner, or `none`."),
    ),
    "rollforward_by_day": (
        need("opening", POINTS, "Outstanding less debt when the day begins."),
        *(
            need(name, POINTS, meaning)
            for name, meaning in (
                ("earned", "Earned on the day."),
                ("redeemed", "Redeemed on the day."),
                ("expired", "Expired on the day, its last instant included."),
                ("closing", "Outstanding less debt when the day ends."),
            )
        ),
    ),
    "expiry_by_month": (
        need("points_expiring", POINTS, "Points that expire in the month."),
        need("points_activating", POINTS, "Points that become usable in the month."),
        need("closing", POINTS, "Outstanding less debt at the end of the month, if nothing is added or used."),
    ),
    "tiers_by_day": (
        need("tier", TEXT, "Name of the tier."),
        may("rank", INTEGER, "Order of the tiers, lowest first."),
    ),
    "redemption_by_cohort": (
        need("redeemed", POINTS, "Points of the issue month redeemed by the end of that age, refunds subtracted."),
    ),
    "points_total": (need("active", POINTS, "Points that can be used, of all accounts."),),
    "points_expiration": (
        need("id", ID, "The lot: the transaction that brought the points in."),
        may("campaign_id", ID, "That of the loyalty card, else the campaign that caused it."),
        may("voucher_id", ID, "The loyalty card (a voucher) of the card that holds the points; null: none."),
        need("status", ENUM, "Whether points of it are left.", "ACTIVE", "INACTIVE"),
        may("expires_at", INSTANT, "When what is left expires; null: never."),
        need("points", POINTS, "Points that are left of it."),
        need("points_issued", POINTS, "Points that it brought in."),
    ),
    "voucher_transactions": (
        need("id", ID, "The transaction, or `expiry:` and the lot for what expired by itself."),
        may("customer_id", ID, _OF_ROW),
        need(
            "type", ENUM, "What happened.",
            "POINTS_ACCRUAL", "POINTS_REMOVAL", "POINTS_REDEMPTION", "POINTS_REFUND", "POINTS_ADDITION",
            "POINTS_EXPIRATION", "POINTS_TRANSFER_IN", "POINTS_TRANSFER_OUT",
            "CREDITS_ADDITION", "CREDITS_REMOVAL", "CREDITS_REFUND", "CREDITS_REDEMPTION",
        ),
        need("kind", ENUM, "Whether it moved points or money.", "loyalty_card", "gift_card"),
        may("status", TEXT, "Always null: a ledger has no status of a movement."),
        need("balance", MONEY, "Points, or money, on the card after it; points pending or owed included."),
        need("amount", MONEY, "Signed points, or money."),
        may("voucher_id", ID, "The gift card, or the loyalty card (a voucher) of the card; null: none."),
        may("campaign_id", ID, "That of the loyalty card, else the campaign that caused it."),
        may("program_id", ID, "The program; null: a gift card."),
        may("subledger_id", ID, "The purse inside the program, '' when it has one; null: a gift card."),
    ),
    "customer_tiers": (
        need("customer_id", ID, "The customer."),
        need("tier_id", ID, "The tier."),
        need("tier", TEXT, "Name of the tier."),
        need("starts_at", INSTANT, "From when the customer has it: the last change before T."),
        may("expires_at", INSTANT, "When it is due to end; null: open."),
    ),
    "customers": (may("tier", TEXT, "Name of the customer's tier as of T, in the first program that has one."),),
    "vouchers": (
        may("gift_balance", MONEY, "Amount left at T: after the last movement before it, else as the ledger has it."),
    ),
    "join_dates": (need("customer_id", ID, "The customer."),),
    "redemptions": (
        need("object", ENUM, "What the row is.", "redemption", "redemption_rollback"),
        may("loyalty_points", POINTS, "Points that it cost, by its transaction; null: no points moved."),
        may("order_amount", MONEY, "Amount of the order before discounts; its own, else the order's."),
    ),
    "redemption": (
        may("redemption_id", ID, "The redemption; null: the ledger has none of this row."),
        may("customer_id", ID, _OF_ROW),
        may("order_id", ID, "The order: the row's own, else the redemption's."),
    ),
}  # fmt: skip

_NAMED = {field.name: field for field in _EVERYWHERE}
_OWN = {model: {field.name: field for field in fields} for model, fields in _OF_MODEL.items()}
# Where a name is looked up that only the catalog knows.
_RELATIONS = ("transactions", "redemptions", "vouchers", "tier_changes")


def field(model: str, name: str) -> Field:
    """Return what a column of a model is; KeyError where nothing says it."""
    if name in _OWN.get(model, {}):
        return _OWN[model][name]
    if model in RELATIONS and name in RELATIONS[model].names:
        return RELATIONS[model].field(name)
    if name in _NAMED:
        return _NAMED[name]
    for relation in _RELATIONS:
        if name in RELATIONS[relation].names:
            return RELATIONS[relation].field(name)
    raise KeyError(f"{model}.{name}")


def columns(model: str, names: Iterable[str]) -> tuple[Column, ...]:
    """Return columns of a model as the glossary has them."""
    found = (field(model, name) for name in names)
    return tuple(Column(each.name, each.type, each.pii) for each in found)
