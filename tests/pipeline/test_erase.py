"""A customer is gone from snapshots, stored files, records and later reads; every sum and every other row is as before.

Guards docs/privacy.md. Real ledgers, states and stores; processes are killed for real.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from include import connections, pipeline
from include.acting import acting
from include.definitions.model import ExportDefinition
from include.errors import BadInput, NotYet, Permanent
from include.formats.manifest import SUFFIX, Manifest
from include.pipeline import Context, erase, removal
from include.pipeline.person import by_email
from include.pipeline.snapshot import take_now
from include.reports import models
from include.settings import Settings
from include.snapshots import canonical, registry, renew
from include.snapshots.names import CONNECTION
from include.snapshots.store import Missing
from include.state.audit import Action
from include.state.erasures import Erasures, ErasureState
from include.state.snapshots import SnapshotState
from tests.pipeline.test_steps import AT, whole
from tests.state.racing import race

pytestmark = pytest.mark.slow

WHO, MAIL = "customer-0001", "Ada.Martin@example.com"


def key_of_erased(name: str) -> connections.Connection:
    """The connection that erasures are known by; no other exists."""
    if name != CONNECTION:
        raise connections.missing(name)
    return connections.Connection(CONNECTION, password="k" * 40)


@pytest.fixture
def small(tmp_path: Path, settings_for: Callable[..., Settings]) -> Context:
    """A household with cards, a voucher for one, a referral and a change of a name; somebody else; a card of nobody."""
    url = f"sqlite:///{tmp_path / 'small.sqlite'}"
    fill(url)
    return Context(settings_for(url), key_of_erased)


def fill(url: str) -> None:
    engine = sa.create_engine(url)
    canonical.create(engine)
    tables = canonical.METADATA.tables
    day = datetime(2026, 1, 5, tzinfo=UTC)
    people = [
        {"customer_id": WHO, "name": "Ada Martin", "email": MAIL, "phone": "+33100000001", "source_id": MAIL, "tier": "gold"},
        {"customer_id": "customer-0002", "name": "Bo Martin", "email": "bo@example.com", "phone": "+33100000001",
         "referrer_id": WHO, "metadata": f'{{"invited_by":"{MAIL.lower()}","visits":3}}', "tier": "base"},
        {"customer_id": "customer-0003", "name": "Cy Nowak", "email": "cy@example.com", "tier": "base"},
    ]  # fmt: skip
    cards = [("card-own", WHO), ("card-shared", WHO), ("card-free", None), ("card-else", "customer-0003")]
    moves = [
        (WHO, None, "earned", 100), (WHO, "card-own", "earned", 50), (WHO, "card-shared", "earned", 20),
        ("customer-0002", "card-shared", "redeemed", -5), (None, "card-free", "earned", 7),
        ("customer-0003", "card-else", "earned", 11), ("customer-0002", None, "earned", 40), (WHO, None, "redeemed", -30),
    ]  # fmt: skip
    with engine.begin() as connection:
        program = {"program_id": "p", "name": "P", "currency": "EUR", "time_zone": "UTC"}
        connection.execute(tables["programs"].insert(), [program])
        empty = dict.fromkeys((*people[0], *people[1]))
        connection.execute(tables["customers"].insert(), [empty | each for each in people])
        connection.execute(tables["cards"].insert(), [{"card_id": a, "customer_id": b} for a, b in cards])
        connection.execute(tables["vouchers"].insert(), [
            {"voucher_id": "v1", "code": "CODE-OWN", "voucher_type": "LOYALTY_CARD", "card_id": "card-own", "customer_id": WHO},
            {"voucher_id": "v2", "code": "TEN-OFF", "voucher_type": "DISCOUNT_VOUCHER", "card_id": None, "customer_id": WHO},
        ])  # fmt: skip
        connection.execute(tables["transactions"].insert(), [
            {"transaction_id": f"t{n}", "program_id": "p", "customer_id": who, "card_id": card, "type": kind, "points": points,
             "created_at": day + timedelta(days=n), "reason": f"for {WHO}" if n == 6 else "Points"}
            for n, (who, card, kind, points) in enumerate(moves)
        ])  # fmt: skip
        connection.execute(tables["changes"].insert(), [
            {"change_id": "1", "entity": "customers", "entity_id": WHO, "field": "name", "old_value": "Ada M",
             "new_value": "Ada Martin", "changed_by": "staff", "changed_at": day},
        ])  # fmt: skip
    engine.dispose()


def make(context: Context, definition: ExportDefinition, **asked: Any) -> str:
    """Make and deliver; return the run's key."""
    return whole(context, definition, **({"occurrence": AT} | asked))[0]


