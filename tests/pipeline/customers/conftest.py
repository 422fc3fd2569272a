"""The whole of a ledger, to hold looks at customers against it, and the customer of whom there is most to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.pipeline import Context
from include.snapshots.excerpt import Holder
from tests.pipeline.customers.looks import ZONE, of
from tests.pipeline.customers.whole import Whole, whole


@pytest.fixture(scope="session")
def ledger(ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with whole(ledger_url, tmp_path_factory.mktemp("whole")) as read:
        yield read


@pytest.fixture
def busy(context: Context, ledger: Whole, tmp_path: Path) -> Holder:
    """Whoever has most transactions."""
    count: dict[str, int] = {}
    for row in ledger.report("history", ledger.read_at, ZONE, tmp_path):
        who = ledger.of(row)
        if who is not None and not who.startswith("card "):
            count[who] = count.get(who, 0) + 1
    return of(max(count, key=lambda who: count[who]))
