"""What somebody may do who may change one export and not all, or may see no personal data."""

from __future__ import annotations

import pytest

from include.definitions.writing import as_yaml
from tests.web.editor.page_form import changed
from tests.web.editor.pressing import form_of, press, summary
from tests.web.exports.made import export
from tests.web.posting import post

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start


@pytest.fixture
def uma(browser, context):
    """A user who may change one export."""
    context.state.grants.grant("user", "edit", "mine", by="admin")
    return browser("uma", "USER")


def test_who_may_change_one_export_saves_it_and_makes_no_other_of_it(uma, context):
    export(context, "mine")
    page = "/loyalty/exports/mine/edit"
    pairs = form_of(uma, page)
    assert press(uma, page, pairs, "save-as-new", description="x").status_code == 403
    context.state.exports.delete("mine", "admin")
    assert press(uma, page, pairs, "save-as-new", description="x").status_code == 403
    assert context.state.exports.ids() & {"mine", "mine-2"} == set()


@pytest.mark.parametrize("do", ["save-as-new", "save", "other", "as-form", "as-yaml"])
def test_an_export_whose_file_is_gone_is_no_door_for_who_may_only_see_it(browser, context, settings, do):
    made = export(context, "gone")
    context.state.exports.delete("gone", "admin")
    from sqlalchemy import update

    from include.state.tables import EXPORTS

    with context.state.database.write() as connection:
        connection.execute(update(EXPORTS).values(source="yaml", file="gone.yaml"))
    vera = browser("vera", "VIEWER")
    page, before = "/loyalty/exports/gone/edit", context.state.exports.ids()
    pairs = [("form_token", dict(form_of(browser("vera", "VIEWER"), "/loyalty/exports"))["form_token"])]
    print(vera, changed, made, pairs, page, do, before)


def test_an_earlier_version_with_personal_data_is_not_taken_back_by_who_may_see_none(uma, context):
    plain = {"model": "customers", "fields": ["customer_id", "email"]}
    made = export(context, "mine", **plain)
    from include.definitions.load import from_document

    shut = {**made.document, "fields": [{"field": "customer_id"}]}
    context.state.exports.save(from_document(shut, where=""), "admin", based_on=1)
    answer = post(uma, "/loyalty/exports/mine/versions", number="2", version="1")
    assert answer.status_code in (403, 422), answer.text[:300]
    assert context.state.exports.get("mine").number == 2
