"""What a definition's privacy and encryption need of the whole: its connections and keys, its targets' places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from include import connections, kinds, targets
from include.connections import MISSING, Secrets
from include.definitions import privacy
from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.formats import signature
from include.formats.encryption.keys import FROM_CONNECTION
from include.formats.options import FileOptions, file_options
from include.ledger.columns import Column
from include.pipeline.context import Context
from include.snapshots import names
from include.targets import folder


def secrets_of(context: Context, definition: ExportDefinition, *, where: str = "") -> Secrets:
    """Return the connections that the files of a definition need, and no others.

    where: what problems call the definition; its id when empty.
    Raises one BadInput for all that keeps them from being made now: missing connections, keys that are missing,
    expired, revoked or of the wrong kind, salts and passwords that are too short.
    """
    found, unusable = connections.resolve(
        context.connections, connections_of(definition), context.settings.keys
    )
    called = where or definition.id
    problems: list[Problem] = []
    for index, part in enumerate(definition.parts):
        place = f"{called}: exports[{index}]." if definition.exports else f"{called}: "
        encryption = _file(part).encryption
        if part.privacy is not None:
            problems += privacy.secret_problems(part.privacy, found, where=f"{place}privacy")
        if encryption is not None:
            problems += encryption.problems(found, f"{place}file.encryption.options")
    if definition.sign is not None:
        problems += signature.problems(definition.sign, found, f"{called}: sign")
    why = {each.value: each for each in unusable}
    if told := [_told(each, why) for each in problems] or unusable:
        raise BadInput(told)
    return found


def _told(problem: Problem, why: Mapping[str, Problem]) -> Problem:
    """Return a problem with why its connection cannot be used, where that is what is wrong."""
    known = why.get(problem.value.removeprefix(FROM_CONNECTION)) if problem.code == MISSING else None
    return replace(problem, right=known.right, code=known.code) if known else problem


def connections_of(definition: ExportDefinition) -> set[str]:
    """Return the names of the connections that the files of a definition need."""
    needed = {name for part in definition.parts for name in _names(part)}
    return needed | ({definition.sign} if definition.sign else set())


def erasure_key(context: Context) -> Secrets:
    """Return the connection by which erased people are known; nothing where nobody was erased. Raises BadInput."""
    return erasure_secrets(context) if context.state.erasures.list() else Secrets()


def erasure_secrets(context: Context) -> Secrets:
    """Return the connection by which erased people are known; BadInput where there is none."""
    found, problems = connections.resolve(context.connections, {names.CONNECTION}, context.settings.keys)
    if problems:
        raise BadInput(problems)
    return found


def privacy_problems(
    definition: ExportDefinition, part: Part, columns: Sequence[Column], chosen: list[str] | None, place: str
) -> list[Problem]:
    """Return what is wrong with a part's privacy, as far as no secret is needed to say so.

    columns: what its model or layout has, by the names that `fields` and `privacy` use. chosen: those of them whose
    values stand in the file by the author's word, None where nobody named any.
    """
    found: list[Problem] = []
    where = f"{place}privacy"
    if part.compare is not None and part.file.encryption is not None:
        right = "an encrypted file cannot be compared: what was delivered last, only its recipients can read"
        found.append(Problem(f"{place}compare", "", right, "compare_encrypted"))
    if part.privacy is not None:
        found += privacy.problems(part.privacy, columns, chosen, where=where)
    personal, outside = privacy.plain(part.privacy, columns, chosen), _outside(definition)
    allowed = part.privacy is not None and part.privacy.allow_plain_pii is not None
    if part.file.encryption is not None and outside and not allowed and _split_by(part) in personal:
        right = (
            "is personal, and would stand in the names of the files, which no encryption covers: split by another "
            "field, or protect this one (privacy.fields)"
        )
        found.append(Problem(f"{place}file.split.field", _split_by(part) or "", right, "personal_names"))
    return found + privacy.plain_problems(
        part.privacy,
        personal,
        owner=definition.owner,
        encrypted=part.file.encryption is not None,
        outside=outside,
        where=where,
    )


def _split_by(part: Part) -> str | None:
    """Return the field whose values are in the names of a part's files, None where there is none."""
    split = part.file.split
    if split is None or split.field is None:
        return None
    return {choice.title: choice.field for choice in part.fields or ()}.get(split.field, split.field)


def _names(part: Part) -> tuple[str, ...]:
    encryption = _file(part).encryption
    needed = part.privacy.connections if part.privacy else ()
    return (*needed, *(encryption.connections() if encryption else ()))


def _file(part: Part) -> FileOptions:
    return file_options(part.file.model_dump(exclude={"name"}))


def _outside(definition: ExportDefinition) -> list[str]:
    """Return the labels of the targets that are outside; an unknown kind is another problem's matter."""
    known = kinds.names(targets)
    return [
        target.label
        for target in definition.targets
        if target.kind in known
        and (
            kinds.load(targets, target.kind, where="targets").OUTSIDE
            or (target.kind == folder.KIND and folder.is_bucket(target.options))
        )
    ]
