"""The worst values that somebody can type, in every field of the form: told, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.web.editor.page_form import Pairs, sent
from tests.web.editor.pressing import NEW, form_of, press, summary, value

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

EXAMPLES = sorted(Path("include/exports").glob("*.yaml"))


WORST = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ conn.x.password }}", "{0.__class__}", "{% raw %}", "' OR 1=1 --",
    "../../etc/passwd", "C:\\x\\y", "CON.csv", "\u202etxt.exe", "a\x00b", "x" * 300, "9" * 400, "-1", "1e3", "NaN", "٣", "2^63", "0x10",
    "30 February", "2026-02-30", "0000-00-00", "=1+1", "victim@x.example\r\nBcc: other@x.example", "&a [*a, *a]", "!!python/object:os.system",
    "[" * 500, '{"a":' * 200, "😀", "\uff2e\uff26\uff2b\uff23", "${HOME}", "%n%s", "null", "true", "EST", "a/b", "\u200b", "\ufeff", ";" * 50,
]  # fmt: skip
FULL = {
    "schedule__kind": "monthly", "targets__0__kind": "email", "file__encryption__kind": "openpgp", "columns": "chosen",
    "privacy__fields__0__field": "email", "privacy__fields__0__do": "mask", "conditions__alerts__0__column": "active",
    "notify__rules__0__kind": "email", "period__kind": "custom", "compare": "{}",
}  # fmt: skip
HIDDEN = {"form_token", "kept", "do", "as_yaml"}


DECIDERS = frozenset({
    "schedule.kind", "targets.0.kind", "file.format", "file.encryption.kind", "layout", "columns", "notify.rules.0.kind", "given", "was",
})  # fmt: skip


@pytest.fixture
def full(anna) -> Pairs:
    """A form with all there is in it."""
    pairs = sent(press(anna, NEW, form_of(anna), "show", **FULL).text)
    return [*pairs, ("given", ""), ("was", "")]


def unbroken(answer) -> None:
    assert answer.status_code in (200, 422), answer.text
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text


def test_the_worst_values_in_every_field_are_told_and_never_break_a_page(anna, context, full):
    """Each field gets each of the values once; the fields that decide on others stay as they are."""
    names = [name for name, _ in full if name not in HIDDEN | DECIDERS]
    assert len(names) > 60
    for turn in range(len(WORST)):
        worst = {name: WORST[(turn + number) % len(WORST)] for number, name in enumerate(names)}
        answer = press(anna, NEW, [(name, worst.get(name, text)) for name, text in full])
        unbroken(answer)
        assert len(summary(answer)) > 3
    assert context.state.exports.ids() <= {path.stem for path in EXAMPLES}


def test_the_worst_values_where_fields_decide_on_others_do_neither(anna, context, full):
    for worst in WORST:
        pairs = [(name, worst if name in DECIDERS else text) for name, text in full]
        unbroken(press(anna, NEW, pairs, "show"))
        unbroken(press(anna, NEW, pairs, f"remove:{worst}"))
        answer = press(anna, NEW, [("form_token", value(full, "form_token")), ("as_yaml", worst)])
        unbroken(answer)
        assert answer.status_code == 422
    assert context.state.exports.ids() <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("depth", [200, 450, 900])
@pytest.mark.parametrize("button", ["save", "show", "as-yaml"])
def test_what_is_deeper_than_a_definition_may_be_is_told(anna, depth, button):
    pairs = form_of(anna)
    deep = '{"all":[' * depth + '{"field":"points","is":1}' + "]}" * depth
    for name, text in (
        ("filters", deep),
        ("exports", "[" * depth + "]" * depth),
        ("given", f"filters={deep}"),
    ):
        unbroken(press(anna, NEW, [*(pair for pair in pairs if pair[0] != name), (name, text)], button))


@pytest.mark.parametrize(
    "row", ["targets.{}.kind", "notify.rules.{}.kind", "conditions.alerts.{}.column", "fields.{}.field",
            "targets.0.options.create.share_with.{}.address"],
)  # fmt: skip
@pytest.mark.parametrize("button", ["save", "show", "add:targets"])
def test_more_rows_than_a_page_can_show_are_refused_before_anything_is_done(anna, row, button):
    many = [(row.format(number), "sftp") for number in range(12_000)]
    began = time.process_time()
    answer = press(anna, NEW, [*form_of(anna), *many], button)
    assert answer.status_code == 422
    assert "must be at most" in answer.text
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["a." * 200_000, "1." * 200_000, "targets.0." * 40_000])
def test_a_name_of_a_field_without_end_takes_neither_time_nor_memory(anna, name):
    began = time.process_time()
    answer = press(anna, NEW, [*form_of(anna), (name, "x")])
    assert answer.status_code == 422
    assert "is no field of this form" in answer.text
    assert time.process_time() - began < 5
