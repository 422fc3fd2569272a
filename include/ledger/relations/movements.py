"""What moves points and credits: the append-only transactions, redemptions, and gift card transactions."""

from include.ledger.fields import FieldType, Relation, may, need

ID, TEXT, ENUM, INSTANT = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.INSTANT

TRANSACTION_TYPES = (
    "earned",
    "earned_reversed",
    "redeemed",
    "redemption_refunded",
    "adjusted",
    "expired",
    "transferred_in",
    "transferred_out",
)
SOURCES = ("API", "web-ui", "automation", "import")

RELATIONS = (
    Relation(
        "transactions",
        ("transaction_id",),
        (
            need("transaction_id", ID, "The row; never twice."),
            need("program_id", ID, "The program."),
            may("subledger_id", ID, "The purse inside the program; null or '' when it has one."),
            need(
                "customer_id",
                ID,
                "The customer; holder of the account where there is no card; null: a card nobody owns.",
                nullable=True,
            ),
            may("card_id", ID, "The card; holder of the account where there is one."),
            need("type", ENUM, "What happened.", *TRANSACTION_TYPES),
            need(
                "points", FieldType.POINTS, "Signed points, at most two decimals; the type says which sign."
            ),
            need("created_at", INSTANT, "When it happened."),
            may("recorded_at", INSTANT, "When the ledger came to know it; null: created_at."),
            may("activates_at", INSTANT, "From when a lot is usable; null or before created_at: created_at."),
            may("expires_at", INSTANT, "When what is left of a lot expires; null: never."),
            may("reason", TEXT, "Why, for people."),
            may("order_id", ID, "The order that caused it."),
            may("reward_id", ID, "The reward that it paid for."),
            may("campaign_id", ID, "The campaign that caused it."),
            may("source", ENUM, "Through what it was made.", *SOURCES),
            may("source_id", ID, "Its id in the system it came from."),
            may("admin_user", TEXT, "Who made it by hand.", pii=True),
            may(
                "related_transaction_id",
                ID,
                "The reversed earn, refunded redemption, expired lot or other half.",
            ),
            may("import_id", ID, "The import that posted it."),
            may("rule_name", TEXT, "The rule that made it."),
            may("details", FieldType.JSON, "Further properties, a JSON object."),
        ),
        "Every movement of points, append-only.",
        required=True,
        moment="created_at",
    ),
    Relation(
        "redemptions",
        ("redemption_id",),
        (
            need("redemption_id", ID, "The redemption, or the attempt at one."),
            may("transaction_id", ID, "Its `redeemed` transaction, one each; null: no points moved."),
            may("kind", ENUM, "A rollback undoes one; null: redemption.", "redemption", "rollback"),
            may("customer_id", ID, "Who redeemed; null: a card nobody owns."),
            may("reward_id", ID, "What for."),
            may("voucher_id", ID, "The voucher that was redeemed."),
            may("coupon_code", ID, "The code that the customer got: vouchers.code, or coupons.code."),
            may("order_id", ID, "The order that it was used on."),
            may("campaign_id", ID, "The campaign of the voucher."),
            may("promotion_tier_id", ID, "The promotion tier."),
            may("tracking_id", ID, "Id of the visitor.", pii=True),
            need("redeemed_at", INSTANT, "When."),
            may("reward_value", FieldType.MONEY, "What it was worth then; null: the reward's value."),
            may("order_amount", FieldType.MONEY, "Amount of the order before discounts."),
            may("gift_amount", FieldType.MONEY, "Gift credits used."),
            may("result", ENUM, "How it went; null: SUCCESS.", "SUCCESS", "FAILURE"),
            may("failure_code", TEXT, "Why it failed, for machines."),
            may("failure_message", TEXT, "Why it failed, for people."),
            may("metadata", FieldType.JSON, "Further properties, a JSON object."),
        ),
        "What points and vouchers were exchanged for; one row for each `redeemed` transaction.",
        moment="redeemed_at",
    ),
    Relation(
        "gift_card_transactions",
        ("transaction_id",),
        (
            need("transaction_id", ID, "The row."),
            need(
                "type",
                ENUM,
                "What happened.",
                "CREDITS_ADDITION",
                "CREDITS_REMOVAL",
                "CREDITS_REFUND",
                "CREDITS_REDEMPTION",
            ),
            may("source_id", ID, "Its id in the system it came from."),
            may("reason", TEXT, "Why, for people."),
            may("balance", FieldType.MONEY, "Credits on the card after it."),
            need("amount", FieldType.MONEY, "Signed credits."),
            need("created_at", INSTANT, "When."),
            may("voucher_id", ID, "The gift card."),
            may("campaign_id", ID, "Its campaign."),
            may("source", ENUM, "Through what it was made.", *SOURCES),
            may("related_transaction_id", ID, "The row that it undoes."),
            may("details", FieldType.JSON, "Further properties, a JSON object."),
        ),
        "Movements of money on gift cards; they are not points.",
        moment="created_at",
    ),
)
