"""Stages run in processes of their own: results, progress, errors and sudden deaths come back."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any

import pytest

from include.errors import BadInput, NotYet, Problem, Transient
from include.pipeline.process import in_process

pytestmark = pytest.mark.slow
HERE = __name__


def double(value: int, *, progress: Any) -> dict[str, int]:
    progress("doubling", value, 2 * value)
    return {"value": 2 * value, "process": os.getpid()}


def refuse(*, progress: Any) -> None:
    raise BadInput([Problem("row 3", "x", "a number", "bad"), Problem("row 4", "y", "a number", "bad")])


def too_early(*, progress: Any) -> None:
    from datetime import UTC, datetime

    raise NotYet("early", datetime(2026, 1, 1, tzinfo=UTC))


def die(*, progress: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def files_allowed(*, progress: Any) -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_result_and_the_progress_come_back_from_another_process() -> None:
    seen: list[tuple[Any, ...]] = []
    result = in_process(f"{HERE}:double", 21, progress=lambda *what: seen.append(what))
    assert result["value"] == 42
    assert result["process"] != os.getpid()
    assert seen == [("doubling", 21, 42)]


def test_a_stage_may_open_as_many_files_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        assert in_process(f"{HERE}:files_allowed", progress=print) == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_errors_keep_their_class_and_content() -> None:
    with pytest.raises(BadInput) as refused:
        in_process(f"{HERE}:refuse", progress=print)
    assert [problem.where for problem in refused.value.problems] == ["row 3", "row 4"]
    with pytest.raises(NotYet) as early:
        in_process(f"{HERE}:too_early", progress=print)
    assert early.value.until.year == 2026


def test_a_killed_process_is_a_transient_error_that_names_the_signal() -> None:
    with pytest.raises(Transient, match="SIGKILL"):
        in_process(f"{HERE}:die", progress=print)


def test_it_imports_neither_airflow_nor_what_no_stage_needs() -> None:
    assert in_process("tests.pipeline.loaded:heavy", progress=print) == []


def test_a_stage_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    assert in_process("tests.pipeline.loaded:queried", progress=print) == 1
    assert capfd.readouterr() == ("", "")
