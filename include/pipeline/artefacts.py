"""What a run's record holds of its files, and where the store keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.errors import Permanent
from include.formats import bundle
from include.formats.manifest import SUFFIX, Manifest, ManifestFile
from include.state.runs import RunRecord

FOLDER = "artefacts"
# Of keys, where people read them.
SHOWN_CHARACTERS = 12


def described(run: RunRecord) -> str:
    """Return which run it is, for a person."""
    return f"run {run.run_key[:SHOWN_CHARACTERS]} as of {run.as_of:%Y-%m-%d %H:%M} UTC"


def entries(run: RunRecord, made: Manifest) -> list[dict[str, Any]]:
    """Return the run's files: data with rows, totals and sentences, the manifest last.

    Each has name, sha256, bytes, media_type and store key. What is in one archive, or one workbook, is one file.
    """
    if made.bundle is not None:
        about = made.bundle.model_dump() | {"media_type": bundle.MEDIA_TYPE, "export": None}
        found = [about | _figures(made.files, made)]
    else:
        by_name: dict[str, list[ManifestFile]] = {}
        for file in made.files:
            by_name.setdefault(file.name, []).append(file)
        found = [_entry(files) | _figures(files, made) for files in by_name.values()]
    for each in found:
        each["key"] = store_key(run, each["sha256"], each["name"])
    about = {"name": made.name + SUFFIX, "sha256": made.sha256(), "bytes": len(made.canonical())}
    return [*found, about | {"media_type": "application/json", "key": manifest_key(run, made)}]


GONE = {
    "retention": "their time was over",
    "erasure": "they held a customer who was erased",
    "deleted": "whoever asked for them deleted them",
}


def why_gone(run: RunRecord) -> str:
    """Return when and why a run's files were removed, as the second half of a sentence."""
    assert run.files_gone_at is not None
    reason = GONE.get(run.files_gone_why or "", run.files_gone_why)
    return f"were removed on {run.files_gone_at:%Y-%m-%d}: {reason}"


def refuse_gone(run: RunRecord) -> None:
    """Raise Permanent for a run whose files were removed, which says what can be done."""
    if run.files_gone_at is not None:
        raise Permanent(
            f"{run.definition_id}: the files of run {run.run_key[:12]} {why_gone(run)}. Their record and manifest are "
            "kept; for new files make a restatement (a higher revision)"
        )


def manifest_key(run: RunRecord, made: Manifest) -> str:
    """Return where a manifest is kept."""
    return store_key(run, made.sha256(), made.name + SUFFIX)


def store_key(run: RunRecord, sha256: str, name: str) -> str:
    """Return where a file is kept: under its hash, so that attempts which differ never meet."""
    return f"{FOLDER}/{run.run_key}/{sha256}/{name}"


def _entry(files: Sequence[ManifestFile]) -> dict[str, Any]:
    first = files[0]
    about = {"name": first.name, "sha256": first.sha256, "bytes": first.bytes, "media_type": first.media_type}
    holds = {"holds": first.holds} if first.holds != "rows" else {}
    return about | {"export": first.export if len(files) == 1 else None} | holds


def _figures(files: Sequence[ManifestFile], made: Manifest) -> dict[str, Any]:
    """Return the figures of what one file holds; totals of several contents go by their names.

    The rows of what changed are no sum of anything: a row that changed is there twice.
    """
    data = [each for each in files if each.holds == "rows"]
    if len(files) == 1:
        totals = files[0].totals if data else {}
    else:
        totals = {
            f"{each.export or each.name}: {name}": x for each in data for name, x in each.totals.items()
        }
    told = [each.changes.sentence for each in files if each.changes]
    return {
        "rows": sum(each.rows for each in data or files),
        "totals": totals,
        "notes": list(made.origin.notes),
        "told": [*dict.fromkeys(told), *made.alerts],
    }
