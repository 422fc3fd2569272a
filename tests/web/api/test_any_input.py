"""Whatever is sent to any route of any API, in or out of what its document says, none answers with a 500."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from include.state.keys import Scope
from include.web import api
from tests.lazily import schemathesis
from tests.web.api.asking import Asking
from tests.web.api.headers import headers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]  # thousands of requests

EXAMPLES = 15
SEARCH = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("part", api.PARTS, ids=lambda part: part.__name__.rpartition(".")[2])
@pytest.mark.parametrize("inputs", ["POSITIVE", "NEGATIVE"])
def test_no_input_makes_a_500(part: Any, inputs: str, asking: Asking) -> None:
    mode = schemathesis.GenerationMode[inputs]
    brought = headers(part, asking.key(*Scope).key)
    schema = schemathesis.openapi.from_asgi(f"{part.api.prefix}/openapi.json", asking.app)
    schema.config.generation.update(modes=[mode])
    answers: list[int] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=mode)

        def ask(case: Any) -> None:
            answer = case.call(headers=brought, timeout=300)
            assert answer.status_code < 500, (case.operation.label, answer.status_code, answer.text)
            answers.append(answer.status_code)

        SEARCH(given(strategy)(ask))()
    # What is wrong on purpose may be refused altogether.
    assert inputs == "NEGATIVE" or any(status < 300 for status in answers)
    assert any(400 <= status < 500 for status in answers)
