"""A customer is gone from snapshots, stored files, records and later reads; every sum and every other row is as before.

Guards docs/privacy.md. Real ledgers, states and stores; processes are killed for real.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import connections, pipeline
from include.acting import acting
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Permanent
from include.formats.manifest import SUFFIX, Manifest
from include.pipeline import Context, resend
from include.pipeline.erasure import erase
from include.pipeline.erasure.person import by_email
from include.reports import models
from include.settings import Settings
from include.state.audit import Action
from include.state.erasures import ErasureState
from tests.pipeline.people import (
    CLEAR,
    MAIL,
    WHO,
    kept_of,
    key_of_erased,
    make,
    rows,
)

pytestmark = pytest.mark.slow


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
    assert {run.definition_id for run, _ in looked.runs} == {"people", "history"}
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
    for step in (lambda: resend.find_run(small, "people", first), lambda: deliver_again(small, first)):
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
