"""Two definitions never write one file: the same names in the same place, however that is written."""

import pytest

from include import kinds, targets
from include.definitions.collisions import PLACES, Taken
from include.definitions.load import from_document


def definition(name, kind, options):
    document = {"id": name, "name": name, "model": "balance", "file": {"name": "points_{date}"}}
    return from_document({**document, "targets": [{"kind": kind, "options": options}]}, where=name)


def collide(kind, one, other):
    taken = Taken()
    assert taken.add(definition("one", kind, one), "one.yaml") == []
    return [problem.code for problem in taken.add(definition("two", kind, other), "two.yaml")]


S3 = {"connection": "store", "bucket": "acme", "prefix": "loyalty"}


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("folder", {"folder": "d"}, {"folder": "d/"}),
        ("folder", {"folder": "d/e"}, {"folder": "./d//e/."}),
        ("folder", {"folder": "d"}, {"folder": "/srv/loyalty/d"}),
        ("folder", {"folder": "a b"}, {"folder": "file:///srv/loyalty/a%20b/"}),
        ("folder", {"folder": "/mnt/d"}, {"folder": "file:///mnt/d"}),
        ("folder", {"folder": "d"}, {"folder": "d", "replace": True}),
        ("folder", {"folder": "s3://acme/d"}, {"folder": "s3://acme/d/"}),
        ("sftp", {"connection": "c"}, {"connection": "c", "folder": "./", "create_folder": True}),
        ("sftp", {"connection": "c", "folder": "in"}, {"connection": "c", "folder": "in/"}),
        ("s3", S3, {**S3, "storage_class": "STANDARD_IA"}),
        ("webhook", {"connection": "c"}, {"connection": "c"}),
    ],
)
def test_one_place_is_known_however_it_is_written(monkeypatch, kind, one, other):
    monkeypatch.setenv("LOYALTY_HOME", "/srv/loyalty")
    assert collide(kind, one, other) == ["file_name_twice"]


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("folder", {"folder": "d"}, {"folder": "D"}),
        ("folder", {"folder": "d"}, {"folder": "/d"}),
        ("folder", {"folder": "loyalty2"}, {"folder": "/srv/loyalty2"}),
        ("folder", {"folder": "s3://acme/d"}, {"folder": "s3://acme/e"}),
        ("sftp", {"connection": "c", "folder": "in"}, {"connection": "c", "folder": "/in"}),
        ("sftp", {"connection": "c", "folder": "in"}, {"connection": "d", "folder": "in"}),
        ("s3", S3, {**S3, "prefix": "crm"}),
    ],
)
def test_other_places_are_others(monkeypatch, kind, one, other):
    monkeypatch.setenv("LOYALTY_HOME", "/srv/loyalty")
    assert collide(kind, one, other) == []


def test_what_says_where_a_target_is_are_options_of_its_kind():
    for kind, names in PLACES.items():
        assert set(names) <= set(kinds.load(targets, kind, where="kind").Options.model_fields)
