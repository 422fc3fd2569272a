"""What a rehearsal said must still be so when its rows are posted: looked at inside the posting's own transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.imports import balances, lots
from include.imports.bench import Bench
from include.imports.options import Mode
from include.imports.outcome import of_accounts, touch
from include.imports.plan import Plan, again, done_rows
from include.imports.sessions import Session
from include.state.tables import microseconds

_ACCOUNT = ["customer", "card", "subledger"]
_HELD = pa.schema(
    [*((name, pa.string()) for name in ("spread", "customer", "card", "subledger")), ("held", pa.int64())]
)


def check(session: Session, plan: Plan, bench: Bench) -> None:
    """Raise BadInput `rehearse_again` where rows no longer do what the rehearsal said.

    A reset sets a balance, and `expected_balance` names one: it must be what it was. Points that are given back have
    the dates of the lots that were used: they must still be those. Points that come in must not have expired meanwhile.
    Where balances or lots are looked at, nobody else can change one until the end.
    """
    if plan.options.mode is Mode.UNDO:
        _same_lots(session, plan, bench)
        return
    _not_expired(session, plan)
    column = "balance_before" if plan.options.mode is Mode.RESET else "expected"
    if _says(plan, column):
        _same_balances(session, plan, bench, column)


def _not_expired(session: Session, plan: Plan) -> None:
    now = microseconds(session.now)
    for batch in done_rows(plan.path, ["points", "expires"]):
        over = pc.and_(
            pc.greater(batch.column("points"), 0), pc.less_equal(batch.column("expires"), pa.scalar(now))
        )
        if pc.any(over).as_py():
            raise again("points of the file have expired")


def _says(plan: Plan, column: str) -> bool:
    """Return whether a row has a value there, without reading the rows where their file tells."""
    file = pq.read_metadata(plan.path)
    place = file.schema.to_arrow_schema().get_field_index(column)
    groups = [file.row_group(each) for each in range(file.num_row_groups)]
    return any(each.num_rows > each.column(place).statistics.null_count for each in groups)


def _same_balances(session: Session, plan: Plan, bench: Bench, column: str) -> None:
    session.freeze()
    bench.fill("loyalty_plan", _HELD, bench.hashed("spread", plan.rows), _held(plan, column))
    touch(bench, "loyalty_plan", plan.rows)
    balances.book(session, bench, plan.options.program, bench.hashed("holder", plan.rows))
    sums = of_accounts("loyalty_plan", "p", "count(*)", "")
    [changed] = bench.sums(f"{sums} WHERE coalesce(b.active, 0) - coalesce(b.debt, 0) <> p.held", 1)
    if changed:
        raise again(f"{'one balance has' if changed == 1 else f'{changed} balances have'} changed")


def _held(plan: Plan, column: str) -> Iterator[pa.RecordBatch]:
    for batch in done_rows(plan.path, [*_ACCOUNT, column]):
        said = batch.filter(batch.column(column).is_valid()).rename_columns([*_ACCOUNT, "held", "status"])
        yield said.append_column("spread", pc.coalesce(said.column("card"), said.column("customer")))


def _same_lots(session: Session, plan: Plan, bench: Bench) -> None:
    """Compare, for each debit that is taken back, how many points come back with which dates."""
    meant = "related TEXT, activates BIGINT, expires BIGINT, points BIGINT"
    session.execute(f"CREATE TEMP TABLE loyalty_meant ({meant})")
    if not session.ingest("loyalty_meant", _given_back(plan)):
        return
    session.freeze()
    session.analyze("loyalty_meant")
    lots.used(session, bench, plan.options.program, _accounts(plan), plan.rows)
    now = microseconds(session.now)
    then = f"SELECT related, CASE WHEN activates > {now} THEN activates END AS activates, expires, points"
    activates, expires = lots.dates(session)
    dated = (
        f"{then} FROM loyalty_meant UNION ALL "
        f"SELECT u.debit_id, {activates}, {expires}, -u.points FROM loyalty_used u "
        "JOIN transactions l ON l.transaction_id = u.lot_id WHERE u.debit_id IN (SELECT related FROM loyalty_meant)"
    )
    differs = (
        f"SELECT related FROM ({dated}) sides WHERE activates IS NOT NULL OR expires IS NOT NULL "
        "GROUP BY related, activates, expires HAVING sum(points) <> 0"
    )
    [changed] = session.one(f"SELECT count(DISTINCT related) AS n FROM ({differs}) changed")
    if changed:
        raise again("lots that rows of the import used were changed by other bookings")


def _given_back(plan: Plan) -> Iterator[pa.RecordBatch]:
    for batch in done_rows(plan.path, ["related", "activates", "expires", "points"]):
        back = batch.filter(pc.greater(batch.column("points"), 0))
        if len(back):
            yield back.select(["related", "activates", "expires", "points"])


def _accounts(plan: Plan) -> Iterator[pa.RecordBatch]:
    for batch in done_rows(plan.path, [*_ACCOUNT, "points"]):
        yield batch.filter(pc.greater(batch.column("points"), 0)).select(_ACCOUNT)
