"""The models to choose from: every one, once, in words."""

from __future__ import annotations

import re

from include.reports import models
from include.web.editor import choose


def names(search: str = "") -> list[str]:
    return [each.name for choices in choose.groups(search).values() for each in choices]


def test_every_model_is_there_once() -> None:
    assert sorted(names()) == list(models.names())


def test_each_says_what_it_is_without_words_of_ours() -> None:
    for choices in choose.groups().values():
        for each in choices:
            assert each.title
            assert len(each.meaning.striptags()) > 10
            assert not re.search(r"\bT\b|`", each.meaning), each


def test_a_search_finds_by_name_title_and_meaning_with_all_its_words() -> None:
    assert names("LIABILITY owed") == ["liability"]
    assert "balance" in names("balances")
    assert names("no such thing at all") == []
    assert choose.groups("no such thing at all") == {}


def test_personal_columns_are_counted() -> None:
    assert choose.choice("balance").personal == 2
    assert choose.choice("stores").personal == 0
