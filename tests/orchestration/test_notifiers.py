"""Rule: a definition chooses among the notifiers that an administrator names, with plain values, never with templates."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import BaseNotifier

from include.errors import BadInput
from include.orchestration.notifiers import airflow_notifier, made

TOLD = {
    "subject": "Weekly history: failed",
    "text": "{{ conn.x.password }}\n",
    "event": "failed",
    "page": "https://a",
}


class Recording(BaseNotifier):
    """Keeps what it was given."""

    template_fields = ("channel", "text")
    calls: list[dict] = []  # noqa: RUF012

    def __init__(self, channel, text, numbers=None):
        super().__init__()
        self.channel, self.text, self.numbers = channel, text, numbers

    def notify(self, context):
        self.calls.append({"channel": self.channel, "text": self.text, "numbers": self.numbers})


class NoNotifier:
    pass


ENTRY = {
    "path": f"{__name__}.Recording",
    "arguments": {"text": "{event} {subject}\n{text}{page} {owner}", "numbers": [1, "{event}"]},
    "leave": ["channel"],
}


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    Recording.calls.clear()
    entries = {
        "chat": ENTRY,
        "gone": {"path": "airflow.no_such.Thing"},
        "other": {"path": f"{__name__}.NoNotifier"},
        "odd": {"path": f"{__name__}.Recording", "arguments": {"colour": "red"}},
    }
    monkeypatch.setenv("LOYALTY_NOTIFIERS", json.dumps(entries))


def test_it_is_called_with_what_was_filled_in_and_nothing_is_rendered():
    began = []
    airflow_notifier("chat", {"channel": "#loyalty"}, TOLD, lambda: began.append(list(Recording.calls)))
    text = "failed Weekly history: failed\n{{ conn.x.password }}\nhttps://a {owner}"
    assert Recording.calls == [{"channel": "#loyalty", "text": text, "numbers": [1, "failed"]}]
    assert began == [[]]  # said before it was called


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("missing", {}, "unknown_notifier"),
        ("chat", {"text": "mine"}, "not_left"),
        ("chat", {"channel": "{{ var.value.secret }}"}, "template"),
        ("chat", {"channel": ["{% raw %}"]}, "template"),
        ("chat", {}, "bad_notifiers"),
        ("gone", {}, "bad_notifiers"),
        ("other", {}, "bad_notifiers"),
        ("odd", {}, "bad_notifiers"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_sent(name, arguments, code):
    with pytest.raises(BadInput) as caught:
        airflow_notifier(name, arguments, TOLD, lambda: pytest.fail("it began"))
    assert {problem.code for problem in caught.value.problems} == {code}
    assert Recording.calls == []


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"chat": {"path": "os"}}', '{"chat": {"path": "a.b", "more": 1}}']
)
def test_a_wrong_setting_is_named(monkeypatch, text):
    monkeypatch.setenv("LOYALTY_NOTIFIERS", text)
    with pytest.raises(BadInput, match="LOYALTY_NOTIFIERS"):
        made("chat", {}, TOLD)


def test_airflows_own_smtp_notifier_can_be_made(monkeypatch):
    entry = {
        "path": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
        "arguments": {
            "from_email": "a@b.example",
            "to": "ops@b.example",
            "subject": "{subject}",
            "html_content": "{text}",
        },
    }
    monkeypatch.setenv("LOYALTY_NOTIFIERS", json.dumps({"mail": entry}))
    notifier = made("mail", {}, TOLD)
    assert (notifier.subject, notifier.html_content) == (TOLD["subject"], TOLD["text"])
