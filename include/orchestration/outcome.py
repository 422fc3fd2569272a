"""The one place where this product's errors meet Airflow.

| error | what Airflow does |
|---|---|
| NotYet | asked again within seconds, else put back until the instant that the error names, without a slot |
| Transient, and what nobody foresaw | retried with growing pauses |
| BadInput, Permanent, LedgerViolation, NeedsPerson | failed at once: trying again would end the same |
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowRescheduleException

from include.errors import BadInput, LedgerViolation, NeedsPerson, NotYet, Permanent, Transient

T = TypeVar("T")
# Airflow takes a task for killed, which costs an attempt, when its time to go on has come before the scheduler has seen
# that it was put back: under load that takes seconds.
SHORTEST_WAIT = timedelta(seconds=10)
# What is a matter of so little time is not worth another start of the task, and its slot is kept.
PATIENCE = timedelta(seconds=6)
_ASK_AGAIN_SECONDS = 0.5

ATTEMPTS: dict[str, Any] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(BadInput, RetryAction.FAIL, reason="the input must be changed first"),
            RetryRule(Permanent, RetryAction.FAIL, reason="a setting or a right must be changed first"),
            RetryRule(LedgerViolation, RetryAction.FAIL, reason="the ledger must be put right first"),
            RetryRule(NeedsPerson, RetryAction.FAIL, reason="a person must look first"),
            RetryRule(Transient, RetryAction.RETRY, reason="it may work later"),
        ]
    ),
}


def patiently(work: Callable[[], T]) -> T:
    """Return what `work` returns, called again while it raises NotYet and that is a matter of seconds.

    Puts the task back, by Airflow's own exception, where it is not.
    """
    until = datetime.now(UTC) + PATIENCE
    while True:
        try:
            return work()
        except NotYet as early:
            now = datetime.now(UTC)
            if max(now, early.until) > until:
                again = max(early.until, now + SHORTEST_WAIT)
                raise AirflowRescheduleException(again) from early  # type: ignore[no-untyped-call]
        time.sleep(_ASK_AGAIN_SECONDS)
