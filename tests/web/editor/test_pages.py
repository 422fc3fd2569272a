"""The pages on which exports are made, as a browser without scripts uses them."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.datastructures import FormData

from include import web
from include.reports import models
from include.web.editor import rows, starting
from include.web.editor.form import document_of, posted
from tests.web.editor.page_form import changed, sent
from tests.web.editor.pressing import NEW, RIGHT, form_of, made, press, summary, value
from tests.web.posting import OWN

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start

EXAMPLES = sorted(Path("include/exports").glob("*.yaml"))


def test_the_models_are_shown_and_searched(anna):
    shown = anna.get("/loyalty/exports/new").text
    assert all(f'/exports/new/{name}"' in shown for name in (*models.names(), "pack"))
    found = anna.get("/loyalty/exports/new", params={"q": "points liability"}).text
    assert "/exports/new/liability" in found
    assert "/exports/new/stores" not in found
    assert "<script>" not in anna.get("/loyalty/exports/new", params={"q": "<script>"}).text


@pytest.mark.parametrize("model", [*models.names(), "pack"])
def test_there_is_a_form_for_every_model(anna, model):
    pairs = form_of(anna, f"/loyalty/exports/new/{model}")
    assert value(pairs, "owner") == "anna"
    document, problems = document_of(rows.compact(posted(FormData(pairs))))
    assert problems == []
    assert document.get("model", "pack") == model


def test_there_is_none_for_another(anna):
    assert anna.get("/loyalty/exports/new/no_such").status_code == 404
    assert press(anna, "/loyalty/exports/new/no_such", form_of(anna)).status_code == 404


def test_an_export_is_made_and_told_of(anna, context, monkeypatch):
    announced = []
    pairs = form_of(anna)
    monkeypatch.setattr(web._app().state, "announce", announced.append)
    answer = press(anna, NEW, pairs, **RIGHT)
    assert answer.status_code == 303
    assert answer.headers["location"] == "../../exports/ete-balances"
    assert f"loyalty_saved={value(pairs, 'kept')}" in answer.headers["set-cookie"]
    assert announced == ["ete-balances"]
    saved = context.state.exports.get("ete-balances")
    assert (saved.created_by, saved.number, saved.source) == ("anna", 1, "ui")
    assert saved.document == {
        "id": "ete-balances", "name": "Été balances", "owner": "anna", "model": "balance", "as_of": "end_of_previous_day",
        "targets": [{"kind": "folder", "options": {"folder": "daily"}}],
    }  # fmt: skip


def test_it_is_saved_also_where_airflow_cannot_start_it_yet(anna, context, monkeypatch):
    """The DAG of a new export is there seconds later; here never."""
    monkeypatch.setattr(starting, "_PAUSE_SECONDS", 0.0)
    answer = press(anna, NEW, form_of(anna), "save-and-run", **RIGHT)
    assert answer.status_code == 303
    told = anna.get("/loyalty/exports/ete-balances").text
    assert "Été balances is created." in told
    assert html.escape(starting.NOT_YET) in told
    assert context.state.exports.get("ete-balances") is not None


def test_the_same_name_again_gets_another_id(anna):
    assert made(anna) == "ete-balances"
    assert made(anna, targets__0__options__folder="other") == "ete-balances-2"


def test_the_id_follows_a_name_that_is_put_right_after_a_refusal(anna, context):
    refused = press(anna, NEW, form_of(anna), **{**RIGHT, "name": "Balnces", "limit": "many"})
    assert refused.status_code == 422
    assert value(sent(refused.text), "id") == ""
    saved = press(anna, NEW, sent(refused.text), name="Balances", limit="")
    assert saved.headers["location"] == "../../exports/balances"


def test_a_name_without_latin_letters_gets_the_id_of_its_model(anna):
    assert made(anna, name="ポイント") == "balance"
    assert made(anna, name="баллы", targets__0__options__folder="other") == "balance-2"


def test_all_problems_stand_beside_their_fields_and_what_is_typed_stays(anna, context):
    typed = {
        "name": " x\ty",
        "limit": "many",
        "timezone": "EST",
        "targets__0__kind": "sftp",
        "schedule__kind": "daily",
    }
    answer = press(anna, NEW, form_of(anna), **typed)
    assert answer.status_code == 422
    told = summary(answer)
    assert len(told) == 5
    assert "Destination 1: Connection: This is needed." in told
    assert "At most this many rows: Must be a whole number." in told
    for name in ("name", "limit", "timezone", "schedule.time", "targets.0.options.connection"):
        assert f'href="#at-{name}"' in answer.text
        assert f'id="at-{name}-problem"' in answer.text
        assert re.search(rf'id="at-{re.escape(name)}"[^>]*aria-invalid="true"', answer.text), name
    pairs = sent(answer.text)
    assert value(pairs, "limit") == "many"
    assert value(pairs, "timezone") == "EST"
    assert value(pairs, "targets.0.kind") == "sftp"
    assert context.state.exports.ids() <= {path.stem for path in EXAMPLES}


def test_a_condition_without_a_value_is_told_and_saves_nothing(anna, context):
    filters = '{"all": [{"field": "program_id", "is": null}]}'
    answer = press(anna, NEW, form_of(anna), **RIGHT, filters=filters)
    assert answer.status_code == 422
    assert [each for each in summary(answer) if "A value is needed" in each]
    assert context.state.exports.get("ete-balances") is None


def test_no_hint_says_the_label_again(anna):
    assert anna.get(NEW).text.count("Compare each file with the one delivered last") == 1


def test_a_field_that_the_form_does_not_have_is_an_error(anna):
    answer = press(anna, NEW, [*form_of(anna), ("enable", "1")], **RIGHT)
    assert answer.status_code == 422
    assert summary(answer) == ["“1” is no field of this form."]


def test_rows_are_added_moved_and_removed_without_scripts_and_everything_typed_stays(anna):
    pairs = sent(press(anna, NEW, form_of(anna), "add:targets", name="kept").text)
    pairs = sent(press(anna, NEW, pairs, "show", targets__0__kind="sftp", targets__1__kind="folder").text)
    pairs = changed(pairs, targets__0__options__connection="partner", targets__1__options__folder="x")
    answer = press(anna, NEW, pairs, "remove:targets.0")
    assert answer.status_code == 200
    pairs = sent(answer.text)
    assert value(pairs, "targets.0.options.folder") == "x"
    assert value(pairs, "name") == "kept"
    assert not [name for name, _ in pairs if name.startswith("targets.1")]
    pairs = sent(press(anna, NEW, pairs, "show", columns="groups").text)
    for column in ("tier", "active"):
        pairs = sent(press(anna, NEW, pairs, "add:aggregation").text)
        row = max(int(name.split(".")[1]) for name, _ in pairs if name.startswith("aggregation."))
        pairs = changed(pairs, **{f"aggregation__{row}__field": column})
    pairs = sent(press(anna, NEW, pairs, "down:aggregation.0").text)
    assert [text for name, text in pairs if re.fullmatch(r"aggregation\.\d\.field", name)] == [
        "active",
        "tier",
    ]


def test_a_login_that_is_over_leads_back_to_the_form(browser, anna):
    pairs = form_of(anna)
    nobody = browser()
    headers = {
        **OWN,
        "content-type": "application/x-www-form-urlencoded",
        "referer": f"http://127.0.0.1:8080{NEW}",
    }
    answer = nobody.post(NEW, content=urlencode(pairs), headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith("/login?next=%2Floyalty%2Fexports%2Fnew%2Fbalance")


def test_a_form_of_another_site_changes_nothing(anna, context):
    pairs = form_of(anna)
    for headers in ({"sec-fetch-site": "cross-site"}, {**OWN, "x-form-token": "no"}):
        kept = (
            pairs
            if headers["sec-fetch-site"] == "cross-site"
            else [each for each in pairs if each[0] != "form_token"]
        )
        body = urlencode([*changed(kept, **RIGHT), ("do", "save")])
        answer = anna.post(
            NEW, content=body, headers={**headers, "content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code == 403
    assert "ete-balances" not in context.state.exports.ids()


@pytest.mark.parametrize("path", ["/new", "/new/balance", "/ete-balances/edit", "/daily-balances/clone"])
def test_who_may_not_change_exports_sees_no_form(browser, anna, path):
    made(anna)
    assert browser("vera", "VIEWER").get(f"/loyalty/exports{path}").status_code == 403
    assert browser().get(f"/loyalty/exports{path}").status_code == 303


def test_personal_columns_in_clear_need_a_right_of_their_own(browser, anna, context):
    context.state.grants.grant("OP", "edit", by="anna")
    olaf = browser("olaf", "OP")
    pairs = sent(press(olaf, NEW, form_of(olaf), "show", **RIGHT, columns="chosen").text)
    for where in ("fields", "text"):
        if where == "fields":
            answer = press(
                olaf, NEW, [*pairs, ("fields.0.field", "customer_id"), ("fields.77.field", "email")], **RIGHT
            )
            assert re.search(
                r'<p class="problem[^>]*>[^<]*you have no right to export it in clear', answer.text
            )
        else:
            text = "id: a\nname: A\nmodel: balance\nfields: [email]\ntargets: [{kind: folder, options: {folder: x}}]\n"
            answer = press(olaf, NEW, [("form_token", value(pairs, "form_token")), ("as_yaml", text)])
        assert answer.status_code == 422
        assert "you have no right to export it in clear" in summary(answer)[0]
    masked = [
        *pairs,
        ("fields.0.field", "email"),
        ("privacy.fields.0.field", "email"),
        ("privacy.fields.0.do", "mask"),
    ]
    assert press(olaf, NEW, masked, **RIGHT).status_code == 303
    assert press(anna, NEW, [*changed(sent(anna.get(NEW).text), columns="chosen"), ("fields.0.field", "email")],
                 name="By anna", targets__0__kind="folder", targets__0__options__folder="b").status_code == 303  # fmt: skip
