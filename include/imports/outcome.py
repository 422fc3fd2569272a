"""What posting would do with every row, worked out on the bench.

Rows that are wrong or skipped have a `code`. `points` is what is booked: the row's own, or for a reset what the balance
lacks. Balances are active less debt: a usable lot of p, and a debit of p, change that by exactly p (docs/ledger.md
sections 3 and 4); one that starts later is pending until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from include.imports import balances
from include.imports.bench import Bench, Lines
from include.imports.members import MESSAGES as OF_MEMBERS
from include.imports.options import Mode, Options
from include.imports.sessions import Session
from include.imports.staging import NUMBER, SAID, TEXT
from include.reports.engine.files import ahead
from include.state.tables import microseconds

SKIPPED = {
    "erased_left": "this customer was erased: what was booked stays",
    "nothing_to_book": "0 points: there is nothing to book",
    "balance_already": "the balance is this already",
    "no_birthday": "the row has no birthday: nothing is changed",
    "birthday_already": "the birthday is this already",
}
MESSAGES = {
    **OF_MEMBERS,
    **SKIPPED,
    "member_twice": "this member is in several rows of the file: say one of them",
    "stale_balance": "the balance is {before} now, and was {expected} when the file was made: export again",
    "expires_before_usable": "the points would expire before anybody could use them",
    "balance_too_large": "an account holds, and a file moves of one account, at most 9999999999999999.99 points",
    "birthday_changed": "the birthday was changed since the import",
    "nothing_left": "the points that the import brought are gone from the ledger",
}
# Hundredths: what one row may say, and so far from what booking could not add up any more that all can be taken back.
_MOST_HELD = 999_999_999_999_999_999
_HOLDER = (
    "CASE WHEN card IS NULL THEN 'customer' ELSE 'card' END AS holder_kind, "
    "coalesce(card, customer) AS holder"
)
_ACCOUNTS = pa.schema(
    [("holder", TEXT), ("subledger", TEXT), ("holder_kind", TEXT), ("owner", TEXT), ("found", NUMBER)]
)
# What decides on a row. spread: rows of one account (one customer, where no points move) have the same.
_DECIDES = pa.schema(
    [
        *((name, TEXT) for name in ("spread", "customer", "card", "subledger", "code")),
        *((name, NUMBER) for name in ("line", "points", "expected", "activates", "expires")),
        *((name, TEXT) for name in ("birthday", "old_birthday", "written")),
    ]
)
_DECIDED = pa.schema(
    [
        *((name, TEXT) for name in ("code", "tier")),
        *((name, NUMBER) for name in ("line", "points", "usable", "held", "pending_before")),
        *((name, NUMBER) for name in ("balance_before", "balance_after")),
    ]
)
# Every row: what it says, what is booked or why not, and what its account held. Points are hundredths.
OUTCOME = pa.schema(
    [
        *SAID.remove(SAID.get_field_index("points")),
        *((name, TEXT) for name in ("customer", "card", "related", "old_birthday", "said")),
        *(field for field in _DECIDED if field.name != "line"),
    ]
)


def work_out(session: Session, bench: Bench, lines: Lines, options: Options) -> Iterator[pa.RecordBatch]:
    """Return OUTCOME of `loyalty_said` and `loyalty_found`, in the order of rows.

    Makes `loyalty_accounts`, where points move.
    """
    rows = bench.rows("loyalty_said")
    spread = ("card", "customer") if options.program else ("customer",)
    bench.fill("loyalty_matched", _DECIDES, bench.hashed("spread", rows), ahead(_deciding(bench, spread)))
    if options.program:
        touch(bench, "loyalty_matched WHERE code IS NULL", rows)
        balances.book(session, bench, options.program, bench.hashed("holder", rows))
        worked = _points(options, session.now, several=several_rows(bench))
    else:
        worked = _birthdays(undo=options.mode is Mode.UNDO)
    bench.fill("loyalty_outcome", _DECIDED, lines, ahead(bench.query(worked, _DECIDED)))
    bench.drop("loyalty_matched")
    bench.drop("loyalty_balances")
    return _outcome(bench)


def _read(bench: Bench, part: int) -> tuple[pa.Table, pa.Table, pa.ChunkedArray]:
    """Return what rows of a part say, what was found of them, and what is wrong with their form: null where nothing."""
    said, found, problems = (
        bench.part(name, part) for name in ("loyalty_said", "loyalty_found", "loyalty_problems")
    )
    places = pc.index_in(said.column("line"), value_set=problems.column("line"))
    return said, found, problems.column("message").take(places)


def _deciding(bench: Bench, spread: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """Yield what decides on each row; rows with the same first of the columns `spread` keep together."""
    for part in range(bench.parts("loyalty_said")):
        said, found, wrong = _read(bench, part)
        columns = {
            **{name: table.column(name) for table in (said, found) for name in table.schema.names},
            "code": pc.if_else(wrong.is_valid(), "file", found.column("code")),
            "spread": pc.coalesce(*map(found.column, spread), said.column("line").cast(TEXT)),
        }
        yield from pa.table({name: columns[name] for name in _DECIDES.names}).to_batches(
            bench.sizes.batch_rows
        )


def _outcome(bench: Bench) -> Iterator[pa.RecordBatch]:
    for part in range(bench.parts("loyalty_said")):
        said, found, wrong = _read(bench, part)
        decided = bench.part("loyalty_outcome", part)
        columns = {
            **{name: table.column(name) for table in (found, said, decided) for name in table.schema.names},
            "card": pc.if_else(wrong.is_valid(), said.column("card_id"), found.column("card")),
            "said": wrong,
        }
        yield from pa.table({name: columns[name] for name in OUTCOME.names}).to_batches(
            bench.sizes.batch_rows
        )


def several_rows(bench: Bench) -> bool:
    """Return whether several rows of the file move points of one account."""
    return bench.sums("SELECT count(*) FROM loyalty_accounts WHERE found > 1", 1) != [0]


def touch(bench: Bench, rows: str, count: int) -> None:
    """Make `loyalty_accounts`: the accounts of some rows, how many rows each has, and for cards their owners."""
    sql = (
        f"SELECT {_HOLDER}, subledger, min(customer) AS owner, count(*) AS found FROM {rows} "
        "GROUP BY holder, subledger, holder_kind"
    )
    bench.fill("loyalty_accounts", _ACCOUNTS, bench.hashed("holder", count), bench.query(sql, _ACCOUNTS))


def of_accounts(rows: str, alias: str, columns: str, joined: str) -> str:
    """Return a query of `columns` of rows beside the balances of their accounts, `b`; joined: more joins."""
    same = f"b.holder_kind = {alias}.holder_kind AND b.holder = {alias}.holder AND b.subledger = {alias}.subledger"
    held = f"(SELECT *, {_HOLDER} FROM {rows}) {alias}"
    return f"SELECT {columns} FROM {held} LEFT JOIN loyalty_balances b ON {same}{joined}"


def _points(options: Options, at: datetime, *, several: bool) -> str:
    now = microseconds(at)
    before = "coalesce(b.active, 0) - coalesce(b.debt, 0)"
    reset = options.mode is Mode.RESET
    change = f"m.points - ({before})" if reset else "m.points"
    twice = "r.found > 1" if several and reset else "1 = 0"
    moved = f"abs({change})"
    if several:
        moved = f"sum({moved}) OVER (PARTITION BY m.holder_kind, m.holder, m.subledger ORDER BY m.line)"
    codes: tuple[tuple[str, str], ...] = (
        ("m.code IS NOT NULL", "m.code"),
        (twice, "'member_twice'"),
        (f"m.expected IS NOT NULL AND m.expected <> {before}", "'stale_balance'"),
        (f"m.expires IS NOT NULL AND m.points > 0 AND m.expires <= {now}", "'expires_before_usable'"),
        (
            "m.expires IS NOT NULL AND m.activates IS NOT NULL AND m.expires <= m.activates",
            "'expires_before_usable'",
        ),
        (f"{change} = 0", "'balance_already'" if reset else "'nothing_to_book'"),
        (f"abs({before}) + {moved} > {_MOST_HELD}", "'balance_too_large'"),
    )
    if options.mode is Mode.UNDO:  # it gives back what there was, lapsed or not
        codes = (codes[0], codes[-2])
    cases = " ".join(f"WHEN {condition} THEN {code}" for condition, code in codes)
    repeats = (
        " LEFT JOIN loyalty_accounts r ON r.holder_kind = m.holder_kind AND r.holder = m.holder "
        "AND r.subledger = m.subledger"
        if several and reset
        else ""
    )
    columns = (
        f"m.*, b.tier, {before} AS held, coalesce(b.pending, 0) AS pending_before, {change} AS change, "
        f"CASE {cases} END AS verdict, "
        f"CASE WHEN m.activates IS NULL OR m.activates <= {now} OR m.points < 0 THEN 1 ELSE 0 END AS usable"
    )
    inner = of_accounts("loyalty_matched", "m", columns, repeats)
    booked = "CASE WHEN verdict IS NULL THEN change * usable ELSE 0 END"
    earlier = (
        f"coalesce(CAST(sum({booked}) OVER (PARTITION BY holder_kind, holder, subledger ORDER BY line "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS BIGINT), 0)"
        if several
        else "0"
    )
    return (
        "SELECT m.line, m.tier, m.verdict AS code, m.usable, m.held, m.pending_before, "
        "CASE WHEN m.verdict IS NULL THEN m.change END AS points, "
        f"m.held + {earlier} AS balance_before, m.held + {earlier} + {booked} AS balance_after FROM ({inner}) m"
    )


def _birthdays(*, undo: bool) -> str:
    """Birthdays move no points. To take one back, it must still be what the import wrote (`written`)."""
    changed = (
        "WHEN m.old_birthday IS DISTINCT FROM m.written THEN 'birthday_changed' "
        if undo
        else "WHEN m.birthday IS NULL THEN 'no_birthday' "
    )
    found = "count(*) FILTER (WHERE m.code IS NULL) OVER (PARTITION BY m.customer)"
    none = ", ".join(f"NULL AS {name}" for name in _DECIDED.names if name not in {"line", "code"})
    return (
        f"SELECT m.line, {none}, CASE WHEN m.code IS NOT NULL THEN m.code "
        f"WHEN m.customer IS NOT NULL AND {found} > 1 THEN 'member_twice' "
        f"{changed}WHEN m.birthday IS NOT DISTINCT FROM m.old_birthday THEN 'birthday_already' END AS code "
        "FROM loyalty_matched m"
    )
