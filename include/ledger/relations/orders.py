"""What customers buy, of what, and where."""

from include.ledger.fields import FieldType, Relation, may, need

ID, TEXT, INSTANT, MONEY = FieldType.ID, FieldType.TEXT, FieldType.INSTANT, FieldType.MONEY

RELATIONS = (
    Relation(
        "orders",
        ("order_id",),
        (
            need("order_id", ID, "The order."),
            may("source_id", ID, "Its id in the system it came from."),
            may("customer_id", ID, "Who bought."),
            may("status", FieldType.ENUM, "Where it stands.", "CREATED", "PAID", "FULFILLED", "CANCELED"),
            may("currency", TEXT, "ISO 4217 code of its amounts."),
            may("amount", MONEY, "Stand-alone price of the goods: all items before discounts."),
            may("discount_amount", MONEY, "Discount on the whole cart."),
            may("items_discount_amount", MONEY, "Discounts on items."),
            may("total_discount_amount", MONEY, "All discounts."),
            may("total_amount", MONEY, "What the customer paid."),
            may("referrer_id", ID, "The customer who referred it."),
            may("store_id", ID, "The store; null: online."),
            need("created_at", INSTANT, "When it was made."),
            may("updated_at", INSTANT, "When the row last changed."),
            may("metadata", FieldType.JSON, "Further properties, a JSON object."),
        ),
        "Orders; prices decide how much revenue points defer.",
        moment="created_at",
    ),
    Relation(
        "products",
        ("sku",),
        (
            need("sku", ID, "The product."),
            may("name", TEXT, "Its name."),
            may("category", TEXT, "Its category."),
            may("price", MONEY, "Its price."),
            may("currency", TEXT, "ISO 4217 code of the price."),
        ),
        "What is sold.",
    ),
    Relation(
        "stores",
        ("store_id",),
        (
            need("store_id", ID, "The store."),
            may("name", TEXT, "Its name."),
            may("city", TEXT, "City."),
            may("country", TEXT, "Country."),
            may("time_zone", TEXT, "IANA time zone."),
        ),
        "Where it is sold.",
    ),
)
