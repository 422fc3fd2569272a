"""The same row twice in a file: named with the row that it repeats, unless it is meant."""

import random

import numpy as np
import pyarrow as pa

from include.imports import repeats
from include.imports.repeats import Repeats
from tests.imports.opened import opened


def test_the_same_row_twice():
    seen = opened("Email,Points\na@b.c,5\nb@b.c,5\n\na@b.c,5\na@b.c,6\n a@b.c ,5\n")
    right = "remove one of them, or give each its own reason"
    assert seen.problems == [
        f"p.csv: row 5: '': the same as row 2; {right}",
        f"p.csv: row 7: '': the same as row 2; {right}",
    ]
    assert [row["ok"] for row in seen.rows] == [True, True, False, True, False]


def test_rows_that_are_meant_twice():
    content = "Email,Points\na@b.c,5\na@b.c,5\n"
    assert opened(content, keep_repeats=True).problems == []


def test_another_reason_makes_another_row_and_an_unread_column_does_not():
    assert opened("Email,Points,Reason\na@b.c,5,x\na@b.c,5,y\n").problems == []
    assert opened("Email,Points,Name\na@b.c,5,x\na@b.c,5,y\n").codes == ["same_row_twice"]


def test_cells_do_not_run_together():
    assert opened("customer_id,Points,Reason\na,5,1\na5,1,\n").problems == []
    assert opened("customer_id,subledgerid,Points\nab,,5\na,b,5\n").problems == []
    assert opened("customer_id,Points,Reason\na,5,b\nb,5,a\na,5,a\nb,5,b\n").problems == []


def test_over_many_batches_as_a_dictionary_says(monkeypatch):
    """Through every growth of the table, with blank rows between."""
    monkeypatch.setattr(repeats, "_STEP", 64)
    chance, found, firsts = random.Random(7), Repeats(), {}
    row = 1
    for _ in range(60):
        rows, keys = [], []
        for _ in range(chance.randrange(1, 4000)):
            row += 1 + (chance.random() < 0.01)
            rows.append(row)
            keys.append(chance.randrange(200_000))
        expected = []
        for number, key in zip(rows, keys, strict=True):
            expected.append(firsts.get(key, 0))
            firsts.setdefault(key, number)
        texts = [pa.array([str(key) for key in keys]), pa.array(["x"] * len(keys))]
        assert found.firsts(np.array(rows), texts).tolist() == expected
