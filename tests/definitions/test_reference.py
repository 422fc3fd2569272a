"""The published schema and guide say what the model says, and the examples are what they describe."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import jsonschema
import pytest

from include.definitions.document import parse_yaml, read_yaml
from include.definitions.load import from_document, load, load_all
from include.definitions.naming import file_name
from include.definitions.occasion import as_of_for, interval_for, name_values
from include.definitions.reference import GUIDE, SCHEMA, guide_text, schema_text
from include.errors import BadInput
from include.settings import ROOT

EXAMPLES = sorted((ROOT / "include" / "exports").glob("*.yaml"))
AGAIN = "has drifted from the model: python -m include.definitions.reference"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def test_the_schema_has_not_drifted():
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), AGAIN


def test_the_guide_has_not_drifted():
    text = GUIDE.read_text(encoding="utf-8")
    assert text == guide_text(text), AGAIN
    assert text.count("<!-- generated:") == text.count("<!-- end -->") == 25


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))


@each_example
def test_an_example_fits_the_schema_as_it_stands_and_as_its_document(path):
    VALIDATOR.validate(read_yaml(path))
    VALIDATOR.validate(load(path).document())


@pytest.mark.parametrize(
    "change",
    [{"idd": 1}, {"period": "last_month"}, {"as_of": "later"}, {"targets": []}, {"schedule": {"kind": "monthly", "days": [32], "time": "06:00"}}],
    ids=str,
)  # fmt: skip
def test_the_schema_refuses_what_the_model_refuses(change):
    document = read_yaml(EXAMPLES[0]) | change
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)
    with pytest.raises(BadInput):
        from_document(document, where="x")


def test_the_guides_example_is_a_definition():
    text = GUIDE.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert from_document(parse_yaml(text, where="guide"), where="guide").id == "weekly-history"


def test_eighteen_examples_are_sound_together():
    found = load_all(ROOT / "include" / "exports")
    assert len(found) == 18
    assert [one.id for one in found.values() if one.exports] == [
        "dashboard",
        "monthly-bookkeeper-pack",
        "tier-segments",
    ]
    assert {part.model for one in found.values() for part in one.parts} == {
        "balance",
        "history",
        "redemption",
        "liability",
        "projection",
        "lots",
        "customers",
        "transactions",
        "top_earners",
        "members",
        "journal",
        "rollforward_by_day",
        "points_total",
        "earned_redeemed",
        "tiers_by_day",
        "tier_moves",
        "rewards_by_day",
        "liability_by_month",
        "expiry_by_month",
        "redemption_by_cohort",
        "top_earners_by_frame",
    }
    assert {one.schedule.kind for one in found.values()} >= {
        "daily",
        "weekly",
        "monthly",
        "business_day",
        "quarter_end",
    }
    assert [path.stem for path in EXAMPLES] == list(found), "a file is called by its id"


@each_example
def test_an_example_says_what_it_is_for(path):
    one = load(path)
    assert one.description
    assert one.owner != "loyalty"
    assert one.enabled
    assert not one.paused


@each_example
def test_the_file_names_of_an_example_differ_from_run_to_run(path):
    one = load(path)
    names = []
    occurrence = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(30):
        occurrence = one.recurrence.next_after(occurrence)
        values = name_values(
            one,
            occurrence=occurrence,
            interval=interval_for(one, occurrence),
            as_of=as_of_for(one, occurrence),
        )
        names.append(file_name(one.name_template, values, ".csv"))
    assert len(set(names)) == 30


def test_loading_a_definition_takes_a_few_milliseconds():
    path = EXAMPLES[0]
    load(path)
    spent = []
    for _ in range(20):
        start = time.process_time()
        load(path)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.005
