"""The quick balances of one holder are the rows of the report, at every instant; who is erased is nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include import sample
from include.connections import Secrets
from include.errors import BadInput, LedgerViolation
from include.ledger.people import Name
from include.pipeline import Context
from include.pipeline.holders import reports as holder
from include.pipeline.holders.reports import Wanted, holder_rows
from include.sample.plan import Plan
from include.settings import Settings
from include.snapshots.excerpt import Holder, TooLong

# A card that somebody owns is its owner's: asked for by itself, the report of a look has no names for it.
CARDS = "SELECT card_id FROM cards WHERE COALESCE(customer_id, '') = '' ORDER BY 1"
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e6) for year in (2023, 2029))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    home = tmp_path_factory.mktemp("holder")
    url = f"sqlite:///{home / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=30, transactions=900))
    variables = {"LOYALTY_HOME": str(home), "LOYALTY_LEDGER_URL": url}
    return Context.from_settings(Settings.from_environment(variables))


def holders(context: Context) -> list[Holder]:
    """Every customer, every card that nobody owns, and some that nobody knows."""
    engine = sa.create_engine(context.settings.ledger_url)
    with engine.connect() as connection:
        customers = (
            connection.execute(sa.text("SELECT customer_id FROM customers ORDER BY 1")).scalars().all()
        )
        cards = connection.execute(sa.text(CARDS)).scalars().all()
    engine.dispose()
    found = [Holder(Name.CUSTOMER, each) for each in customers] + [Holder(Name.CARD, each) for each in cards]
    return [*found, Holder(Name.CUSTOMER, "nobody"), Holder(Name.CARD, "nothing")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_quick_balances_are_those_of_the_report(context: Context, data: st.DataObject) -> None:
    who = data.draw(st.sampled_from(holders(context)))
    moments = data.draw(st.lists(st.integers(FIRST, LAST), min_size=1, max_size=3))
    wanted = [Wanted("balance", as_of=moment) for moment in moments]
    assert all(each.quick for each in wanted)
    quick = holder_rows(context, who, wanted)
    slow = holder._read(context, who, wanted, Secrets())
    assert (quick is None) == (slow is None)
    if quick is not None and slow is not None:
        for mine, theirs in zip(quick.tables, slow.tables, strict=True):
            assert mine.schema == theirs.schema
            key = [("program_id", "ascending"), ("subledger_id", "ascending"), ("holder_id", "ascending")]
            assert mine.sort_by(key).to_pylist() == theirs.sort_by(key).to_pylist()


def test_some_customer_has_something(context: Context) -> None:
    found = [holder_rows(context, who, [Wanted("balance")]) for who in holders(context)]
    rows = [row for each in found if each for row in each.tables[0].to_pylist()]
    assert any(row["active"] > 0 for row in rows)
    assert {row["holder_kind"] for row in rows} == {"customer", "card"}
    assert any(row["tier"] for row in rows)


@pytest.mark.parametrize("who", ["nobody", "", "x" * 501, "a\0b", "\ud800"])
def test_whom_nobody_knows_is_none(context: Context, who: str) -> None:
    assert holder_rows(context, Holder(Name.CUSTOMER, who), [Wanted("balance")]) is None


def test_a_long_history_is_read_apart(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    who = holders(context)[0]
    monkeypatch.setattr(holder, "ROWS_IN_PLACE", 1)
    asked = []

    def apart(stage: str, *arguments: object, progress: object) -> None:
        asked.append((stage, arguments[1]))

    monkeypatch.setattr(holder.process, "in_process", apart)
    with pytest.raises(TooLong):
        holder._at_once(context, who, [Wanted("balance")], None)
    assert holder_rows(context, who, [Wanted("balance")]) is None
    assert asked == [("include.pipeline.holders.reports:read_apart", who)]


def test_what_does_not_exist_is_told(context: Context) -> None:
    who = holders(context)[0]
    for wanted in (Wanted("balnce"), Wanted("balance", {"grain": "x"}), Wanted("balance", timezone="EST")):
        with pytest.raises(BadInput):
            holder_rows(context, who, [wanted])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE transactions SET type = 'spoiled' WHERE customer_id = :who", "unknown type"),
        ("UPDATE transactions SET points = -points WHERE customer_id = :who AND type = 'earned'", "sign"),
    ],
)
def test_rows_that_stop_a_report_stop_an_answer(change: str, told: str, tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=10, transactions=200))
    own = Context.from_settings(
        Settings.from_environment({"LOYALTY_HOME": str(tmp_path), "LOYALTY_LEDGER_URL": url})
    )
    who = next(
        each
        for each in holders(own)
        if (found := holder_rows(own, each, [Wanted("balance")])) and found.tables[0].num_rows
    )
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(change), {"who": who.id})
    engine.dispose()
    with pytest.raises(LedgerViolation, match=told):
        holder_rows(own, who, [Wanted("balance")])
