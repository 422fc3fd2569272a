"""Points from files, sent by the vendor's own client and by others: all rows or none, once, and as the document says."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import talon_one
from starlette.testclient import TestClient
from talon_one import ApiException

from include.pipeline import Context, imports
from include.state.keys import Scope
from tests.layouts.tiny import Desk
from tests.web.api.asking import Asking
from tests.web.api.talon_one.conftest import Vendor
from tests.web.api.talon_one.ledger import LEDGER

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.usefixtures("inline")]
PATH = "/talon-one/v1/loyalty_programs/7/import_points"
FEW = 5


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Asking:
    """A ledger that imports may write to; files of more than five rows wait for a second person."""
    desk = Desk(tmp_path_factory.mktemp("imports"), LEDGER)
    settings = desk.context.settings
    context = Context(
        dataclasses.replace(settings, ledger_write_url=settings.ledger_url, import_approval_rows=FEW)
    )
    return Asking(context)


@pytest.fixture(scope="module")
def sender(club: Asking, with_key: Callable[[str], Vendor]) -> Vendor:
    return with_key(club.key(Scope.IMPORTS_WRITE, Scope.REPORTS_READ).key)


@pytest.fixture
def program(club: Asking) -> TestClient:
    """A client that is not the vendor's: what it sends is up to it."""
    client = club.client()
    client.headers["authorization"] = f"ManagementKey-v1 {club.key(Scope.IMPORTS_WRITE).key}"
    return client


def held(vendor: Vendor, customer: str) -> tuple[float, float]:
    """What a customer has now: active, and pending."""
    found = vendor.integration.get_loyalty_balances(7, customer).balance
    return found.active_points, found.pending_points


def upload(name: str, content: bytes | str) -> dict[str, Any]:
    return {"files": {"upFile": (name, content, "text/csv")}}


def test_the_vendors_client_imports_a_text_once(sender: Vendor) -> None:
    text = (
        "customerprofileid,amount,startdate,expirydate,validityDuration,subledgerid,reason\n"
        "idle,100,immediate,unlimited,,,Welcome\n"
        "idle,12.50,2199-01-01T00:00:00+02:00,,10M,,Later\n"
    )
    made = sender.management.import_loyalty_points(7, up_file=text)
    assert (made.amount, made.entity) == (2, "LoyaltyPoints")
    assert held(sender, "idle") == (100, 12.5)
    again = sender.management.import_loyalty_points(7, up_file=text, notifications_enabled=False)
    assert again.id == made.id
    assert held(sender, "idle") == (100, 12.5)
    newest = sender.management.get_loyalty_program_transactions(
        7, loyalty_transaction_type="import", page_size=1
    )
    assert newest.data[0].import_id == made.id


