"""Rule: who is told stands in a definition as plain addresses, connections and names; never as a template."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.definitions.addresses import is_address
from include.definitions.document import parse_yaml
from include.definitions.load import from_document
from include.definitions.model import version
from include.errors import BadInput

DOCUMENT = {
    "id": "x",
    "name": "X",
    "model": "balance",
    "targets": [{"kind": "folder", "options": {"folder": "x"}}],
}
TEXT = """
late_after: 2h
rules:
  - {kind: email, to: [ops@example.com, ann@example.com], when: [finished, failed]}
  - {kind: webhook, connection: chat}
  - {kind: airflow, notifier: ops_chat, arguments: {channel: "#loyalty"}}
"""


def problems(notify: object) -> list[tuple[str, str]]:
    with pytest.raises(BadInput) as caught:
        from_document(DOCUMENT | {"notify": notify}, where="x.yaml")
    return [(problem.where, problem.code) for problem in caught.value.problems]


def test_all_of_it_is_read_and_written_back():
    one = from_document(DOCUMENT | {"notify": parse_yaml(TEXT, where="x")}, where="x")
    assert one.notify.late_after == timedelta(hours=2)
    assert [rule.kind for rule in one.notify.rules] == ["email", "webhook", "airflow"]
    assert [rule.when for rule in one.notify.rules] == [
        ["finished", "failed"],
        *[["failed", "late", "uncertain"]] * 2,
    ]
    assert one.notify.requester
    assert from_document(one.document(), where="x") == one


def test_left_out_nothing_of_it_stands_in_the_document():
    assert "notify" not in from_document(DOCUMENT, where="x").document()


def test_whom_it_tells_changes_no_version():
    plain = from_document(DOCUMENT, where="x")
    told = from_document(DOCUMENT | {"notify": parse_yaml(TEXT, where="x")}, where="x")
    assert version(plain) == version(told)


@pytest.mark.parametrize(
    ("notify", "where", "code"),
    [
        ({"rules": [{"kind": "email", "to": []}]}, "x.yaml: notify.rules[0].to", "too_short"),
        ({"rules": [{"kind": "email", "to": ["a@b.example\r\nBcc: c@d.example"]}]}, "x.yaml: notify.rules[0].to[0]", "bad_address"),
        ({"rules": [{"kind": "email", "to": ["Ann <ann@example.com>"]}]}, "x.yaml: notify.rules[0].to[0]", "bad_address"),
        ({"rules": [{"kind": "email", "to": ["a@b.example"], "when": ["done"]}]}, "x.yaml: notify.rules[0].when[0]", "literal_error"),
        ({"rules": [{"kind": "email", "to": ["a@b.example"], "when": ["late", "late"]}]}, "x.yaml: notify.rules[0].when", "event_twice"),
        ({"rules": [{"kind": "email", "to": ["a@b.example"], "when": []}]}, "x.yaml: notify.rules[0].when", "too_short"),
        ({"rules": [{"kind": "webhook", "connection": "https://hooks.example"}]}, "x.yaml: notify.rules[0].connection", "bad_connection_name"),
        ({"rules": [{"kind": "airflow", "notifier": "os.system"}]}, "x.yaml: notify.rules[0].notifier", "bad_identifier"),
        ({"rules": [{"kind": "airflow", "path": "os.system", "notifier": "x"}]}, "x.yaml: notify.rules[0].path", "unknown_key"),
        ({"rules": [{"kind": "sms", "to": ["1"]}]}, "x.yaml: notify.rules[0].kind", "unknown_kind"),
        ({"late_after": "two hours"}, "x.yaml: notify.late_after", "bad_delay"),
        ({"late_after": "-1h"}, "x.yaml: notify.late_after", "bad_delay"),
        ({"on": ["failed"]}, "x.yaml: notify.on", "unknown_key"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_named(notify, where, code):
    assert (where, code) in problems(notify)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ops@example.com", True),
        ("first.last+loyalty@sub.example.co", True),
        ("o'neil@localhost", True),
        ("ops", False),
        ("@example.com", False),
        ("ops@", False),
        ("ops@example..com", False),
        (".ops@example.com", False),
        ("ops@-example.com", False),
        ("ops@example.com\n", False),
        ("ops@example.com, ann@example.com", False),
        ("ops@exämple.com", False),
        ("a" * 65 + "@example.com", False),
        ("a@" + "b" * 63 + ".example.com", True),
        ("a@" + "b" * 64 + ".example.com", False),
        ("a@" + ".".join(["b" * 60] * 5), False),
        ("=?utf-8?q?=0d=0aBcc=3a_eve=40evil?=@example.com", False),
    ],
)
def test_an_address_is_one_plain_address(text, is_one):
    assert is_address(text) is is_one
