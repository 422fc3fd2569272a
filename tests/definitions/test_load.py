"""Definition files: every bad input has one test with its exact message; all problems come at once."""

from __future__ import annotations

import pytest

from include.definitions.load import from_document, load, load_all, scan
from include.definitions.model import ExportDefinition, version
from include.errors import BadInput, Problem

GOOD = {
    "id": "daily-balances",
    "name": "Daily balances",
    "model": "balance",
    "timezone": "Europe/Paris",
    "schedule": {"kind": "daily", "time": "06:00"},
    "targets": [{"kind": "folder"}],
}
WEEKLY = {"kind": "weekly", "days": ["monday"], "time": "09:00"}
AS_OF = (
    "period_end, occurrence, end_of_previous_day, end_of_previous_week, end_of_previous_month, "
    "end_of_previous_quarter, end_of_previous_year, end_of_this_day, end_of_this_week, end_of_this_month, "
    "end_of_this_quarter, end_of_this_year"
)


def good(**keys) -> ExportDefinition:
    return from_document(GOOD | keys, where="x.yaml")


def problems(document) -> list[str]:
    with pytest.raises(BadInput) as caught:
        from_document(document, where="x.yaml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"id": "Daily"}, ("x.yaml: id: 'Daily': must be 1 to 64 lower-case letters, digits, - and _, with a letter or "
         "digit at both ends")),
        ({"id": "größe"}, ("x.yaml: id: 'größe': must be 1 to 64 lower-case letters, digits, - and _, with a letter or "
         "digit at both ends")),
        ({"name": ""}, "x.yaml: name: '': must be one line of 1 to 200 printable characters"),
        ({"name": "a\nb"}, "x.yaml: name: 'a\\nb': must be one line of 1 to 200 printable characters"),
        ({"owner": "ann\r\nBcc: x"}, "x.yaml: owner: 'ann\\r\\nBcc: x': must be one line of 1 to 200 printable characters"),
        ({"nam": "x"}, ("x.yaml: nam: 'nam': is not a key here; known keys are "
         f"{', '.join(sorted(ExportDefinition.model_fields))}")),
        ({"model": "../x"}, "x.yaml: model: '../x': must be a name of lower-case letters, digits and _"),
        ({"timezone": "EST"}, ("x.yaml: timezone: 'EST': must be the name of an IANA time zone with its place, such as "
         "Europe/Paris, or UTC")),
        ({"timezone": "europe/pari"}, ("x.yaml: timezone: 'europe/pari': must be the name of an IANA time zone with its "
         "place, did you mean Europe/Paris?")),
        ({"timezone": "../../etc/passwd"}, ("x.yaml: timezone: '../../etc/passwd': must be the name of an IANA time zone "
         "with its place, such as Europe/Paris, or UTC")),
        ({"schedule": {"kind": "monthly", "days": [30], "months": [2], "time": "06:00"}},
         ("""x.yaml: schedule: '{"kind": "monthly", "days": [30], "months": [2], "time": "06:00"}': never fires: no day in """
         "its bounds is one of its days")),
        ({"schedule": {"kind": "monthly", "days": [32], "time": "06:00"}},
         "x.yaml: schedule.days[0]: '32': must be a day from 1 to 31, or last"),
        ({"schedule": {"kind": "weekly", "days": [], "time": "06:00"}},
         "x.yaml: schedule.days: '[]': must have at least 1"),
        ({"schedule": {"kind": "weekly", "days": ["mandag"], "time": "06:00"}},
         ("x.yaml: schedule.days[0]: 'mandag': must be 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', "
         "'saturday' or 'sunday'")),
        ({"schedule": {"kind": "hourly"}}, ("x.yaml: schedule.kind: 'hourly': must be one of 'once', 'daily', 'weekly', "
         "'monthly', 'business_day', 'quarter_end'")),
        ({"schedule": {"time": "06:00"}}, "x.yaml: schedule.kind: '': is required"),
        ({"schedule": {"kind": "daily", "time": "06:00", "start": "2026-02-01", "end": "2026-01-01"}},
         ("""x.yaml: schedule: '{"kind": "daily", "time": "06:00", "start": "2026-02-01", "end": "2026-01-01"}': start must """
         "be before end; end is the first day without a run")),
        ({"schedule": {"kind": "once", "date": "2026-02-30", "time": "06:00"}},
         "x.yaml: schedule.date: '2026-02-30': is not in the calendar"),
        ({"schedule": {"kind": "daily", "time": "6am"}},
         "x.yaml: schedule.time: '6am': must be a time of day such as 06:00 or 23:30"),
        ({"period": "last_month"}, None),
        ({"period": {"kind": "custom", "start": "2026-02-01", "end": "2026-01-01"}},
         """x.yaml: period: '{"kind": "custom", "start": "2026-02-01", "end": "2026-01-01"}': start must be before end"""),
        ({"period": {"kind": "custom", "start": "2026-02-01", "end": "2026-02-01"}},
         ("""x.yaml: period: '{"kind": "custom", "start": "2026-02-01", "end": "2026-02-01"}': is empty: end is the first """
         "day after the period")),
        ({"period": "custom"}, """x.yaml: period: '{"kind": "custom"}': custom needs start and end"""),
        ({"period": {"kind": "all_time", "start": "2026-02-01"}},
         """x.yaml: period: '{"kind": "all_time", "start": "2026-02-01"}': start and end go with kind custom only"""),
        ({"period": {"kind": "previous_month", "include_current_day": True}},
         ("""x.yaml: period: '{"kind": "previous_month", "include_current_day": true}': include_current_day does not go """
         "with previous_month")),
        ({"as_of": "yesterday"}, (f"x.yaml: as_of: 'yesterday': must be one of {AS_OF}, or an instant such as "
         "2026-02-01T00:00:00+01:00")),
        ({"as_of": "2026-02-01T00:00:00"}, ("x.yaml: as_of: '2026-02-01T00:00:00': has no zone; add one, as in "
         "2026-02-01T00:00:00+01:00 or ...Z")),
        ({"as_of": "2026-02-31T00:00:00Z"}, ("x.yaml: as_of: '2026-02-31T00:00:00Z': must be an instant such as "
         "2026-02-01T00:00:00+01:00")),
        ({"fields": []}, "x.yaml: fields: '[]': must have at least 1"),
        ({"fields": ["active", {"field": "pending", "header": "active"}]},
         ("""x.yaml: fields: '["active", {"field": "pending", "header": "active"}]': the header active is here twice; """
         "give one of them another")),
        ({"fields": [{"field": "active", "header": "a\nb"}]},
         "x.yaml: fields[0].header: 'a\\nb': must be one line of 1 to 200 printable characters"),
        ({"fields": [{"name": "active", "field": "x"}]},
         "x.yaml: fields[0].name: 'name': is not a key here; known keys are field, header"),
        ({"file": {"compression": "rar"}}, "x.yaml: file.compression: 'rar': must be 'none', 'gzip', 'zip' or 'zstd'"),
        ({"file": {"name": "../{period}"}}, ("x.yaml: file.name: '../{period}': must be a file name without / and \\; "
         "folders are set on the target; must not begin with a dot: hidden and .part names are for files in the making")),
        ({"targets": []}, "x.yaml: targets: '[]': must have at least 1"),
        ({"targets": [{"kind": "folder"}] * 2},
         ("""x.yaml: targets: '[{"kind": "folder"}, {"kind": "folder"}]': two targets are called folder; give one of them """
         "another name")),
        ({"targets": [{"kind": "folder", "path": "x"}]},
         "x.yaml: targets[0].path: 'path': is not a key here; known keys are kind, name, options"),
        ({"targets": "folder"}, "x.yaml: targets: 'folder': must be a valid list"),
        ({"settle_delay": "-5m"}, ("x.yaml: settle_delay: '-5m': must be a whole number with s, m, h or d, such as 5m, of "
         "7 days at most")),
        ({"settle_delay": "8d"}, ("x.yaml: settle_delay: '8d': must be a whole number with s, m, h or d, such as 5m, of "
         "7 days at most")),
        ({"enabled": "yes"}, "x.yaml: enabled: 'yes': must be true or false"),
        ({"enabled": 1}, "x.yaml: enabled: '1': must be true or false"),
        ({"limit": True}, "x.yaml: limit: 'true': must be a whole number"),
        ({"limit": "3"}, "x.yaml: limit: '3': must be a whole number"),
        ({"limit": 2.0}, "x.yaml: limit: '2.0': must be a whole number"),
        ({"file": {"split": {"rows": True}}}, "x.yaml: file.split.rows: 'true': must be a whole number"),
        ({"restate": {"last": "3"}}, "x.yaml: restate.last: '3': must be a whole number"),
        ({"enabled": "perhaps"}, "x.yaml: enabled: 'perhaps': must be true or false"),
        ({"schedule": 7}, "x.yaml: schedule: '7': must be a mapping of keys to values"),
        ({"period": 7}, "x.yaml: period: '7': must be a mapping of keys to values"),
    ],
)  # fmt: skip
def test_one_wrong_value(keys, message):
    found = problems(GOOD | keys)
    assert len(found) == 1
    if message is None:
        assert found[0].startswith("x.yaml: period.kind: 'last_month': must be 'since_previous_occurrence', ")
    else:
        assert found == [message]


