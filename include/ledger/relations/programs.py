"""Programs, their rates over time, and their tiers."""

from include.ledger.fields import FieldType, Relation, may, need

ID, TEXT, ENUM = FieldType.ID, FieldType.TEXT, FieldType.ENUM

RELATIONS = (
    Relation(
        "programs",
        ("program_id",),
        (
            need("program_id", ID, "The program."),
            may("external_id", FieldType.INTEGER, "Its number in systems that know programs by integers."),
            need("name", TEXT, "Its name, as people see it."),
            need("currency", TEXT, "ISO 4217 code of the currency of its money figures."),
            need("time_zone", TEXT, "IANA time zone in which its months begin."),
            may(
                "money_step",
                FieldType.MONEY,
                "Money is rounded half up to it; null: the currency's minor unit.",
            ),
            may("liability_method", ENUM, "How it values outstanding points.", "cost", "deferred_revenue"),
            may("rate_source", ENUM, "Where redemption rates come from.", "program_rates", "chain_ladder"),
            may("created_at", FieldType.INSTANT, "When it began."),
        ),
        "Loyalty programs: currency, time zone and accounting assumptions.",
        required=True,
        moment="created_at",
    ),
    Relation(
        "program_rates",
        ("program_id", "valid_from"),
        (
            need("program_id", ID, "The program."),
            need("valid_from", FieldType.INSTANT, "The rates hold from then until the program's next row."),
            may(
                "cost_per_point", FieldType.RATE, "What one redeemed point costs, in the program's currency."
            ),
            may(
                "standalone_price_per_point",
                FieldType.RATE,
                "Stand-alone selling price of one redeemed point.",
            ),
            may("expected_redemption_rate", FieldType.RATE, "Share of issued points ever redeemed, 0 to 1."),
        ),
        "Money per point and expected redemption, as they changed over time.",
        moment="valid_from",
    ),
    Relation(
        "tiers",
        ("program_id", "tier_id"),
        (
            need("program_id", ID, "The program."),
            may("subledger_id", ID, "The subledger whose points count for it; null or '' when there is one."),
            need("tier_id", ID, "The tier."),
            need("name", TEXT, "Its name, as people see it."),
            may("rank", FieldType.INTEGER, "Order of the tiers, lowest first."),
            may("threshold_points", FieldType.POINTS, "Points that reach it."),
        ),
        "The tiers of each program.",
    ),
    Relation(
        "tier_changes",
        ("program_id", "subledger_id", "customer_id", "changed_at"),
        (
            need("program_id", ID, "The program."),
            may("subledger_id", ID, "The subledger of the tier; null or '' when the program has one purse."),
            need("customer_id", ID, "Whose tier changed."),
            need(
                "changed_at", FieldType.INSTANT, "From when the tier holds, until the customer's next change."
            ),
            may("tier_id", ID, "The tier from then on; null: none."),
            may("expires_at", FieldType.INSTANT, "When it is due to end; null: open."),
            may("reason", TEXT, "Why it changed."),
        ),
        "Every change of a customer's tier; the tier as of T is the last change before T.",
        moment="changed_at",
    ),
)
