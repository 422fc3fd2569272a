"""The manifest's signature among a run's files: made once, kept in the store beside the manifest."""

from __future__ import annotations

import hashlib
from typing import Any

from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.formats import signature
from include.formats.manifest import SIGNED, Manifest
from include.pipeline.artefacts import store_key
from include.pipeline.context import Context
from include.state.runs import RunRecord


def signed(
    context: Context, run: RunRecord, made: Manifest, files: list[dict[str, Any]], secrets: Secrets
) -> list[dict[str, Any]]:
    """Return the run's files with the signature before the manifest, where the definition signs.

    Before it, since the manifest stays what tells a receiver that all is there. The first signature that is kept
    counts: it lies under the manifest's hash, where attempts meet.
    """
    connection = ExportDefinition.model_validate(run.definition).sign
    if connection is None:
        return files
    key = store_key(run, made.sha256(), made.name + SIGNED)
    if not context.store.exists(key):
        context.store.put_new(key, signature.sign(made.canonical(), connection, secrets))
    kept = context.store.read(key)
    entry = {"name": made.name + SIGNED, "sha256": hashlib.sha256(kept).hexdigest(), "bytes": len(kept)}
    *data, manifest = files
    return [*data, entry | {"media_type": signature.MEDIA_TYPE, "key": key}, manifest]
