"""The catalogue: exports of files and of the pages in one list, every edit kept, nobody's edit lost."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from include import state
from include.definitions.load import from_document
from include.errors import BadInput
from include.state.database import VERSION_TABLE
from include.state.exports import Edited, Query, Status, changed_keys
from include.state.tables import EXPORTS
from tests.state.racing import race

FOLDER = [{"kind": "folder", "options": {"folder": "out"}}]
DAILY = {"kind": "daily", "time": "06:00"}


def definition(id_="daily", **changes):
    document = {"id": id_, "name": id_.title(), "model": "balance", "targets": FOLDER, **changes}
    return from_document(document, where="test")


def told(remembered):
    return [
        (entry.actor, entry.action, entry.subject)
        for entry in reversed(remembered.audit.newest())
        if entry.action.startswith("export")
    ]


def ids(found):
    return [row.definition_id for row in found.rows]


def test_create_save_delete_and_create_again(remembered):
    exports = remembered.exports
    made = exports.create(definition(description="first", schedule=DAILY), "ann")
    assert (made.number, made.created_by, made.edited_by, made.source) == (1, "ann", "ann", "ui")
    assert (made.status, made.activity, made.last_run) == (Status.PENDING, Status.ACTIVE, None)
    assert made.document["description"] == "first"
    assert exports.get("daily") == made
    saved = exports.save(definition(description="second"), "bob", based_on=1)
    assert (saved.number, saved.created_by, saved.edited_by) == (2, "ann", "bob")
    assert (saved.recurring, saved.activity, saved.next_at) == (False, None, None)
    gone = exports.delete("daily", "cid", based_on=2)
    assert (gone.number, gone.deleted_at is None) == (3, False)
    assert exports.get("daily") is None
    assert exports.get("daily", deleted=True) == gone
    assert exports.search(Query()).total == 0
    again = exports.create(definition(description="fourth"), "dan")
    assert (again.number, again.created_by, again.deleted_at) == (4, "dan", None)
    history = [(edit.number, edit.author, edit.deleted) for edit in exports.edits("daily")]
    assert history == [(4, "dan", False), (3, "cid", True), (2, "bob", False), (1, "ann", False)]
    assert exports.edit("daily", 1).document["description"] == "first"
    assert exports.edit("daily", 9) is None
    assert told(remembered) == [
        ("ann", "export_created", "daily"),
        ("bob", "export_edited", "daily"),
        ("cid", "export_deleted", "daily"),
        ("dan", "export_created", "daily"),
    ]


def test_the_second_of_two_editors_is_told_by_whom_and_nothing_is_lost(remembered):
    exports = remembered.exports
    exports.create(definition(), "ann")
    exports.save(definition(name="Of Bob"), "bob", based_on=1)
    with pytest.raises(Edited) as caught:
        exports.save(definition(name="Of Ann"), "ann", based_on=1)
    assert str(caught.value) == "bob has saved daily meanwhile"
    assert (caught.value.theirs.name, caught.value.edit.number) == ("Of Bob", 2)
    assert caught.value.edit.document["name"] == "Of Bob"
    with pytest.raises(Edited):
        exports.delete("daily", "ann", based_on=1)
    assert exports.get("daily").number == 2
    exports.delete("daily", "bob", based_on=2)
    with pytest.raises(Edited, match="bob has deleted daily meanwhile"):
        exports.save(definition(name="Of Ann"), "ann", based_on=2)


def test_a_double_click_saves_once(remembered):
    exports = remembered.exports
    first = exports.create(definition(), "ann")
    assert exports.create(definition(), "ann") == first
    second = exports.save(definition(name="New"), "ann", based_on=1)
    assert exports.save(definition(name="New"), "ann", based_on=1) == second
    assert exports.save(definition(name="New"), "bob", based_on=2) == second  # nothing changed
    gone = exports.delete("daily", "ann")
    assert exports.delete("daily", "ann") == gone
    assert [edit.number for edit in exports.edits("daily")] == [3, 2, 1]
    assert len(told(remembered)) == 3


def test_an_id_is_of_one_export_whoever_made_it(remembered):
    exports = remembered.exports
    exports.sync({"of-file.yaml": definition("of-file", targets=[{"kind": "folder", "options": {"a": 1}}])})
    exports.create(definition(), "ann")
    for taken, owner in (("daily", "the export Daily (daily)"), ("of-file", "of-file.yaml")):
        with pytest.raises(BadInput) as caught:
            exports.create(definition(taken), "bob")
        (problem,) = caught.value.problems
        assert (problem.where, problem.code) == ("id", "id_twice")
        assert owner in problem.right
        assert exports.problems(definition(taken), new=True) == [problem]
    for wrong, code in (("of-file", "export_of_a_file"), ("nowhere", "unknown_export")):
        for change in (
            lambda: exports.save(definition(wrong), "bob", based_on=1),  # noqa: B023 - called at once
            lambda: exports.delete(wrong, "bob"),  # noqa: B023
        ):
            with pytest.raises(BadInput) as caught:
                change()
            assert caught.value.problems[0].code == code


def test_two_exports_do_not_write_over_each_others_files(remembered):
    exports = remembered.exports
    same = {"file": {"name": "points_{date}"}}
    exports.create(definition("one", **same), "ann")
    exports.create(definition("other-format", file={"name": "points_{date}", "format": "ndjson"}), "ann")
    exports.create(
        definition("other-folder", **same, targets=[{"kind": "folder", "options": {"folder": "b"}}]), "ann"
    )
    for name in ("points_{date}", "POINTS_{date}"):
        with pytest.raises(BadInput) as caught:
            exports.create(definition("two", file={"name": name}), "ann")
        (problem,) = caught.value.problems
        assert (problem.where, problem.code) == ("file.name", "file_name_twice")
        assert "the export One (one)" in problem.right
    exports.create(definition("two"), "ann")
    with pytest.raises(BadInput):
        exports.save(definition("two", **same), "ann", based_on=1)
    exports.delete("one", "ann")
    assert exports.save(definition("two", **same), "ann", based_on=1).number == 2


def test_names_that_an_older_version_kept_are_compared_by_todays_rule(remembered, state_url):
    same = {"file": {"name": "points_{date}"}}
    remembered.exports.create(definition("one", **same), "ann")
    with remembered.database.write() as connection:  # as before 0008: other keys
        connection.exec_driver_sql("UPDATE loyalty_export_file_names SET name_key = 'of another rule'")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0007'")
    with pytest.raises(BadInput, match="the export One"):
        state.open(state_url).exports.create(definition("two", **same), "ann")


def create_named(url, number):
    try:
        found = state.open(url).exports.create(
            definition(f"export-{number}", file={"name": "same_{date}"}), "ann"
        )
    except BadInput as error:
        return error.problems[0].code
    return found.definition_id


@pytest.mark.slow
def test_of_many_at_once_one_gets_the_file_name(remembered, state_url):
    results = race(create_named, [(state_url, number) for number in range(8)])
    assert sorted(results)[-7:] == ["file_name_twice"] * 7
    assert remembered.exports.search(Query()).total == 1


def save_named(url, author):
    try:
        return state.open(url).exports.save(definition(name=f"Of {author}"), author, based_on=1).number
    except Edited as error:
        return error.edit.author


@pytest.mark.slow
def test_of_many_editors_at_once_one_saves_and_the_others_hear_who(remembered, state_url):
    remembered.exports.create(definition(), "ann")
    results = race(save_named, [(state_url, f"user{number}") for number in range(8)])
    winner = remembered.exports.get("daily").edited_by
    assert sorted(map(str, results)) == sorted(["2", *[winner] * 7])
    assert len(remembered.exports.edits("daily")) == 2


def test_files_come_change_break_and_go(remembered):
    exports = remembered.exports
    assert exports.sync({"a.yaml": definition("a"), "b.yaml": definition("b")})
    assert not exports.sync({"a.yaml": definition("a"), "b.yaml": definition("b")})
    first = exports.get("a")
    assert (first.source, first.file, first.created_by, first.number) == ("yaml", "a.yaml", "", 1)
    assert exports.sync({"a.yaml": definition("a", name="New")}, broken={"b.yaml"})
    changed, broken = exports.get("a"), exports.get("b")
    assert (changed.number, changed.name, changed.created_at) == (2, "New", first.created_at)
    assert [edit.number for edit in exports.edits("a")] == [2, 1]
    assert (broken.broken, broken.name, broken.number) == (True, "B", 1)
    assert not exports.sync({"a.yaml": definition("a", name="New")}, broken={"b.yaml"})
    assert exports.sync({"renamed.yaml": definition("a", name="New"), "b.yaml": definition("b")})
    assert (exports.get("a").file, exports.get("a").number) == ("renamed.yaml", 2)
    assert not exports.get("b").broken
    assert exports.sync({})
    assert exports.search(Query()).total == 0
    assert exports.ids() == frozenset()
    assert len(exports.edits("a")) == 2
    assert exports.sync({"a.yaml": definition("a", name="New")})  # the file is back
    assert (exports.get("a").number, exports.get("a").created_at) == (2, first.created_at)
    assert told(remembered) == []


def test_a_file_takes_over_an_id_and_the_audit_chain_says_so(remembered):
    exports = remembered.exports
    exports.create(definition(name="Of the page", file={"name": "x_{date}"}), "ann")
    exports.sync({"daily.yaml": definition(name="Of the file")})
    now = exports.get("daily")
    assert (now.source, now.name, now.created_by, now.number) == ("yaml", "Of the file", "", 2)
    assert exports.edit("daily", 1).document["name"] == "Of the page"
    assert told(remembered)[-1] == ("schedule", "export_taken_over", "daily")
    exports.create(definition("other", file={"name": "x_{date}"}), "ann")  # its names are free


def test_a_file_takes_a_name_from_an_export_of_the_pages(remembered):
    exports = remembered.exports
    exports.create(definition("one", file={"name": "x_{date}"}), "ann")
    exports.sync({"two.yaml": definition("two", file={"name": "x_{date}"})})
    assert [p.code for p in exports.problems(definition("one", file={"name": "x_{date}"}), new=False)] == [
        "file_name_twice"
    ]


@pytest.fixture
def shelf(remembered):
    """Exports of every kind, in the order in which they were made."""
    exports = remembered.exports
    mail = [
        {"kind": "folder", "name": "finance", "options": {"folder": "z"}},
        {"kind": "email", "options": {}},
    ]
    exports.create(definition("apples", name="Äpfel 100%", owner="finance", schedule=DAILY), "zoe")
    exports.create(
        definition("Birnen".lower(), name="birnen", model="history", paused=True, schedule=DAILY), "ann"
    )
    exports.create(definition("cherries", name="Cherries_x", description="Für ÄRZTE", targets=mail), "bob")
    exports.sync({"d.yaml": definition("dates", model=None, exports=[
        {"id": "one", "model": "balance"}, {"id": "two", "model": "open_lots"},
    ], schedule={"kind": "once", "date": "2099-01-01", "time": "06:00"})})  # fmt: skip
    return exports


SEARCHES = [
    (Query(), ["dates", "cherries", "birnen", "apples"]),
    (Query(descending=False), ["apples", "birnen", "cherries", "dates"]),
    (Query(text="äPF"), ["apples"]),
    (Query(text="ärzte"), ["cherries"]),
    (Query(text="100%"), ["apples"]),
    (Query(text="s_x"), ["cherries"]),
    (Query(text="sx"), []),
    (Query(text="birn NEN"), ["birnen"]),
    (Query(text="' OR 1=1 --"), []),
    (Query(model="balance"), ["dates", "cherries", "apples"]),
    (Query(model="balanc_"), []),
    (Query(model="open_lots"), ["dates"]),
    (Query(target="email"), ["cherries"]),
    (Query(target="finance"), ["cherries"]),
    (Query(owner="finance"), ["apples"]),
    (Query(source="yaml"), ["dates"]),
    (Query(status=Status.ACTIVE), ["apples"]),
    (Query(status=Status.INACTIVE), ["birnen"]),
    (Query(status=Status.PENDING), ["dates", "cherries", "birnen", "apples"]),
    (Query(status=Status.FAILED), []),
    (Query(visible=["apples", "dates", "nobody"]), ["dates", "apples"]),
    (Query(visible=[]), []),
    (Query(sort="name", descending=False), ["birnen", "cherries", "dates", "apples"]),
    (Query(sort="created_by", descending=True), ["apples", "cherries", "birnen", "dates"]),
    (Query(sort="model", descending=False), ["cherries", "apples", "dates", "birnen"]),
    (Query(sort="next_at", descending=False), ["apples", "dates", "cherries", "birnen"]),
    (Query(sort="next_at", descending=True), ["dates", "apples", "cherries", "birnen"]),
    (Query(page=2, per_page=3), ["apples"]),
    (Query(page=3, per_page=3), []),
    (Query(page=-1, per_page=0), ["dates"]),
]


def test_search(shelf):
    results = [(query, shelf.search(query)) for query, _ in SEARCHES]
    assert [(query, ids(result)) for query, result in results] == SEARCHES
    assert all(
        result.total == (len(ids(result)) if query.page == 1 and query.per_page > 3 else 4)
        for query, result in results
    )


def test_what_can_be_filtered_by(shelf):
    assert shelf.choices().models == ("balance", "history", "open_lots")
    assert shelf.choices().targets == ("email", "finance", "folder")
    assert shelf.choices().owners == ("finance", "loyalty")


def test_the_next_run_moves_on_when_its_time_has_passed(remembered):
    exports = remembered.exports
    due = exports.create(definition(schedule=DAILY, timezone="Europe/Paris"), "ann").next_at
    assert due.astimezone(UTC).hour in {4, 5}
    passed = datetime(2026, 1, 1, tzinfo=UTC)
    with remembered.database.write() as connection:
        connection.execute(update(EXPORTS).values(next_at=passed))
    assert exports.search(Query()).rows[0].next_at == due
    once = {"kind": "once", "date": "2020-01-01", "time": "06:00"}
    assert exports.create(definition("past", schedule=once), "ann").next_at is None


def test_changed_keys_name_what_changed_and_hold_no_values():
    before = {"a": 1, "b": {"c": [1, 2]}, "d": {"e": "secret"}, "f": []}
    after = {"a": 1, "b": {"c": [1, 3, 4]}, "d": {"e": "other"}, "f": []}
    assert changed_keys(before, after) == ["b.c[1]", "b.c[2]", "d.e"]


def test_an_edit_tells_the_audit_chain_keys_and_no_values(remembered):
    remembered.exports.create(definition(), "ann")
    remembered.exports.save(definition(description="hush"), "ann", based_on=1)
    entry = remembered.audit.newest()[0]
    assert entry.detail["changed"] == ["description"]
    assert "hush" not in str(entry)


def test_an_hour_of_waiting_is_not_needed_for_many_exports(remembered):
    """Everything of a page is read at once: the number of statements does not follow the number of rows."""
    for number in range(30):
        remembered.exports.create(definition(f"e{number:02}"), "ann")
    count = 0

    def counting(*_):
        nonlocal count
        count += 1

    from sqlalchemy import event

    event.listen(remembered.database.engine, "before_cursor_execute", counting)
    assert len(remembered.exports.search(Query(per_page=30)).rows) == 30
    assert count <= 8


def test_instants_are_of_the_database(remembered):
    made = remembered.exports.create(definition(), "ann")
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)
