"""What begins from a checkpoint is what a full replay gives, however a ledger is cut in two (docs/scale.md, Checkpoints)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from include.ledger.catalog import RELATIONS, arrow_schema
from include.reports import balance, history
from include.reports.engine import checkpoint, figures
from include.reports.engine.notes import Notes
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from tests.examples import examples
from tests.ledger.random_ledger import random_ledger

SCHEMA = arrow_schema(RELATIONS["transactions"])
Row = dict[str, Any]


def ledger(random: Random) -> list[Row]:
    """Transactions of some customers and cards, a few of them known only later."""
    found = []
    for number in range(random.randint(1, 12)):
        account = f"{'card' if number % 4 == 0 else 'c'}{number}"
        for posted in random_ledger(random, account):
            late = random.randint(0, 12) if random.randint(0, 3) == 0 else 0
            found.append(
                {
                    "transaction_id": f"{account}-{posted.id}",
                    "program_id": "p",
                    "subledger_id": random.choice([None, "", "s"]) if number == 1 else None,
                    "customer_id": account,
                    "card_id": account if account.startswith("card") else None,
                    "type": posted.type,
                    "points": posted.points,
                    "created_at": posted.created_at,
                    "recorded_at": posted.created_at + late if random.randint(0, 4) else None,
                    "activates_at": posted.activates_at,
                    "expires_at": posted.expires_at,
                    "related_transaction_id": f"{account}-{posted.related}" if posted.related else None,
                }
            )
    random.shuffle(found)
    return found


def file(folder: Path, name: str, rows: list[Row]) -> Path:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, row_group_size=7)
    return path


def snapshot(*paths: Path) -> LocalSnapshot:
    return LocalSnapshot({"transactions": paths}, {"transactions": RELATIONS["transactions"].names})


def rendered(of: LocalSnapshot, scratch: Path, asked: list[tuple[Any, Asked]], **how: Any) -> Any:
    """What every report gives, and what was seen."""
    notes = Notes()
    jobs = [
        Job(module, one, lambda batches: [row for b in batches for row in b.to_pylist()])
        for module, one in asked
    ]
    found = render(jobs, of, scratch, notes=notes, **how)
    return found, notes.of([asked[0][1].cut])


@pytest.mark.slow
@given(st.integers(0, 2**32))
@examples(60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_checkpoint_gives_what_a_full_replay_gives(seed: int) -> None:
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = ledger(random)
        shared = [row for row in rows if random.randint(0, 2)]
        rest = [row for row in rows if row not in shared]
        # The other rows were in the earlier snapshot too, or came, went or changed meanwhile.
        gone = [row for row in rest if random.randint(0, 1)]
        new = [
            row | {"points": row["points"] * 2} if random.randint(0, 5) == 0 else row
            for row in rest
            if random.randint(0, 5)
        ]
        files = file(folder, "shared", shared), file(folder, "gone", gone), file(folder, "new", new)
        told = [row[name] for row in rows for name in ("created_at", "activates_at", "expires_at")]
        instants = [each for each in told if each is not None and each > 0]
        earlier, later = sorted(random.choice([random.randint(1, 60), *instants]) for _ in range(2))
        before = Asked(None, None, earlier, earlier + random.randint(0, 5), balance.Options(), "UTC")
        now = replace(before, as_of=later, known_at=max(before.known_at, later) + random.randint(0, 5))
        path = folder / "figures.parquet"
        module: Any = figures.FiguresModule()
        render(
            [Job(module, before, lambda batches: figures.write(path, batches))],
            snapshot(files[0], files[1]),
            folder,
        )
        changed = checkpoint.changed(
            path, before.cut, now.cut, shared=files[:1], gone=files[1:2], new=files[2:]
        )
        period = replace(now, start=random.randint(earlier, later), end=later, options=history.Options())
        asked = [
            (balance, now),
            (balance, replace(now, options=balance.Options(grain="customer", include_zero=False))),
            (history, period),
            (module, now),
        ]
        of = snapshot(files[0], files[2])
        whole = rendered(of, folder, asked)
        assert rendered(of, folder, asked, base=checkpoint.Base(path, changed)) == whole
        assert len({row["account_hash"] for row in whole[0][3]}) == len(whole[0][3])
