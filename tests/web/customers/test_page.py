"""Finding a customer and looking at one: who may, what is shown, what is told, whatever the address says."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from include.ledger.people import Name
from include.pipeline.erasure import erase
from include.snapshots import canonical
from include.state.audit import Action
from include.web.customers.ways import card_way, way
from tests.pipeline.people import MAIL, WHO
from tests.web.customers.conftest import HOSTILE

pytestmark = pytest.mark.slow  # Airflow's application takes seconds to start
PAGE = f"/loyalty/customers/{WHO}"
NAMES = (WHO, MAIL, "Ada Martin", "card-own", "+33100000001")


def text_of(answer: Any) -> str:
    """What a person reads."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


class TestRights:
    @pytest.mark.parametrize(
        "path",
        [
            "/loyalty/customers",
            "/loyalty/customers?q=ada",
            PAGE,
            "/loyalty/customers?card=card-free",
            f"/loyalty/customers?id={WHO}",
        ],
    )
    def test_nobody_sees_anything(self, browser: Any, household: Any, path: str) -> None:
        led = browser().get(path)
        assert led.status_code == 303
        assert led.headers["location"].startswith("/api/v2/auth/login")
        assert browser().get(path, headers={"accept": "*/*"}).status_code == 401
        assert household.state.audit.newest(action=Action.CUSTOMER_SEEN) == []

    @pytest.mark.parametrize(
        "path",
        [
            PAGE,
            "/loyalty/customers/nobody",
            "/loyalty/customers?card=card-free",
            "/loyalty/customers?card=card-own",
            f"/loyalty/customers?id={WHO}",
        ],
    )
    def test_a_page_needs_the_right_to_personal_data(self, viewer: Any, household: Any, path: str) -> None:
        refused = viewer.get(path)
        assert refused.status_code == 403
        assert "personal data" in text_of(refused)
        assert not [name for name in NAMES[1:] if name in refused.text]
        assert household.state.audit.newest(action=Action.CUSTOMER_SEEN) == []

    def test_an_administrator_grants_it_to_a_role(self, viewer: Any, household: Any) -> None:
        household.state.grants.grant("viewer", "personal", "*", by="admin")
        assert viewer.get(PAGE).status_code in {200, 403}
        import time

        time.sleep(2.1)  # grants are read again every two seconds
        assert viewer.get(PAGE).status_code == 200
        assert "Customers" in text_of(viewer.get("/loyalty/customers"))

    @pytest.mark.parametrize(
        ("q", "found"), [(WHO, True), ("card-own", True), (MAIL, False), ("Ada", False), ("customer-", False)]
    )
    def test_without_it_only_whole_ids_are_found_and_shown_masked(
        self, viewer: Any, q: str, found: bool
    ) -> None:
        shown = viewer.get("/loyalty/customers", params={"q": q})
        assert shown.status_code == 200
        told = shown.text.replace(f'value="{q}"', "")
        assert ("cu•••01" in told) is found
        assert ("Nobody was found" in told) is not found
        assert not [name for name in NAMES if name in told.replace(f"“{q}”", "")]


class TestSearch:
    def test_an_exact_hit_leads_to_the_page(self, admin: Any) -> None:
        for q in (WHO, f"  {WHO} ", MAIL, "card-own"):
            led = admin.get("/loyalty/customers", params={"q": q})
            assert led.status_code == 303, q
            assert led.url.join(led.headers["location"]).path == PAGE, q
        # An address in another case is looked for in all customers, and led to as well.
        led = admin.get("/loyalty/customers", params={"q": MAIL.upper()})
        assert led.url.join(led.headers["location"]).path == PAGE

    def test_names_and_beginnings_are_listed(self, admin: Any) -> None:
        shown = text_of(admin.get("/loyalty/customers", params={"q": "MARTIN"}))
        assert "Ada Martin" in shown
        assert "Bo Martin" in shown
        assert "customer-0003" not in shown
        ids = re.findall(
            r'class="mono" href="[^"]*/customers/([^"]+)"', admin.get("/loyalty/customers?q=customer-").text
        )
        assert ids == [WHO, "customer-0002", "customer-0003"]

    def test_what_finds_nobody_says_so(self, admin: Any) -> None:
        for q in (
            "",
            " ",
            "nobody",
            "%",
            "_",
            "' OR ''='",
            "\0",
            "x" * 600,
            "\u202e",
            "a\tb",
            HOSTILE + "x",
        ):
            shown = admin.get("/loyalty/customers", params={"q": q})
            assert shown.status_code == 200, q
            assert "<script>alert" not in shown.text
            assert 'class="table"' not in shown.text
            assert ("Nobody was found" in shown.text) is bool(q.strip()), q

    def test_a_card_without_owner_is_found(self, admin: Any) -> None:
        led = admin.get("/loyalty/customers?q=card-free")
        assert led.status_code == 303
        assert led.headers["location"].endswith("customers?card=card-free")
        page = admin.get("/loyalty/customers?card=card-free")
        assert "card without an owner" in text_of(page)
        assert "7.00" in page.text

    def test_somebody_elses_card_leads_to_its_owner(self, admin: Any) -> None:
        led = admin.get("/loyalty/customers?card=card-own")
        assert (led.status_code, led.headers["location"].rpartition("/")[2]) == (303, WHO)

    def test_a_search_is_told_with_whom_it_showed_and_not_with_what_was_typed(
        self, admin: Any, household: Any
    ) -> None:
        admin.get("/loyalty/customers", params={"q": "martin"})
        [told] = household.state.audit.newest(action=Action.CUSTOMERS_SEARCHED)
        assert (told.actor, told.subject) == ("admin", "search")
        shown = {household.state.looked.name(subject).name for subject in told.detail["found"]}
        assert shown == {WHO, "customer-0002"}
        assert "martin" not in str(told).lower()

    def test_who_was_erased_is_not_found_by_anything(self, admin: Any, household: Any) -> None:
        done = erase.erase(household, customer=WHO)
        for q in (WHO, MAIL, "Ada", "card-own", done.pseudonym, "erased-"):
            shown = admin.get("/loyalty/customers", params={"q": q})
            assert shown.status_code == 200, q
            assert "Ada Martin" not in shown.text
            assert f"/customers/{WHO}" not in shown.text
            assert done.pseudonym not in shown.text.replace(q, "")
        assert admin.get(PAGE).status_code == 404
        assert admin.get(f"/loyalty/customers/{done.pseudonym}").status_code == 404
        assert admin.get("/loyalty/customers?card=card-own").status_code == 404


