"""LOYALTY_INBOXES: what is watched, and every mistake in the file at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.errors import BadInput
from include.imports.options import Mode, Options
from include.pipeline.inbox.config import Inbox, inboxes
from include.settings import Settings

GOOD = """
inboxes:
  - {name: crm, mode: add, program: gold, folder: /srv/inbox/crm}
  - name: partner
    connection: sftp_partner
    folder: out/points
    mode: points
    program: gold
    subledger: winter
    files: "points-*.csv"
    same_name: true
    quiet: 1m
"""


def of(tmp_path, text: str) -> Settings:
    path = tmp_path / "inboxes.yaml"
    path.write_text(text)
    return Settings.from_environment({"LOYALTY_HOME": str(tmp_path), "LOYALTY_INBOXES": str(path)})


def codes(tmp_path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        inboxes(of(tmp_path, text))
    return [(problem.where, problem.code) for problem in caught.value.problems]


def test_no_file_is_no_inbox(tmp_path):
    assert inboxes(Settings.from_environment({"LOYALTY_HOME": str(tmp_path)})) == []


def test_what_is_left_out_has_its_usual_value(tmp_path):
    crm, partner = inboxes(of(tmp_path, GOOD))
    assert crm.options == Options(mode=Mode.ADD, program="gold")
    assert (crm.connection, crm.quiet, crm.same_name, crm.who) == (
        None,
        timedelta(seconds=20),
        False,
        "inbox crm",
    )
    assert partner.options == Options(mode=Mode.POINTS, program="gold", subledger="winter")
    assert (partner.quiet, partner.same_name) == (timedelta(minutes=1), True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "inboxes: [{name: A, mode: add, folder: /a}]",
            [("inboxes.yaml: inboxes[0].name", "string_pattern_mismatch")],
        ),
        ("inboxes: [{name: a, mode: undo, folder: /a}]", [("inboxes.yaml: inboxes[0]", "value_error")]),
        ("inboxes: [{name: a, mode: add, folder: a}]", [("inboxes.yaml: inboxes[0]", "value_error")]),
        (
            "inboxes: [{name: a, mode: add, folder: /a/../b}]",
            [("inboxes.yaml: inboxes[0].folder", "value_error")],
        ),
        (
            "inboxes: [{name: a, mode: add, folder: /a, quiet: 6m}]",
            [("inboxes.yaml: inboxes[0]", "value_error")],
        ),
        (
            "inboxes: [{name: a, mode: add, folder: /a, what: 1}]",
            [("inboxes.yaml: inboxes[0].what", "unknown_key")],
        ),
        (
            "inboxes: [{name: a, mode: add, folder: /a}, {name: a, mode: add, folder: /a}]",
            [("inboxes.yaml", "inbox_twice"), ("inboxes.yaml", "folder_twice")],
        ),
        ("inbox: []", [("inboxes.yaml: inboxes", "missing_key"), ("inboxes.yaml: inbox", "unknown_key")]),
    ],
)
def test_mistakes_are_told_all_at_once(tmp_path, text, found):
    assert codes(tmp_path, text) == found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("points.csv", True),
        ("Points.CSV", False),
        (".points.csv", False),
        ("points.csv.part", False),
        ("points.csv.filepart", False),
        ("~points.csv", False),
        ("points.csv~", False),
        ("points.TMP", False),
        ("members.csv", False),
    ],
)
def test_a_name_of_a_file_that_is_not_whole_is_left_alone(name, wanted):
    assert Inbox(name="a", mode=Mode.ADD, folder="/a", files="points*").wants(name) is wanted
