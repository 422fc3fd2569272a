"""What fails in a pass is one run's matter, a pass that dies is made up for, and who is erased is in no file of it."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import pipeline
from include.connections import Connection, missing
from include.errors import BadInput, LedgerViolation, NotYet, Permanent, Problem
from include.pipeline import Context, render_stage
from include.pipeline.erasure import erase
from include.pipeline.shared_reports import ReportFailed
from include.reports import lots
from include.settings import Settings
from include.state.tables import LEASES
from tests.forks import ended, forked, kill_at
from tests.pipeline.passes import (
    ENCRYPTED,
    KNOWN,
    MARCH,
    Define,
    alone,
    context_chain,
    due,
    made,
    resolve,
    whom,
)
from tests.pipeline.people import CLEAR, WHO, kept_of, rows
from tests.state.expiry import expire

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]


def test_what_fails_is_the_matter_of_one_run(
    small: Context, define: Define, settings_for: Callable[..., Settings]
) -> None:
    """A relation that the ledger lacks, a text that is no JSON, a key that is gone, an empty file: and one that is well."""
    with sa.create_engine(small.settings.ledger_url).begin() as connection:
        connection.exec_driver_sql(
            "UPDATE customers SET metadata = 'junk' WHERE customer_id = 'customer-0003'"
        )
        connection.exec_driver_sql("DROP TABLE redemptions")
    small = replace(small, connections=resolve)
    well = define(id="well")
    file = {"compression": "none", "encryption": ENCRYPTED}
    wrong = {
        "lacks": (define(id="lacks", model="redemptions"), BadInput, "redemptions"),
        "junk": (define(id="junk", model="customers", fields=["customer_id", "metadata.visits"], **CLEAR), LedgerViolation, "JSON"),
        "closed": (define(id="closed", file=file), BadInput, "no such connection"),
        "empty": (define(id="empty", filters=[{"field": "active", "more_than": 10**9}], conditions={"when_empty": "fail"}), Permanent, "no file of this run has a row"),
    }  # fmt: skip
    definitions = [well, *(each for each, _, _ in wrong.values()), define(id="also", **MARCH)]
    keys = due(small, *definitions)
    small = replace(small, connections=missing_all)
    pipeline.render(small, keys[0], with_others=True)
    others = alone(settings_for(small.settings.ledger_url, "alone"), well, definitions[-1])
    assert [made(small, keys[0]), made(small, keys[-1])] == others
    assert [made(small, key) for key in keys[1:-1]] == [None] * 4
    leader = f"with run {keys[0][:12]}"
    assert whom(small, keys[1:]) == ["apart", "apart", "", "apart", leader]
    for key, (_, error, message) in zip(keys[1:-1], wrong.values(), strict=True):
        with pytest.raises(error, match=message):
            pipeline.render(small, key, with_others=True)
    assert context_chain(small, definitions) == [1, 0, 0, 0, 0, 1]


def missing_all(name: str) -> Connection:
    raise missing(name)


def test_the_first_one_fails_and_the_others_are_made(context: Context, define: Define) -> None:
    empty = define(
        id="empty", filters=[{"field": "active", "more_than": 10**9}], conditions={"when_empty": "fail"}
    )
    bad, good = due(context, empty, define(id="good"))
    with pytest.raises(Permanent, match="no file of this run has a row"):
        pipeline.render(context, bad, with_others=True)
    assert made(context, good)


def test_runs_whose_exports_are_all_left_out_fail_each(small: Context, define: Define) -> None:
    """The ledger lacks the only relation that any of them reports."""
    with sa.create_engine(small.settings.ledger_url).begin() as connection:
        connection.exec_driver_sql("DROP TABLE redemptions")
    part = {"id": "used", "model": "redemptions", "if_missing": "leave_out"}
    keys = due(small, *(define(id=name, model=None, file={}, exports=[part]) for name in ("one", "two")))
    for key in keys:
        with pytest.raises(BadInput, match="'redemptions': the ledger does not have it"):
            pipeline.render(small, key, with_others=True)
        assert made(small, key) is None


KILLS = [
    (1, render_stage, "render_jobs"),  # before the pass
    (1, render_stage, "disagreements"),  # after it
    (2, render_stage, "signed"),  # two manifests are in the chain, one run's files are in its record
]


@pytest.mark.parametrize(("number", "module", "name"), KILLS)
def test_a_pass_that_is_killed_is_made_up_for_and_everything_is_delivered_once(
    at_work: Context, define: Define, ledger_url: str, settings_for: Callable[..., Settings], tmp_path: Path,
    number: int, module: Any, name: str,
) -> None:  # fmt: skip
    definitions = [define(id="balances"), define(id="history", **MARCH), define(id="lots", model="lots")]
    keys = due(at_work, *definitions)
    assert killed_at(at_work, keys[0], number, module, name) == -signal.SIGKILL
    [waiting, *_] = [key for key in keys if made(at_work, key) is None]
    with pytest.raises(NotYet, match="are being made"):
        pipeline.render(at_work, waiting, with_others=True)
    expire(at_work.state, LEASES)
    for key in keys:
        pipeline.render(at_work, key, with_others=True)
        pipeline.deliver(at_work, key, 0)
        assert pipeline.settle(at_work, key)["status"] == "done"
    assert [made(at_work, key) for key in keys] == alone(settings_for(ledger_url, "alone"), *definitions)
    assert [each.attempts for each in at_work.state.deliveries.list()] == [1, 1, 1]
    assert context_chain(at_work, definitions) == [1, 1, 1]
    assert len(list((tmp_path / "delivered").iterdir())) == 6


def killed_at(context: Context, key: str, number: int, module: Any, name: str) -> int:
    """Render in a process that is killed when `name` is called for the n-th time; return how it ended."""

    def render() -> None:
        kill_at(module, name, number)
        pipeline.render(context, key, with_others=True)

    return ended(forked(render))


@pytest.mark.parametrize(
    ("error", "others"), [(MemoryError(), "apart"), (NotYet("no room yet", KNOWN), "with run")]
)
def test_a_pass_that_breaks_leaves_each_run_to_itself(
    context: Context, define: Define, monkeypatch: pytest.MonkeyPatch, error: Exception, others: str
) -> None:
    """The first is made alone at once. Where memory ran out, nobody takes the others along again."""
    keys = due(context, define(id="a"), define(id="b", model="lots"), define(id="c", **MARCH))
    genuine = render_stage.render_jobs

    def breaks(jobs: Any, *arguments: Any, **options: Any) -> Any:
        if len(jobs) > 1:
            raise error
        return genuine(jobs, *arguments, **options)

    monkeypatch.setattr(render_stage, "render_jobs", breaks)
    pipeline.render(context, keys[0], with_others=True)
    assert [told[: len(others)] for told in whom(context, keys[1:])] == [others] * 2
    for key in keys:
        assert pipeline.render(context, key, with_others=True)


def test_a_report_that_fails_in_the_middle_is_left_out_of_the_next_pass(
    context: Context, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = due(context, define(id="balances"), define(id="lots", model="lots"), define(id="history", **MARCH))

    def fails(*_: Any) -> Any:
        raise LedgerViolation("account 7")

    monkeypatch.setattr(lots._Lots, "on_partition", fails)
    pipeline.render(context, keys[0], with_others=True)
    assert [bool(made(context, key)) for key in keys] == [True, False, True]
    assert whom(context, keys[1:]) == ["apart", f"with run {keys[0][:12]}"]
    with pytest.raises(LedgerViolation, match="account 7"):
        pipeline.render(context, keys[1], with_others=True)


def test_whose_error_it_is_is_known_in_another_process() -> None:
    """Partitions may be reported there."""
    error = pickle.loads(pickle.dumps(ReportFailed(3, BadInput([Problem("here", "1", "2", "code")]))))
    assert (error.number, str(error.error)) == (3, "here: '1': 2")


def test_who_is_erased_before_the_pass_is_in_no_file_of_it(small: Context, define: Define) -> None:
    people = {"model": "customers", "fields": ["customer_id", "name"], **CLEAR}
    keys = due(small, define(id="one", **people), define(id="two", **people))
    done = erase.erase(small, customer=WHO)
    pipeline.render(small, keys[0], with_others=True)
    for key in keys:
        assert done.pseudonym in str(rows(small, key))
    assert kept_of(small, WHO) == []
    assert whom(small, keys)[1] == f"with run {keys[0][:12]}"


def test_who_is_erased_during_the_pass_is_in_no_file_of_it(
    small: Context, define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = {"model": "customers", "fields": ["customer_id", "name"], **CLEAR}
    keys = due(small, define(id="one", **people), define(id="two", **people))
    genuine, once = render_stage.render_jobs, []

    def late(*arguments: Any, **options: Any) -> Any:
        genuine(*arguments, **options)
        if not once:
            once.append(True)
            for each in small.state.snapshots.sources():  # as an erasure that has waited long enough does
                for snapshot in small.state.snapshots.usable(each):
                    small.state.snapshots.stale(snapshot.snapshot_id)
            erase.ask(small, customer=WHO)

    monkeypatch.setattr(render_stage, "render_jobs", late)
    for key in keys:
        pipeline.render(small, key, with_others=True)
        assert WHO not in str(rows(small, key))
    erase.resume(small)
    assert kept_of(small, WHO) == []
