"""Every version of a definition is kept; one of them is current."""


def test_versions_are_kept_and_the_last_registered_is_current(remembered):
    definitions = remembered.definitions
    definitions.register("daily", "v1", {"n": 1}, created_by="ann")
    assert definitions.register("daily", "v2", {"n": 2}, created_by="bob", enabled=False) == "v2"
    definitions.register("weekly", "w1", {"n": 3})
    assert definitions.get("daily").document == {"n": 2}
    assert definitions.get("daily", "v1").document == {"n": 1}
    assert definitions.get("daily", "v1").created_by == "ann"
    assert [found.definition_id for found in definitions.list()] == ["daily", "weekly"]
    assert [found.definition_id for found in definitions.list(enabled=True)] == ["weekly"]
    assert definitions.get("monthly") is None


def test_going_back_to_an_old_version_makes_it_current_again(remembered):
    for version in ("v1", "v2", "v1"):
        remembered.definitions.register("daily", version, {"description": version}, created_by="ann")
    assert remembered.definitions.get("daily").version == "v1"
    assert [found.version for found in remembered.definitions.list()] == ["v1"]


def test_a_new_description_needs_no_new_version(remembered):
    remembered.definitions.register("daily", "v1", {"description": "old"}, created_by="ann")
    first = remembered.definitions.get("daily")
    remembered.definitions.register("daily", "v1", {"description": "new"}, created_by="bob")
    again = remembered.definitions.get("daily")
    assert again.document == {"description": "new"}
    assert (again.created_by, again.created_at) == ("ann", first.created_at)
