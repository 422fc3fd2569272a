"""Templates: each imports as it is, as CSV and as a workbook."""

import pytest

from include.imports.modes import modes
from include.imports.reference import PAGE, page
from include.imports.templates import template
from tests.imports.opened import opened


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("mode", ["add", "reset", "birthday", "points"])
def test_a_template_imports(mode, kind):
    made = template(mode, kind)
    seen = opened(made.content, mode, name=made.name)
    assert (made.name, seen.problems, seen.ignored) == (f"import-{mode}.{kind}", [], ())
    assert len(seen.good) == len(modes()[mode].example) - 1


def test_all_modes_are_told():
    assert sorted(modes()) == ["add", "birthday", "points", "reset"]
    assert all(
        mode.name == name and mode.title and mode.description.endswith(".") for name, mode in modes().items()
    )


def test_points_of_a_template_are_what_it_shows():
    seen = opened(template("add").content)
    assert [row["points"] for row in seen.rows] == [100_00, -25_50]


def test_the_vendor_s_example_imports():
    """The example file of Talon.One's description of importing points."""
    seen = opened(
        "customerprofileid,amount,startdate,expirydate,validityDuration,subledgerid,reason\n"
        "URNGV8294NV,100,2009-11-10T23:00:00Z,2029-11-11T23:00:00Z,,subledger1,Winter sale\n",
        "points",
    )
    (row,) = seen.good
    assert (row["customer_id"], row["points"], row["subledger_id"], row["reason"]) == (
        "URNGV8294NV", 100_00, "subledger1", "Winter sale",
    )  # fmt: skip


def test_the_reference_is_that_of_the_code():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m include.imports.reference"
