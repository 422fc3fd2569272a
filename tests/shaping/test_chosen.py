"""Rows kept by a list of texts, however long: exactly those, also where texts share a hash."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ledger.hashing import text_hashes
from include.shaping import chosen
from include.shaping.chosen import Chosen

TEXTS = st.text("abé\0 ", max_size=3)
LISTS = st.lists(TEXTS | st.none(), max_size=12)
Hashes = Callable[[pa.Array], np.ndarray]


def same(array: pa.Array) -> np.ndarray:
    """Two hashes for all texts."""
    return text_hashes(array) % np.uint64(2)


@pytest.mark.parametrize("hashes", [text_hashes, same])
@given(parts=st.lists(LISTS, max_size=3), values=LISTS)
def test_a_value_is_kept_where_it_is_one_of_the_texts(
    hashes: Hashes, parts: list[list[str | None]], values: list[str | None]
) -> None:
    wanted = {text for part in parts for text in part if text is not None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chosen, "text_hashes", hashes)
        found = Chosen(pa.array(part, pa.string()) for part in parts)
        array = pa.array(values, pa.string())
        for form in (array, array.dictionary_encode(), pa.concat_arrays([array, array])[len(array) :]):
            assert found.mask(form).to_pylist() == [value in wanted for value in values]


def test_rows_are_kept_whole_and_in_their_order() -> None:
    batch = pa.RecordBatch.from_pydict({"id": ["a", None, "b", "a"], "points": [1, 2, 3, 4]})
    kept = Chosen([pa.array(["x", "a"])]).kept([batch, batch.slice(2)], "id")
    assert [each.column("points").to_pylist() for each in kept] == [[1, 4], [4]]
