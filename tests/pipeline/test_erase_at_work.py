"""Erasing beside what is at work, through kills and races, in snapshots and on PostgreSQL. Guards docs/privacy.md."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import NotYet
from include.pipeline import Context, removal
from include.pipeline.erasure import erase
from include.pipeline.snapshot import take_now
from include.pipeline.upkeep import upkeep
from include.settings import Settings
from include.snapshots import registry, renew
from include.snapshots.store import Missing
from include.state.erasures import Erasures, ErasureState
from include.state.snapshots import SnapshotState
from tests.forks import ended, forked, kill_at
from tests.pipeline.people import (
    CLEAR,
    MAIL,
    WHO,
    fill,
    kept_of,
    key_of_erased,
    make,
    rows,
)
from tests.pipeline.test_steps import AT
from tests.state.racing import race

pytestmark = pytest.mark.slow


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
    assert len(upkeep(small)["erased"]) == 1
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
    assert killed_at(small, number, module, name) == -signal.SIGKILL
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
    """Erase in a process that is killed when `name` is called for the n-th time; return how it ended."""

    def work() -> None:
        kill_at(module, name, number)
        erase.erase(Context(context.settings, key_of_erased), customer=WHO)

    return ended(forked(work))


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
    upkeep(small)
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
