"""What a worker calls itself, so that task instances tell on which one they ran: all are on one machine here."""

from __future__ import annotations

import os

VARIABLE = "LOYALTY_TEST_WORKER"


def name() -> str:
    """Return it; Airflow calls this (`core.hostname_callable`)."""
    return os.environ.get(VARIABLE, "localhost")
