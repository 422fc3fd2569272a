"""What the liability reports know of a program: currency, zone, money step, accounting choices and rates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

from include.errors import BadInput, Problem
from include.ledger.ageing import instant
from include.ledger.liability import money_step
from include.reports import programs
from include.reports.engine import files
from include.reports.model import LocalSnapshot, Needs

Method = Literal["cost", "deferred_revenue"]
RateSource = Literal["program_rates", "chain_ladder"]

NEEDS: Needs = {
    "programs": (
        "program_id",
        "name",
        "currency",
        "time_zone",
        "money_step",
        "liability_method",
        "rate_source",
    ),
    "program_rates": (
        "program_id",
        "valid_from",
        "cost_per_point",
        "standalone_price_per_point",
        "expected_redemption_rate",
    ),
}


@dataclass(frozen=True)
class Rates:
    """What holds from `valid_from` (us) on; a rate that the ledger does not state is None."""

    valid_from: int
    cost_per_point: Decimal | None
    standalone_price_per_point: Decimal | None
    expected_redemption_rate: Decimal | None


@dataclass(frozen=True)
class Program:
    """One program; `rates` ascend."""

    program_id: str
    name: str
    currency: str
    zone: ZoneInfo
    step: Decimal
    method: Method
    rate_source: RateSource
    rates: tuple[Rates, ...]

    def rate(self, name: str, at: int) -> Decimal:
        """Return a rate as of `at`: that of the last row valid from before it.

        Raises BadInput where no row, or an empty field, says what it is.
        """
        held = [rates for rates in self.rates if rates.valid_from < at]
        value: Decimal | None = getattr(held[-1], name) if held else None
        if value is None:
            where = f"report liability: program_rates.{name}"
            right = "needs a row that holds before the end of the period, or another method or rate source"
            raise BadInput([Problem(where, self.program_id, right, "missing_rate")])
        return value

    def expected_rate(self, at: int) -> Fraction:
        """Return the expected redemption rate as of `at`."""
        return Fraction(self.rate("expected_redemption_rate", at))


def read(
    snapshot: LocalSnapshot,
    report: str,
    asked: Sequence[str],
    *,
    method: Method | None = None,
    rate_source: RateSource | None = None,
) -> dict[str, Program]:
    """Return the asked programs (all when none is named) by id, in order of id.

    A method or rate source that is not asked for is the program's own, else cost and program_rates. Raises
    BadInput for an unknown program and for a program whose zone, currency or money step says nothing.
    """
    programs.check(snapshot, report, asked)
    rates = _rates(snapshot)
    found: dict[str, Program] = {}
    problems: list[Problem] = []
    for row in _rows(snapshot, "programs"):
        key = row["program_id"]
        if asked and key not in asked:
            continue
        try:
            found[key] = Program(
                program_id=key,
                name=row["name"],
                currency=row["currency"],
                zone=ZoneInfo(row["time_zone"] or "UTC"),
                step=money_step(row["currency"], row["money_step"]),
                method=method or row["liability_method"] or "cost",
                rate_source=rate_source or row["rate_source"] or "program_rates",
                rates=tuple(sorted(rates.get(key, ()), key=lambda entry: entry.valid_from)),
            )
        except (ValueError, OSError, KeyError) as error:
            problems.append(Problem(f"report {report}: programs", key, str(error), "bad_program"))
    if problems:
        raise BadInput(problems)
    return dict(sorted(found.items(), key=lambda item: item[0].encode()))


def _rates(snapshot: LocalSnapshot) -> dict[str, list[Rates]]:
    found: dict[str, list[Rates]] = {}
    for row in _rows(snapshot, "program_rates"):
        found.setdefault(row["program_id"], []).append(
            Rates(
                instant(row["valid_from"]),
                row["cost_per_point"],
                row["standalone_price_per_point"],
                row["expected_redemption_rate"],
            )
        )
    return found


def _rows(snapshot: LocalSnapshot, relation: str) -> Iterator[dict[str, Any]]:
    for batch in files.batches(relation, snapshot.files.get(relation, ()), NEEDS[relation], batch_rows=1024):
        yield from batch.to_pylist()
