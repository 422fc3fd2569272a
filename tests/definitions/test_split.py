"""Split exports: what a definition may say, and where `{part}` stands in a name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from include.definitions.file import File
from include.definitions.naming import part_template, template_problems, whole_template


@pytest.mark.parametrize(
    ("template", "extension", "after"),
    [
        ("{id}_{period}", ".csv.gz", "{id}_{period}_{part}"),
        ("{id}_{period}.csv", ".csv.gz", "{id}_{period}_{part}.csv"),
        ("{id}_{period}.csv.gz", ".csv.gz", "{id}_{period}_{part}.csv.gz"),
        ("{period}.csv", ".csv.gz.gpg", "{period}_{part}.csv"),
        ("{part}-{period}", ".csv", "{part}-{period}"),
        ("{period}.xls", ".xlsx", "{period}.xls_{part}"),
        ("{period}", "", "{period}_{part}"),
    ],
)
def test_the_part_is_added_where_it_is_missing(template, extension, after):
    assert part_template(template, extension) == after
    assert template_problems(after) == []


@pytest.mark.parametrize(
    ("template", "after"),
    [
        ("{id}_{period}", "{id}_{period}"),
        ("{id}_{period}_{part}", "{id}_{period}"),
        ("{period} - {part}.csv", "{period}.csv"),
        ("{part}-{period}", "{period}"),
        ("{period}_{part}_r{revision}", "{period}_r{revision}"),
        ("{part}{part}_{period}_{part}", "{period}"),
    ],
)
def test_what_the_parts_share_has_no_part(template, after):
    assert template_problems(template) == []
    assert whole_template(template) == after
    assert template_problems(after) == []


def test_a_split_file():
    file = File.model_validate({"split": {"field": "tier"}, "name": "{part}_{period}", "format": "xlsx"})
    assert (file.split.field, file.split.most, file.compression) == ("tier", 1000, None)


def test_a_part_needs_a_split():
    with pytest.raises(ValidationError, match="needs a split"):
        File.model_validate({"name": "{part}_{period}"})


@pytest.mark.parametrize(
    "split", [{}, {"rows": 1, "bytes": 2000}, {"rows": "many"}, "tier", {"fields": "tier"}]
)
def test_a_split_says_one_thing(split):
    with pytest.raises(ValidationError, match="split"):
        File.model_validate({"split": split})
