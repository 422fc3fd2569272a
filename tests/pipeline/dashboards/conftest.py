from __future__ import annotations

from collections.abc import Callable

import pytest

from include.pipeline import Context
from include.pipeline.dashboards import Asked, Figures, newest
from include.pipeline.dashboards.frames import frame
from tests.pipeline.dashboards import made


@pytest.fixture(scope="session")
def drawn_from(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("dashboard")
    made.make(folder)
    return Context(made.settings_in(folder))


@pytest.fixture
def figures(drawn_from: Context) -> Figures:
    found = newest(drawn_from)
    assert found is not None
    return found


@pytest.fixture
def asked(figures: Figures) -> Callable[..., Asked]:
    def ask(
        kind: str = "last_30_days", first: str = "", last: str = "", program: str = "club", **more: bool
    ) -> Asked:
        return Asked(figures, program, figures.programs()[program], frame(figures, kind, first, last), **more)

    return ask
