"""The journal: balanced entries of what the liability did, with numbers that tell a second posting."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from include.errors import BadInput, LedgerViolation
from include.pipeline.checks import options_of
from include.reports import journal, liability
from include.reports.model import LocalSnapshot
from tests.reports.liability_ledger import at, program, rates, rendered, row, snapshot

D = Decimal
LIABILITY = "Loyalty points liability"
MONTHS = ["2026-01-01", "2026-02-01", "2026-03-01"]
# IFRS 15, Example 52: 10,000 points with an order of 100,000; the estimate rises from 95 % to 97 %
EXAMPLE_52 = [
    row("a", "earned", 10_000, "2026-01-01", order_id="o"),
    row("b", "redeemed", -4_500, "2026-01-20"),
    row("c", "redeemed", -4_000, "2026-02-20"),
]
ORDER = {"order_id": "o", "currency": "EUR", "amount": D(100_000), "total_amount": D(100_000), "created_at": at("2026-01-01")}  # fmt: skip
ONE = {"standalone_price_per_point": D(1)}


@pytest.fixture
def example_52(tmp_path: Path) -> LocalSnapshot:
    return snapshot(
        tmp_path,
        EXAMPLE_52,
        orders=[ORDER],
        programs=[program(money_step=D(1), liability_method="deferred_revenue")],
        program_rates=[
            rates(**ONE, expected_redemption_rate=D("0.95")),
            rates("2026-02-01", **ONE, expected_redemption_rate=D("0.97")),
        ],
    )


def entries(lines: list[dict[str, Any]]) -> list[tuple[str, Decimal, str]]:
    """Each entry as (debited account, amount, credited account)."""
    found = []
    for debit, credit in zip(lines[::2], lines[1::2], strict=True):
        assert debit["description"] == credit["description"]
        assert debit["debit"] == credit["credit"] == debit["amount"] == -credit["amount"] > 0
        assert debit["credit"] is credit["debit"] is None
        found.append((debit["account"], debit["debit"], credit["account"]))
    return found


def test_ifrs_15_example_52_as_entries(example_52: LocalSnapshot, tmp_path: Path):
    one, two = (rendered(journal, example_52, tmp_path, end, start) for start, end in pairwise(MONTHS))
    # first year: 8,676 deferred, 4,110 redeemed; 4,566 stay
    assert entries(one) == [
        ("Sales:Deferred for loyalty points", D(8_676), LIABILITY),
        (LIABILITY, D(4_110), "Sales:Loyalty points redeemed"),
    ]
    # second: revenue 3,493 = 8,676 x 4,000 / 9,700 = 3,578 and the estimate -85, whose sides are swapped
    assert entries(two) == [
        (LIABILITY, D(3_578), "Sales:Loyalty points redeemed"),
        ("Sales:Loyalty points breakage", D(85), LIABILITY),
    ]
    assert sum(-line["amount"] for line in one + two if line["account"] == LIABILITY) == D(1_073)
    assert {line["date"].isoformat() for line in one} == {"2026-01-31"}
    assert {(line["program_id"], line["currency"], line["tax_rate"]) for line in two} == {
        ("p", "EUR", "Tax Exempt")
    }


def test_cost_moves_expense_both_ways(tmp_path: Path):
    # 1,000 x 0.01 x 0.8 = 8.00 owed; after redeeming 800 (all that was expected) nothing: the expense comes back
    rows = [row("a", "earned", 1_000, "2026-01-10"), row("b", "redeemed", -800, "2026-02-10")]
    of = snapshot(tmp_path, rows)
    one, two = (rendered(journal, of, tmp_path, end, start, method="cost") for start, end in pairwise(MONTHS))
    assert entries(one) == [("Loyalty program expense", D("8.00"), LIABILITY)]
    assert entries(two) == [(LIABILITY, D("8.00"), "Loyalty program expense")]
    assert rendered(journal, of, tmp_path, "2026-04-01", "2026-03-01", method="cost") == []


@pytest.mark.parametrize("method", ["cost", "deferred_revenue", None])
def test_journals_balance_and_move_the_liability_as_it_moved(
    method: str | None, sample: LocalSnapshot, tmp_path: Path
):
    for start, end in pairwise(["2025-07-01", "2025-12-01", "2026-06-01"]):
        lines = rendered(journal, sample, tmp_path, end, start, method=method)
        owed = rendered(liability, sample, tmp_path, end, start, method=method)
        total: defaultdict[str, Decimal] = defaultdict(Decimal)
        moved: defaultdict[str, Decimal] = defaultdict(Decimal)
        for line in lines:
            total[line["program_id"]] += line["amount"]
            moved[line["program_id"]] -= line["amount"] if line["account"] == LIABILITY else 0
        assert len(owed) == len(total) == 2
        assert set(total.values()) == {0}
        assert moved == {x["program_id"]: x["liability_closing"] - x["liability_opening"] for x in owed}


def test_a_number_belongs_to_a_program_and_a_period(sample: LocalSnapshot, tmp_path: Path):
    def numbers(start: str, end: str, **options: Any) -> set[str]:
        return {line["journal_no"] for line in rendered(journal, sample, tmp_path, end, start, **options)}

    may = numbers("2026-05-01", "2026-06-01")
    assert len(may) == 2, "one of each program"
    assert numbers("2026-05-01", "2026-06-01") == may
    assert numbers("2026-05-01", "2026-06-01", method="cost", tax_rate="none") == may
    others = numbers("2026-04-01", "2026-05-01") | numbers("2026-04-01", "2026-06-01")
    assert not may & others
    assert len(others) == 4
    assert all(len(number) <= 21 and number.startswith("LP2026") for number in may | others)


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("JPY", D("1235")), ("EUR", D("1234.57")), ("KWD", D("1234.568"))],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, amount: Decimal, tmp_path: Path):
    # 1,000 points x 1.23456789 x 1 = 1,234.56789: half up to 0, 2 or 3 decimals
    price = rates(cost_per_point=D("1.23456789"), expected_redemption_rate=D(1))
    of = snapshot(
        tmp_path,
        [row("a", "earned", 1_000, "2026-01-10")],
        programs=[program(currency=currency)],
        program_rates=[price],
    )
    lines = rendered(journal, of, tmp_path, "2026-02-01", "2026-01-01", method="cost")
    assert [(line["amount"], line["currency"]) for line in lines] == [(amount, currency), (-amount, currency)]


def test_accounts_tax_rate_and_tracking_are_those_of_the_books(example_52: LocalSnapshot, tmp_path: Path):
    accounts = {"liability": {"name": "Liabilities:Points", "code": "2100"}}
    lines = rendered(
        journal,
        example_52,
        tmp_path,
        "2026-02-01",
        "2026-01-01",
        accounts=accounts,
        tax_rate="NONE",
        tracking="Program",
    )
    of_liability = [line for line in lines if line["account"] == "Liabilities:Points"]
    assert [line["account_code"] for line in of_liability] == ["2100", "2100"]
    assert {line["tax_rate"] for line in lines} == {"NONE"}
    assert {(line["tracking_name"], line["tracking_option"]) for line in lines} == {("Program", "Points")}
    # The same account in two roles is no violation.
    same = {role: {"name": "Suspense"} for role in ("liability", "breakage", "revenue")}
    assert rendered(journal, example_52, tmp_path, "2026-03-01", "2026-02-01", accounts=same)


def test_a_journal_that_forgets_something_stops_the_run(
    example_52: LocalSnapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(journal, "_ENTRIES", journal._ENTRIES[:1])
    told = "journal of program p does not balance: .* liability account moves by 8676.0000, and the liability by 4566"
    with pytest.raises(LedgerViolation, match=told):
        rendered(journal, example_52, tmp_path, "2026-02-01", "2026-01-01")


def test_wrong_options_are_told_at_once():
    wrong = {"accounts": {"liabilty": {"name": "x"}, "revenue": {"name": ""}}, "method": "fifo"}
    with pytest.raises(BadInput) as refused:
        options_of(journal, wrong, "x.yaml: options")
    assert {problem.where for problem in refused.value.problems} == {
        "x.yaml: options.accounts.liabilty", "x.yaml: options.accounts.revenue.name", "x.yaml: options.method",
    }  # fmt: skip
