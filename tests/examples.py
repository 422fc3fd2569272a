"""How many examples a property is tried on: a few in the fast tests, all in `make test`."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

THOROUGH = "thorough"  # pytest --hypothesis-profile=thorough
FEWER = 4


def examples(number: int, **more: Any) -> settings:
    """Settings for `number` examples in the thorough profile, a quarter of them in any other."""
    profile = settings.get_current_profile_name()
    return settings(max_examples=number if profile == THOROUGH else max(10, number // FEWER), **more)
