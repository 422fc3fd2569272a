"""The migrations make the tables that the code uses, in a database that may hold others."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from include import state
from include.errors import BadInput, Transient
from include.state.database import HEAD, VERSION_TABLE, Database
from include.state.migrations.run import configuration
from include.state.tables import METADATA, PREFIX
from tests.state.racing import race


def test_migrations_make_exactly_the_tables(state_url):
    state.open(state_url)
    with Database(state_url).read() as connection:
        options = {
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_head_is_the_newest_migration(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    assert ScriptDirectory.from_config(configuration(database.engine)).get_current_head() == HEAD


def test_other_tables_are_left_alone(state_url):
    database = Database(state_url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('somebody-else')")
    state.open(state_url)
    with database.read() as connection:
        names = set(sa.inspect(connection).get_table_names())
        assert (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "somebody-else"
        )
    assert {"invoices", "alembic_version", "loyalty_runs", VERSION_TABLE} <= names
    assert {name for name in names if not name.startswith(PREFIX)} == {"invoices", "alembic_version"}


@pytest.mark.slow
def test_ten_processes_open_a_new_state_at_once(state_url):
    assert race(open_state, [(state_url,)] * 10) == [[]] * 10


def open_state(url):
    return [run.run_key for run in state.open(url).runs.list()]


def test_sqlite_lets_readers_pass_a_writer(tmp_path):
    database = state.open(f"sqlite:///{tmp_path / 'state.sqlite'}").database
    with database.write() as writer:
        writer.exec_driver_sql("DELETE FROM loyalty_runs")
        with database.read() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM loyalty_runs").scalar() == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "sqlite://",
        "mysql://u:s3cret@h/d",
        "postgresql://u:x@s3cret/y@h/d",
        "postgresql://u:x@s3cret:y@h",
    ],
)
def test_a_wrong_url_is_bad_input_and_shows_no_secret(url):
    with pytest.raises(BadInput) as caught:
        state.open(url)
    assert "s3cret" not in str(caught.value)


def test_an_unreachable_database_is_transient_and_shows_no_secret():
    with pytest.raises(Transient) as caught:
        state.open("postgresql://somebody:s3cret@127.0.0.1:9/state")
    assert "s3cret" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)