def test_the_same_file_twice_on_purpose(program: TestClient, sender: Vendor) -> None:
    text = "customerprofileid,amount\ncy,20\n"
    answers = [
        program.post(PATH, params=asked, **upload("a.csv", text)) for asked in ({}, {}, {"again": True})
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    ids = [answer.json()["id"] for answer in answers]
    assert ids[0] == ids[1] != ids[2]
    assert held(sender, "cy")[0] == 35  # 2 x 20, of which 5 repay the debt


def test_other_bytes_under_the_same_name_are_meant(program: TestClient, sender: Vendor) -> None:
    before = held(sender, "mo")[0]
    for amount in (1, 2):
        assert (
            program.post(PATH, **upload("daily.csv", f"customerprofileid,amount\nmo,{amount}\n")).status_code
            == 200
        )
    assert held(sender, "mo")[0] == before + 3


def test_points_of_cards(program: TestClient, sender: Vendor) -> None:
    answer = program.post(PATH, **upload("cards.csv", "identifier,amount\nK2,7\n"))
    assert answer.status_code == 200, answer.text
    assert sender.integration.get_loyalty_card_balances(7, "K2").balance.active_points == 15


def test_a_zip_is_a_file_too(program: TestClient, sender: Vendor) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("points.csv", "customerprofileid,amount\nbob,3\n")
    before = held(sender, "bob")[0]
    assert program.post(PATH, **upload("points.zip", packed.getvalue())).status_code == 200
    assert held(sender, "bob")[0] == before + 3


def test_one_wrong_row_and_nothing_is_booked(sender: Vendor) -> None:
    before = held(sender, "ann")
    text = "customerprofileid,amount,startdate\nann,5,\nnobody,5,\nann,1e3,\nann,5,on_action\n"
    with pytest.raises(ApiException) as refused:
        sender.management.import_loyalty_points(7, up_file=text)
    assert refused.value.status == 400
    told = refused.value.body
    assert all(f"row {number}" in told for number in (3, 4, 5)) or all(
        f"row {number}" in told for number in (2, 3, 4)
    )
    assert "on_action" in told
    assert held(sender, "ann") == before


def test_many_rows_wait_for_a_second_person(club: Asking, program: TestClient, sender: Vendor) -> None:
    before = held(sender, "ann")[0]
    text = "customerprofileid,amount,reason\n" + "".join(f"ann,1,row {n}\n" for n in range(FEW + 1))
    answer = program.post(PATH, **upload("many.csv", text))
    assert (answer.status_code, answer.headers["loyalty-import-state"]) == (202, "waiting")
    assert held(sender, "ann")[0] == before
    import_id = answer.headers["loyalty-import"]
    imports.approve(club.context, import_id, by="olga")
    imports.post(club.context, import_id, by="olga")
    assert held(sender, "ann")[0] == before + FEW + 1
    assert program.post(PATH, **upload("many.csv", text)).status_code == 200
    assert held(sender, "ann")[0] == before + FEW + 1


def test_a_file_that_was_refused_is_not_taken_for_a_new_one(club: Asking, program: TestClient) -> None:
    text = "customerprofileid,amount,reason\n" + "".join(f"ann,2,row {n}\n" for n in range(FEW + 1))
    waiting = program.post(PATH, **upload("no.csv", text))
    imports.refuse(club.context, waiting.headers["loyalty-import"], by="olga", reason="no")
    refused = program.post(PATH, **upload("no.csv", text))
    assert refused.status_code == 409
    assert "again=true" in refused.json()["message"]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"content": b"a,b\n1,2\n", "headers": {"content-type": "text/csv"}}, "not multipart"),
        ({"files": {"other": ("a.csv", b"x")}}, "missing"),
        ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "bad multipart"),
        ({"content": b"no", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "bad multipart"),
        (upload("empty.csv", b""), "empty file"),
        (upload("a.csv", b"name,colour\nann,red\n"), ""),
        (upload("page.csv", b"<!DOCTYPE html><html></html>"), ""),
    ],
)  # fmt: skip
def test_what_is_no_file_of_points(program: TestClient, how: dict[str, Any], code: str) -> None:
    answer = program.post(PATH, **how)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"]
    assert code in {"", *(each["title"] for each in answer.json()["errors"])}, answer.text


def test_a_login_in_a_browser_changes_nothing(club: Asking) -> None:
    answer = club.logged_in("import").post(PATH, **upload("a.csv", "customerprofileid,amount\nann,5\n"))
    club.reader = None
    assert answer.status_code == 403
    assert club.client().post(PATH, **upload("a.csv", "customerprofileid,amount\nann,5\n")).status_code == 401


def test_where_imports_are_off_it_says_how_to_turn_them_on(club: Asking, tmp_path: Any) -> None:
    off = Asking(Desk(tmp_path, LEDGER).context)
    client = off.client()
    client.headers["authorization"] = (
        f"ApiKey-v1 {off.key(Scope.IMPORTS_WRITE, expires=timedelta(days=1)).key}"
    )
    answer = client.post(PATH, **upload("a.csv", "customerprofileid,amount\nann,5\n"))
    assert answer.status_code == 400
    assert "LOYALTY_LEDGER_WRITE_URL" in answer.text


def test_the_client_is_the_vendors(sender: Vendor) -> None:
    assert talon_one.__version__ == "9.0.0"


def test_files_are_larger_than_other_bodies_and_yet_have_an_end(program: TestClient) -> None:
    rows = "".join(f"nobody-{n},1,{'x' * 900}\n" for n in range(3_000))  # 2.7 MB; other bodies end at 1 MiB
    wrong = program.post(PATH, **upload("large.csv", "customerprofileid,amount,reason\n" + rows))
    assert wrong.status_code == 400
    assert len(wrong.json()["errors"]) == 100
    head = {"content-type": "multipart/form-data; boundary=x", "content-length": str(600 << 20)}
    assert program.post(PATH, content=b"", headers=head).status_code == 413
