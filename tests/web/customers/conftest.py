"""A household in the installation's ledger, and the key by which who was erased is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.pipeline import Context
from include.snapshots import canonical
from tests.pipeline.people import WHO, fill, key_of_erased

HOSTILE = "</td><script>alert(1)</script>"


@pytest.fixture
def household(installation: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The people of `fill`; one of them has a name that would be a script, and 130 transactions."""
    key = json.dumps({"conn_type": "generic", "password": key_of_erased("loyalty_erasure").password})
    monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_ERASURE", key)
    fill(settings.ledger_url)
    engine = sa.create_engine(settings.ledger_url)
    tables = canonical.METADATA.tables
    start = datetime(2026, 2, 1, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(
            sa.update(tables["customers"]).where(tables["customers"].c.customer_id == "customer-0003").values(name=HOSTILE)
        )  # fmt: skip
        connection.execute(tables["transactions"].insert(), [
            {"transaction_id": f"m{n:03}", "program_id": "p", "customer_id": "customer-0003", "type": "earned", "points": 1,
             "created_at": start + timedelta(hours=n), "expires_at": datetime(2027, 1, 1, tzinfo=UTC), "reason": HOSTILE if n == 129 else "visit"}
            for n in range(130)
        ])  # fmt: skip
    engine.dispose()
    return Context.from_settings(settings, key_of_erased)


@pytest.fixture
def admin(browser: Any, household: Context) -> Any:
    """Somebody who may see personal data."""
    return browser("admin", "ADMIN")


@pytest.fixture
def viewer(browser: Any, household: Context) -> Any:
    """Somebody who may not."""
    return browser("vera", "VIEWER")


__all__ = ["HOSTILE", "WHO", "admin", "household", "viewer"]