@pytest.mark.parametrize(
    ("keys", "place", "right"),
    [
        ({"as_of": "period_end"}, "as_of: 'period_end'", "as_of period_end needs a period"),
        ({"period": "previous_month", "as_of": "occurrence"}, "as_of: 'occurrence'",
         "with a period, T is its end: leave out one of period and as_of"),
        ({"period": "since_last_delivery", "schedule": None}, "period: 'since_last_delivery'",
         "a period since something needs a schedule that recurs"),
        ({"period": "since_previous_occurrence", "schedule": {"kind": "once", "date": "2026-01-01", "time": "06:00"}},
         "period: 'since_previous_occurrence'", "a period since something needs a schedule that recurs"),
    ],
)  # fmt: skip
def test_parts_that_do_not_go_together(keys, place, right):
    assert problems(GOOD | keys) == [f"x.yaml: {place}: {right}"]


@pytest.mark.parametrize(
    ("keys", "place", "more"),
    [
        ({"limit": 5}, "limit: '5'", []),
        ({"file": {"format": "json"}, "limit": 5}, """file.format: '{"format": "json"}'""", ["limit"]),
        ({"bundle": "workbook", "exports": [{"id": "a", "model": "balance", "file": {"compression": "gzip"}}]},
         "exports[0].file: ", []),
        ({"bundle": "workbook", "exports": [{"id": "a" * 32, "model": "balance"}]}, "exports[0].id: ", []),
        ({"exports": [{"id": "a", "model": "balance", "fields": ["tier"],
                       "aggregation": [{"field": "tier", "function": "group"}]}]}, """exports[0].fields: '["tier"]'""", []),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_pack_has_its_place(keys, place, more):
    pack = {key: value for key, value in GOOD.items() if key != "model"} | {
        "exports": [{"id": "a", "model": "balance"}]
    }
    found = problems(pack | keys)
    assert found[0].startswith(f"x.yaml: {place}")
    assert [each.partition(":")[2].partition(":")[0].strip() for each in found[1:]] == more


def test_a_part_and_a_target_that_are_wrong_do_not_hide_the_others():
    """Each look stops at what is wrong; what is wrong is set aside, and the others are looked at again."""
    export = {"id": "a", "model": "balance", "limit": "many"}
    pack = {
        "id": "P", "name": "x", "exports": [export, {"id": "b", "model": "history"}],
        "as_of": "period_end", "targets": [{"kind": "folder", "colour": 1}, {"kind": "sftp", "options": {}}],
    }  # fmt: skip
    looked = []

    def check(definition, where):
        looked.append([part.id for part in definition.parts])
        wrong = [f"{where}: exports[{index}].model" for index, part in enumerate(definition.parts)]
        return [
            Problem(each, "", "is wrong", "wrong") for each in [*wrong, f"{where}: targets[1].options.folder"]
        ]

    with pytest.raises(BadInput) as caught:
        from_document(pack, where="x.yaml", check=check)
    assert [each.where for each in caught.value.problems] == [
        "x.yaml: id", "x.yaml: exports[0].limit", "x.yaml: targets[0].colour", "x.yaml: as_of",
        "x.yaml: exports[1].model", "x.yaml: targets[1].options.folder",
    ]  # fmt: skip
    assert looked[0] == ["stand-in-0", "b"]


def test_all_problems_at_once():
    found = problems(
        {"id": "X", "timezone": "EST", "schedule": {"kind": "monthly", "days": [0, "x"]}, "targets": [{}]}
    )
    assert [text.split(": ")[1] for text in found] == [
        "id", "name", "model", "timezone", "schedule.time", "schedule.days[0]", "schedule.days[1]", "targets[0].kind",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.yaml: '': must be a mapping of keys to values, such as id: daily-balances"),
        ("- a", """x.yaml: '["a"]': must be a mapping of keys to values, such as id: daily-balances"""),
        ("id: a\nid: b", "x.yaml: line 2: 'id': the key is here twice; keep one"),
    ],
)
def test_files_that_are_no_definition(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(path)
    assert str(caught.value) == message


def write(folder, name: str, **keys) -> None:
    lines = {"id": name, "name": "N", "model": "balance", "targets": "[{kind: folder}]"} | keys
    (folder / f"{name}.yaml").write_text("\n".join(f"{key}: {value}" for key, value in lines.items()))


def test_an_id_twice(tmp_path):
    write(tmp_path, "a", id="daily")
    write(tmp_path, "b", id="daily")
    with pytest.raises(BadInput) as caught:
        load_all(tmp_path)
    assert str(caught.value) == "b.yaml: id: 'daily': is the id of a.yaml too; choose another"


@pytest.mark.parametrize("other", ["Daily", "DAILY", "\uff44\uff41\uff49\uff4c\uff59"])
def test_an_id_twice_by_case_or_unicode_form_cannot_be_written_at_all(other):
    assert problems(GOOD | {"id": other}) == [
        f"x.yaml: id: {other!r}: must be 1 to 64 lower-case letters, digits, - and _, with a letter or digit at both ends"
    ]


def test_half_a_character_is_refused_with_its_place():
    document = GOOD | {"filters": {"all": [{"field": "tier", "is": "a\ud800"}]}, "name": "\udfff"}
    assert sorted(problems(document)) == [
        "x.yaml: filters.all[0].is: 'a\\\\ud800': has half a character (a lone surrogate); write the whole one",
        "x.yaml: name: '\\\\udfff': has half a character (a lone surrogate); write the whole one",
    ]


def test_two_definitions_with_one_target_and_name(tmp_path):
    write(tmp_path, "a", file="{name: 'points_{period}'}")
    write(tmp_path, "b", file="{name: 'Points_{period}'}")
    write(tmp_path, "c", file="{name: 'points_{period}'}", targets="[{kind: folder, options: {folder: c}}]")
    with pytest.raises(BadInput) as caught:
        load_all(tmp_path)
    assert str(caught.value) == (
        "b.yaml: file.name: 'Points_{period}': makes the same file names in the same target folder as a.yaml; add {id}"
    )


def test_one_broken_file_leaves_the_others_sound(tmp_path):
    write(tmp_path, "a")
    write(tmp_path, "b", timezone="EST")
    write(tmp_path, "c")
    (tmp_path / ".hidden.yaml").write_text("[")
    (tmp_path / "notes.txt").write_text("[")
    found, wrong = scan(tmp_path)
    assert list(found) == ["a.yaml", "c.yaml"]
    assert [problem.where for problem in wrong] == ["b.yaml: timezone"]


def test_further_checks_are_raised_with_the_file(tmp_path):
    write(tmp_path, "a", model="balances")

    def check(definition, where):
        return [
            Problem(f"{where}: model", definition.model, "known report kinds are balance", "unknown_report")
        ]

    with pytest.raises(BadInput, match=r"a\.yaml: model: 'balances': known report kinds are balance"):
        load(tmp_path / "a.yaml", check=check)


def test_a_document_round_trips():
    one = good(
        period="since_last_delivery",
        schedule=WEEKLY | {"start": "2026-01-01"},
        fields=["active", {"field": "pending", "header": "Pending"}],
        settle_delay="1h",
        file={"options": {"delimiter": ";"}, "compression": "gzip"},
    )
    assert from_document(one.document(), where="x") == one
    assert version(from_document(one.document(), where="x")) == version(one)


@pytest.mark.parametrize(
    "keys",
    [
        {"description": "other"}, {"owner": "other"}, {"schedule": WEEKLY}, {"paused": True}, {"enabled": False},
        {"settle_delay": "1h"}, {"name": "Other"}, {"options": {}}, {"file": {"format": "csv"}},
    ],
)  # fmt: skip
def test_what_touches_neither_bytes_nor_destination_keeps_the_version(keys):
    assert version(good(**keys)) == version(good())


@pytest.mark.parametrize(
    "keys",
    [
        {"id": "other"}, {"model": "history"}, {"options": {"grain": "customer"}}, {"timezone": "UTC"},
        {"filters": {"segment": "active"}}, {"order": "-active"}, {"limit": 1},
        {"aggregation": [{"field": "tier", "function": "group"}]},
        {"as_of": "end_of_previous_day"}, {"period": "previous_day"}, {"fields": ["active"]},
        {"file": {"compression": "zip"}}, {"file": {"name": "{name}_{period}"}}, {"targets": [{"kind": "sftp"}]},
    ],
)  # fmt: skip
def test_what_touches_bytes_or_destination_changes_the_version(keys):
    assert version(good(**keys)) != version(good())


def test_the_name_counts_where_a_file_bears_it():
    file = {"name": "{name}_{period}"}
    assert version(good(file=file)) != version(good(file=file, name="Other"))
