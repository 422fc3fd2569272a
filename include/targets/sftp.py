"""A folder on an SFTP server (`ssh` says how files get there; docs/targets/sftp.md is for users)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.connections import NAME, Secrets, missing
from include.errors import BadInput, Permanent, Problem, Transient
from include.formats.manifest import is_about
from include.targets.protocol import (
    NOTHING_KEPT,
    Capabilities,
    Kept,
    Parcel,
    ParcelFile,
    Progress,
    Receipt,
    Seen,
    check_names,
)

if TYPE_CHECKING:  # paramiko is heavy: it is imported when there is something to send
    from include.targets.ssh.there import There

KIND = "sftp"
OUTSIDE = True
CAPABILITIES = Capabilities(is_atomic=True, can_replace=True, reads_back=True, leaves_parts=True)
DONE = ".done"
_MODE = r"^[0-7]{3,4}$"


def _path(text: str) -> str:
    if not text.strip() or "\0" in text or "\\" in text or ".." in text.split("/"):
        raise ValueError(
            "a folder's path on the server, with / and without '..'; a lone . is the login's folder"
        )
    return text.rstrip("/") or "/"


class Options(BaseModel):
    """Where the files go, what may happen to what is there, and how the receiver knows that they are whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: Annotated[str, Field(pattern=rf"^{NAME}$")] = Field(
        description="The name of the Airflow connection with host, login, password or private_key, and host_key."
    )
    folder: Annotated[str, AfterValidator(_path)] = Field(
        ".", description="The folder there; without a leading slash it is below the login's folder."
    )
    replace: bool = Field(
        False,
        description="Whether a file of the same name with other content is replaced, in one step; the server "
        "must know posix-rename, as OpenSSH does.",
    )
    create_folder: bool = Field(False, description="Whether a missing folder is made, with those above it.")
    file_mode: Annotated[str, Field(pattern=_MODE)] | None = Field(
        None, description='Permissions of the files, in quotes: "640". The server\'s own when empty.'
    )
    folder_mode: Annotated[str, Field(pattern=_MODE)] | None = Field(
        None, description='Permissions of folders that are made, in quotes: "750".'
    )
    done_file: Literal["manifest", "empty", "none"] = Field(
        "manifest",
        description="What tells the receiver that all is there: the manifest, which comes last; an empty file "
        "NAME.done for each file, and no manifest; or nothing, and no manifest.",
    )
    verify: Literal["read_back", "size"] = Field(
        "read_back",
        description="Whether every file is read back and its hash compared before it gets its name, or only its "
        "size is (for accounts that may write but not read).",
    )
    timeout_seconds: int = Field(60, ge=1, le=3600, description="How long the server may be silent.")


def connections(options: Options) -> tuple[str, ...]:
    """Return the one connection."""
    return (options.connection,)


def deliver(options: Options, parcel: Parcel, secrets: Secrets, progress: Progress) -> Receipt:
    """Bring the files there, in order (see `protocol.Target`)."""
    from include.targets.ssh.bringing import bring

    parcel = _planned(options, parcel)
    with _there(options, secrets) as there:
        accepted = bring(there, parcel, progress)
    return Receipt(target=KIND, key=parcel.key, files=accepted)


def look(options: Options, parcel: Parcel, secrets: Secrets) -> Seen:
    """Say what is there under the parcel's names (see `protocol.Target`)."""
    parcel = _planned(options, parcel)
    with _there(options, secrets) as there:
        found = [there.seen(file) for file in parcel.files]
    return Seen.OTHER if Seen.OTHER in found else Seen.ABSENT if Seen.ABSENT in found else Seen.SAME


def test(options: Options, secrets: Secrets) -> list[Problem]:
    """Log in; write, read, name and remove a probe; say what is missing (see `protocol.Target`)."""
    from include.targets.ssh.probe import probed

    try:
        with _there(options, secrets) as there:
            there.ready()
            return [Problem("folder", there.place(), right, "folder_unusable") for right in probed(there)]
    except BadInput as error:
        return list(error.problems)
    except (Permanent, Transient) as error:
        return [Problem("connection", options.connection, str(error), "sftp_unusable")]


def clean(options: Options, secrets: Secrets, older_than: timedelta, kept: Kept = NOTHING_KEPT) -> list[str]:
    """Remove what killed deliveries left in the folder (see `protocol.Target`)."""
    from include.targets.ssh.leftovers import removed

    with _there(options, secrets) as there:
        return removed(there, older_than, kept)


def _planned(options: Options, parcel: Parcel) -> Parcel:
    """Return the parcel as it will be there: with the manifest, or with a done file for each file, or bare."""
    files = list(parcel.files)
    if options.done_file != "manifest":
        files = [file for file in files if not is_about(file.name)]
    if options.done_file == "empty":
        nothing = hashlib.sha256().hexdigest()
        done = [ParcelFile(Path(os.devnull), file.name + DONE, nothing, 0, "text/plain") for file in files]
        files = [each for pair in zip(files, done, strict=True) for each in pair]
    parcel = replace(parcel, files=files)
    check_names(parcel)
    return parcel


@contextmanager
def _there(options: Options, secrets: Secrets) -> Iterator[There]:
    from include.targets.ssh.remote import connected
    from include.targets.ssh.there import There

    connection = secrets.connections.get(options.connection)
    if connection is None:
        raise missing(options.connection)
    with connected(connection, options.timeout_seconds) as remote:
        yield There(options, connection, remote)
