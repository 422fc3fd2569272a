"""Exports that programs asked for: whose they are, in which order they are made, and that they end once."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from include.definitions.names import IDENTIFIER
from include.state import State
from include.state.asked_exports import AskedExport, AskedStatus, new_id
from include.state.mentions import replace_mentions

T = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = 60_000_000


def ask(state: State, export_id: str, owner: str = "crm", **how: Any) -> AskedExport | None:
    about = {
        "requested_by": f"key {owner}",
        "kind": "order",
        "asked": {"fields": ["id"]},
        "definition": {"id": export_id},
    }
    return state.asked_exports.add(
        export_id, owner=owner, as_of=T, **{"personal": False, "most_open": 10, **about, **how}
    )


def ids(state: State, **how: Any) -> list[str]:
    wanted = {"owner": "crm", "personal": True, "order": "created_at", "limit": 10, "offset": 0, **how}
    return [each.export_id for each in state.asked_exports.page(**wanted).exports]


def test_it_is_kept_as_it_was_asked(remembered):
    made = ask(remembered, "exp_1")
    assert made == remembered.asked_exports.get("exp_1", owner="crm")
    assert (made.status, made.as_of, made.asked, made.run_key) == (
        AskedStatus.SCHEDULED,
        T,
        {"fields": ["id"]},
        None,
    )


def test_only_its_owner_sees_it(remembered):
    ask(remembered, "exp_1")
    assert remembered.asked_exports.get("exp_1", owner="shop") is None
    assert remembered.asked_exports.get("exp_1") is not None
    assert ids(remembered, owner="shop") == []
    assert ids(remembered, owner=None) == ["exp_1"]
    assert remembered.asked_exports.delete("exp_1", owner="shop") is None


def test_a_page_has_an_order_and_knows_the_total(remembered):
    for number in range(5):
        ask(remembered, f"exp_{number}", personal=number == 3)
    remembered.asked_exports.finish("exp_2", AskedStatus.ERROR, "broken")
    assert ids(remembered, limit=2, offset=1) == ["exp_1", "exp_2"]
    assert ids(remembered, order="-created_at", limit=1) == ["exp_4"]
    assert ids(remembered, order="status", limit=1) == ["exp_2"]
    assert ids(remembered, personal=False) == ["exp_0", "exp_1", "exp_2", "exp_4"]
    page = remembered.asked_exports.page(owner="crm", personal=False, order="created_at", limit=1, offset=9)
    assert (page.exports, page.total) == ((), 4)


def test_one_owner_cannot_fill_the_queue_for_all(remembered):
    assert ask(remembered, "exp_1", most_open=1) is not None
    assert ask(remembered, "exp_2", most_open=1) is None
    assert ask(remembered, "exp_3", owner="shop", most_open=1) is not None
    remembered.asked_exports.finish("exp_1", AskedStatus.DONE)
    assert ask(remembered, "exp_4", most_open=1) is not None


def test_it_ends_once(remembered):
    ask(remembered, "exp_1")
    remembered.asked_exports.begin("exp_1", "r" * 64)
    remembered.asked_exports.finish("exp_1", AskedStatus.DONE)
    remembered.asked_exports.finish("exp_1", AskedStatus.ERROR, "too late")
    remembered.asked_exports.begin("exp_1", "s" * 64)
    found = remembered.asked_exports.get("exp_1")
    assert (found.status, found.message, found.run_key) == (AskedStatus.DONE, None, "r" * 64)


def test_what_waits_comes_in_order_and_what_is_put_off_not_yet(remembered):
    for number in range(3):
        ask(remembered, f"exp_{number}")
    remembered.asked_exports.put_off("exp_0", MINUTE, failed=True)
    remembered.asked_exports.put_off("exp_1", -MINUTE, failed=False)
    assert list(remembered.asked_exports.waiting()) == ["exp_1", "exp_2"]
    assert [remembered.asked_exports.get(each).attempts for each in ("exp_0", "exp_1")] == [1, 0]
    for each in ("exp_1", "exp_2"):
        remembered.asked_exports.delete(each)
    assert list(remembered.asked_exports.waiting()) == []
    assert remembered.asked_exports.any_open()


def test_a_deleted_one_is_not_there_for_anybody(remembered):
    ask(remembered, "exp_1")
    assert remembered.asked_exports.delete("exp_1", owner="crm").export_id == "exp_1"
    assert remembered.asked_exports.delete("exp_1", owner="crm") is None
    assert remembered.asked_exports.is_deleted("exp_1")
    assert ids(remembered) == []


def test_ids_are_ids_of_definitions_and_no_two_are_the_same():
    made = {new_id("exp_") for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(IDENTIFIER, each) for each in made)


def test_an_erased_person_is_named_no_more_once_it_is_over(remembered):
    looked_for = {"filters": {"email": {"conditions": {"$is": ["ada@example.com"]}}}}
    ask(remembered, "exp_1", asked=looked_for, definition=looked_for)
    ask(remembered, "exp_2", asked=looked_for, definition=looked_for)
    remembered.asked_exports.finish("exp_1", AskedStatus.DONE)

    def without(value):
        return json.loads(json.dumps(value).replace("ada@example.com", "erased-1"))

    assert replace_mentions(remembered.database, without) == 1
    over, still = (remembered.asked_exports.get(each) for each in ("exp_1", "exp_2"))
    assert "ada" not in f"{over.asked}{over.definition}"
    assert still.asked == looked_for
