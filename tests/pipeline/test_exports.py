"""One door for exports of the pages: every check that a file passes, and no surprise from either side."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from include.definitions.load import load_all
from include.errors import BadInput
from include.pipeline import Context, digest, watch
from include.pipeline.exports import clone, create, delete, known, made, refresh, save, unsound, validated
from include.pipeline.snapshot_stage import needs
from include.settings import ROOT
from include.state.exports import Edited, Query
from include.state.tables import EXPORT_EDITS

FOLDER = [{"kind": "folder", "options": {"folder": "out"}}]


def document(id_="daily", **changes):
    return {"id": id_, "name": id_.title(), "model": "balance", "targets": FOLDER, **changes}


def problems(call):
    with pytest.raises(BadInput) as caught:
        call()
    return [(problem.where, problem.code) for problem in caught.value.problems]


def write(context: Context, name: str, text: str) -> Path:
    context.settings.exports.mkdir(exist_ok=True)
    path = context.settings.exports / name
    path.write_text(text)
    return path


def yaml_of(id_, model="balance"):
    return (
        f"id: {id_}\nname: {id_}\nmodel: {model}\ntargets: [{{kind: folder, options: {{folder: {id_}}}}}]\n"
    )


WRONG = [
    (document("new"), [("id", "reserved_id")]),
    (document("Up"), [("id", "bad_identifier")]),
    (document(model="balanec"), [("model", "unknown_model")]),
    (document(targets=[{"kind": "folder", "options": {"foldr": "x"}}]), [
        ("targets[0].options.foldr", "unknown_key"), ("targets[0].options.folder", "missing_key"),
    ]),
    (document(fields=["no_such_field"]), [("fields[0].field", "unknown_field")]),
    (document(filters=[{"field": "nowhere", "is": 1}]), [("filters.all[0].field", "unknown_field")]),
    (document(timezone="Mars/Olympus", schedule={"kind": "daily", "time": "25:00"}), [
        ("schedule.time", "bad_time"),
        ("timezone", "unknown_time_zone"),
    ]),
    ([], [("", "not_a_mapping")]),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "found"), WRONG)
def test_problems_name_the_fields_of_the_form(context, wrong, found):
    told = problems(lambda: validated(context, wrong))
    assert sorted(where for where, _ in told) == sorted(where for where, _ in found)
    assert {code for _, code in found} <= {code for _, code in told}
    assert context.state.exports.search(Query()).total == 0


def test_a_field_of_another_profile_is_told_with_the_way_to_it(context):
    with pytest.raises(BadInput) as caught:
        validated(context, document(model="history", fields=["confirmed_points", "shoe_size"]))
    other, unknown = caught.value.problems
    assert other.right.endswith("; the model has it with options: {profile: all}")
    assert "profile" not in unknown.right
    validated(context, document(model="history", fields=["confirmed_points"], options={"profile": "all"}))


def test_a_problem_can_name_where_the_document_came_from(context):
    assert problems(lambda: validated(context, document(model="x"), "request"))[0][0] == "request: model"
    assert problems(lambda: validated(context, None, "request"))[0][0] == "request"


@pytest.mark.parametrize("shipped", load_all(ROOT / "include" / "exports").values(), ids=lambda each: each.id)
def test_every_shipped_export_could_be_made_in_the_pages(context, shipped):
    assert create(context, shipped.document(), "ann").document == shipped.document()


def test_missing_keys_are_told_before_anything_is_saved(context):
    encrypted = {"encryption": {"kind": "openpgp", "options": {"recipients": ["nobody"]}}}
    told = problems(lambda: create(context, document(file=encrypted), "ann"))
    assert all(where.startswith("file.encryption") for where, _ in told)
    assert context.state.exports.ids() == frozenset()


MAIL_RULE = {"kind": "email", "to": ["ops@shop.example"]}


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        ([{"kind": "webhook", "connection": "chat"}], {"notify.rules[0].connection": "AIRFLOW_CONN_CHAT"}),
        (
            [{"kind": "airflow", "notifier": "ops"}, MAIL_RULE],
            {"notify.rules[1].connection": "AIRFLOW_CONN_LOYALTY_MAIL"},
        ),
        (
            [{**MAIL_RULE, "connection": "post"}, {"kind": "webhook", "connection": "broken"}],
            {"notify.rules[0].connection": "AIRFLOW_CONN_POST", "notify.rules[1].connection": "must hold"},
        ),
        ([{**MAIL_RULE, "connection": "mail"}, {"kind": "webhook", "connection": "mail"}], {}),
        ([], {}),
    ],
)
def test_connections_of_notices_are_told_of_before_anybody_waits_for_one(context, monkeypatch, rules, wrong):
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", "smtp://mail.shop.example")
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
    given = document(notify={"rules": rules})
    found: dict[str, str] = {}
    try:
        create(context, given, "ann")
    except BadInput as error:
        found = {problem.where: problem.right for problem in error.problems}
    assert found.keys() == wrong.keys()
    assert all(word in found[where] for where, word in wrong.items())
    assert (context.state.exports.ids() == frozenset()) is bool(wrong)


def test_the_id_of_a_file_is_taken_even_if_nobody_has_looked_at_the_file_yet(context):
    write(context, "file.yaml", yaml_of("daily"))
    assert problems(lambda: create(context, document(), "ann")) == [("id", "id_twice")]
    assert problems(lambda: save(context, "daily", document(), "ann", based_on=1)) == [
        ("id", "export_of_a_file")
    ]


def test_create_save_and_delete(context):
    made = create(context, document(), "ann")
    saved = save(context, "daily", document(name="New"), "bob", based_on=made.number)
    assert (saved.name, saved.number) == ("New", 2)
    assert problems(lambda: save(context, "daily", document("other"), "bob", based_on=2)) == [
        ("id", "id_changed")
    ]
    with pytest.raises(Edited):
        save(context, "daily", document(name="Late"), "ann", based_on=1)
    delete(context, "daily", "bob", based_on=2)
    assert known(context) == {}


def test_the_catalogue_follows_the_files_and_reads_them_only_when_they_change(context, monkeypatch):
    path = write(context, "a.yaml", yaml_of("a"))
    write(context, "broken.yaml", "id: [")
    refresh(context)
    assert context.state.exports.ids() == {"a"}
    with monkeypatch.context() as patched:
        patched.setattr("include.pipeline.exports.scan", lambda *_, **__: pytest.fail("reads files again"))
        refresh(context)
    path.write_text(yaml_of("a", "nonsense"))
    refresh(context)
    assert context.state.exports.get("a").broken
    path.unlink()
    refresh(context)
    assert context.state.exports.ids() == frozenset()


def test_known_are_files_and_pages_and_a_broken_one_harms_no_other(context):
    write(context, "a.yaml", yaml_of("a"))
    create(context, document("b", enabled=False), "ann")
    assert set(known(context)) == {"a", "b"}
    found, wrong = made(context, check=lambda _, where: pytest.fail(where) if where == "a" else [])
    assert (set(found), wrong) == ({"b"}, [])


def test_what_looks_after_exports_looks_after_those_of_the_pages(context):
    """The watch for late runs, the digest, and the columns that a shared snapshot has."""
    schedule = {"kind": "daily", "time": "06:00"}
    create(context, document(schedule=schedule, notify={"late_after": "1h"}), "ann")
    create(
        context, document("customers", model="customers", fields=["email"], file={"name": "c_{date}"}), "ann"
    )
    made_at = context.state.exports.get("daily").created_at
    assert list(watch.late_runs(context, made_at)) == []
    late = list(watch.late_runs(context, made_at + timedelta(days=2)))
    assert {due.definition.id for due in late} == {"daily"}
    assert "Daily" in str(digest.digest(context, made_at, made_at).tables)
    assert "customers" in needs(context.settings)


def test_a_clone_has_a_free_id_and_says_that_it_is_one(context):
    create(context, document("x" * 64, name="N" * 200, file={"name": "{id}_{date}"}), "ann")
    first = clone(context, "x" * 64)
    assert (first["id"], len(first["name"])) == ("x" * 59 + "-copy", 200)
    assert first["name"].startswith("Copy of N")
    create(context, first, "bob")
    assert clone(context, "x" * 64)["id"] == "x" * 57 + "-copy-2"
    assert problems(lambda: clone(context, "nowhere")) == [("export", "unknown_export")]


def rewritten(context, id_, document):
    """The document of an export, as an earlier version of the program, or somebody's own hand, left it."""
    with context.state.database.write() as connection:
        mine = EXPORT_EDITS.c.definition_id == id_
        connection.execute(EXPORT_EDITS.update().where(mine).values(document=document))
    return context.state.exports.get(id_)


def test_what_an_export_was_made_of_may_be_known_no_more(context):
    create(context, document("gone"), "anna")
    assert unsound(context, context.state.exports.get("gone")) == []
    pigeon = [{"kind": "carrier_pigeon", "options": {}}]
    left = rewritten(context, "gone", document("gone", model="balances", targets=pigeon))
    found = unsound(context, left)
    assert {("model", "unknown_model"), ("targets[0].kind", "unknown_kind")} & {
        (x.where, x.code) for x in found
    }
    found = unsound(context, rewritten(context, "gone", ["no", "mapping"]))
    assert [(x.where, x.code) for x in found] == [("", "not_a_mapping")]
    assert problems(lambda: clone(context, "gone")) == [("export", "unreadable_export")]


def test_a_clone_of_a_file_can_be_edited(context):
    write(context, "a.yaml", yaml_of("a"))
    refresh(context)
    copy = clone(context, "a")
    assert create(context, copy, "ann").source == "ui"


def test_looking_again_costs_next_to_nothing(context):
    for number in range(50):
        write(context, f"{number}.yaml", yaml_of(f"e{number}"))
    refresh(context)
    began = time.process_time()
    for _ in range(10):
        refresh(context)
    assert time.process_time() - began < 0.5