def rows(context: Context, run_key: str) -> list[list[str]]:
    [file, *_] = context.state.runs.get(run_key).files
    return list(csv.reader(io.StringIO(context.store.read(file["key"]).decode())))


def everything(context: Context) -> Iterator[tuple[str, str]]:
    """Every text that the product keeps: objects of the store (Parquet unpacked) and all rows of the state."""
    for entry in context.store.list():
        content = context.store.read(entry.key)
        if entry.key.endswith(".parquet"):
            yield entry.key, str(pq.read_table(io.BytesIO(content)).to_pylist())
        else:
            yield entry.key, content.decode("utf-8", "replace")
    with context.state.database.read() as connection:
        for table in sa.inspect(connection).get_table_names():
            if table.startswith("loyalty_"):
                yield table, str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
    for path in context.settings.scratch.rglob("*"):
        yield str(path), path.name


def kept_of(context: Context, *names: str) -> list[str]:
    """Where any of these names stands in what is kept."""
    return [
        where for where, text in everything(context) if any(name.lower() in text.lower() for name in names)
    ]


CLEAR = {"owner": "o", "file": {"compression": "none"}}


def test_a_customer_is_gone_from_all_that_is_kept_and_read(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    people = define(
        id="people", model="customers", fields=["customer_id", "name", "email", "metadata"], **CLEAR
    )
    history = define(id="history", model="history", period="previous_month", **CLEAR)
    totals = define(id="totals", model="points_total", period="previous_month", **CLEAR)
    february = {"occurrence": datetime(2026, 2, 2, 6, tzinfo=UTC)}
    keys = [make(small, people), make(small, history, **february), make(small, totals, **february)]
    before = small.state.runs.get(keys[2]).files[0]
    assert kept_of(small, WHO, MAIL, "Ada Martin")

    looked = erase.look(small, customer=WHO)
    assert looked.ledger == {"customers": 2, "cards": 2, "vouchers": 2, "transactions": 4}
    assert {run.definition_id for run in looked.runs} == {"people", "history"}
    assert looked.kept_cards == ("card-shared",)
    assert small.state.erasures.list() == []

    done = erase.erase(small, customer=WHO, by="dpo", reason="ticket 17")
    assert done.state is ErasureState.DONE
    assert kept_of(small, WHO, MAIL, "Ada Martin", "Ada M", "card-own", "CODE-OWN") == []
    assert [bool(small.state.runs.get(key).files_gone_at) for key in keys] == [True, True, False]
    assert small.state.runs.get(keys[2]).files[0] == before
    assert erase.erase(small, customer=WHO) == done  # again is fine, and does nothing

    again = make(small, people, revision=1)
    found = {row[0]: row[1:] for row in rows(small, again)[1:]}
    assert found[done.pseudonym] == ["", "", ""]
    assert found["customer-0003"][:2] == ["Cy Nowak", "cy@example.com"]
    assert '"visits":3' in found["customer-0002"][2]
    totals_again = make(small, define(**totals.document() | {"id": "again"}), **february)
    assert small.state.runs.get(totals_again).files[0]["sha256"] == before["sha256"]  # not a byte differs


def test_what_is_gone_says_since_when_and_the_chain_still_holds(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    people = define(
        id="people",
        model="customers",
        fields=["customer_id", "name"],
        compare={"key": ["customer_id"]},
        **CLEAR,
    )
    first = make(small, people)
    erase.erase(small, customer=WHO)
    told = r"were removed on \d{4}-\d\d-\d\d: they held a customer who was erased.*restatement"
    for step in (lambda: pipeline.render(small, first), lambda: deliver_again(small, first)):
        with pytest.raises(Permanent, match=told):
            step()
    second = make(small, people, revision=1)
    [manifest] = [each for each in small.state.runs.get(second).files if each["name"].endswith(SUFFIX)]
    made = Manifest.model_validate_json(small.store.read(manifest["key"]))
    links = small.state.chain.list("people")
    assert made.previous_manifest_sha256 == links[0].manifest_sha256
    assert any("not compared" in alert and "were removed on" in alert for alert in made.alerts)
    kept = [e.key for e in small.store.list(f"artefacts/{first}")]
    assert [key.endswith(SUFFIX) for key in kept] == [True]
    assert Manifest.model_validate_json(small.store.read(kept[0])).sha256() == links[0].manifest_sha256


def deliver_again(context: Context, run_key: str) -> None:
    """Open a settled delivery again, as somebody with the database might, and deliver."""
    with context.state.database.write() as connection:
        connection.exec_driver_sql("UPDATE loyalty_deliveries SET state = 'failed', expires_at = 0")
    pipeline.deliver(context, run_key, 0)


@pytest.mark.slow
def test_every_model_has_the_same_rows_and_sums(
    ledger_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    """Every model of the sample ledger, before and after: somebody with a card and most rows, and who referred others."""
    context = Context(settings_for(ledger_url), key_of_erased)
    people = some_people(ledger_url)
    parts = []
    for name in models.names():
        model = models.load(name, where="test")
        columns = [column.name for column in model.columns(model.Options())]  # type: ignore[call-arg]
        parts.append(
            {
                "id": name.replace("_", "-"),
                "model": name,
                "fields": columns,
                "file": {"name": "{export}_{date}", "compression": "none"},
            }
        )
    packs = [
        define(
            id=f"pack{first}", owner="o", period="previous_month", exports=parts[first : first + 25], model=None,
            file={}, privacy=None,
        )
        for first in range(0, len(parts), 25)
    ]  # fmt: skip
    before = [contents(context, pack) for pack in packs]
    named: dict[str, str] = {}
    for who in people:
        done = erase.erase(context, customer=who)
        named |= {pseudonym: name for name, pseudonym in names_of(done, ledger_url, who).items()}
        looked = erase.look(context, customer=who)
        assert (looked.state, looked.runs, set(looked.snapshots.values())) == (ErasureState.DONE, (), {0})
    after = [contents(context, pack.model_copy(update={"id": pack.id + "again"})) for pack in packs]
    checked = 0
    for old, now in zip(before, after, strict=True):
        assert now.keys() == old.keys()
        for export, (table, totals) in now.items():
            assert totals == old[export][1], export
            was = Counter(map(tuple, old[export][0]))
            back = Counter(tuple(named.get(cell, cell) for cell in row) for row in table)
            # What differs are rows of the person, and in them only what is empty now.
            gone, come = sorted((was - back).elements()), sorted((back - was).elements())
            assert len(gone) == len(come), export
            for one, other in zip(gone, come, strict=True):
                assert set(other) - set(one) <= {""}, (export, one, other)
                assert set(one) & set(people), (export, one)
                checked += 1
            assert not any(set(row) & set(people) for row in table), export
    assert checked > 5


def contents(context: Context, pack: ExportDefinition) -> dict[str, tuple[list[list[str]], Any]]:
    key = pipeline.pin(context, pack, occurrence=datetime(2026, 7, 2, 6, tzinfo=UTC)).run_key
    pipeline.snapshot(context, key)
    found = {}
    for each in pipeline.render(context, key):
        if "rows" in each:
            table = list(csv.reader(io.StringIO(context.store.read(each["key"]).decode())))
            found[each["export"]] = (table, each["totals"])
    return found


def some_people(url: str) -> list[str]:
    """The customer with a card and most rows, and one without a card who referred others."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        busy = """SELECT t.customer_id FROM transactions t JOIN cards c ON c.customer_id = t.customer_id
                  GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"""
        referrer = """SELECT referrer_id FROM customers WHERE referrer_id NOT IN
                      (SELECT customer_id FROM cards WHERE customer_id IS NOT NULL)
                      GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"""
        return [str(connection.exec_driver_sql(sql).scalar_one()) for sql in (busy, referrer)]


def names_of(done: Any, url: str, who: str) -> dict[str, str]:
    """The person's names by pseudonym, from the ledger, which still has them."""
    from include.ledger.people import Name
    from include.snapshots.names import Hasher

    engine, hashed = sa.create_engine(url), Hasher(b"k" * 40)
    with engine.connect() as connection:
        cards = (
            connection.exec_driver_sql("SELECT card_id FROM cards WHERE customer_id = ?", (who,))
            .scalars()
            .all()
        )
        sql = "SELECT code FROM vouchers WHERE voucher_type = 'LOYALTY_CARD' AND customer_id = ?"
        codes = connection.exec_driver_sql(sql, (who,)).scalars().all()
    pairs = [(Name.CUSTOMER, who), *((Name.CARD, x) for x in cards), *((Name.CODE, x) for x in codes)]
    known = {value: done.detail.names.get(hashed.name(kind, value)) for kind, value in pairs}
    return {value: pseudonym for value, pseudonym in known.items() if pseudonym}


def test_a_card_that_nobody_owns_is_a_person(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    cards = define(id="cards", model="balance", **CLEAR)
    make(small, cards)
    done = erase.erase(small, card="card-free")
    assert kept_of(small, "card-free") == []
    again = rows(small, make(small, cards, revision=1))
    assert sum(done.pseudonym in row for row in again) == 1
    assert erase.look(small, card="card-own").subject == erase.look(small, customer=WHO).subject


def test_an_address_finds_one_customer(small: Context) -> None:
    assert by_email(small, MAIL.upper()) == WHO
    for address in ("nobody@example.com", "bo@example"):
        with pytest.raises(BadInput, match="no customer"):
            by_email(small, address)
    engine = sa.create_engine(small.settings.ledger_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE customers SET email = '{MAIL.lower()}' WHERE customer_id = 'customer-0002'"
        )
    with pytest.raises(BadInput, match="customer-0001, customer-0002 have this address"):
        by_email(small, MAIL)


def test_who_is_gone_from_the_ledger_already_is_known_by_what_snapshots_hold(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    """Cards and addresses too, which stand in rows of others."""
    people = define(id="people", model="customers", fields=["customer_id", "metadata"], **CLEAR)
    make(small, people)
    with sa.create_engine(small.settings.ledger_url).begin() as connection:
        for table in ("customers", "cards", "vouchers", "transactions"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE customer_id = '{WHO}'")
    assert kept_of(small, "card-own")
    assert kept_of(small, MAIL)
    erase.erase(small, customer=WHO)
    assert kept_of(small, WHO, MAIL, "card-own", "CODE-OWN") == []
    assert kept_of(small, "card-shared")  # which others use


def test_a_shared_address_stands_for_nobody(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    """The household's telephone stays with the other, whose row is equal but for whom it names."""
    people = define(id="people", model="customers", fields=["customer_id", "name", "email", "phone"], **CLEAR)
    before = [row for row in rows(small, make(small, people)) if row[0] == "customer-0002"]
    erase.erase(small, customer=WHO)
    again = define(**people.document() | {"id": "again"})
    after = [row for row in rows(small, make(small, again)) if row[0] == "customer-0002"]
    assert after == before


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"customer": "customer-9999"}, "unknown_customer"),
        ({"card": "no-card"}, "unknown_customer"),
        ({"customer": WHO, "reason": f"{MAIL} asked for it"}, "named_in_reason"),
    ],
)
def test_what_cannot_be_asked(small: Context, asked: dict[str, str], code: str) -> None:
    with pytest.raises(BadInput) as caught:
        erase.erase(small, **asked)
    assert [problem.code for problem in caught.value.problems] == [code]
    assert small.state.erasures.list() == []


def test_nothing_is_read_without_the_key(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    erase.erase(small, customer=WHO)
    other = Context(small.settings, lambda name: connections.Connection(name, password="x" * 40))
    none = Context(small.settings, lambda name: (_ for _ in ()).throw(connections.missing(name)))
    definition = define(model="transactions", id="rows", **CLEAR)
    for context, code in ((other, "other_erasure_key"), (none, "missing_connection")):
        with pytest.raises(BadInput) as caught:
            make(context, definition)
        assert [problem.code for problem in caught.value.problems] == [code]
    assert make(small, definition)


def test_files_that_cannot_be_looked_into_go_where_their_rows_are_of_people(
    small: Context, define: Callable[..., ExportDefinition], inline: None, tmp_path: Path
) -> None:
    from pyrage import x25519

    public = str(x25519.Identity.generate().to_public())
    small.settings.keys.mkdir(parents=True)
    (small.settings.keys / "them.pub").write_text(public)
    sealed = {"compression": "none", "encryption": {"kind": "age", "options": {"recipients": ["them"]}}}
    hidden = {"fields": {"customer_id": "mask", "holder_id": "mask"}}
    month = {"period": "previous_month"}
    made = {
        "sealed": make(small, define(id="sealed", model="balance", file=sealed)),
        "sealed-sums": make(small, define(id="sealed-sums", model="points_total", file=sealed, **month)),
        "masked": make(small, define(id="masked", model="balance", privacy=hidden, **CLEAR)),
        "others": make(small, define(
            id="others", model="transactions", filters={"field": "customer_id", "is": "customer-0003"}, **CLEAR)),
    }  # fmt: skip
    erase.erase(small, customer=WHO)
    gone = {name: small.state.runs.get(key).files_gone_why for name, key in made.items()}
    assert gone == {"sealed": "erasure", "sealed-sums": None, "masked": "erasure", "others": None}
    # What is made afterwards holds nobody, and stays when the same is asked again.
    later = make(small, define(id="sealed-again", model="balance", file=sealed))
    assert erase.look(small, customer=WHO).runs == ()
    erase.erase(small, customer=WHO)
    assert small.state.runs.get(later).files_gone_at is None


PACK = {"model": None, "file": {}, "owner": "o"}
IN_PACK = [{"id": "rows", "model": "transactions"}]


@pytest.mark.parametrize(
    "keys",
    [
        {"file": {"format": "csv", "compression": "gzip"}},
        {"file": {"format": "csv", "options": {"encoding": "utf-16"}}},
        {"file": {"format": "xlsx", "compression": "none"}},
        {"file": {"format": "parquet", "compression": "none"}},
        {"file": {"format": "jsonl", "compression": "zstd"}},
        {"file": {"format": "xml", "compression": "zip"}},
        {"file": {"format": "json", "compression": "none", "split": {"rows": 2}}},
        {**PACK, "bundle": "zip", "exports": IN_PACK},
        {**PACK, "bundle": "workbook", "exports": IN_PACK},
    ],
    ids=lambda keys: str(keys.get("bundle") or keys["file"]["format"]),
)
def test_every_kind_of_file_is_searched(
    small: Context, define: Callable[..., ExportDefinition], inline: None, keys: dict[str, Any]
) -> None:
    keys = {"model": "transactions"} | keys
    theirs = make(small, define(**keys, id="theirs"))
    only = {"field": "customer_id", "is": "customer-0003"}
    parts = [part | {"filters": only} for part in keys.get("exports", ())]
    others = make(small, define(**keys | ({"exports": parts} if parts else {"filters": only}), id="others"))
    erase.erase(small, customer=WHO)
    assert small.state.runs.get(theirs).files_gone_why == "erasure"
    assert small.state.runs.get(others).files_gone_at is None


def test_a_card_that_came_later_is_added_by_asking_again(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    first = erase.erase(small, customer=WHO)
    with sa.create_engine(small.settings.ledger_url).begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO cards (card_id, customer_id) VALUES ('card-later', '{WHO}')")
    make(small, define(id="cards", model="cards", **CLEAR))
    assert kept_of(small, "card-later")
    second = erase.erase(small, customer=WHO)
    assert (second.state, second.pseudonym) == (ErasureState.DONE, first.pseudonym)
    assert first.detail.names.items() < second.detail.names.items()
    assert kept_of(small, "card-later", WHO) == []


def test_a_filter_by_the_customer_is_renamed_in_what_ran_and_told_in_what_will(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(id="one", model="transactions", filters={"field": "customer_id", "is": WHO}, **CLEAR)
    key = make(small, definition)
    small.settings.exports.mkdir(parents=True)
    import yaml

    (small.settings.exports / "one.yaml").write_text(yaml.safe_dump(definition.document()))
    assert erase.look(small, customer=WHO).definitions == ("one",)
    done = erase.erase(small, customer=WHO)
    assert done.pseudonym in str(small.state.runs.get(key).definition)
    assert kept_of(small, WHO) == []


def test_the_audit_chain_tells_of_it_and_names_nobody(small: Context) -> None:
    with acting("ann"):  # whoever she says has asked
        done = erase.erase(small, customer=WHO, by="dpo", reason="ticket 17")
    told = small.state.audit.newest(subject=done.subject)
    assert {each.actor for each in told} == {"ann"}
    assert (told[-1].action, told[-1].detail["requested_by"]) == (Action.ERASURE_ASKED, "dpo")
    assert told[0].action == Action.ERASED
    assert WHO not in str(told)


def test_a_snapshot_that_cannot_be_written_anew_is_removed(
    small: Context, define: Callable[..., ExportDefinition]
) -> None:
    """Names without ids: nobody can say whose they are."""
    from include.snapshots import extract
    from include.snapshots.source import Source

    made = extract.take(
        Source(small.settings.ledger_url), small.store, small.state, needs={"customers": ("name",)},
        not_before=datetime.now(UTC) - timedelta(days=1), settle_delay=timedelta(0), scratch=small.settings.scratch,
    )  # fmt: skip
    done = erase.erase(small, customer=WHO)
    assert done.detail.done["snapshots_removed"] == 1
    assert small.state.snapshots.get(made.id).state is SnapshotState.RETIRED  # type: ignore[union-attr]
    assert [entry.key for entry in small.store.list("snapshots")] == []


def test_renewed_snapshots_serve_the_same_and_keep_their_age(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(model="transactions", id="rows", **CLEAR)
    make(small, definition)
    [old] = [s for key in small.state.snapshots.sources() for s in small.state.snapshots.all_of(key)]
    then = registry.read(small.store, old.manifest_key)
    erase.erase(small, customer=WHO)
    [new] = small.state.snapshots.usable(old.source_key)
    now = registry.read(small.store, new.manifest_key)
    assert (now.renews, now.read_at, now.totals) == (then.id, then.read_at, then.totals)
    assert now.columns() == then.columns()
    assert {n: r.rows for n, r in now.relations.items()} == {n: r.rows for n, r in then.relations.items()}
    assert small.state.snapshots.idle(timedelta(0)) == []
    erase.erase(small, customer="customer-0003")
    assert len(small.state.snapshots.usable(old.source_key)) == 1


def test_a_run_that_was_bound_to_an_old_snapshot_finds_the_new_one(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR)
    key = pipeline.pin(small, definition, occurrence=AT).run_key
    first = pipeline.snapshot(small, key)
    done = erase.erase(small, customer=WHO)
    pipeline.render(small, key)  # without `snapshot` again, as a task that waited would
    assert small.state.runs.get(key).snapshot_id != first
    assert done.pseudonym in str(rows(small, key))
    assert WHO not in str(rows(small, key))


def test_who_is_erased_while_a_file_is_made_is_not_in_it(
    small: Context, define: Callable[..., ExportDefinition], inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that nobody hears of any more reads the old snapshot to its end, and then finds that it may not be used."""
    from include.pipeline import render_stage

    definition = define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR)
    key = pipeline.pin(small, definition, occurrence=AT).run_key
    pipeline.snapshot(small, key)
    genuine, once = render_stage.render_jobs, []

    def late(*arguments: Any, **options: Any) -> Any:
        made = genuine(*arguments, **options)
        if not once:
            once.append(True)
            monkeypatch.setattr(renew, "SILENT", timedelta(0))
            erase.erase(small, customer=WHO)
        return made

    monkeypatch.setattr(render_stage, "render_jobs", late)
    pipeline.render(small, key)
    assert once
    assert kept_of(small, WHO, MAIL) == []


def test_who_is_erased_while_a_snapshot_is_taken_is_not_in_what_is_made_of_it(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR)
    key = pipeline.pin(small, definition, occurrence=AT).run_key
    asked = []

    def reading(stage: str, *_: object) -> None:
        if stage.startswith("snapshot") and not asked:
            asked.append(erase.ask(small, customer=WHO))

    first = pipeline.snapshot(small, key, reading)
    with pytest.raises(Missing, match="holds somebody who was erased"):
        registry.load(small.store, small.state, first)
    pipeline.render(small, key)
    assert asked[0].pseudonym in str(rows(small, key))
    erase.resume(small)
    assert kept_of(small, WHO, MAIL, "Ada Martin") == []


def test_what_is_at_work_is_waited_for(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR)
    key = pipeline.pin(small, definition, occurrence=AT).run_key
    pipeline.snapshot(small, key)
    small.state.runs.progress(key, "render", 1)
    with pytest.raises(NotYet, match="is being made"):
        erase.erase(small, customer=WHO)
    [waiting] = small.state.erasures.list()
    assert waiting.state is ErasureState.SNAPSHOTS
    pipeline.render(small, key)
    assert erase.erase(small, customer=WHO).state is ErasureState.DONE
    assert kept_of(small, WHO, MAIL) == []


def test_upkeep_finishes_what_was_interrupted(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    make(small, define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR))
    erase.ask(small, customer=WHO)
    assert len(pipeline.upkeep(small)["erased"]) == 1
    assert kept_of(small, WHO, MAIL) == []


KILLS = [
    (1, renew, "_written"),
    (1, registry, "publish"),
    (3, registry, "register"),  # the new snapshot is in the store, the register does not know
    (1, registry, "remove"),  # the old one is out of use, and there
    (2, Erasures, "advance"),  # snapshots are done
    (1, removal, "data_keys"),
    (1, erase, "remove_files"),
    (2, erase, "remove_files"),
    (1, erase, "replace_mentions"),
    (3, Erasures, "advance"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "module", "name"), KILLS)
def test_killed_anywhere_it_goes_on(
    small: Context, define: Callable[..., ExportDefinition], inline: None, number: int, module: Any, name: str
) -> None:
    for export in ("people", "members"):
        make(small, define(model="customers", id=export, fields=["customer_id", "name"], **CLEAR))
    assert killed_at(small, number, module, name) == 9
    [begun] = small.state.erasures.list()
    assert begun.state is not ErasureState.DONE
    with small.state.database.write() as connection:  # as time does
        connection.exec_driver_sql("UPDATE loyalty_leases SET expires_at = 0")
    done = erase.erase(small, customer=WHO)
    assert (done.state, done.pseudonym) == (ErasureState.DONE, begun.pseudonym)
    assert kept_of(small, WHO, MAIL, "Ada Martin") == []
    [source] = small.state.snapshots.sources()
    assert len(small.state.snapshots.usable(source)) == 1
    assert sum(entry.key.endswith("manifest.json") for entry in small.store.list("snapshots")) == 1


def killed_at(context: Context, number: int, module: Any, name: str) -> int:
    """Erase in a process that is gone, as by kill -9, when `name` is called for the n-th time; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    calls = iter(range(1, 1000))
    try:  # whatever happens, this process never comes back to the tests
        genuine = getattr(module, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if next(calls) == number:
                os._exit(9)
            return genuine(*arguments, **options)

        setattr(module, name, counted)
        erase.erase(Context(context.settings, key_of_erased), customer=WHO)
    finally:
        os._exit(0)


@pytest.mark.slow
def test_records_that_were_still_needed_are_renamed_when_they_are_not(
    small: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    """A link that was alive, and a delivery that had failed and can be tried no more: its files are gone."""
    run_key = make(small, define(id="people", model="customers", fields=["customer_id", "name"], **CLEAR))
    small.state.links.make(run_key=run_key, file="people.csv", recipient=MAIL)
    with small.state.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE loyalty_deliveries SET state = 'failed', message = ?", (f"for {WHO}",)
        )
    done = erase.erase(small, customer=WHO)
    assert kept_of(small, WHO) == []
    assert [link.recipient for link in small.state.links.list()] == [MAIL]  # somebody may still open it
    with small.state.database.write() as connection:
        connection.exec_driver_sql("UPDATE loyalty_links SET expires_at = expires_at - 8 * 86400000000")
    pipeline.upkeep(small)
    assert [link.recipient for link in small.state.links.list()] == [done.pseudonym]


def test_several_at_once(small: Context, define: Callable[..., ExportDefinition], inline: None) -> None:
    make(small, define(model="customers", id="people", fields=["customer_id", "name"], **CLEAR))
    asked = [WHO, WHO, "customer-0003", WHO]
    pseudonyms = race(erased_by, [(small.settings, who) for who in asked])
    assert len({pseudonyms[0], pseudonyms[1], pseudonyms[3]}) == 1
    assert {each.state for each in small.state.erasures.list()} == {ErasureState.DONE}
    assert kept_of(small, WHO, MAIL, "customer-0003", "cy@example.com") == []
    [source] = small.state.snapshots.sources()
    assert len(small.state.snapshots.usable(source)) == 1


def erased_by(settings: Settings, who: str) -> str:
    import time

    context = Context(settings, key_of_erased)
    while True:
        try:
            return erase.erase(context, customer=who).pseudonym
        except NotYet:
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.servers
def test_on_postgresql(
    postgres_url: str,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
) -> None:
    """Ledger and state on a real server; erased before the snapshot is taken, and between two."""
    from tests.conftest import _fresh

    ledger, state = _fresh(postgres_url), _fresh(postgres_url)
    ledger_url, state_url = next(ledger), next(state)
    try:
        fill(ledger_url)
        context = Context(replace(settings_for(ledger_url), state_url=state_url), key_of_erased)
        people = define(model="customers", id="people", fields=["customer_id", "name", "email"], **CLEAR)
        make(context, people)
        one = erase.erase(context, customer=WHO)
        make(
            context, define(model="history", id="history", period="previous_month", **CLEAR)
        )  # other columns: a new read
        two = erase.erase(context, card="card-else")  # the card of customer-0003
        found = {row[0] for row in rows(context, make(context, people, revision=1))[1:]}
        assert found == {one.pseudonym, two.pseudonym, "customer-0002"}
        assert kept_of(context, WHO, MAIL, "customer-0003", "card-else") == []
    finally:
        ledger.close()
        state.close()


def test_taking_a_snapshot_ahead_applies_it_too(
    small: Context, inline: None, define: Callable[..., ExportDefinition]
) -> None:
    import yaml

    small.settings.exports.mkdir(parents=True)
    definition = define(id="people", model="customers", fields=["customer_id", "name"], **CLEAR)
    (small.settings.exports / "people.yaml").write_text(yaml.safe_dump(definition.document()))
    erase.erase(small, customer=WHO)
    take_now(small, datetime.now(UTC))
    assert kept_of(small, "Ada Martin") == []
