"""Who holds points: customers and cards, and the fields that describe customers."""

from include.ledger.fields import FieldType, Relation, may, need

ID, TEXT, ENUM, INSTANT = FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.INSTANT

RELATIONS = (
    Relation(
        "customers",
        ("customer_id",),
        (
            need("customer_id", ID, "The customer; after erasure a pseudonym."),
            may("source_id", ID, "The customer's id in the system it came from.", pii=True),
            may("name", TEXT, "Full name.", pii=True),
            may("description", TEXT, "Free text about the customer.", pii=True),
            may("email", TEXT, "E-mail address.", pii=True),
            may("phone", TEXT, "Telephone number.", pii=True),
            may("birthdate", FieldType.DATE, "Date of birth.", pii=True),
            may("birthday", TEXT, "Birthday without a year, MM/DD.", pii=True),
            may("address_line_1", TEXT, "First line of the address.", pii=True),
            may("address_line_2", TEXT, "Second line of the address.", pii=True),
            may("address_postal_code", TEXT, "Postal code.", pii=True),
            may("address_city", TEXT, "City.", pii=True),
            may("address_state", TEXT, "State or region.", pii=True),
            may("address_country", TEXT, "Country.", pii=True),
            may("tier", TEXT, "Name of the tier when read; as of an instant it comes from tier_changes."),
            may("status", ENUM, "Whether the customer takes part.", "active", "inactive", "erased"),
            may("referrer_id", ID, "The customer who referred this one."),
            may("registered_at", INSTANT, "When the customer joined."),
            may("created_at", INSTANT, "When the row was made."),
            may("updated_at", INSTANT, "When the row last changed."),
            may(
                "stated_balance",
                FieldType.POINTS,
                "Active less negative balance, as the ledger's owner states it.",
            ),
            may("metadata", FieldType.JSON, "Further properties, a JSON object.", pii=True),
        ),
        "The people who collect points.",
        required=True,
        moment="registered_at",
    ),
    Relation(
        "cards",
        ("card_id",),
        (
            need("card_id", ID, "The card."),
            may("program_id", ID, "Its program."),
            may("customer_id", ID, "Its owner; null: nobody yet."),
            may("status", ENUM, "Whether it may be used.", "active", "inactive", "blocked"),
            may("block_reason", TEXT, "Why it is blocked."),
            may("users_per_card_limit", FieldType.INTEGER, "How many customers may use it; null: any."),
            may("generated", FieldType.BOOLEAN, "Whether the system made its number."),
            may("batch_id", ID, "The batch it was made in."),
            may("created_at", INSTANT, "When it was made."),
            may("updated_at", INSTANT, "When the row last changed."),
            may(
                "stated_balance",
                FieldType.POINTS,
                "Active less negative balance, as the ledger's owner states it.",
            ),
            may("attributes", FieldType.JSON, "Further properties, a JSON object."),
        ),
        "Cards that hold points of their own, with or without an owner.",
        moment="created_at",
    ),
    Relation(
        "customer_fields",
        ("key",),
        (
            need("key", ID, "Name of the field, as in customers or its metadata."),
            may("label", TEXT, "What people see."),
            may("type", TEXT, "What it holds: text, number, date, boolean, list."),
            may("required", FieldType.BOOLEAN, "Whether every customer has it."),
            may("pii", FieldType.BOOLEAN, "Whether it is data about a person."),
        ),
        "The fields that a company keeps about its customers.",
    ),
)
