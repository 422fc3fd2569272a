"""Rules: personal data leaves in clear only by its owner's word; what cannot be meant is refused, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.connections import Connection, Secrets
from include.definitions.load import from_document
from include.definitions.privacy import (
    Privacy,
    Protection,
    minimum,
    plain,
    plain_problems,
    problems,
    secret_problems,
)
from include.errors import BadInput
from include.ledger.columns import Column
from include.ledger.fields import FieldType as T

COLUMNS = [
    Column("customer_id", T.ID),
    Column("name", T.TEXT, pii=True),
    Column("email", T.TEXT, pii=True),
    Column("birthdate", T.DATE, pii=True),
    Column("points", T.POINTS),
    Column("metadata", T.JSON, pii=True),
]


def definition(**privacy):
    return from_document(
        {
            "id": "x", "name": "X", "model": "balance", "targets": [{"kind": "folder"}], "privacy": privacy,
        },
        where="x.yaml",
    )  # fmt: skip


def refused(**privacy) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as error:
        definition(**privacy)
    return [(problem.where, problem.code) for problem in error.value.problems]


def test_an_action_alone_is_short_for_a_mapping():
    privacy = definition(fields={"email": "mask", "name": {"do": "mask", "show": "initials"}}).privacy
    assert privacy == Privacy(
        fields={"email": Protection(do="mask"), "name": Protection(do="mask", show="initials")}
    )


@pytest.mark.parametrize(
    ("field", "show"),
    [("email", "email"), ("customer_name", "initials"), ("phone", "last_3"), ("birthdate", "year"),
     ("metadata.home.phone", "last_3"), ("address_city", "nothing")],
)  # fmt: skip
def test_a_mask_shows_what_suits_the_name(field, show):
    assert Privacy(fields={field: {"do": "mask"}}).protection(field).show == show


def test_secrets_are_asked_for():
    assert refused(fields={"email": "hash"}) == [("x.yaml: privacy", "hash_without_salt")]
    assert refused(fields={"email": "pseudonym"}) == [("x.yaml: privacy", "pseudonym_without_key")]
    assert refused(salt="A B") == [("x.yaml: privacy.salt", "bad_connection_name")]
    assert refused(fields={"a": "encrypt"})[0][0].startswith("x.yaml: privacy.fields")
    assert refused(fields={"a": {"do": "drop", "show": "year"}})[0][1] == "show_without_mask"


def test_only_the_connections_that_are_used_are_needed():
    privacy = Privacy(fields={"email": {"do": "hash"}}, salt="salt", pseudonym_key="acme")
    assert privacy.connections == ("salt",)


def test_an_export_that_names_no_fields_has_no_personal_ones():
    assert [column.name for column in minimum(COLUMNS, None)] == ["customer_id", "points"]
    protected = Privacy(fields={"email": {"do": "mask"}, "points": {"do": "drop"}})
    assert [column.name for column in minimum(COLUMNS, protected)] == ["customer_id", "email", "points"]
    assert plain(protected, COLUMNS, None) == ()
    assert plain(protected, COLUMNS, ["email", "name", "metadata.city"]) == ("name", "metadata.city")


def test_what_cannot_be_meant_is_told_at_once():
    privacy = Privacy(
        fields={
            "emial": {"do": "mask"}, "name": {"do": "mask"}, "email": {"do": "drop"},
            "points": {"do": "hash"}, "metadata.city": {"do": "mask"},
        },
        salt="salt",
    )  # fmt: skip
    found = problems(privacy, COLUMNS, ["email", "points", "metadata.city"], where="privacy")
    assert [(problem.where, problem.code) for problem in found] == [
        ("privacy.fields.emial", "unknown_field"),
        ("privacy.fields.name", "protected_field_not_chosen"),
        ("privacy.fields.email", "chosen_and_dropped"),
        ("privacy.fields.points", "not_for_numbers"),
    ]


@pytest.mark.parametrize("named", [None, ["customer_id", "holder_id", "points"]])
def test_an_id_is_not_protected_while_the_same_one_stands_beside_it(named):
    columns = [*COLUMNS, Column("holder_id", T.ID)]

    def found(*protected):
        fields = {name: {"do": "pseudonym"} for name in protected}
        privacy = Privacy(fields=fields, pseudonym_key="acme")
        return [(each.where, each.value, each.code) for each in problems(privacy, columns, named, where="p")]

    assert found("customer_id") == [("p.fields", "holder_id", "same_id_in_clear")]
    assert found("holder_id") == [("p.fields", "customer_id", "same_id_in_clear")]
    assert found("customer_id", "holder_id") == []


@pytest.mark.parametrize(
    ("allow", "owner", "encrypted", "outside", "code"),
    [
        (None, "Jo", False, ["sftp"], "plain_pii_outside"),
        (None, "Jo", True, ["sftp"], None),
        (None, "Jo", False, [], None),
        ("Jo", "Jo", False, ["sftp"], None),
        ("Al", "Jo", False, ["sftp"], "not_the_owner"),
        ("Al", "Jo", True, [], "not_the_owner"),
        ("loyalty", "loyalty", False, ["sftp"], "not_the_owner"),
    ],
)
def test_personal_data_leaves_in_clear_by_its_owners_word_only(allow, owner, encrypted, outside, code):
    found = plain_problems(
        Privacy(allow_plain_pii=allow), ["email"], owner=owner, encrypted=encrypted, outside=outside, where="p"
    )  # fmt: skip
    assert [problem.code for problem in found] == ([] if code is None else [code])


def test_the_refusal_names_fields_targets_and_every_way_out():
    (problem,) = plain_problems(
        None, ["email", "name"], owner="Jo", encrypted=False, outside=["bank"], where="x.yaml: privacy"
    )
    assert str(problem) == (
        "x.yaml: privacy: 'email, name': personal data would leave unencrypted to bank: encrypt the file "
        "(file.encryption), protect or leave out these fields (privacy.fields), or let the owner, Jo, allow it by "
        "name (privacy.allow_plain_pii)"
    )


def test_short_secrets_are_refused_without_being_shown():
    privacy = Privacy(
        fields={"email": {"do": "hash"}, "name": {"do": "pseudonym"}}, salt="salt", pseudonym_key="acme"
    )
    held = {
        "salt": Connection("salt", password="s" * 31),
        "acme": Connection("acme", password="k" * 32),
    }
    found = secret_problems(privacy, Secrets(Path(), held), where="privacy")
    assert [(problem.where, problem.value, problem.code) for problem in found] == [
        ("privacy.salt", "salt", "short_secret")
    ]
