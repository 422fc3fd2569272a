"""Google Cloud Storage.

The connection is of type google_cloud_platform: its extra has `keyfile_dict` (the JSON key of a service account),
`key_path` (its file on every worker), or `machine_role: true` for the account of the workers' machine.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from include.connections import Secrets
from include.targets import objects
from include.targets.object_stores.sending import ObjectStore, Terms
from include.targets.objects import CAPABILITIES as CAPABILITIES  # noqa: PLC0414

KIND = "gcs"
OUTSIDE = True


class Options(objects.ObjectOptions):
    """Which bucket, and how it keeps what it gets."""

    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$")] = Field(
        description="The bucket's name."
    )
    storage_class: objects.Word | None = Field(
        None, description="Storage class, such as NEARLINE; left out, the bucket's own."
    )
    kms_key: objects.Word | None = Field(
        None, description="Resource name of the Cloud KMS key; left out, the bucket's own encryption."
    )


def _store(options: Options, secrets: Secrets) -> ObjectStore:
    from include.targets.object_stores.gcs import Gcs

    return Gcs(options.bucket, objects.connection_of(options, secrets))


def _terms(options: Options) -> Terms:
    return Terms(
        **objects.common_terms(options),
        storage_class=options.storage_class or "",
        kms_key=options.kms_key or "",
    )


_TARGET = objects.ObjectTarget(KIND, _store, _terms)
connections, deliver, look = _TARGET.connections, _TARGET.deliver, _TARGET.look
test, link, clean = _TARGET.test, _TARGET.link, _TARGET.clean
