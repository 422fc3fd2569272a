"""What posting would do with every row, worked out by the database: the temporary table `loyalty_outcome`.

Rows that are wrong or skipped have a `code`. `points` is what is booked: the row's own, or for a reset what the balance
lacks. Balances are active less debt: a usable lot of p, and a debit of p, change that by exactly p (docs/ledger.md
sections 3 and 4); one that starts later is pending until then.
"""

from __future__ import annotations

from pathlib import Path

from include.errors import BadInput, Problem
from include.imports import balances
from include.imports.members import MESSAGES as OF_MEMBERS
from include.imports.options import Mode, Options
from include.imports.sessions import Session, literal
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
    "birthday_changed": "the birthday was changed since the import",
    "nothing_left": "the points that the import brought are gone from the ledger",
}
HOLDER = (
    "CASE WHEN card IS NULL THEN 'customer' ELSE 'card' END AS holder_kind, "
    "coalesce(card, customer) AS holder"
)


def work_out(session: Session, options: Options, program: str, folder: Path) -> None:
    """Make `loyalty_outcome` (and `loyalty_balances`) from `loyalty_matched`."""
    if not options.program:
        _birthdays(session, undo=options.mode is Mode.UNDO)
        return
    touch(session, "loyalty_matched WHERE code IS NULL")
    balances.book(session, program, folder)
    if session.dialect == "sqlite":
        session.execute("CREATE INDEX temp.loyalty_of ON loyalty_balances (holder, subledger, holder_kind)")
    several = session.one("SELECT count(*) AS n FROM loyalty_accounts WHERE found > 1")[0] > 0
    session.execute("CREATE TEMP TABLE loyalty_outcome AS " + _points(session, options, several=several))


def touch(session: Session, rows: str) -> None:
    """Make `loyalty_accounts`: the accounts of some rows, how many rows each has, and for cards their owners."""
    session.execute(
        f"CREATE TEMP TABLE loyalty_accounts AS SELECT {HOLDER}, subledger, min(customer) AS owner, "
        f"count(*) AS found FROM {rows} GROUP BY 1, 2, 3"
    )
    if session.dialect == "sqlite":
        session.execute(
            "CREATE INDEX temp.loyalty_touched ON loyalty_accounts (holder, holder_kind, subledger)"
        )
    session.analyze("loyalty_accounts")


def _points(session: Session, options: Options, *, several: bool) -> str:
    now = microseconds(session.now)
    before = "coalesce(b.active, 0) - coalesce(b.debt, 0)"
    reset = options.mode is Mode.RESET
    change = f"m.points - ({before})" if reset else "m.points"
    twice = "r.found > 1" if several and reset else "1 = 0"
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
    )
    if options.mode is Mode.UNDO:  # it gives back what there was, lapsed or not
        codes = (codes[0], codes[-1])
    cases = " ".join(f"WHEN {condition} THEN {code}" for condition, code in codes)
    repeats = (
        "LEFT JOIN loyalty_accounts r ON r.holder_kind = m.holder_kind AND r.holder = m.holder "
        "AND r.subledger = m.subledger"
        if several and reset
        else ""
    )
    same = "b.holder_kind = m.holder_kind AND b.holder = m.holder AND b.subledger = m.subledger"
    inner = (
        f"SELECT m.*, b.tier, {before} AS held, coalesce(b.pending, 0) AS pending_before, {change} AS change, "
        f"CASE {cases} END AS verdict, "
        f"CASE WHEN m.activates IS NULL OR m.activates <= {now} OR m.points < 0 THEN 1 ELSE 0 END AS usable "
        f"FROM (SELECT *, {HOLDER} FROM loyalty_matched) m LEFT JOIN loyalty_balances b ON {same} {repeats}"
    )
    booked = "CASE WHEN verdict IS NULL THEN change * usable ELSE 0 END"
    earlier = (
        f"coalesce(CAST(sum({booked}) OVER (PARTITION BY holder_kind, holder, subledger ORDER BY line "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS BIGINT), 0)"
        if several
        else "0"
    )
    outer = (
        "SELECT line, customer_id, email, card_id, customer, card, holder_kind, holder, subledger, expected, "
        f"activates, expires, reason, related, tier, verdict AS code, usable, held, pending_before, "
        "CASE WHEN verdict IS NULL THEN change END AS points, "
        f"held + {earlier} AS balance_before, held + {earlier} + {booked} AS balance_after FROM ({inner}) worked"
    )
    return outer.replace("held + 0", "held")


def _birthdays(session: Session, *, undo: bool) -> None:
    """Birthdays move no points. To take one back, it must still be what the import wrote (`written`)."""
    if "birthday" not in session.columns("customers"):
        raise BadInput(
            [Problem("ledger", "customers", "it lacks the column birthday: add it as text", "no_birthdays")]
        )
    old, join = "c.birthday", "LEFT JOIN customers c ON c.customer_id = m.customer"
    changed = (
        f"WHEN {old} IS DISTINCT FROM m.written THEN 'birthday_changed' "
        if undo
        else "WHEN m.birthday IS NULL THEN 'no_birthday' "
    )
    session.execute(
        "CREATE TEMP TABLE loyalty_outcome AS SELECT m.line, m.customer_id, m.email, m.card_id, m.customer, "
        f"m.card, m.subledger, m.birthday, {old} AS old_birthday, m.reason, CASE WHEN m.code IS NOT NULL THEN m.code "
        "WHEN r.found > 1 THEN 'member_twice' "
        f"{changed}WHEN m.birthday IS NOT DISTINCT FROM {old} THEN 'birthday_already' END AS code "
        f"FROM loyalty_matched m {join} LEFT JOIN (SELECT customer, count(*) AS found FROM loyalty_matched "
        "WHERE code IS NULL GROUP BY customer) r ON r.customer = m.customer"
    )


def skipped() -> str:
    """Return the codes of rows that are left out without being wrong, as a list of SQL."""
    return f"({', '.join(map(literal, SKIPPED))})"
