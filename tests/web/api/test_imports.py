"""Points imported through our API: once, rehearsed first, taken back, and agreed to by another person than who asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from include import sample
from include.errors import Transient
from include.pipeline import Context
from include.sample.plan import Plan
from include.settings import Settings
from include.state.audit import Action
from include.state.keys import Scope
from tests.web.api.asking import OURS, Asking
from tests.web.application import stand_on

ADD = b"customer_id,points\nc0000001,12.50\nc0000002,-3\n"


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: FastAPI) -> Asking:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=10, transactions=100))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", url)
    return Asking(Context.from_settings(Settings.from_environment()), built)


def booked(asking: Asking) -> list[tuple[str, int]]:
    engine = sa.create_engine(asking.context.settings.ledger_url)
    with engine.connect() as connection:
        wanted = "SELECT customer_id, points FROM transactions WHERE source = 'import' ORDER BY customer_id, points"
        found = [(row[0], row[1]) for row in connection.execute(sa.text(wanted))]
    engine.dispose()
    return found


def posted(asking: Asking, content: bytes, mode: str = "add", **more: str) -> str:
    client = asking.client(Scope.IMPORTS_WRITE)
    wish = {"name": "points.csv", "mode": mode, "program": "club", **more}
    answer = client.post(f"{OURS}/imports", params=wish, content=content)
    assert answer.status_code in {200, 201}, answer.text
    return f"{OURS}/imports/{answer.json()['import_id']}"


def test_points_go_in_once_and_come_out_again(importing: Asking) -> None:
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, ADD)
    assert posted(importing, ADD) == place
    rehearsed = client.post(f"{place}/rehearse")
    assert (rehearsed.status_code, rehearsed.json()["state"]) == (200, "rehearsed"), rehearsed.text
    assert booked(importing) == []
    rows = client.get(f"{place}/rows").json()["items"]
    assert [(each["customer"], each["status"]) for each in rows] == [
        ("c0000001", "done"),
        ("c0000002", "done"),
    ]
    done = client.post(f"{place}/post")
    assert (done.status_code, done.json()["state"]) == (200, "posted"), done.text
    assert client.post(f"{place}/post").json()["state"] == "posted"
    assert booked(importing) == [("c0000001", 1250), ("c0000002", -300)]
    owner = importing.client(Scope.IMPORTS_WRITE, Scope.PERSONAL)
    result = owner.get(f"{place}/files/result")
    assert b"c0000001" in result.content
    assert (
        owner.get(f"{place}/files/result", headers={"if-none-match": result.headers["etag"]}).status_code
        == 304
    )
    [told] = importing.context.state.audit.newest(action=Action.DOWNLOADED, subject=place.rpartition("/")[2])
    assert (told.actor[:3], told.detail["file"]) == ("key", "result")
    back = client.post(f"{place}/undo").json()
    assert client.post(f"{OURS}/imports/{back['import_id']}/post").json()["state"] == "posted"
    assert client.get(place).json()["state"] == "undone"
    assert sum(points for _, points in booked(importing)) == 0
    listed = client.get(f"{OURS}/imports?state=undone").json()["items"]
    assert [each["import_id"] for each in listed] == [place.rpartition("/")[2]]


def test_what_is_wrong_books_nothing(importing: Asking) -> None:
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, b"customer_id,points\nnobody,1\nc0000001,1e3\n")
    assert client.post(f"{place}/rehearse").json()["state"] == "wrong"
    assert client.post(f"{place}/post").status_code in {409, 422}
    assert booked(importing) == []
    wrong = client.get(f"{place}/rows?status=wrong").json()["items"]
    assert len(wrong) == 2
    assert client.post(f"{place}/refuse", json={"note": "a mistake"}).json()["state"] == "refused"


def test_a_reset_waits_for_another_person(importing: Asking) -> None:
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, b"customer_id,points\nc0000001,5\n", "reset")
    assert client.post(f"{place}/rehearse").json()["state"] == "waiting"
    assert client.post(f"{place}/post").status_code == 409
    assert client.post(f"{place}/approve", json={"note": "fine"}).status_code == 403
    # Whoever made the key is no second person either; whoever made none is.
    for name, status in (("ann", 422), ("bob", 200)):
        person = importing.logged_in("import", name=name)
        person.headers["authorization"] = "Bearer a-token-of-airflow"
        assert person.post(f"{place}/approve", json={"note": "fine"}).status_code == status, name
    assert client.post(f"{place}/post").json()["state"] == "posted"


def test_a_key_with_a_scope_of_its_own_agrees_sees_the_rehearsal_and_posts_nothing(importing: Asking) -> None:
    answered: list[tuple[str, ...]] = []
    stand_on(importing.app, importing.context, answer=lambda *said: bool(answered.append(said)) or True)
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, b"customer_id,points\nc0000001,5\n", "reset")
    client.post(f"{place}/rehearse")
    anns = importing.client(Scope.IMPORTS_APPROVE)  # by who made the key that asked
    assert anns.post(f"{place}/approve", json={}).status_code == 422
    made = importing.context.state.keys.make("controlling", [Scope.IMPORTS_APPROVE], by="paul")
    anns.headers["authorization"] = f"Bearer {made.key}"
    assert anns.get(place).json()["rehearsal"]["rows"] == 1
    assert anns.get(f"{place}/rows").json()["items"][0]["status"] == "done"
    for path in (
        f"{OURS}/imports?name=a.csv&mode=add",
        f"{place}/rehearse",
        f"{place}/post",
        f"{place}/undo",
    ):
        assert anns.post(path, content=ADD).status_code == 403, path
    agreed = anns.post(f"{place}/approve", json={"note": "seen"})
    assert (agreed.status_code, agreed.json()["decided_by"]) == (200, made.record.actor)
    assert answered == [("loyalty-imports", place.rpartition("/")[2], "Approve", made.record.actor)]
    assert client.post(f"{place}/post").json()["state"] == "posted"
    place = posted(importing, b"customer_id,points\nc0000001,6\n", "reset", renewed="true")
    client.post(f"{place}/rehearse")
    assert anns.post(f"{place}/refuse", json={"note": "no"}).json()["state"] == "refused"
    assert answered[-1][1:3] == (place.rpartition("/")[2], "Refuse")


def test_a_decision_stands_where_airflow_cannot_be_answered(importing: Asking) -> None:
    def away(*_: str) -> bool:
        raise Transient("Airflow's database: OperationalError")

    stand_on(importing.app, importing.context, answer=away)
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, b"customer_id,points\nc0000001,5\n", "reset")
    client.post(f"{place}/rehearse")
    assert client.post(f"{place}/refuse", json={"note": "no"}).json()["state"] == "refused"


def test_whoever_the_installation_names_hears_of_imports_by_api(importing: Asking) -> None:
    """Once for each end, also where the same is asked for again; a key has no address to be mailed to."""
    told = {"LOYALTY_NOTIFY_WEBHOOK": "chat", "LOYALTY_NOTIFY_WHEN": "finished,failed,skipped"}
    object.__setattr__(importing.context.settings, "notify", told)
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, ADD)
    for step in ("rehearse", "post", "post"):
        assert client.post(f"{place}/{step}").status_code == 200
    wrong = posted(importing, b"customer_id,points\nnobody,1\n", name="wrong.csv")
    client.post(f"{wrong}/rehearse")
    client.post(f"{wrong}/refuse", json={"note": "a mistake"})
    found = importing.context.state.notices.list()
    assert sorted((each.event, each.channel, each.notice["facts"]["import"]) for each in found) == sorted([
        ("finished", "webhook", place.rpartition("/")[2]),
        ("failed", "webhook", wrong.rpartition("/")[2]),
        ("skipped", "webhook", wrong.rpartition("/")[2]),
    ])  # fmt: skip


def test_what_is_no_import_is_told(importing: Asking) -> None:
    client = importing.client(Scope.IMPORTS_WRITE)
    assert client.get(f"{OURS}/imports/imp-{'0' * 16}").status_code == 404
    assert client.post(f"{OURS}/imports/imp-{'0' * 16}/post").status_code == 404
    assert client.get(f"{OURS}/imports/x").status_code == 422
    for wish in (
        {},
        {"name": "a.csv"},
        {"name": "a.csv", "mode": "steal"},
        {"name": "a.csv", "mode": "undo"},
    ):
        assert client.post(f"{OURS}/imports", params=wish, content=ADD).status_code == 422, wish
    unknown = {"name": "a.csv", "mode": "add", "program": "no-such"}
    assert client.post(f"{OURS}/imports", params=unknown, content=ADD).status_code == 422


def test_what_waits_is_asked_in_airflow_and_who_should_know_is_told(
    importing: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_NOTIFY_WEBHOOK", "their_hook")
    monkeypatch.setenv("LOYALTY_NOTIFY_WHEN", "finished failed uncertain skipped")
    asking = Asking(Context.from_settings(Settings.from_environment()))

    def told() -> list[str]:
        return [each.event for each in reversed(asking.context.state.notices.list())]

    client = asking.client(Scope.IMPORTS_WRITE)
    place = posted(asking, b"customer_id,points\nc0000001,5\n", "reset")
    for _ in range(2):
        assert client.post(f"{place}/rehearse").json()["state"] == "waiting"
    assert [started[:2] for started in asking.started] == [
        ("loyalty-imports", {"import": place.rpartition("/")[2]})
    ]
    assert told()[-1] == "uncertain"
    assert client.post(f"{place}/refuse", json={"note": "a mistake"}).json()["state"] == "refused"
    assert told()[-1] == "skipped"
    place = posted(asking, ADD)
    client.post(f"{place}/rehearse")
    client.post(f"{place}/post")
    assert (told()[-1], len(asking.started)) == ("finished", 1)


def test_a_file_is_not_read_where_nothing_can_be_imported(
    importing: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", "mysql+pymysql://reader@ledger.example/points")
    asking = Asking(Context.from_settings(Settings.from_environment()))
    monkeypatch.setattr("include.web.api.ours.imports.write_body", lambda *_: pytest.fail("it was read"))
    wish = {"name": "points.csv", "mode": "add", "program": "club"}
    answer = asking.client(Scope.IMPORTS_WRITE).post(f"{OURS}/imports", params=wish, content=ADD)
    assert answer.status_code == 422
    assert "this one is in MySQL or MariaDB" in answer.json()["detail"]


def test_imports_and_rows_come_in_pages(importing: Asking) -> None:
    client = importing.client(Scope.IMPORTS_WRITE)
    place = posted(importing, b"customer_id,points\n" + b"".join(b"c%07d,1\n" % each for each in range(1, 8)))
    assert client.get(f"{place}/rows").json() == {
        "items": [], "page": 1, "per_page": 50, "total": 0, "next": None
    }  # fmt: skip
    client.post(f"{place}/rehearse")
    posted(importing, b"customer_id,points\nc0000001,5\n", "reset", name="other.csv")
    for start, total in ((f"{place}/rows?status=done&per_page=3", 7), (f"{OURS}/imports?per_page=1", 2)):
        seen, following = [], start
        while following:
            page = client.get(following).json()
            assert page["total"] == total
            seen += [each.get("row") or each["import_id"] for each in page["items"]]
            following = page["next"]
        assert len(set(seen)) == len(seen) == total, start
    assert client.get(f"{place}/rows?status=wrong").json()["total"] == 0
    assert client.get(f"{OURS}/imports?mode=reset&state=received").json()["total"] == 1
    for path in (f"{OURS}/imports", f"{place}/rows"):
        far = client.get(f"{path}?page=1000000&per_page=500").json()
        assert (far["items"], far["next"]) == ([], None)
        for query in ("page=0", "per_page=501", "page=1000001", "page=-1", "per_page=9e9"):
            assert client.get(f"{path}?{query}").status_code == 422, (path, query)


def test_a_large_file_is_airflows_work(importing: Asking) -> None:
    place = posted(importing, b"customer_id,points\n" + b"c0000001,1\n" * 120_000)
    client = importing.client(Scope.IMPORTS_WRITE)
    assert client.post(f"{place}/rehearse").status_code == 202
    assert importing.started[-1][:2] == ("loyalty-imports", {"import": place.rpartition("/")[2]})


def test_what_a_file_that_cannot_be_read_says_is_for_who_posted_it_and_with_scope_personal(
    importing: Asking,
) -> None:
    place = posted(importing, b"jane@shop.example,5\n")
    own = importing.client(Scope.IMPORTS_WRITE)
    assert own.post(f"{place}/rehearse").json()["state"] == "wrong"
    assert "jane@" in importing.client(Scope.IMPORTS_WRITE, Scope.PERSONAL).get(place).text
    other = importing.client(Scope.IMPORTS_WRITE)
    for answer in (
        other.get(place),
        other.get(f"{OURS}/imports"),
        other.post(f"{place}/rehearse"),
        other.post(f"{place}/refuse", json={"note": ""}),
    ):
        assert answer.status_code == 200, answer.text
        assert "jane@" not in answer.text
        assert "the first row must name the columns" in answer.text
