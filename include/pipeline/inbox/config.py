"""The inboxes of an installation: which folders are watched, and what becomes of a file that is put there."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.connections import NAME
from include.definitions.base import Delay
from include.definitions.document import read_yaml
from include.definitions.problems import problems_of
from include.errors import BadInput, Problem
from include.imports.options import Mode, Options
from include.settings import Settings

QUIET = timedelta(seconds=20)
# What writers call a file that is not whole yet.
_UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", "~")


def _folder(text: str) -> str:
    if not text.strip() or set(text) & set("\0\\") or ".." in PurePosixPath(text).parts:
        raise ValueError("must be a folder's path with / and without '..'")
    return text.rstrip("/") or "/"


class Inbox(BaseModel):
    """One watched folder, of this machine or, with a connection, of an SFTP server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
    folder: Annotated[str, AfterValidator(_folder)]
    connection: Annotated[str, Field(pattern=rf"^{NAME}$")] | None = None
    """Airflow's connection of type sftp; None for a folder of this machine."""
    mode: Mode
    program: str = ""
    subledger: str = ""
    card: bool = False
    files: Annotated[str, Field(min_length=1, max_length=200)] = "*"
    """Which names are taken, such as `points-*.csv`; letters' case counts."""
    same_name: bool = False
    """Whether a name that came before may come again with other bytes, as that of a daily file does."""
    quiet: Delay = QUIET
    """How long a file must keep its size and time before it is taken for whole."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mode is Mode.UNDO:
            raise ValueError("an undo is asked for by a person; mode must be add, reset, birthday or points")
        if self.connection is None and not self.folder.startswith("/"):
            raise ValueError("a folder of this machine has a path that begins with /")
        if not timedelta(0) <= self.quiet <= timedelta(minutes=5):
            raise ValueError("quiet must be from 0s to 5m")
        return self

    @property
    def options(self) -> Options:
        """Return what was chosen for every file of it."""
        return Options(mode=self.mode, program=self.program, subledger=self.subledger, card=self.card)

    @property
    def who(self) -> str:
        """Return in whose name its files are imported."""
        return f"inbox {self.name}"

    def wants(self, name: str) -> bool:
        """Say whether a name is one of a whole file for this inbox."""
        hidden = name.startswith((".", "~"))
        return not hidden and not name.casefold().endswith(_UNFINISHED) and fnmatchcase(name, self.files)


class Inboxes(BaseModel):
    """What the file of LOYALTY_INBOXES says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inboxes: list[Inbox] = Field(max_length=100)


def inboxes(settings: Settings) -> list[Inbox]:
    """Return the inboxes of the installation, none where LOYALTY_INBOXES is not set; BadInput with all problems."""
    path = settings.inboxes
    if path is None:
        return []
    try:
        found = Inboxes.model_validate(read_yaml(path)).inboxes
    except ValidationError as error:
        raise BadInput(problems_of(error, Inboxes, where=path.name)) from None
    named = Counter(each.name for each in found)
    placed = Counter((each.connection, each.folder) for each in found)
    problems = [
        Problem(path.name, name, "two inboxes have this name", "inbox_twice")
        for name, count in named.items()
        if count > 1
    ]
    problems += [
        Problem(
            path.name,
            folder,
            "two inboxes watch this folder; each file would be taken by either",
            "folder_twice",
        )
        for (_, folder), count in placed.items()
        if count > 1
    ]
    if problems:
        raise BadInput(problems)
    return found
