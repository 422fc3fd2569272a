"""The catalog names every relation and field that the ledger's rules and the vendors' layouts need."""

from __future__ import annotations

import pytest

from include.ledger.catalog import ARROW_TYPES, RELATIONS, FieldType, arrow_schema
from include.ledger.describe import markdown, plain, relation_markdown

# docs/ledger.md section 2, word for word.
SECTION_2 = [
    "programs",
    "program_rates",
    "customers",
    "cards",
    "tiers",
    "tier_changes",
    "rewards",
    "redemptions",
    "orders",
    "vouchers",
    "publications",
    "campaigns",
    "coupons",
    "coupon_pools",
    "stores",
    "products",
    "customer_fields",
    "events",
    "changes",
    "content_approvals",
    "webhook_logs",
    "gift_card_transactions",
    "transactions",
]
TRANSACTION_COLUMNS = [
    "transaction_id",
    "program_id",
    "subledger_id",
    "customer_id",
    "card_id",
    "type",
    "points",
    "created_at",
    "recorded_at",
    "activates_at",
    "expires_at",
    "reason",
    "order_id",
    "reward_id",
    "campaign_id",
    "source",
    "source_id",
    "admin_user",
    "related_transaction_id",
    "import_id",
    "rule_name",
    "details",
]
AT_LEAST = {
    "changes": "entity entity_id field old_value new_value changed_by changed_at",
    "content_approvals": "content_type customer_id status submitted_at reviewed_by reviewed_at",
    "webhook_logs": "event url status_code attempts sent_at duration_ms",
    "coupons": "code pool_id customer_id status issued_at used_at expires_at",
    "coupon_pools": "name size available valid_from valid_until",
    "events": "customer_id action occurred_at points data",
    "products": "sku name category price currency",
    "rewards": "name type points_cost value currency valid_from valid_until status",
    "stores": "name city country time_zone",
    "customer_fields": "key label type required pii",
}


def test_all_relations_of_section_2_and_no_others() -> None:
    assert set(RELATIONS) == set(SECTION_2)
    assert {name for name, relation in RELATIONS.items() if relation.required} == {
        "programs",
        "customers",
        "transactions",
    }


def test_columns_of_transactions() -> None:
    assert list(RELATIONS["transactions"].names) == TRANSACTION_COLUMNS
    required = {x.name for x in RELATIONS["transactions"].fields if x.required}
    assert required == {"transaction_id", "program_id", "customer_id", "type", "points", "created_at"}


@pytest.mark.parametrize(("relation", "fields"), AT_LEAST.items())
def test_fields_that_the_models_need(relation: str, fields: str) -> None:
    assert set(fields.split()) <= set(RELATIONS[relation].names)


@pytest.mark.parametrize("relation", RELATIONS.values(), ids=lambda relation: relation.name)
def test_every_relation_is_well_formed(relation) -> None:
    assert len(set(relation.names)) == len(relation.fields)
    assert set(relation.key) <= set(relation.names)
    for field in relation.fields:
        assert field.meaning.endswith("."), field
        assert bool(field.values) == (field.type is FieldType.ENUM), field
    assert arrow_schema(relation).names == list(relation.names)


def test_personal_data_is_marked() -> None:
    marked = {x.name for x in RELATIONS["customers"].fields if x.pii}
    assert {
        "name",
        "email",
        "phone",
        "birthdate",
        "birthday",
        "address_line_1",
        "metadata",
        "source_id",
    } <= marked
    assert "customer_id" not in marked  # a pseudonym after erasure


def test_a_schema_of_chosen_columns_keeps_their_order() -> None:
    schema = arrow_schema(RELATIONS["transactions"], ["points", "created_at"])
    assert list(zip(schema.names, schema.types, strict=True)) == [
        ("points", ARROW_TYPES[FieldType.POINTS]),
        ("created_at", ARROW_TYPES[FieldType.INSTANT]),
    ]
    with pytest.raises(KeyError):
        arrow_schema(RELATIONS["transactions"], ["nonsense"])


def test_the_reference_says_everything() -> None:
    page, text = markdown(), plain()
    for name, relation in RELATIONS.items():
        assert f"## {name}\n" in page
        assert f"{name}: " in text
        for field in relation.fields:
            assert f"| `{field.name}` | {field.type} |" in relation_markdown(relation)
            assert field.meaning.replace("|", r"\|") in page
    assert "`earned_reversed`" in page
