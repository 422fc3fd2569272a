"""Azure Blob Storage.

The connection is of type wasb; include/targets/object_stores/azure_credentials.py says what of it is read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from include.connections import Secrets
from include.targets import objects
from include.targets.object_stores.sending import ObjectStore, Terms
from include.targets.objects import CAPABILITIES as CAPABILITIES  # noqa: PLC0414

KIND = "azure_blob"
OUTSIDE = True


class Options(objects.ObjectOptions):
    """Which container, and how it keeps what it gets."""

    container: Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$")] = Field(
        description="The container's name."
    )
    storage_class: Literal["Hot", "Cool", "Cold"] | None = Field(
        None, description="Access tier; left out, the account's own. From Archive nothing can be read back."
    )
    encryption_scope: objects.Word | None = Field(
        None, description="Encryption scope of the account, with its own key; left out, the container's own."
    )


def _store(options: Options, secrets: Secrets) -> ObjectStore:
    from include.targets.object_stores.azure import Azure

    return Azure(options.container, objects.connection_of(options, secrets))


def _terms(options: Options) -> Terms:
    return Terms(
        **objects.common_terms(options),
        storage_class=options.storage_class or "",
        encryption=options.encryption_scope or "",
    )


_TARGET = objects.ObjectTarget(KIND, _store, _terms)
connections, deliver, look = _TARGET.connections, _TARGET.deliver, _TARGET.look
test, link, clean = _TARGET.test, _TARGET.link, _TARGET.clean
