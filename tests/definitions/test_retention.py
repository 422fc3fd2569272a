"""How long files stay: spans in words, and the instants they mean. Guards: negative retention is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.load import from_document
from include.definitions.model import version
from include.definitions.retention import before
from include.errors import BadInput

DOCUMENT = {
    "id": "balances",
    "name": "Balances",
    "model": "balance",
    "targets": [{"kind": "folder", "options": {"folder": "out"}}],
}


def with_files(value):
    return from_document(DOCUMENT | {"retention": {"files": value}}, where="test.yaml")


@pytest.mark.parametrize(
    ("span", "instant"),
    [
        ("1 day", "2026-03-30"),
        ("400d", "2025-02-24"),
        ("2 weeks", "2026-03-17"),
        ("1 month", "2026-02-28"),  # there is no 31 February
        ("13 months", "2025-02-28"),
        ("25 months", "2024-02-29"),
        ("3 months", "2025-12-31"),
        ("10 years", "2016-03-31"),
    ],
)
def test_what_a_span_means_on_31_march(span, instant):
    assert before(datetime(2026, 3, 31, 12, tzinfo=UTC), span) == datetime.fromisoformat(f"{instant}T12:00Z")
    assert with_files(span).retention.files == span


@pytest.mark.parametrize(
    "wrong", ["-1d", "-400 days", "0d", "0 months", "1.5 years", "400", 400, "soon", "101 years", "36526d", "\u0661d", ""]
)  # fmt: skip
def test_what_is_refused(wrong):
    with pytest.raises(BadInput) as caught:
        with_files(wrong)
    [problem] = caught.value.problems
    assert (problem.where, problem.code) == ("test.yaml: retention.files", "bad_retention")


def test_it_changes_neither_bytes_nor_destination():
    assert version(with_files("400d")) == version(from_document(DOCUMENT, where="test.yaml"))
    assert with_files("400d").document()["retention"] == {"files": "400d"}
    assert "retention" not in from_document(DOCUMENT, where="test.yaml").document()


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, st.integers(1, 1200))
def test_months_and_years_go_back_by_the_calendar(now, count):
    then = before(now, f"{count} months")
    assert (now.year - then.year) * 12 + now.month - then.month == count
    assert then.day == now.day or (then.day < now.day and then.day >= 28)
    if count % 12 == 0:
        assert then == before(now, f"{count // 12} years")
