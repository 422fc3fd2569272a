"""Rules: a protected value never shows, null stays null, one value always gives one result, keys tell recipients apart."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from include.connections import Connection, Secrets
from include.definitions.privacy import Privacy
from include.errors import BadInput
from include.ledger.catalog import ARROW_TYPES
from include.ledger.columns import Column
from include.ledger.fields import FieldType as T
from include.shaping.privacy import Protector

KEY, OTHER, SALT = "k" * 40, "o" * 90, "s" * 32
SECRETS = Secrets(
    Path(),
    {
        "acme": Connection("acme", password=KEY),
        "other": Connection("other", password=OTHER),
        "salt": Connection("salt", password=SALT),
    },
)
WORDS = st.text(min_size=1, max_size=15)
TEXTS = st.lists(st.none() | WORDS | st.emails(), min_size=1, max_size=20)


def protected(values, *, kind: T = T.TEXT, key: str = "acme", array: pa.Array | None = None, **protection):
    """What one column of these values becomes."""
    privacy = Privacy(fields={"x": protection}, salt="salt", pseudonym_key=key)
    protector = Protector(privacy, [Column("x", kind, pii=True)], SECRETS)
    given_array = pa.array(values, ARROW_TYPES[kind]) if array is None else array
    return protector(pa.record_batch([given_array], names=["x"])).column(0).to_pylist()


@pytest.mark.parametrize(
    ("show", "value", "shown"),
    [
        ("email", "ann@example.com", "a***@example.com"),
        ("email", "a@example.com", "***@example.com"),
        ("email", "no address", "***"),
        ("email", "a@b@example.com", "***"),
        ("email", "élan.vital@bücher.example", "é***@bücher.example"),
        ("email", "", "***"),
        ("initials", "Ann Bell", "A. B."),
        ("initials", "  Jean-Luc   O'Hara ", "J. O."),
        ("initials", "J Doe", "* D."),
        ("initials", "李 小龙", "* 小."),
        ("initials", "12 345", "***"),
        ("initials", "J.", "*"),
        ("last_3", "+33 6 12 34 56 78", "***678"),
        ("last_3", "123456", "***"),
        ("last_3", "1234567", "***567"),
        ("last_4", "4111-1111-1111-1234", "***1234"),
        ("year", "1990-05-06", "1990"),
        ("year", "05/06", "***"),
        ("nothing", "whatever", "***"),
    ],
)  # fmt: skip
def test_what_a_mask_shows(show, value, shown):
    assert protected([value, None], do="mask", show=show) == [shown, None]


def test_masks_of_other_types_are_texts():
    assert protected([date(1990, 5, 6), None], kind=T.DATE, do="mask", show="year") == ["1990", None]
    at = datetime(1990, 5, 6, 7, tzinfo=UTC)
    assert protected([at], kind=T.INSTANT, do="mask", show="year") == ["1990"]
    assert protected([1250, None], kind=T.POINTS, do="mask") == ["***", None]
    assert protected([Decimal("1.5")], kind=T.MONEY, do="mask") == ["***"]
    assert protected([True, None], kind=T.BOOLEAN, do="mask") == ["***", None]


@given(TEXTS, st.sampled_from(["nothing", "email", "initials", "last_3", "last_4", "year"]))
@pytest.mark.slow
def test_a_mask_never_gives_the_value_back(values, show):
    masked = protected(values, do="mask", show=show)
    assert masked == protected(values, do="mask", show=show)
    for value, result in zip(values, masked, strict=True):
        assert (value is None) == (result is None)
        if value is not None and not set(value) <= set("*.@ "):
            assert value != result or "***" in value
            assert len(value) < 2 or value not in result or set(value) & set("*.@")


@given(st.emails())
def test_a_masked_address_hides_its_name(address):
    name, _, domain = address.rpartition("@")
    assume("@" not in name)
    (shown,) = protected([address], do="mask", show="email")
    assert shown in ("***", f"***@{domain}", f"{name[0]}***@{domain}")
    assert shown != f"{name}***@{domain}"


@given(TEXTS)
def test_a_pseudonym_is_the_hmac_of_the_value_under_the_recipients_key(values):
    made, again = protected(values, do="pseudonym"), protected(values[::-1], do="pseudonym")[::-1]
    elsewhere = protected(values, do="pseudonym", key="other")
    assert made == again
    for value, here, there in zip(values, made, elsewhere, strict=True):
        if value is None:
            assert here is there is None
            continue
        assert here == hmac.new(KEY.encode(), value.encode(), "sha256").hexdigest()
        assert there == hmac.new(OTHER.encode(), value.encode(), "sha256").hexdigest() != here


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_a_key_of_any_length_makes_the_hmac_of_rfc_2104(length):
    # A key of 64 bytes is used as it is, a longer one is hashed first.
    secrets = Secrets(connections={"acme": Connection("acme", password="k" * length)})
    privacy = Privacy(fields={"x": {"do": "pseudonym"}}, pseudonym_key="acme")
    batch = pa.record_batch({"x": pa.array(["c1"])})
    [made] = Protector(privacy, [Column("x", T.ID)], secrets)(batch).column(0).to_pylist()
    assert made == hmac.new(b"k" * length, b"c1", "sha256").hexdigest()


@given(TEXTS)
def test_a_hash_is_that_of_salt_and_value(values):
    assert protected(values, do="hash") == [
        None if value is None else hashlib.sha256((SALT + value).encode()).hexdigest() for value in values
    ]


@given(TEXTS, st.sampled_from(["mask", "hash", "pseudonym"]))
@pytest.mark.slow
def test_a_dictionary_gives_what_its_values_give(values, action):
    array = pa.array(values, pa.string())
    assert protected(values, do=action, array=array.dictionary_encode()) == protected(values, do=action)
    sliced = pa.array(["before", *values], pa.string()).slice(1)
    assert protected(values, do=action, array=sliced) == protected(values, do=action)


def test_columns_are_dropped_and_retyped_and_go_by_their_fields():
    columns = [
        Column("Customer", T.ID), Column("E-mail", T.TEXT, pii=True), Column("Name", T.TEXT, pii=True),
        Column("Points", T.POINTS),
    ]  # fmt: skip
    privacy = Privacy(
        fields={"customer_id": {"do": "pseudonym"}, "email": {"do": "mask"}, "name": {"do": "drop"}},
        pseudonym_key="acme",
    )
    protector = Protector(privacy, columns, SECRETS, ["customer_id", "email", "name", "points"])
    assert protector.columns == (
        Column("Customer", T.ID), Column("E-mail", T.TEXT), Column("Points", T.POINTS),
    )  # fmt: skip
    batch = pa.record_batch([["c1"], ["ann@x.org"], ["Ann"], [5]], names=[each.name for each in columns])
    made = protector(batch)
    assert made.schema.names == ["Customer", "E-mail", "Points"]
    assert made.column("Points").to_pylist() == [5]


@pytest.mark.parametrize("held", [{}, {"acme": Connection("acme")}])
def test_a_key_that_is_not_there_is_an_error_and_never_an_empty_key(held):
    privacy = Privacy(fields={"x": {"do": "pseudonym"}}, pseudonym_key="acme")
    with pytest.raises(BadInput, match="acme"):
        Protector(privacy, [Column("x", T.ID)], Secrets(Path(), held))
