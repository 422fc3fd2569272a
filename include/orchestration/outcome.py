"""The one place where this product's errors meet Airflow.

| error | what Airflow does |
|---|---|
| NotYet | the task is put back until the instant that the error names, and holds no slot meanwhile |
| Transient, and what nobody foresaw | retried with growing pauses |
| BadInput, Permanent, LedgerViolation, NeedsPerson | failed at once: trying again would end the same |
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowRescheduleException

from include.errors import BadInput, LedgerViolation, NeedsPerson, NotYet, Permanent, Transient

# Asking again sooner than this would only keep the scheduler busy.
SHORTEST_WAIT = timedelta(seconds=2)

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


@contextlib.contextmanager
def waiting_when_early() -> Iterator[None]:
    """Put the task back until the instant that a NotYet names."""
    try:
        yield
    except NotYet as early:
        again = max(early.until, datetime.now(UTC) + SHORTEST_WAIT)
        raise AirflowRescheduleException(again) from early  # type: ignore[no-untyped-call]
