"""The few exports that a demonstration runs show every model that ships."""

from __future__ import annotations

from include.definitions.load import from_document, load_all
from include.orchestration.one_of_each import one_of_each
from include.settings import ROOT


def export(name: str, *models: str):
    parts = [{"id": model.replace("_", "-"), "model": model} for model in models]
    what = {"model": models[0]} if len(models) == 1 else {"exports": parts}
    return from_document({"id": name, "name": name, "targets": [{"kind": "folder"}], **what}, where="test")


def test_packs_come_first_and_nothing_is_made_twice():
    one, pack, other, again = (
        export("a", "balance"), export("b", "balance", "orders"), export("c", "lots"), export("d", "lots"),
    )  # fmt: skip
    assert one_of_each([one, pack, other, again], lambda part: part.model) == [pack, other]


def test_the_examples_that_are_shown_have_every_model_the_dashboards_and_the_bookkeepers_pack():
    examples = list(load_all(ROOT / "include" / "exports").values())
    shown = one_of_each(examples, lambda part: part.model)
    assert {part.model for one in shown for part in one.parts} == {
        part.model for one in examples for part in one.parts
    }
    assert [one.id for one in shown[:2]] == ["dashboard", "monthly-bookkeeper-pack"]
    assert len(shown) <= 7, "quick"
