"""What tests deliver to object stores, and what they look at afterwards. Helpers, not tests."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path

from include.targets.protocol import Parcel, ParcelFile

BIG = os.urandom(1 << 20) * 11  # three parts of 5 MiB, the least that S3 takes
SMALL = b'{"rows": 1}'


def parcel(folder: Path, key: str = "key1", **contents: bytes) -> Parcel:
    files = []
    for name, content in (contents or {"x.csv": BIG, "x.csv.manifest.json": SMALL}).items():
        path = folder / f"{key}-{len(files)}"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append(ParcelFile(path, name, digest, len(content), "text/csv"))
    return Parcel(files, key)


def outcomes(receipt):
    return [file.outcome for file in receipt.files]


def check(corner) -> None:
    assert corner.names() == ["x.csv", "x.csv.manifest.json"]
    assert corner.read("x.csv") == BIG
    assert corner.read("x.csv.manifest.json") == SMALL


def left_over(corner) -> list[str]:
    """What `clean` finds of uploads and probes, however young."""
    return corner.module.clean(corner.options(), corner.secrets(), timedelta(seconds=-5))
