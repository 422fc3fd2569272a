"""Rule: what takes much memory has a pool of its own, as large as memory and processors allow; deliveries never wait in it."""

from __future__ import annotations

import pytest

from include.definitions.load import from_document
from include.orchestration import factory, imports, pools

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "processors", "slots"),
    [
        (24 * GIB, 2, 2),  # a slot for each processor
        (24 * GIB, 64, 29),  # (24 - 2) GiB / 768 MiB = 29.3
        (4 * GIB, 8, 2),  # (4 - 2) GiB / 768 MiB = 2.7
        (1 * GIB, 8, 1),  # at least one
    ],
)
def test_as_many_slots_as_memory_and_processors_allow(memory, processors, slots):
    assert pools.slots(memory, processors) == slots


@pytest.mark.parametrize("named", ["loyalty", ""])
def test_heavy_tasks_alone_are_in_the_pool(monkeypatch, named):
    monkeypatch.setenv("LOYALTY_POOL", named)
    document = {"id": "a", "name": "A", "model": "balance", "targets": [{"kind": "folder"}]}
    export = factory.build(from_document(document, where="test"))
    importing = imports.build()
    heavy = named or "default_pool"
    assert {task.task_id: task.pool for task in export.tasks} == {
        "pin": "default_pool", "snapshot": heavy, "render": heavy, "deliver": "default_pool", "settle": "default_pool",
    }  # fmt: skip
    assert {task.task_id for task in importing.tasks if task.pool == heavy} >= {"rehearse", "post"}
    assert importing.get_task("report").pool == "default_pool"
