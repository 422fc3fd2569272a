"""Keys: the same request has the same key anywhere, and nothing else has it."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from include.state import identity

T = datetime(2026, 7, 1, tzinfo=UTC)
RUN = {"as_of": T, "known_at": T, "start": None, "end": None, "revision": 0}


def test_the_key_of_a_run_is_fixed_for_ever():
    key = identity.run_key("daily", "v", **RUN)
    assert key == "40c6152a3282ea4287138e0a09c1ef6bef06be6d1812ca1c4fd395a7c7190dfb"


def test_a_zone_is_only_a_way_of_writing():
    paris = T.astimezone(timezone(timedelta(hours=2)))
    assert identity.run_key("daily", "v", **RUN) == identity.run_key("daily", "v", **(RUN | {"as_of": paris}))


def test_every_part_counts_and_parts_do_not_run_together():
    day = timedelta(days=1)
    changes = [
        {"as_of": T + day},
        {"known_at": T + day},
        {"start": T},
        {"end": T},
        {"revision": 1},
        {"dry_run": True},
    ]
    keys = {identity.run_key("daily", "v", **(RUN | change)) for change in changes}
    keys |= {identity.run_key(*names, **RUN) for names in (("daily", "v"), ("dail", "yv"), ('daily","v', ""))}
    assert len(keys) == len(changes) + 3


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        identity.run_key("daily", "v", **(RUN | {"as_of": T.replace(tzinfo=None)}))


def test_targets_of_one_run_differ():
    assert identity.delivery_key("r", "0 folder") != identity.delivery_key("r", "1 folder")


def test_the_code_version_names_release_and_code():
    released, _, code = identity.code_version().partition("+")
    assert released
    assert len(code) == 12


def test_every_package_either_decides_bytes_or_is_known_not_to():
    include = Path(identity.__file__).parents[1]
    packages = {path.name for path in include.iterdir() if any(path.glob("*.py"))}
    others = {
        "targets",
        "state",
        "orchestration",
        "cli",
        "notices",
        "sample",
        "web",
        "charts",
        "imports",
        "spark",
    }
    assert packages == others | set(identity.DECIDING)
