"""Every export is in one DAG file and stays there, and each file holds what it would hold if all were read for it."""

from __future__ import annotations

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from hypothesis import given
from hypothesis import strategies as st

from include import state
from include.definitions.names import IDENTIFIER
from include.orchestration import shards
from include.orchestration.catalogue import entries, of_shard
from include.settings import ROOT, Settings
from include.state import RunStatus
from tests.orchestration.test_catalogue import definition, pinned
from tests.orchestration.test_dags import GOOD

DAGS = ROOT / "dags"
FILES = [shards.file_name(number) for number in range(shards.COUNT)]


@given(st.from_regex(IDENTIFIER, fullmatch=True))
def test_every_export_has_one_of_the_files(definition_id):
    number = shards.shard(definition_id)
    assert shards.file_of(definition_id) == FILES[number]
    assert shards.shard_of(f"/somewhere/{FILES[number]}") == number


def test_an_export_stays_in_its_file():
    """Where it moves, Airflow parses both files again, and forgets it for a while if only one of them is."""
    names = ("daily-balances", "weekly-history", "month-end-journal", "a", "made-17")
    assert [shards.shard(name) for name in names] == [10, 21, 18, 10, 6]


def test_every_file_is_there_and_is_the_one_loop():
    assert sorted(path.name for path in DAGS.glob("exports*.py")) == sorted(FILES)
    assert {(DAGS / file).resolve() for file in FILES} == {DAGS / "exports.py"}
    assert len(set(FILES)) == shards.COUNT
    with pytest.raises(ValueError, match="not in list"):
        shards.shard_of(str(DAGS / "upkeep.py"))


@pytest.fixture
def remembered(settings):
    return state.open(settings.state_url)


def write(settings, name, *more, id_=None):
    (settings.exports / f"{name}.yaml").write_text(GOOD.format(id=id_ or name) + "\n".join(more))


def spread(settings):
    """Return what all files hold together, as each finds it alone; nothing is in two of them."""
    found = {}
    for number in range(shards.COUNT):
        mine = of_shard(settings, number)
        assert not mine.keys() & found.keys()
        assert {shards.shard(id_) for id_ in mine} <= {number}
        found |= mine
    return found


def test_each_dag_file_of_airflow_holds_its_own(settings, remembered):
    for number in range(12):
        write(settings, f"of-file-{number}", f"file: {{name: 'file-{number}_{{date}}'}}")
        remembered.exports.create(definition(f"of-page-{number}"), "ann")
    held = {}
    for file in FILES:
        bag = BundleDagBag(str(DAGS / file), bundle_path=DAGS, bundle_name="dags-folder")
        assert bag.import_errors == {}
        held |= {dag_id: dag.relative_fileloc for dag_id, dag in bag.dags.items()}
    every = [f"of-{kind}-{number}" for kind in ("file", "page") for number in range(12)]
    assert held == {id_: shards.file_of(id_) for id_ in every}


def new_file(settings, remembered):
    write(settings, "new")


def edited_file(settings, remembered):
    write(settings, "one", "description: Edited.")


def wrong_file(settings, remembered):
    write(settings, "one", "model: gone")


def file_of_another_id(settings, remembered):
    write(settings, "one", id_="renamed")


def file_of_another_name(settings, remembered):
    (settings.exports / "one.yaml").rename(settings.exports / "other.yaml")


def file_that_is_gone(settings, remembered):
    (settings.exports / "one.yaml").unlink()


def disabled_file_with_a_run(settings, remembered):
    pinned(remembered, "one")
    write(settings, "one", "enabled: false")


def file_that_takes_an_id_from_the_pages(settings, remembered):
    write(settings, "page", "name: Of a file")


def file_that_takes_a_name_from_the_pages(settings, remembered):
    write(settings, "taker", "file: {name: 'page_{date}'}", id_="taker")


def two_files_of_one_id(settings, remembered):
    write(settings, "zwei", id_="two")


def two_files_of_one_name(settings, remembered):
    write(settings, "a-first", "file: {name: 'same_{date}'}")
    write(settings, "b-second", "file: {name: 'same_{date}'}")


def another_page(settings, remembered):
    remembered.exports.create(definition("another"), "ann")


def edited_page(settings, remembered):
    remembered.exports.save(definition("page", description="Edited."), "ann", based_on=1)


def deleted_page_with_a_run(settings, remembered):
    pinned(remembered, "page")
    remembered.exports.delete("page", "ann")


def deleted_page(settings, remembered):
    run = pinned(remembered, "page")
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    remembered.exports.delete("page", "ann")


CHANGES = [
    new_file,
    edited_file,
    wrong_file,
    file_of_another_id,
    file_of_another_name,
    file_that_is_gone,
    disabled_file_with_a_run,
    file_that_takes_an_id_from_the_pages,
    file_that_takes_a_name_from_the_pages,
    two_files_of_one_id,
    two_files_of_one_name,
    another_page,
    edited_page,
    deleted_page_with_a_run,
    deleted_page,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_files_hold_the_same_as_if_all_were_read_for_each(settings, remembered, change, monkeypatch):
    monkeypatch.setattr(shards, "COUNT", 8)  # what stands here is in three files of so many too
    write(settings, "one", "file: {name: 'one_{date}'}")
    write(settings, "two", "file: {name: 'two_{date}'}")
    same = {"file": {"name": "page_{date}"}, "targets": [{"kind": "folder", "options": {"folder": "x"}}]}
    remembered.exports.create(definition("page", **same), "ann")
    assert spread(settings) == entries(settings)[0]
    change(settings, remembered)
    spread(settings)  # what is new may stand in one file's way, and be known to it in the next round
    assert spread(settings) == entries(settings)[0]
    assert spread(settings) == entries(settings)[0]


def test_a_file_that_changes_no_export_of_a_shard_is_not_looked_into_for_it(settings, remembered):
    write(settings, "one")
    entries(settings)
    write(settings, "one", "model: gone")
    others = [number for number in range(shards.COUNT) if number != shards.shard("one")]
    for number in others:
        of_shard(settings, number)
    assert not remembered.exports.of_files()["one.yaml"].broken
    of_shard(settings, shards.shard("one"))
    assert remembered.exports.of_files()["one.yaml"].broken


def test_files_keep_their_dags_without_a_state_database(settings, monkeypatch):
    write(settings, "one", "file: {name: 'same_{date}'}")
    write(settings, "two", "file: {name: 'same_{date}'}")
    monkeypatch.setenv("LOYALTY_STATE_URL", "postgresql://somebody:s3cret@127.0.0.1:9/state")
    lost = Settings.from_environment()
    assert spread(lost) == entries(lost)[0]
    assert set(spread(lost)) == {"one"}
