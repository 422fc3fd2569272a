"""Rule: what happens to a task follows from the class of its error, by what its caller does next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import ExceptionRetryPolicy, RetryAction
from airflow.sdk.exceptions import AirflowRescheduleException

from include.errors import BadInput, LedgerViolation, NeedsPerson, NotYet, Permanent, Problem, Transient
from include.orchestration import outcome
from include.orchestration.outcome import ATTEMPTS, SHORTEST_WAIT, patiently

POLICY = ATTEMPTS["retry_policy"]


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (Transient("server is restarting"), RetryAction.RETRY),
        (BadInput([Problem("a.yaml: id", "", "is required", "missing")]), RetryAction.FAIL),
        (Permanent("no right to write"), RetryAction.FAIL),
        (LedgerViolation("account 7"), RetryAction.FAIL),
        (NeedsPerson("look at it"), RetryAction.FAIL),
        (MemoryError(), RetryAction.DEFAULT),
        (ConnectionResetError(), RetryAction.DEFAULT),
    ],
)
def test_each_kind_of_error_is_met_once(error, action):
    assert POLICY.evaluate(error, 1, 5).action is action
    # The scheduler and the UI see the policy as it was serialised with the DAG.
    again = ExceptionRetryPolicy.deserialize(POLICY.serialize())
    assert again.evaluate(error, 1, 5).action is action


def test_every_error_of_ours_is_decided():
    from include import errors

    decided = {cls for rule in POLICY.rules for cls in rule._resolve_exception_classes()}
    ours = {
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.LoyaltyError)
    }
    assert {one for one in ours if not issubclass(one, tuple(decided))} == {errors.LoyaltyError, NotYet}


def test_pauses_between_attempts_grow():
    assert ATTEMPTS["retries"] >= 3
    assert ATTEMPTS["retry_delay"] < ATTEMPTS["max_retry_delay"]
    assert ATTEMPTS["retry_exponential_backoff"] > 1


def raising(*errors):
    """Return work that raises these, one at each call, and then is done; and the list of what it has not raised yet."""
    left = list(errors)

    def work():
        if left:
            raise left.pop(0)
        return "done"

    return work, left


def test_too_early_is_put_back_until_the_instant_named():
    until = datetime.now(UTC) + timedelta(hours=3)
    work, _ = raising(NotYet("the month has not ended", until))
    with pytest.raises(AirflowRescheduleException) as caught:
        patiently(work)
    assert caught.value.reschedule_date == until


def test_what_is_a_matter_of_seconds_is_waited_for():
    now = datetime.now(UTC)
    soon = [NotYet("somebody else is at it", now + timedelta(seconds=seconds)) for seconds in (-9, 0.1, 5)]
    work, left = raising(*soon)
    assert patiently(work) == "done"
    assert left == []


def test_patience_ends_and_airflow_sees_the_task_put_back_before_it_goes_on(monkeypatch):
    monkeypatch.setattr(outcome, "PATIENCE", timedelta(seconds=0.1))
    before = datetime.now(UTC)
    work, left = raising(*[NotYet("somebody else is at it", before)] * 1000)
    with pytest.raises(AirflowRescheduleException) as caught:
        patiently(work)
    assert caught.value.reschedule_date >= before + SHORTEST_WAIT
    assert left


def test_other_errors_pass_untouched():
    work, _ = raising(Permanent("no"))
    with pytest.raises(Permanent):
        patiently(work)
