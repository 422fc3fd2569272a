"""A whole run whose target is a Google spreadsheet: its totals tie, and asking again sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from include.definitions.model import ExportDefinition
from include.errors import Permanent
from include.pipeline import Context
from include.state.deliveries import DeliveryState
from tests.pipeline.test_steps import AT, whole
from tests.servers import sheets


@pytest.mark.slow
@pytest.mark.servers
def test_a_run_stands_on_a_tab_with_totals_that_tie(
    context: Context, define: Callable[..., ExportDefinition], inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sheets.google() as google:
        connection = google.connection()
        document = {"conn_type": connection.conn_type, "extra": dict(connection.extra)}
        monkeypatch.setenv(f"AIRFLOW_CONN_{sheets.NAME.upper()}", json.dumps(document))
        options = {"connection": sheets.NAME, "spreadsheet": sheets.BOOK, "tab": "Balances {period}"}
        definition = define(targets=[{"kind": "google_sheets", "options": options}])
        google.book.editors = {"somebody else"}
        with pytest.raises(Permanent, match=rf"not shared with {sheets.ACCOUNT}"):
            whole(context, definition, occurrence=AT)
        google.book.editors = {sheets.ACCOUNT}
        whole(context, definition, occurrence=AT)
        asked = len(google.asked)
        whole(context, definition, occurrence=AT)
        assert len(google.asked) == asked
        (delivery,) = context.state.deliveries.list()
        assert delivery.state is DeliveryState.CONFIRMED
        (title,) = google.book.shown.keys() - {"Sheet1"}
        assert title.startswith("Balances 2026-03-02")
        header, *rows = google.book.sheet(title).table()
        assert len(rows) == delivery.rows
        for name, total in (delivery.totals or {}).items():
            column = [row[header.index(name)] for row in rows if len(row) > header.index(name)]
            assert sum(Decimal(str(value)) for value in column if value is not None) == Decimal(total)
        assert google.violations == []
