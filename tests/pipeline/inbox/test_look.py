"""Files that are put into a watched folder: each is imported once, and lies where its import has put it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from include import sample
from include.errors import BadInput
from include.imports.options import Mode
from include.pipeline import Context, imports
from include.pipeline.imports.asking import who_asked
from include.pipeline.inbox import Inbox, look
from include.pipeline.inbox.local import Local
from include.sample.plan import Plan
from include.settings import Settings
from include.state.imports import ImportState

ROWS = "customer_id,Points\nc0000001,100\nc0000002,5\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    sample.load(f"sqlite:///{path}", Plan(customers=20, transactions=200))
    return path


@pytest.fixture
def context(small, tmp_path) -> Context:
    home = tmp_path / "home"
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(small.read_bytes())
    return Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(home)}))


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


def of(folder: Path, **more) -> Inbox:
    return Inbox(
        **{"name": "crm", "mode": Mode.ADD, "program": "club", "folder": str(folder), "quiet": "0s", **more}
    )


def still(_seconds: float) -> None:
    """Nobody writes meanwhile."""


def tree(folder: Path) -> dict[str, list[str]]:
    """Names of files by folder, without the ids before them."""
    return {
        each.name if each != folder else "": sorted(
            file.name.partition("--")[2] or file.name for file in each.iterdir() if file.is_file()
        )
        for each in (folder, *sorted(folder.iterdir()))
        if each.is_dir()
    }


def test_a_file_goes_from_the_inbox_to_the_archive_and_its_points_are_there_once(context, folder):
    (folder / "a.csv").write_text(ROWS)
    found = look(context, of(folder), still)
    (record,) = imports.history(context)
    assert (record.state, record.requested_by) == (ImportState.RECEIVED, "inbox crm")
    assert found.taken == ["a.csv"]
    assert found.to_run == [record.import_id]
    assert tree(folder) == {"": [], "archive": [], "refused": [], "taken": ["a.csv"]}
    record = imports.rehearse(context, record.import_id)
    assert who_asked(context, record) == "inbox crm"
    assert look(context, of(folder), still).to_run == [record.import_id]
    imports.post(context, record.import_id, by="inbox crm")
    assert look(context, of(folder), still).archived == [f"{record.import_id}--a.csv"]
    assert tree(folder) == {"": [], "archive": ["a.csv", "a.csv.result.csv"], "refused": [], "taken": []}
    assert (folder / "archive" / f"{record.import_id}--a.csv").read_text() == ROWS
    assert look(context, of(folder), still).to_run == []


def test_a_file_that_is_written_to_is_not_taken(context, folder):
    (folder / "a.csv").write_text(ROWS)

    def writing(_seconds: float) -> None:
        with (folder / "a.csv").open("a") as file:
            file.write("c0000003,1\n")

    found = look(context, of(folder), writing)
    assert (found.taken, found.unfinished) == ([], ["a.csv"])
    assert imports.history(context) == []
    assert look(context, of(folder), still).taken == ["a.csv"]
    (record,) = imports.history(context)
    assert b"".join(imports.original(context, record.import_id)).decode() == ROWS + "c0000003,1\n"


def test_a_file_that_is_written_to_while_it_is_copied_is_not_taken(context, folder, monkeypatch):
    (folder / "a.csv").write_text(ROWS)
    fetch = Local.fetch

    def slowly(self, name, to):
        fetch(self, name, to)
        with (folder / name).open("a") as file:
            file.write("c0000003,1\n")

    monkeypatch.setattr(Local, "fetch", slowly)
    assert look(context, of(folder), still).unfinished == ["a.csv"]
    assert imports.history(context) == []


@pytest.mark.parametrize("name", ["a.csv.part", ".a.csv", "a.filepart", "b.txt"])
def test_names_of_others_are_left_alone(context, folder, name):
    (folder / name).write_text(ROWS)
    assert look(context, of(folder, files="a*"), still).taken == []
    assert (folder / name).exists()


def test_quiet_is_as_long_as_the_inbox_says(context, folder):
    waited = []
    look(context, of(folder, quiet="1m"), waited.append)
    (folder / "a.csv").write_text(ROWS)
    look(context, of(folder, quiet="1m"), waited.append)
    assert waited == [60.0]


def test_the_same_bytes_again_are_refused_and_it_is_said_why(context, folder):
    (folder / "a.csv").write_text(ROWS)
    look(context, of(folder), still)
    (record,) = imports.history(context)
    imports.run(context, record.import_id, by="inbox crm")
    look(context, of(folder), still)
    (folder / "b.csv").write_text(ROWS)
    found = look(context, of(folder), still)
    assert (found.refused, found.to_run) == (["b.csv"], [])
    (why,) = (folder / "refused").glob("*.why.txt")
    assert "Nothing was posted twice" in why.read_text()
    assert record.import_id in why.read_text()
    assert len(imports.history(context)) == 1


def test_two_files_of_the_same_bytes_are_one_import_and_one_of_them_is_refused(context, folder):
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(ROWS)
    found = look(context, of(folder), still)
    assert (found.taken, found.refused, len(found.to_run)) == (["a.csv"], ["b.csv"], 1)
    (why,) = (folder / "refused").glob("*.why.txt")
    assert "Nothing was posted twice" in why.read_text()


def test_a_file_that_cannot_be_read_comes_back_with_the_reason(context, folder):
    (folder / "a.csv").write_text("customer_id,pointz\nc0000002,1\n")
    look(context, of(folder), still)
    (record,) = imports.history(context)
    imports.rehearse(context, record.import_id)
    look(context, of(folder), still)
    assert tree(folder)["refused"] == ["a.csv", "a.csv.why.txt"]
    assert "pointz" in (folder / "refused" / f"{record.import_id}--a.csv.why.txt").read_text()


def test_the_same_name_with_new_bytes_is_refused_unless_the_inbox_says_that_it_may_come(context, folder):
    (folder / "a.csv").write_text(ROWS)
    look(context, of(folder), still)
    (folder / "a.csv").write_text(ROWS + "c0000003,1\n")
    assert look(context, of(folder), still).refused == ["a.csv"]
    (why,) = (folder / "refused").glob("*.why.txt")
    assert "with other bytes" in why.read_text()
    (folder / "a.csv").write_text(ROWS + "c0000004,1\n")
    assert look(context, of(folder, same_name=True), still).taken == ["a.csv"]
    assert len(imports.history(context)) == 2


def test_wrong_rows_come_back_with_what_is_right(context, folder):
    (folder / "a.csv").write_text("customer_id,Points\nnobody,100\nc0000002,5\n")
    look(context, of(folder), still)
    (record,) = imports.history(context)
    imports.rehearse(context, record.import_id)
    assert look(context, of(folder), still).refused == [f"{record.import_id}--a.csv"]
    assert tree(folder)["refused"] == ["a.csv", "a.csv.result.csv", "a.csv.why.txt"]
    result = (folder / "refused" / f"{record.import_id}--a.csv.result.csv").read_text()
    assert "no customer has this id" in result


def test_what_waits_stays_and_what_was_refused_goes(context, folder):
    (folder / "a.csv").write_text(ROWS)
    look(context, of(folder, mode=Mode.RESET), still)
    (record,) = imports.history(context)
    assert imports.rehearse(context, record.import_id).state is ImportState.WAITING
    assert look(context, of(folder), still).to_run == [record.import_id]
    imports.refuse(context, record.import_id, by="paul", reason="wrong month")
    look(context, of(folder), still)
    assert (
        "paul refused it: wrong month"
        in (folder / "refused" / f"{record.import_id}--a.csv.why.txt").read_text()
    )


def test_nothing_is_taken_where_nothing_can_be_imported(context, folder):
    (folder / "add.csv").write_text(ROWS)
    read_only = replace(context.settings, ledger_write_url="mysql+pymysql://u@h/d")
    with pytest.raises(BadInput, match="this one is in MySQL or MariaDB"):
        look(replace(context, settings=read_only), of(folder), still)
    assert [each.name for each in folder.iterdir()] == ["add.csv"]


def test_a_program_that_is_not_there_is_said_in_the_folder(context, folder):
    (folder / "a.csv").write_text(ROWS)
    assert look(context, of(folder, program="no-such"), still).refused == ["a.csv"]
    assert "no-such" in next((folder / "refused").glob("*.why.txt")).read_text()


@pytest.mark.parametrize(
    ("method", "call"), [*(("move", call) for call in (1, 2, 3, 4)), ("put", 1), ("put", 2)]
)
def test_a_look_that_died_is_done_again_and_nothing_is_imported_twice(
    context, folder, monkeypatch, method, call
):
    """Rule: dying before any move or write of a file leaves all as it was; the next look goes on."""
    (folder / "a.csv").write_text(ROWS)
    (folder / "b.csv").write_text("customer_id,Points\nc0000003,7\n")
    true, calls = getattr(Local, method), []

    def dies(self, *arguments, **more):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return true(self, *arguments, **more)

    monkeypatch.setattr(Local, method, dies)
    for _ in range(6):
        try:
            found = look(context, of(folder), still)
        except KeyboardInterrupt:
            continue
        for import_id in found.to_run:
            imports.run(context, import_id, by="inbox crm")
    assert len(calls) >= call
    records = imports.history(context)
    assert [each.state for each in records] == [ImportState.POSTED] * 2
    assert tree(folder) == {
        "": [],
        "archive": ["a.csv", "a.csv.result.csv", "b.csv", "b.csv.result.csv"],
        "refused": [],
        "taken": [],
    }


def test_a_file_of_a_very_long_name_is_taken(context, folder):
    name = "é" * 120 + ".csv"
    (folder / name).write_text(ROWS)
    assert look(context, of(folder), still).taken == [name]
    (kept,) = (folder / "taken").iterdir()
    assert kept.name.endswith(".csv")


def test_what_somebody_put_into_the_three_folders_stays(context, folder):
    (folder / "taken").mkdir()
    (folder / "taken" / "note.txt").write_text("mine")
    (folder / "taken" / "imp-0123456789abcdef--x.csv").write_text("mine too")
    look(context, of(folder), still)
    assert len(list((folder / "taken").iterdir())) == 2
