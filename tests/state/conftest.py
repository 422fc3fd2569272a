"""A state database of each kind."""

import pytest

from include import state


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.servers)])
def state_url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'var' / 'state.sqlite'}"
    return request.getfixturevalue("postgres_ledger")


@pytest.fixture
def remembered(state_url):
    return state.open(state_url)
