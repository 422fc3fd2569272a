"""Rule: what happens to a task follows from the class of its error, by what its caller does next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk import ExceptionRetryPolicy, RetryAction
from airflow.sdk.exceptions import AirflowRescheduleException

from include.errors import BadInput, LedgerViolation, NeedsPerson, NotYet, Permanent, Problem, Transient
from include.orchestration.outcome import ATTEMPTS, SHORTEST_WAIT, waiting_when_early

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


def test_too_early_is_put_back_until_the_instant_named():
    until = datetime.now(UTC) + timedelta(hours=3)
    with pytest.raises(AirflowRescheduleException) as caught, waiting_when_early():
        raise NotYet("the month has not ended", until)
    assert caught.value.reschedule_date == until


def test_an_instant_that_has_passed_meanwhile_does_not_make_the_scheduler_spin():
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as caught, waiting_when_early():
        raise NotYet("somebody else is at it", before - timedelta(seconds=9))
    assert caught.value.reschedule_date >= before + SHORTEST_WAIT


def test_other_errors_pass_untouched():
    with pytest.raises(Permanent), waiting_when_early():
        raise Permanent("no")
