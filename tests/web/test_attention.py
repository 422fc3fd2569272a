"""What needs somebody is listed with what to do, for who may see it; the buttons do it; what is done leaves the list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, type_coerce, update

from include.definitions.load import from_document
from include.orchestration.catalogue import entries
from include.pipeline import attention, resolving
from include.pipeline.attention import Group, Visible, collect, counted
from include.state.audit import Action
from include.state.deliveries import DeliveryState
from include.state.identity import delivery_key
from include.state.notices import Address
from include.state.runs import RunRecord, RunStatus
from include.state.tables import API_KEYS, AUDIT, DELIVERIES, EXPORT_EDITS, MICROSECOND, NOTICES, RUNS
from tests.web.exports.conftest import dag_runs, known  # noqa: F401 - a fixture
from tests.web.exports.made import export
from tests.web.posting import post, read, text_of
from tests.web.runs import stored

pytestmark = pytest.mark.slow  # a whole ledger, or hundreds of small transactions

PAGE = "/loyalty/attention"
EVERYTHING = Visible()
LEASE = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """No YAML file brings an export, and nothing is remembered from another test."""
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    attention.forget()


@pytest.fixture
def context(installation):
    return installation.context


@pytest.fixture
def admin(browser):
    return browser("admin", "ADMIN")


def delivery(context, run: RunRecord, outcome: str, target: str = "folder", sending: int = 0):
    """A delivery of the run that ended so; `left` means that its process died on the way."""
    state, key = context.state.deliveries, delivery_key(run.run_key, target, sending)
    claim = state.claim(key, "a worker", LEASE, run_key=run.run_key, target=target, sending=sending)
    if outcome == "confirmed":
        state.confirmed(claim, {"target": "folder", "key": key, "files": []})
    elif outcome == "left":
        state.sending(claim)
        aged(context, DELIVERIES, expires_at=2 * LEASE)
    else:
        getattr(state, outcome)(claim, "the disk is full")
    found = state.get(key)
    assert found is not None
    return found


def settled(
    context, run: RunRecord, status: RunStatus = RunStatus.FAILED, failure: str | None = None
) -> None:
    context.state.runs.finish(
        run.run_key, status, {"status": status.value, "deliveries": {}, "failure": failure}
    )


def aged(context, table, **columns: timedelta) -> None:
    """Set instants of all rows back by so much."""
    values = {
        name: type_coerce(table.c[name], BigInteger) - by // MICROSECOND for name, by in columns.items()
    }
    with context.state.database.write() as connection:
        connection.execute(update(table).values(**values))


def groups(context, visible: Visible = EVERYTHING) -> list[tuple[str, str | None]]:
    return [(item.group.value, item.definition_id) for item in collect(context, visible)]


def test_nothing_needs_anybody(admin, context):
    assert "Nothing needs you" in text_of(admin.get(PAGE))
    assert admin.get(f"{PAGE}/count").text.strip() == ""


@pytest.mark.parametrize(
    ("outcome", "group", "buttons"),
    [
        ("failed", Group.DELIVERY, ["Try again"]),
        ("uncertain", Group.DOUBT, ["Try again", "It arrived", "It did not arrive"]),
        ("conflict", Group.DOUBT, ["Try again", "It arrived"]),
        ("left", Group.DELIVERY, ["Try again", "It arrived"]),
        ("confirmed", None, []),
    ],
)
def test_a_delivery_says_what_to_do(admin, context, installation, outcome, group, buttons):
    delivery(context, installation.run, outcome)
    settled(context, installation.run, RunStatus.DONE if outcome == "confirmed" else RunStatus.FAILED)
    page = read(admin.get(PAGE))
    assert groups(context) == ([(group.value, "weekly-history")] if group else [])
    assert [each.strip() for each in page.xpath("//main//button/text()")] == buttons
    assert counted(context, EVERYTHING) == len(groups(context))


def test_one_that_airflow_may_still_try_again_by_itself_waits_a_day(context, installation):
    delivery(context, installation.run, "failed")
    assert groups(context) == []
    aged(context, DELIVERIES, updated_at=timedelta(days=2))
    assert groups(context) == [("delivery", "weekly-history")]


def test_a_file_that_was_sent_again_and_arrived_needs_nobody(context, installation):
    delivery(context, installation.run, "failed")
    settled(context, installation.run)
    delivery(context, installation.run, "confirmed", sending=1)
    assert groups(context) == []


def test_what_failed_long_ago_is_history_and_what_is_in_doubt_is_not(context, installation):
    delivery(context, installation.run, "failed", "one")
    delivery(context, installation.run, "uncertain", "two")
    settled(context, installation.run)
    aged(context, DELIVERIES, updated_at=timedelta(days=31))
    assert groups(context) == [("doubt", "weekly-history")]


def test_a_failed_run_stands_until_its_period_is_done(context):
    first = stored(context, {}, "month-end")
    settled(context, first, failure="render failed: the ledger breaks a rule. See the log.")
    assert groups(context) == [("ledger", "month-end")]
    settled(context, first, failure="extract failed in every attempt")
    assert groups(context) == [("run", "month-end")]
    settled(context, first, RunStatus.DONE)
    assert groups(context) == []


def test_a_run_whose_delivery_failed_is_told_of_once(context, installation):
    delivery(context, installation.run, "failed")
    settled(context, installation.run)
    assert groups(context) == [("delivery", "weekly-history")]


def test_a_run_that_hangs_is_told_of(context, installation):
    context.state.runs.progress(installation.run.run_key, "extract", 1, 10)
    assert groups(context) == []
    aged(context, RUNS, updated_at=timedelta(days=2))
    [item] = collect(context, EVERYTHING)
    assert (item.group, item.happened) == (Group.RUN, "Nothing has happened since it was at 'extract'.")


def test_a_broken_file_is_told_of_to_administrators_until_it_is_put_right(admin, browser, context, tmp_path):
    path = tmp_path / "exports" / "broken.yaml"
    path.write_text(
        "id: broken\nname: Broken\nmodel: balnce\ntargets: [{kind: folder, options: {folder: x}}]\n"
    )
    assert "balnce" in text_of(admin.get(PAGE))
    assert "balnce" not in text_of(browser("vera").get(PAGE))
    path.write_text(
        "id: broken\nname: Whole\nmodel: balance\ntargets: [{kind: folder, options: {folder: x}}]\n"
    )
    assert "Nothing needs you" in text_of(admin.get(PAGE))


def test_an_export_that_lost_its_dag_is_told_of_to_who_may_see_it(admin, browser, context):
    export(context, "gone")
    with context.state.database.write() as connection:
        document = {**context.state.exports.get("gone").document, "model": "balnce"}
        connection.execute(update(EXPORT_EDITS).values(document=document))
    assert groups(context) == []
    entries(context.settings)
    assert groups(context) == [("definition", "gone")]
    assert counted(context, EVERYTHING) == 1
    page = admin.get(PAGE)
    assert "balnce" in text_of(page)
    [edit] = read(page).xpath("//main//a[text()='Edit']/@href")
    assert admin.get(f"/loyalty/{edit.removeprefix('./')}").status_code == 200
    seen = browser("vera").get(PAGE)
    assert "balnce" in text_of(seen)
    assert read(seen).xpath("//main//a[text()='Edit']") == []
    right = from_document({**document, "model": "balance"}, where="")
    context.state.exports.save(right, "admin", based_on=1)
    assert groups(context) == []


def test_a_late_run_is_told_of_and_looking_changes_nothing(context, tmp_path):
    (tmp_path / "exports" / "often.yaml").write_text(
        "id: often\nname: Often\nmodel: balance\nschedule: {kind: daily, time: '00:00'}\nsettle_delay: 0s\n"
        "notify: {late_after: 1m}\ntargets: [{kind: folder, options: {folder: x}}]\n"
    )
    assert groups(context) == []
    assert context.state.notices.watched() == {}
    from include.pipeline.watch import watch

    watch(context)
    with context.state.database.write() as connection:
        connection.exec_driver_sql("UPDATE loyalty_watches SET since = since - 200000000000")
    attention.forget()
    found = collect(context, EVERYTHING)
    assert {(item.group, item.definition_id) for item in found} == {(Group.LATE, "often")}
    assert [item.since for item in found] == sorted(item.since for item in found)
    assert counted(context, EVERYTHING) == len(found)


def test_a_message_that_reached_nobody_is_sent_again(admin, context):
    address = Address("email", "ann@shop.example", {"connection": "no_such_mail"})
    key = context.state.notices.add(
        "failed", "a run", address, {"event": "failed"}, definition_id="weekly-history"
    )
    with context.state.database.write() as connection:
        connection.execute(update(NOTICES).values(state="failed", message="the server said no"))
    assert "the server said no" in text_of(admin.get(PAGE))
    post(admin, f"{PAGE}/notices/{key}", PAGE)
    assert context.state.notices.get(key).state != "failed" or context.state.notices.get(key).attempts == 1


def test_an_overdue_anchor_is_written_by_the_button(admin, context):
    aged(context, AUDIT, at=timedelta(days=3))
    assert "No anchor of the audit log was ever written" in text_of(admin.get(PAGE))
    assert "Written:" in text_of(
        admin.get(post(admin, f"{PAGE}/anchor", PAGE).headers["location"].replace("..", "/loyalty"))
    )
    assert groups(context) == []
    [entry] = context.state.audit.newest(action=Action.ANCHORED)
    assert entry.actor == "admin"


def test_a_key_in_use_that_ends_soon_is_told_of(context):
    made = context.state.keys.make("warehouse", ["runs:read"], by="ann", expires=timedelta(days=5))
    assert groups(context) == []
    context.state.keys.authenticate(made.key)
    [item] = collect(context, EVERYTHING)
    assert (item.group, item.since) == ("key", context.state.keys.list()[0].created_at)
    aged(context, API_KEYS, expires_at=timedelta(days=6))
    assert groups(context) == []


def test_everybody_sees_their_own_exports_only(browser, admin, context):
    for definition_id in ("month-end", "weekly-history"):
        run = stored(context, {}, definition_id)
        settled(context, run, failure=f"{definition_id} has failed")
    assert groups(context, Visible({"month-end"}, installation=False)) == [("run", "month-end")]
    assert counted(context, Visible({"month-end"}, installation=False)) == 1
    assert {"month-end", "weekly-history"} == {each for _, each in groups(context)}


def test_a_viewer_sees_no_button(browser, context, installation):
    delivery(context, installation.run, "failed")
    settled(context, installation.run)
    page = read(browser("care", "VIEWER").get(PAGE))
    assert "the disk is full" in page.text_content()
    assert not page.xpath("//main//button")
    assert "Nothing needs you" in text_of(browser("finance", "VIEWER").get(PAGE))


@pytest.mark.parametrize(("deed", "state"), [("arrived", "confirmed"), ("not_arrived", "failed")])
def test_a_word_on_a_delivery_is_written_down_with_who_said_it(admin, context, installation, deed, state):
    seen = delivery(context, installation.run, "uncertain")
    settled(context, installation.run)
    answer = post(
        admin, f"{PAGE}/deliveries/{seen.key}", PAGE, do=deed, fence=str(seen.fence), note="asked Bob"
    )
    assert answer.status_code == 303
    now = context.state.deliveries.get(seen.key)
    assert now.state == state
    assert "admin says that it" in now.message
    assert "asked Bob" in now.message


def test_a_word_on_what_has_changed_since_is_refused(admin, context, installation):
    seen = delivery(context, installation.run, "uncertain")
    context.state.deliveries.reopen(seen.key, by="bob")
    answer = post(
        admin,
        f"{PAGE}/deliveries/{seen.key}",
        "/loyalty/administration/keys",
        do="arrived",
        fence=str(seen.fence),
    )
    assert answer.status_code == 422
    assert context.state.deliveries.get(seen.key).state is DeliveryState.FAILED


@pytest.mark.slow
def test_trying_again_asks_airflow_for_just_that_target(admin, context, installation, known):  # noqa: F811
    from tests.web.exports.made import export

    known(export(context, "weekly-history").document)
    seen = delivery(context, installation.run, "failed")
    settled(context, installation.run)
    assert post(admin, f"{PAGE}/deliveries/{seen.key}", PAGE, do="retry").status_code == 303
    [run] = dag_runs("weekly-history")
    assert run.conf == {"resend": installation.run.run_key, "targets": ["folder"]}
    assert context.state.deliveries.get(seen.key).message == "opened again by admin"


@pytest.mark.parametrize(
    "path", ["deliveries/" + "0" * 64, "deliveries/x", "runs/" + "0" * 64, "runs/é", "notices/x"]
)
def test_what_is_not_there_any_more_is_said(admin, path):
    answer = post(admin, f"{PAGE}/{path}", "/loyalty/administration/keys", do="retry")
    assert answer.status_code == 404
    assert "not there any more" in answer.text


OUTCOMES = st.sampled_from(["failed", "uncertain", "conflict", "left", "confirmed"])


@settings(max_examples=25)  # each makes a state of its own
@given(
    st.lists(st.tuples(OUTCOMES, st.sampled_from(["a", "b"])), max_size=6),
    st.sampled_from([None, {"a"}, set()]),
)
def test_the_count_is_that_of_the_list(tmp_path_factory, outcomes, visible):
    from include.pipeline import Context
    from include.settings import Settings

    home = tmp_path_factory.mktemp("home")
    (home / "exports").mkdir()
    made = Settings.from_environment({"LOYALTY_HOME": str(home), "LOYALTY_EXPORTS": str(home / "exports")})
    context = Context.from_settings(made)
    for number, (outcome, definition_id) in enumerate(outcomes):
        run = stored(
            context,
            {f"{number}.csv": b"1"},
            definition_id,
            [{"kind": "folder", "options": {"folder": str(number)}}],
        )
        delivery(context, run, outcome, str(number))
        settled(context, run)
    for seen in (Visible(visible, installation=False), EVERYTHING):
        listed = collect(context, seen)
        assert counted(context, seen) == len(listed)


def test_what_a_button_may_say_is_what_the_command_line_says(context, installation):
    """The same rule decides: `resolving.next_step` names a retry wherever the page offers one."""
    for outcome in ("failed", "uncertain", "conflict", "left"):
        each = delivery(context, installation.run, outcome, outcome)
        step = resolving.next_step(each)
        [item] = [one for one in _items(context, installation.run) if one.subject == each.key]
        assert ("retry" in step) == (attention.Deed.RETRY in item.deeds)
        assert ("--arrived" in step) == (attention.Deed.ARRIVED in item.deeds)


def _items(context, run):
    settled(context, run)
    return collect(context, EVERYTHING, datetime.now(UTC))
