"""The file that tells what became of each row."""

import hashlib
import io

import pyarrow as pa

from include.imports.results import RESULT, ResultFile

HEADER = "row,customer_id,email,card_id,subledger_id,points,status,message,balance_before,balance_after,transaction_id"


def written(*tables):
    out = io.BytesIO()
    with ResultFile(out) as result:
        for table in tables:
            result.write(table)
    content = out.getvalue()
    assert (result.sha256, result.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert result.rows == sum(table.num_rows for table in tables)
    return content.decode()


def test_a_line_for_each_row():
    """-x@b.c would be a formula; what a batch leaves out stays empty; points are hundredths."""
    done = pa.table({
        "row": [2], "customer_id": ["c1"], "points": [5_50], "status": ["done"],
        "balance_before": [10_00], "balance_after": [15_50], "transaction_id": ["imp-1:2"],
    })  # fmt: skip
    others = pa.table({
        "row": [3, 4], "email": ["-x@b.c", None], "points": [-7_00, None], "status": ["skipped", "wrong"],
        "message": [None, 'no "member", none'],
    })  # fmt: skip
    assert written(done, others.to_batches()[0]).split("\n") == [
        HEADER,
        "2,c1,,,,5.50,done,,10.00,15.50,imp-1:2",
        "3,,'-x@b.c,,,-7.00,skipped,,,,",
        '4,,,,,,wrong,"no ""member"", none",,,',
        "",
    ]


def test_nothing_but_a_header():
    assert written(RESULT.empty_table()) == HEADER + "\n"
