"""The builder of filters reads and writes every filter that the model allows, exactly; run by a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.definitions.filters import Filter
from include.definitions.operators import OPERATORS
from include.web.assets import FOLDER

pytestmark = [pytest.mark.slow, pytest.mark.servers]
SITE = "http://pages.test"

TEXTS = st.text(max_size=8)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
FIELDS = st.sampled_from(["points", "metadata.city", "a b", 'quote"', "é"])
SEGMENTS = st.sampled_from([
    "active", "never_redeemed", {"active": 7}, {"active": None}, {"tier": ["Gold", "Silver"]}, {"tier": "Gold"},
    {"points_between": [1, None]}, {"points_between": ["0.50", 12345678901234567890]},
])  # fmt: skip


@st.composite
def conditions(draw: Any) -> dict[str, Any]:
    words = draw(st.lists(st.sampled_from(list(OPERATORS)), min_size=1, max_size=3, unique=True))
    given_: dict[str, Any] = {"field": draw(FIELDS)}
    for word in words:
        several = st.lists(VALUES, min_size=1, max_size=4)
        given_[word] = True if OPERATORS[word].takes == "nothing" else draw(st.one_of(VALUES, several))
    return given_


LEAVES = st.one_of(conditions(), SEGMENTS.map(lambda segment: {"segment": segment}))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def through(chromium: Any) -> Iterator[Callable[[list[str]], list[str]]]:
    """What the builder's module makes of JSON texts: parsed, read as a tree, and written again."""

    def serve(route: Any) -> None:
        name = route.request.url.removeprefix(f"{SITE}/")
        if name:
            body, kind = (FOLDER / name).read_text("utf-8"), "text/javascript"
        else:
            body, kind = "<!doctype html><title>t</title>", "text/html"
        route.fulfill(body=body, content_type=kind)

    page = chromium.new_page()
    page.route(f"{SITE}/**", serve)
    page.goto(f"{SITE}/")
    yield lambda texts: page.evaluate(
        """async (texts) => {
            const tree = await import("/filters-tree.js");
            return texts.map((text) => tree.write(tree.document(tree.read(tree.parse(text)))));
        }""",
        texts,
    )
    page.close()


def same(one: str, other: str) -> bool:
    """Whether two JSON texts say the same, number for number as they are written."""
    exact: dict[str, Any] = {"parse_float": Decimal, "parse_int": Decimal}
    return bool(json.loads(one, **exact) == json.loads(other, **exact))


@given(st.lists(TREES, min_size=20, max_size=20))
@settings(max_examples=15)
def test_every_tree_comes_back(through, trees):
    texts = [json.dumps(tree) for tree in trees]
    for before, after in zip(texts, through(texts), strict=True):
        assert same(before, after)


@given(st.lists(TREES, min_size=10, max_size=10))
@settings(max_examples=10)
def test_so_does_what_the_model_writes(through, trees):
    documents = []
    for tree in trees:
        try:
            documents.append(Filter.model_validate(tree).model_dump(mode="json", exclude_defaults=True))
        except ValueError:
            continue  # what the model refuses is no document of it
    for before, after in zip(documents, through([json.dumps(each) for each in documents]), strict=True):
        assert Filter.model_validate(json.loads(after)) == Filter.model_validate(before)


def test_what_a_number_is_written_with_stays(through):
    text = '[{"field":"points","more_than":12345678901234567.50},{"field":"rate","less_than":1e-3}]'
    assert "".join(through([text])[0].split()) == text


def test_what_the_builder_cannot_show_is_kept(through):
    text = '{"junction":"and","points":{"conditions":{"$more_than":[1]}}}'
    assert same(text, through([text])[0])


@pytest.mark.parametrize("text", ["", "[", "{]", '{"a":1,"a":2}', "nul", "[1,]", '"\n"', "01", "[1] 2"])
def test_what_is_no_json_is_refused(through, text):
    with pytest.raises(Exception, match="not JSON"):
        through([text])
