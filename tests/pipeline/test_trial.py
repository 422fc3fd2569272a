"""Personal data that can be read goes in a test that Airflow runs only where the pages have looked who asks for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from include.connections import missing
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.orchestration import aside
from include.pipeline import Context, trial
from include.pipeline.context import silent
from include.state.audit import Action
from include.state.runs import RunRecord
from tests.pipeline.test_steps import AT, whole

pytestmark = pytest.mark.slow
ME, OTHER = "otto@shop.example", "olga@shop.example"
PERSONAL: dict[str, Any] = {
    "fields": ["customer_id", "email", "points_balance"],
    "owner": "Finance",
    "privacy": {"allow_plain_pii": "Finance"},
}


def run_of(context: Context, definition: ExportDefinition) -> RunRecord:
    key, _ = whole(context, definition, occurrence=AT)
    return context.state.runs.get(key)


def asked(context: Context, definition: ExportDefinition, run: RunRecord, to: str, who: str | None) -> str:
    """The codes of what Airflow's task is refused with, or what it does: here it ends at the login of the mail."""
    without = Context(context.settings, lambda name: (_ for _ in ()).throw(missing(name)))
    try:
        aside.done(without, definition, run.run_key, aside.as_test(to), silent, who)
    except BadInput as refused:
        return " ".join(problem.code for problem in refused.problems)
    return "sent"


def test_only_who_was_looked_at_gets_personal_data_and_only_at_that_address(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(**PERSONAL)
    run = run_of(context, definition)
    assert asked(context, definition, run, ME, "otto") == "personal_test"
    trial.allow(context, "another", ME, "otto")
    trial.allow(context, f"{run.definition_id}-2", ME, "otto")
    trial.allow(context, run.definition_id, ME, "olga")
    trial.allow(context, run.definition_id, OTHER, "otto")
    assert asked(context, definition, run, ME, "otto") == "personal_test"
    assert asked(context, definition, run, ME, None) == "personal_test"
    assert context.state.audit.newest(action=Action.TEST_SENT) == []
    trial.allow(context, run.definition_id, ME, "otto")
    assert asked(context, definition, run, ME, "otto") == "missing_connection"


def test_the_word_of_the_pages_holds_for_a_day(
    context: Context,
    define: Callable[..., ExportDefinition],
    inline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    definition = define(**PERSONAL)
    run = run_of(context, definition)
    trial.allow(context, run.definition_id, ME, "otto")
    monkeypatch.setattr(trial, "ALLOWED_FOR", timedelta(days=-1))
    with pytest.raises(BadInput) as refused:
        trial.require_allowed(context, run, ME, "otto")
    [problem] = refused.value.problems
    assert (problem.where, problem.value, problem.code) == ("test_to", ME, "personal_test")
    assert "balances_2026-03-02T0600.csv.gz" in problem.right
    assert "use Send to me on the page of balances" in problem.right


def test_files_without_personal_data_and_folders_for_tests_need_no_word(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    plain = define(id="plain")
    assert asked(context, plain, run_of(context, plain), ME, "otto") == "missing_connection"
    personal = define(id="personal", **PERSONAL)
    trial.require_allowed(context, run_of(context, personal), "tests/mine", "otto")
