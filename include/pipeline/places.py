"""Where exports made on the pages may deliver to: their authors need not have a login on this machine.

A definition in a file may name any folder; who writes it there has the machine's rights already.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from include.definitions.model import Target
from include.errors import BadInput, Problem
from include.settings import Settings, local_folder
from include.targets import folder

if TYPE_CHECKING:
    from include.pipeline.inbox.config import Inbox


def problems(settings: Settings, target: Target, where: str) -> list[Problem]:
    """Return what is wrong with the place of a target of a page's export; where: the target, such as `targets[0]`.

    A folder must be below one of `settings.page_folders`, and not where the installation keeps its own. None may be
    watched for files of points (docs/imports.md): who may make exports need not have the right to import.
    """
    given = target.options.get("folder")
    if not isinstance(given, str):
        return []
    if target.kind != folder.KIND:
        return _watched(settings, target, given, where)
    try:
        place = folder.local_folder(folder.Options.model_validate(target.options))
    except ValueError:  # it is told of with the other options
        return []
    allowed = _in_bucket(settings, given) if place is None else _on_disk(settings, place.resolve())
    if allowed:
        return []
    shown = ", ".join(settings.page_folders) or "none"
    right = (
        f"an export made here may deliver to folders below {shown} that hold nothing of the installation's own; "
        "an administrator can allow others by LOYALTY_PAGE_FOLDERS"
    )
    return [Problem(f"{where}.options.folder", given, right, "folder_not_allowed")]


def _watched(settings: Settings, target: Target, given: str, where: str) -> list[Problem]:
    connection = target.options.get("connection")
    watched = [
        _parts(each.folder)
        for each in _inboxes(settings)
        if each.connection and each.connection == connection
    ]
    place = _parts(given)
    if not any(place[: len(each)] == each for each in watched):
        return []
    right = "files that come there are imported as points: an export made here may not deliver to a watched folder"
    return [Problem(f"{where}.options.folder", given, right, "folder_not_allowed")]


def _parts(path: str) -> tuple[str, ...]:
    return tuple(each for each in path.split("/") if each not in {"", "."})


def _inboxes(settings: Settings) -> list[Inbox]:
    from include.pipeline.inbox.config import inboxes  # imports need more than exports do

    try:
        return inboxes(settings)
    except BadInput:  # then nothing is watched
        return []


def _on_disk(settings: Settings, place: Path) -> bool:
    roots = [found.resolve() for each in settings.page_folders if (found := local_folder(each)) is not None]
    own = [local_folder(each) for each in (settings.store_url, *settings.audit_anchors)]
    own += [settings.scratch, settings.keys, settings.exports, *(root / "airflow" for root in roots)]
    own += [Path(each.folder) for each in _inboxes(settings) if each.connection is None]
    kept = [each.resolve() for each in own if each is not None]
    inside = any(place != root and place.is_relative_to(root) for root in roots)
    return inside and not any(place.is_relative_to(each) or each.is_relative_to(place) for each in kept)


def _in_bucket(settings: Settings, url: str) -> bool:
    """Say whether the URL is below one that is allowed, and no part of the store."""

    def below(other: str) -> bool:
        return f"{url.rstrip('/')}/".startswith(f"{other.rstrip('/')}/")

    own = (settings.store_url, *settings.audit_anchors)
    return any(below(each) for each in settings.page_folders if "://" in each) and not any(map(below, own))
