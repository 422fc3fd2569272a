"""What a stage may need of the scratch folder is known before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from include import pipeline
from include.definitions.model import ExportDefinition
from include.errors import Permanent
from include.pipeline import Context
from tests.pipeline.test_steps import AT


@pytest.mark.slow
def test_a_run_that_does_not_fit_into_scratch_says_so_and_one_that_does_is_made(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    with pytest.raises(Permanent, match=r"render-.* may need .* GB in .*: raise it"):
        pipeline.render(Context(replace(context.settings, scratch_bytes=10_000)), key)
    assert pipeline.render(Context(replace(context.settings, scratch_bytes=10**9)), key)