class TestPage:
    def test_what_there_is(self, admin: Any, household: Any) -> None:
        page = admin.get(PAGE)
        assert page.status_code == 200
        shown = text_of(page)
        for words in (
            "Ada Martin",
            MAIL,
            "+33100000001",
            "70.00",
            "50.00",
            "15.00",
            "card-shared",
            "3 accounts together 135.00",
            "TEN-OFF",
        ):
            assert words in shown, words
        assert "Read from the ledger at" in shown
        # A redemption shows its lots, and a lot who used it.
        assert re.search(r"From 1 lot 30.00 of lot t0", shown)
        assert re.search(r"Used by 1 30.00 redeemed t7", shown)
        [told] = household.state.audit.newest(action=Action.CUSTOMER_SEEN)
        assert told.actor == "admin"
        assert household.state.looked.name(told.subject) == (Name.CUSTOMER, WHO)

    def test_the_state_at_another_instant(self, admin: Any) -> None:
        before = text_of(admin.get(f"{PAGE}?at=2026-01-12T00:00&zone=UTC"))
        assert "What is shown is the state at Mon 12 Jan 2026, 00:00" in before
        assert "100.00" in before  # the 30 were not spent yet
        later = text_of(admin.get(f"{PAGE}?at=2199-01-01T00:00&zone=UTC"))
        assert "projection" in later
        nothing = text_of(admin.get(f"{PAGE}?at=1970-01-01T00:00&zone=UTC"))
        assert "Nothing had happened by then." in nothing

    def test_what_is_wrong_stands_beside_its_field(self, admin: Any) -> None:
        for query, sentence in (
            ("at=tomorrow", "Give a date and a time"),
            ("at=2026-02-30T00:00", "Give a date and a time"),
            ("at=9999-12-31T23:59", "Give a date and a time"),
            ("at=2026-03-01", "Give a date and a time"),
            ("at=2026-03-01T00:00%2B02:00", "Give a date and a time"),
            ("zone=EST", "IANA time zone"),
            ("zone=../../etc/passwd", "IANA time zone"),
            ("from=0001-01-01", "Give a day between"),
            ("from=2026-13-01", "Give a day between"),
            ("from=2026-02-02&until=2026-02-01", "must not lie before the first"),
        ):
            page = admin.get(f"{PAGE}?{query}")
            assert page.status_code == 200
            assert sentence in text_of(page), query
            assert 'aria-invalid="true"' in page.text, query
            assert "Ada Martin" in page.text

    def test_odd_addresses_do_no_harm(self, admin: Any) -> None:
        for query in (
            "page=0",
            "page=-1",
            "page=x",
            "page=99999999999999",
            "page=٣",
            "type=bought",
            "type=earned&type=x",
            "subledger=base",
            "subledger==",
            "lots=all",
            "text=%00",
            "text=" + "x" * 5000,
            "nonsense=1",
            "program=%27",
        ):
            page = admin.get(f"{PAGE}?{query}")
            assert page.status_code == 200, query
            assert "70.00" in page.text, query

    def test_the_clock_that_is_shown_is_the_zones(self, admin: Any) -> None:
        """t7 stands at midnight UTC of 12 January: in Paris that is one o'clock."""
        assert "Mon 12 Jan 2026, 01:00" in text_of(admin.get(f"{PAGE}?zone=Europe/Paris"))
        # Until the 12th in Paris holds it, until the 11th does not.
        assert (
            "t7"
            in admin.get(f"{PAGE}?zone=Europe/Paris&from=2026-01-12&until=2026-01-12&lots=").text.partition(
                'id="transactions"'
            )[2]
        )
        ids = _ids(admin.get(f"{PAGE}?zone=Europe/Paris&until=2026-01-11").text)
        assert "t7" not in ids
        assert "t0" in ids

    def test_fifty_at_first_and_then_more(self, admin: Any) -> None:
        path = "/loyalty/customers/customer-0003"
        pages = [admin.get(f"{path}?page={number}").text for number in (1, 2, 3, 4)]
        ids = [_ids(page) for page in pages]
        assert [len(each) for each in ids] == [50, 50, 31, 0]
        assert ids[0][0] == "m129"
        assert len({*ids[0], *ids[1], *ids[2]}) == 131
        assert "Page 1 of 3" in text_of(admin.get(path))
        assert "There is no such page" in pages[3]
        link = re.search(r'rel="next" href="([^"]+)"', admin.get(f"{path}?text=visit&zone=UTC").text)
        assert link is not None
        target = html.unescape(link[1])
        assert {"text=visit", "zone=UTC", "page=2"} <= set(target.partition("?")[2].split("&"))

    def test_days_of_the_filter_are_those_of_the_zone_that_is_shown(self, admin: Any) -> None:
        page = admin.get(PAGE).text
        shown = re.search(r"<option selected>([^<]+)</option>", page.partition('id="zone"')[2])
        assert shown is not None
        form = page.partition('class="card filters"')[2].partition("</form>")[0]
        assert f'<input type="hidden" name="zone" value="{shown[1]}">' in form
        again = (
            admin.get(f"{PAGE}?zone={shown[1]}")
            .text.partition('class="card filters"')[2]
            .partition("</form>")[0]
        )
        assert again.count('name="zone"') == 1

    def test_filters(self, admin: Any) -> None:
        redeemed = _ids(admin.get(f"{PAGE}?type=redeemed").text)
        assert redeemed == ["t7", "t3"]
        assert _ids(admin.get(f"{PAGE}?text=T7").text) == ["t7"]
        none = admin.get(f"{PAGE}?text=nothing+like+that")
        assert "No transaction is like that." in text_of(none)

    def test_texts_of_the_ledger_are_texts(self, admin: Any) -> None:
        page = admin.get("/loyalty/customers/customer-0003").text
        assert "<script>alert" not in page
        assert page.count("&lt;/td&gt;&lt;script&gt;") >= 2

    def test_ids_of_odd_characters_have_a_page(self, admin: Any, household: Any) -> None:
        ids = [
            "a/b",
            "/",
            "..",
            ".",
            "a b",
            "ünï",
            "%41",
            "?x=1",
            "#x",
            "a&b=c",
            "'\"<>",
            "a+b",
            ";",
            "x\ny",
            "a\\b",
            "*",
            "😀",
            " lead",
            "e@x.org",
            "%2F",
            "log",
            "e" * 190,
        ]
        engine = sa.create_engine(household.settings.ledger_url)
        tables, moment = canonical.METADATA.tables, datetime(2026, 3, 1, tzinfo=UTC)
        with engine.begin() as connection:
            for number, odd in enumerate(ids):
                connection.execute(
                    tables["customers"].insert(), {"customer_id": odd, "name": f"Odd {number}."}
                )
                row = {
                    "transaction_id": f"odd{number}",
                    "program_id": "p",
                    "customer_id": odd,
                    "type": "earned",
                }
                connection.execute(
                    tables["transactions"].insert(), row | {"points": 1000 + number, "created_at": moment}
                )
        engine.dispose()
        for number, odd in enumerate(ids):
            page = admin.get(f"/loyalty{way(odd)}")
            assert page.status_code == 200, odd
            assert f"Odd {number}." in page.text, odd
            assert f"1,{number:03}.00" in page.text, odd
            # Its own links lead back to it.
            again = re.search(r'<form class="when" action="([^"]+)"', page.text)
            assert again is not None
            target = str(page.url.join(html.unescape(again[1])))
            assert f"Odd {number}." in admin.get(target).text, odd

    def test_whom_nobody_knows(self, admin: Any) -> None:
        for path in (
            "/loyalty/customers/nobody",
            "/loyalty/customers/%00",
            "/loyalty/customers?id=",
            "/loyalty/customers?card=",
            "/loyalty/customers?card=nothing",
            "/loyalty/customers/a/b",
        ):
            assert admin.get(path).status_code == 404, path

    def test_no_address_of_a_person_stands_in_a_log(
        self, admin: Any, household: Any, capfd: Any, caplog: Any
    ) -> None:
        admin.get(PAGE)
        admin.get("/loyalty/customers", params={"q": MAIL})
        admin.get("/loyalty/customers", params={"id": WHO, "text": MAIL})
        admin.get("/loyalty" + card_way("card-free"))
        out, err = capfd.readouterr()
        written = out + err + caplog.text
        assert "/loyalty/customers" in written  # the requests are logged
        assert not [name for name in (WHO, MAIL, MAIL.replace("@", "%40"), "card-free") if name in written]


def _ids(page: str) -> list[str]:
    return re.findall(r'<tr id="t-([^"]+)">', page)
