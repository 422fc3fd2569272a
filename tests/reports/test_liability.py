"""The liability report on small ledgers: before, apply, after; and what must hold for any (docs/ledger.md section 6)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from include.errors import BadInput, LedgerViolation
from include.reports import liability
from include.reports.model import LocalSnapshot
from tests.reports.liability_ledger import Render, at, program, rates, rendered, row

D = Decimal
GAINS = ("opening", "earned", "refunded", "adjusted", "transferred_in", "reclassified")
LOSSES = ("earned_reversed", "redeemed", "transferred_out", "expired", "closing")
MONEY = ("opening", "added", "revalued", "reclassified", "closing")


def points(line: dict[str, Any]) -> dict[str, int]:
    """The movements that are not 0, in whole points."""
    names = (*GAINS, *LOSSES, "difference", "outstanding", "debt")
    return {name: line[name] // 100 for name in names if line[name]}


def test_expiry_at_the_end_of_a_period_falls_in_it(ledger: Callable[..., Render]) -> None:
    render = ledger([row("a", "earned", 100, "2026-01-15", expires_at="2026-03-01")])
    (february,) = render("2026-02-01", "2026-03-01", method="none")
    assert points(february) == {"opening": 100, "expired": 100}
    (march,) = render("2026-03-01", "2026-04-01", method="none")
    assert points(march) == {}


@pytest.mark.parametrize("options", [{"method": "none"}, {"method": "cost"}, {"by": ["issue_month"]}])
def test_all_time_is_a_period_from_before_the_first_row(
    ledger: Callable[..., Render], options: dict[str, Any]
) -> None:
    render = ledger(
        [
            row("a", "earned", 1_000, "2026-01-15", expires_at="2026-02-20"),
            row("b", "redeemed", -1_300, "2026-02-01"),
            row("c", "earned", 500, "2026-02-02"),
        ],
        program_rates=[rates("2025-01-01")],
    )
    period = render("2026-01-01", "2026-03-01", **options)
    assert render(None, "2026-03-01", **options) == [line | {"period_start": None} for line in period]
    assert [points(line) for line in render(None, "2026-01-01", method="none")] == [{}]


def test_every_kind_of_movement(ledger: Callable[..., Render]) -> None:
    render = ledger(
        [
            row("a", "earned", 1_000, "2026-01-15", expires_at="2026-02-20"),
            row("b", "earned", 500, "2026-02-01"),
            row("c", "earned_reversed", -50, "2026-02-02", related_transaction_id="b"),
            row("d", "redeemed", -300, "2026-02-03"),
            row("e", "redemption_refunded", 100, "2026-02-04", related_transaction_id="d"),
            row("f", "adjusted", 25, "2026-02-05"),
            row("g", "adjusted", -5, "2026-02-06"),
            row("h", "transferred_out", -95, "2026-02-07"),
            row("i", "transferred_in", 90, "2026-02-08", customer_id="d", related_transaction_id="h"),
            row("j", "redeemed", -190, "2026-02-09", customer_id="d"),
        ]
    )
    # a: 1,000 - 300 (d) - 5 (g) - 95 (h) = 600 expire; left: b 450, e 100, f 25; customer d owes 100
    (line,) = render("2026-02-01", "2026-03-01", method="none")
    assert points(line) == {
        "opening": 1_000,
        "earned": 500,
        "earned_reversed": 50,
        "redeemed": 490,
        "refunded": 100,
        "adjusted": 20,
        "transferred_out": 95,
        "transferred_in": 90,
        "expired": 600,
        "closing": 475,
        "outstanding": 575,
        "debt": 100,
    }
    by_month = {
        x["issue_month"]: points(x)
        for x in render("2026-02-01", "2026-03-01", method="none", by=["issue_month"])
    }
    # e's 100 and i's 90 came out of a's lot; 100 of e stay behind, in January
    assert by_month["none"] == {"redeemed": 100, "closing": -100, "debt": 100}
    assert by_month["2026-01"]["closing"] == 100
    assert by_month["2026-02"] == {
        "earned": 500,
        "earned_reversed": 50,
        "adjusted": 25,
        "closing": 475,
        "outstanding": 475,
    }


def test_issue_months_are_those_of_the_program_s_zone(ledger: Callable[..., Render]) -> None:
    rows = [row("a", "earned", 1, "2026-01-31T22:59:59"), row("b", "earned", 2, "2026-01-31T23:00")]
    render = ledger(rows, programs=[program(time_zone="Europe/Paris")])
    found = render("2026-01-01", "2026-03-01", method="none", by=["issue_month"])
    assert [(x["issue_month"], x["earned"]) for x in found] == [("2026-01", 100), ("2026-02", 200)]


def test_programs_are_never_added_up(ledger: Callable[..., Render]) -> None:
    rows = [row("a", "earned", 1_000, "2026-01-10"), row("b", "earned", 700, "2026-01-10", program_id="q")]
    programs = [program(), program(program_id="q", currency="JPY", liability_method="cost")]
    render = ledger(
        rows, programs=programs, program_rates=[rates(), rates(program_id="q", cost_per_point=D("1.005"))]
    )
    found = render("2026-01-01", "2026-02-01")
    # 1,000 x 0.8 x 0.01 = 8.00 EUR; 700 x 0.8 x 1.005 = 562.8 JPY, which has no smaller unit
    assert [(x["program_id"], x["currency"], x["liability_closing"]) for x in found] == [
        ("p", "EUR", D(8)),
        ("q", "JPY", D(563)),
    ]
    assert [x["program_id"] for x in render("2026-01-01", "2026-02-01", programs=["q"])] == ["q"]
    with pytest.raises(BadInput, match="known programs are p, q"):
        render("2026-01-01", "2026-02-01", programs=["r"])


def test_a_transfer_from_another_program_keeps_no_cohort(ledger: Callable[..., Render]) -> None:
    render = ledger(
        [
            row("a", "earned", 100, "2026-01-15"),
            row("o", "transferred_out", -40, "2026-02-10", related_transaction_id="i"),
            row("i", "transferred_in", 40, "2026-02-10", related_transaction_id="o", program_id="q"),
        ],
        programs=[program(), program(program_id="q")],
    )
    found = render("2026-02-01", "2026-03-01", method="none", by=["issue_month"])
    assert {(x["program_id"], x["issue_month"]): x["closing"] // 100 for x in found} == {
        ("p", "2026-01"): 60,
        ("q", "2026-02"): 40,
    }


def test_a_late_row_belongs_to_its_period_once_it_is_known(ledger: Callable[..., Render]) -> None:
    late = row("a", "earned", 5, "2026-01-10", recorded_at="2031-01-01")
    assert points(
        ledger([late, row("b", "earned", 1, "2026-01-10")])("2026-01-01", "2026-02-01", method="none")[0]
    ) == {
        "earned": 1,
        "closing": 1,
        "outstanding": 1,
    }


TIERED = [
    row("a", "earned", 100, "2026-01-10"),
    row("b", "earned", 60, "2026-01-10", customer_id="d"),
    row("k", "earned", 40, "2026-01-12", card_id="card"),
    row("r", "redeemed", -30, "2026-02-10", customer_id="d"),
    row("e", "earned", 7, "2026-02-11"),
]
TIERS = {
    "tier_changes": [
        {
            "program_id": "p",
            "subledger_id": "",
            "customer_id": "d",
            "changed_at": at("2026-01-01"),
            "tier_id": "s",
        },
        {
            "program_id": "p",
            "subledger_id": "",
            "customer_id": "d",
            "changed_at": at("2026-02-05"),
            "tier_id": "g",
        },
        # a change at the very end of the period is of the next one
        {
            "program_id": "p",
            "subledger_id": "",
            "customer_id": "c",
            "changed_at": at("2026-03-01"),
            "tier_id": "g",
        },
    ],
    "tiers": [
        {"program_id": "p", "tier_id": "g", "name": "Gold"},
        {"program_id": "p", "tier_id": "s", "name": "Silver"},
    ],
    "cards": [{"card_id": "card", "customer_id": "d"}],
}


def test_a_change_of_tier_is_a_reclassification(ledger: Callable[..., Render]) -> None:
    render = ledger(TIERED, **TIERS)
    found = {x["tier"]: points(x) for x in render("2026-02-01", "2026-03-01", method="none", by=["tier"])}
    # the card is its owner's: 60 + 40 go from Silver to Gold
    assert found == {
        None: {"opening": 100, "earned": 7, "closing": 107, "outstanding": 107},
        "Silver": {"opening": 100, "reclassified": -100},
        "Gold": {"reclassified": 100, "redeemed": 30, "closing": 70, "outstanding": 70},
    }


def test_a_rate_that_begins_at_the_end_of_a_period_is_of_the_next(ledger: Callable[..., Render]) -> None:
    doubled = [rates(), rates("2026-02-01", cost_per_point=D("0.02"))]
    render = ledger([row("a", "earned", 1_000, "2026-01-15")], program_rates=doubled)
    (january,) = render("2026-01-01", "2026-02-01", method="cost")
    (february,) = render("2026-02-01", "2026-03-01", method="cost")
    assert (january["liability_closing"], february["liability_opening"]) == (D(8), D(8))
    assert (february["liability_revalued"], february["liability_closing"]) == (D(8), D(16))


def test_a_purse_that_lost_its_tier_has_none(ledger: Callable[..., Render]) -> None:
    changes = [
        {
            "program_id": "p",
            "customer_id": "c",
            "changed_at": at(when),
            "tier_id": tier,
            "subledger_id": purse,
        }
        for when, tier, purse in (
            ("2026-01-01", "s", None),
            ("2026-01-02", "g", "bonus"),
            ("2026-01-20", None, "bonus"),
        )
    ]
    render = ledger(
        [row("a", "earned", 100, "2026-01-05", subledger_id="bonus"), row("b", "earned", 7, "2026-01-05")],
        **TIERS | {"tier_changes": changes},
    )
    found = {x["tier"]: points(x) for x in render("2026-01-10", "2026-02-01", method="none", by=["tier"])}
    assert found == {
        "Gold": {"opening": 100, "reclassified": -100},
        None: {"reclassified": 100, "closing": 100, "outstanding": 100},
        "Silver": {"opening": 7, "closing": 7, "outstanding": 7},
    }


@pytest.mark.parametrize("method", ["cost", "deferred_revenue"])
@pytest.mark.parametrize("rate_source", ["program_rates", "chain_ladder"])
def test_every_split_adds_up_to_the_same(
    ledger: Callable[..., Render], method: str, rate_source: str
) -> None:
    render = ledger(TIERED, **TIERS)

    def total(by: list[str]) -> dict[str, Any]:
        found = render("2026-02-01", "2026-03-01", method=method, rate_source=rate_source, by=by)
        for x in found:
            assert sum(x[name] for name in GAINS) - sum(x[name] for name in LOSSES) == x["difference"] == 0
            money = {name: x[f"liability_{name}"] or D(0) for name in MONEY}
            revenue = x["revenue"] or D(0)
            assert sum(money.values()) - 2 * money["closing"] == revenue
        names = (
            *GAINS,
            *LOSSES,
            *(c.name for c in liability.columns(liability.Options()) if c.type == "money"),
        )
        return {name: sum(x[name] or 0 for x in found) for name in names if name != "reclassified"}

    whole = total([])
    assert total(["tier"]) == total(["issue_month"]) == total(["tier", "issue_month"]) == whole


@pytest.mark.slow
def test_a_period_opens_with_what_the_one_before_closed_with(ledger: Callable[..., Render]) -> None:
    rows = [
        row(f"e{m}{d}", "earned", 10 * m + d, f"2026-{m:02}-{d:02}", expires_at=f"2026-{m + 3:02}-{d:02}")
        for m in range(1, 7)
        for d in (1, 9, 27)
    ]
    rows += [row(f"r{m}", "redeemed", -25 * m, f"2026-{m:02}-15") for m in range(1, 7)]
    render = ledger(rows, **TIERS)
    cuts = ["2026-01-01", "2026-01-20", "2026-02-01", "2026-03-01", "2026-05-05", "2026-07-01"]
    for options in ({"by": ["tier", "issue_month"]}, {"method": "deferred_revenue", "by": ["issue_month"]}):
        closed: dict[Any, Any] = {}
        for start, end in pairwise(cuts):
            lines = {(x.get("tier"), x["issue_month"]): x for x in render(start, end, **options)}
            opened = {key: (x["opening"], x["liability_opening"]) for key, x in lines.items()}
            assert {key: value for key, value in opened.items() if any(value)} == closed
            closings = {key: (x["closing"], x["liability_closing"]) for key, x in lines.items()}
            closed = {key: value for key, value in closings.items() if any(value)}


def test_partitions_change_nothing(ledger: Callable[..., Render]) -> None:
    rows = [row(f"e{i}", "earned", i + 1, "2026-01-10", customer_id=f"c{i}") for i in range(40)]
    rows += [row(f"o{i}", "transferred_out", -1, "2026-02-10", customer_id=f"c{i}") for i in range(40)]
    rows += [
        row(
            f"i{i}",
            "transferred_in",
            1,
            "2026-02-10",
            customer_id=f"c{(i + 7) % 40}",
            related_transaction_id=f"o{i}",
        )
        for i in range(40)
    ]
    render = ledger(rows)
    options: dict[str, Any] = {"by": ["issue_month"], "method": "deferred_revenue"}
    once, often = (render("2026-02-01", "2026-03-01", partitions=n, **options) for n in (1, 16))
    assert once == often
    assert [(x["issue_month"], x["transferred_in"]) for x in once] == [("2026-01", 4_000)]


def test_chain_ladder_from_the_ledger(ledger: Callable[..., Render]) -> None:
    """The golden triangle: 1,000 a month, redeemed (400, 600, 720), (500, 750), (300)."""
    rows = []
    used = {
        ("01", "01"): 400,
        ("01", "02"): 200,
        ("01", "03"): 120,
        ("02", "02"): 500,
        ("02", "03"): 250,
        ("03", "03"): 300,
    }
    for month in ("01", "02", "03"):
        rows.append(row(f"e{month}", "earned", 1_000, f"2026-{month}-01", customer_id=month))
        rows += [
            row(f"r{month}{m}", "redeemed", -n, f"2026-{m}-15", customer_id=month)
            for (c, m), n in used.items()
            if c == month
        ]
    render = ledger(rows, program_rates=[rates(cost_per_point=D(1))])
    found = render("2026-03-01", "2026-04-01", rate_source="chain_ladder", by=["issue_month"])
    # ultimates 720, 900, 540; still to come 0, 150, 240
    assert [(x["redemption_rate"], x["liability_closing"], x["rate_source"]) for x in found] == [
        (D("0.72"), D(0), "chain_ladder"),
        (D("0.9"), D(150), "chain_ladder"),
        (D("0.54"), D(240), "chain_ladder"),
    ]
    # at the opening there were two issue months: too few, so 80 % of each: 800 - 600 and 800 - 500
    assert [x["liability_opening"] for x in found] == [D(200), D(300), D(0)]
    (early,) = render("2026-02-01", "2026-03-01", rate_source="chain_ladder")
    assert early["rate_source"] == "program_rates"


def test_an_unfinished_month_is_no_age(ledger: Callable[..., Render]) -> None:
    rows = [row(f"e{m}", "earned", 100, f"2026-0{m}-01", customer_id=f"c{m}") for m in range(1, 5)]
    rows += [row(f"r{m}", "redeemed", -50, f"2026-0{m}-02", customer_id=f"c{m}") for m in range(1, 5)]
    render = ledger(rows, program_rates=[rates(cost_per_point=D(1))])
    # on 3 April the three full months say 50 % at once and nothing after: April's 50 are all of it
    found = render("2026-04-01", "2026-04-03", rate_source="chain_ladder", by=["issue_month"])
    assert [(x["issue_month"], x["redemption_rate"], x["liability_closing"]) for x in found][-1] == (
        "2026-04",
        D("0.5"),
        D(0),
    )


class TestWhatIsMissing:
    def test_a_program_without_rates(self, ledger: Callable[..., Render]) -> None:
        render = ledger([row("a", "earned", 1, "2026-01-10")], program_rates=[])
        with pytest.raises(BadInput, match=r"program_rates.expected_redemption_rate: 'p'"):
            render("2026-01-01", "2026-02-01")
        assert render("2026-01-01", "2026-02-01", method="none")[0]["earned"] == 100

    def test_points_issued_before_the_first_rates(self, ledger: Callable[..., Render]) -> None:
        render = ledger([row("a", "earned", 1, "2026-01-10")], program_rates=[rates("2026-01-11")])
        with pytest.raises(BadInput, match="before the first row"):
            render("2026-01-01", "2026-02-01", method="deferred_revenue")

    def test_relations_that_the_ledger_does_not_have(
        self, ledger: Callable[..., Render], tmp_path: Path
    ) -> None:
        ledger([row("a", "earned", 1, "2026-01-10")])
        every = {path.stem: [path] for path in (tmp_path / "snapshot").glob("*.parquet")}

        def without(relation: str) -> LocalSnapshot:
            kept = {name: paths for name, paths in every.items() if name != relation}
            return LocalSnapshot(
                kept, {name: tuple(pq.read_schema(paths[0]).names) for name, paths in kept.items()}
            )

        for relation, options in (
            ("program_rates", {}),
            ("tier_changes", {"by": ["tier"]}),
            ("orders", {"method": "deferred_revenue"}),
        ):
            with pytest.raises(BadInput, match=relation):
                rendered(
                    liability, without(relation), tmp_path / "scratch", "2026-02-01", "2026-01-01", **options
                )

    def test_a_program_that_is_not_listed(self, ledger: Callable[..., Render]) -> None:
        with pytest.raises(LedgerViolation, match="programs that `programs` does not have: q"):
            ledger([row("a", "earned", 1, "2026-01-10", program_id="q")])(
                "2026-01-01", "2026-02-01", method="none"
            )

    def test_a_program_in_no_zone(self, ledger: Callable[..., Render]) -> None:
        with pytest.raises(BadInput, match="Mars/Olympus"):
            ledger([], programs=[program(time_zone="Mars/Olympus")])("2026-01-01", "2026-02-01")


def test_an_empty_ledger_has_a_line_of_zeros_for_each_program(ledger: Callable[..., Render]) -> None:
    (line,) = ledger([])("2026-01-01", "2026-02-01")
    assert points(line) == {}
    assert line["liability_closing"] == 0
