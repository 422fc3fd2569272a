"""Rule: a run by hand can be told as-of, from, to, targets and dry run; what cannot be read is named, all at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.definitions.load import from_document
from include.errors import BadInput
from include.orchestration.parameters import asked, parameters

DOCUMENT = {
    "id": "balances",
    "name": "Balances",
    "model": "balance",
    "timezone": "Europe/Paris",
    "targets": [{"kind": "folder", "name": "here"}, {"kind": "folder", "name": "there"}],
}
BY_INSTANT = from_document(DOCUMENT, where="test")
BY_PERIOD = from_document({**DOCUMENT, "model": "history", "period": "previous_month"}, where="test")


def test_the_form_offers_what_the_definition_can_use():
    aside = {"restate", "resend", "again", "test_to", "test_targets"}
    assert set(parameters(BY_INSTANT)) == {"as_of", "targets", "dry_run", *aside}
    assert set(parameters(BY_PERIOD)) == {"as_of", "start", "end", "targets", "dry_run", *aside}


def test_every_field_says_what_it_is_and_has_a_default_that_is_valid():
    for name, param in parameters(BY_PERIOD).items():
        assert param.description, name
        assert param.schema["title"], name
        param.resolve()


def test_the_form_refuses_a_target_that_is_not_there():
    with pytest.raises(ValueError, match="elsewhere"):
        parameters(BY_INSTANT)["targets"].resolve(["elsewhere"])


def test_nothing_asked_leaves_all_to_the_definition():
    found = asked({}, BY_PERIOD)
    assert (found.as_of, found.start, found.end, found.targets, found.dry_run) == (
        None,
        None,
        None,
        None,
        False,
    )


@pytest.mark.parametrize(
    "text", ["2026-03-01T00:00:00", "2026-03-01T00:00:00+01:00", "2026-02-28T23:00:00Z", "2026-03-01 00:00"]
)
def test_instants_are_read_in_the_definitions_zone_unless_they_have_one(text):
    assert asked({"as_of": text}, BY_INSTANT).as_of == datetime(2026, 2, 28, 23, tzinfo=UTC)


def test_targets_and_dry_run():
    found = asked({"targets": ["there"], "dry_run": True}, BY_INSTANT)
    assert (found.targets, found.dry_run) == (("there",), True)
    assert asked({"targets": []}, BY_INSTANT).targets is None


def test_every_problem_at_once():
    with pytest.raises(BadInput) as caught:
        asked({"as_of": "yesterday", "end": 7, "targets": ["elsewhere", "here"]}, BY_PERIOD)
    assert {problem.where for problem in caught.value.problems} == {"as_of", "end", "targets"}
    assert "here, there" in str(caught.value)


def test_what_is_asked_instead_of_a_run():
    found = asked({"resend": " latest ", "again": True, "targets": ["gone by now"]}, BY_INSTANT)
    assert (found.resend, found.again, found.targets, found.test_to) == (
        "latest",
        True,
        ("gone by now",),
        None,
    )
    assert asked({"test_to": "me@example.com"}, BY_INSTANT).test_to == "me@example.com"
    assert asked({"test_to": "tests/of mine"}, BY_INSTANT).test_to == "tests/of mine"
    assert asked({"test_targets": True, "targets": ["there"]}, BY_INSTANT).test_targets
    nothing = asked({"resend": "", "test_to": "  "}, BY_INSTANT)
    assert (nothing.resend, nothing.test_to, nothing.again, nothing.test_targets) == (
        None,
        None,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("params", "codes"),
    [
        ({"again": True}, {"again_without_resend"}),
        ({"resend": "latest", "as_of": "2026-03-01"}, {"resend_and_run"}),
        ({"resend": "latest", "dry_run": True}, {"resend_and_run"}),
        ({"test_targets": True, "resend": "latest"}, {"test_targets_and_more"}),
        ({"restate": "latest", "test_to": "me@example.com"}, {"restate_and_run"}),
        ({"restate": "latest", "test_targets": True}, {"restate_and_run"}),
        ({"test_to": "me@example.com", "targets": ["here"]}, {"test_and_targets"}),
        ({"test_to": "me@example.com", "resend": "latest", "again": True}, {"test_and_targets"}),
        ({"test_to": "/etc"}, {"bad_test_place"}),
        ({"test_to": "a/../../etc"}, {"bad_test_place"}),
        ({"test_to": "s3://bucket/x"}, {"bad_test_place"}),
        ({"test_to": "me@example.com\nBcc: all@example.com"}, {"bad_test_place"}),
        ({"test_to": ".ssh"}, {"bad_test_place"}),
        ({"again": True, "test_to": "~", "test_targets": True},
         {"again_without_resend", "test_and_targets", "bad_test_place", "test_targets_and_more"}),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_together_or_goes_nowhere_good(params, codes):
    with pytest.raises(BadInput) as caught:
        asked(params, BY_INSTANT)
    assert {problem.code for problem in caught.value.problems} == codes
