"""The hash is a specification: values are pinned, and the vectorised form agrees with the plain one."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ledger.hashing import account_hash, account_hashes, text_hash, text_hashes

texts = st.lists(st.one_of(st.none(), st.text(max_size=12)), max_size=12)


def test_pinned_values():
    """The finalizer of splitmix64 over the published FNV-1a 64 values of '' and 'a' and 'foobar'."""
    published = {b"": 0xCBF29CE484222325, b"a": 0xAF63DC4C8601EC8C, b"foobar": 0x85944171F73967E8}
    for content, state in published.items():
        mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        assert text_hash(content) == mixed ^ (mixed >> 31)
    assert text_hash(b"") == 0xF52A15E9A9B5E89B
    assert account_hash("p", "", "card", "c") == 1719059326817223872
    assert account_hash("p", "", "customer", "y") == 12509637231166295662


@settings(deadline=None)
@given(texts)
def test_text_hashes_agree_with_the_specification(values):
    assert text_hashes(pa.array(values, pa.string())).tolist() == [
        text_hash((v or "").encode()) for v in values
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.one_of(st.none(), st.text(max_size=5))] * 4), min_size=1, max_size=8))
@pytest.mark.slow
def test_account_hashes_agree_with_the_specification(accounts):
    columns = [pa.array(column, pa.string()) for column in zip(*accounts, strict=True)]
    wanted = [
        account_hash(p or "", s or "", "card" if card else "customer", card or customer or "")
        for p, s, card, customer in accounts
    ]
    assert account_hashes(*columns).tolist() == wanted


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_any_arrow_text_hashes_the_same_also_sliced_and_in_chunks(type_):
    values = ["x", None, "", "ü€", "long enough not to be stored inline"]
    wanted = [text_hash((v or "").encode()) for v in values]
    array = (
        pa.array(values, pa.string()).cast(type_) if type_ != pa.string_view() else pa.array(values, type_)
    )
    assert text_hashes(array).tolist() == wanted
    assert text_hashes(array.slice(2)).tolist() == wanted[2:]
    assert text_hashes(pa.chunked_array([array.slice(0, 2), array.slice(2)])).tolist() == wanted


def test_a_dictionary_of_fewer_values_than_rows_hashes_as_its_rows_do():
    values = pa.array(["before", "a", "", None, "b"]).slice(1)
    rows = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 3, 0, 2, 3, 3], pa.int32()), values)
    assert text_hashes(rows).tolist() == text_hashes(rows.dictionary_decode()).tolist()


def test_columns_may_be_cut_into_chunks_at_different_rows():
    one, other = pa.chunked_array([["a", "b"], ["c"]]), pa.chunked_array([["d"], ["e", "f"]])
    wanted = [account_hash(p, s, "card", p) for p, s in zip("abc", "def", strict=True)]
    assert account_hashes(one, other, one, other).tolist() == wanted


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="length"):
        account_hashes(pa.array(["a"]), pa.array(["a"]), pa.array(["a"]), pa.array([], pa.string()))
