"""File names: a strict `{placeholder}` formatter and an allow-list, so that a name is safe wherever it lands.

No other formatter ever sees a user's text: what stands in braces is one of `PLACEHOLDERS`, or an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from include.errors import BadInput, Problem

PLACEHOLDERS: Mapping[str, str] = MappingProxyType({
    "id": "id of the definition",
    "export": "id of the export within a pack, else the id of the definition",
    "name": "name of the definition, with - for what a file name cannot hold",
    "period": "the period as `2026-01`, `2026-Q1`, `2026-01-05_2026-01-11`; without a period, as-of",
    "start": "start of the period, as `2026-01-05`, or `2026-01-05T0600` inside a day",
    "end": "end of the period (the instant after it), in the same form",
    "as_of": "the instant T of the report, in the same form",
    "date": "local date of the occurrence, as `2026-01-31`",
    "time": "local time of the occurrence, as `0600`",
    "revision": "0 for the first delivery of a period, then 1, 2, ... for its restatements; `_r{revision}` is added to "
    "a restatement's name without it",
    "part": "of a split export, the number of the file as `0001`, or the value of the field, with - for what a "
    "file name cannot hold; `_{part}` is added to a name without it",
})  # fmt: skip
TELLS_PERIOD = ("period", "start", "end", "as_of", "date")
# 255 bytes is the limit of most file systems; a temporary name adds `.part-` and a key of 64 digits.
MAX_BYTES = 180
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
_PUNCTUATION = "._-+,=@ ()"
# Letters, the combining marks that some scripts need, and digits; never control or format characters.
_CATEGORIES = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd")
_FIELD = re.compile(r"\{([^{}]*)\}")


def template_problems(template: str) -> list[tuple[str, str]]:
    """Return `(code, what would be right)` for everything wrong in a name template."""
    found = []
    fields, rest = _split(template)
    for field in fields:
        if field not in PLACEHOLDERS:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            found.append(("unknown_placeholder", f"{{{field}}} is not a placeholder; known are {known}"))
    if "{" in rest or "}" in rest:
        found.append(("stray_brace", "braces stand only around a placeholder, as in {period}"))
    if not found and not any(field in TELLS_PERIOD for field in fields):
        right = "must hold {period}, {start}, {end}, {as_of} or {date}, so that no two runs have one name"
        found.append(("no_period_in_name", right))
    # A placeholder stands for at least one harmless character.
    found += name_problems(_FIELD.sub("x", template).replace("{", "x").replace("}", "x"))
    return found


def _split(template: str) -> tuple[list[str], str]:
    return _FIELD.findall(template), _FIELD.sub("", template)


def name_problems(name: str) -> list[tuple[str, str]]:
    """Return `(code, what would be right)` for everything wrong in one file or folder name."""
    return list(_name_problems(name))


def _name_problems(name: str) -> Iterator[tuple[str, str]]:
    if not name:
        yield "empty_name", "must not be empty"
        return
    if "/" in name or "\\" in name:
        yield "path_in_name", "must be a file name without / and \\; folders are set on the target"
    if name.startswith("."):
        yield "hidden_name", "must not begin with a dot: hidden and .part names are for files in the making"
    if name.startswith((" ", "-", "~")):
        yield "bad_first_character", "must begin with a letter, a digit or _"
    if name.endswith((".", " ")):
        yield "bad_last_character", "must not end with a dot or a space"
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" ")):
        yield "device_name", "is the name of a device on Windows; choose another"
    if unicodedata.normalize("NFC", name) != name:
        yield "not_composed", "must be in composed Unicode form (NFC)"
    wrong = sorted({character for character in name if not _allowed(character)} - {"/", "\\"})
    if wrong:
        shown = ", ".join(f"U+{ord(character):04X}" for character in wrong[:5])
        yield "bad_character", f"must hold letters, digits and {_PUNCTUATION.strip()} only, not {shown}"
    length = len(name.encode("utf-8", "surrogatepass"))
    if length > MAX_BYTES:
        yield "name_too_long", f"must be at most {MAX_BYTES} bytes, not {length}"


def _allowed(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character) in _CATEGORIES


def slug(text: str) -> str:
    """Return a text as part of a file name: each run of what a name cannot hold becomes one `-`."""
    kept = "".join(
        c if _allowed(c) and c not in " ,=@()" else "-" for c in unicodedata.normalize("NFC", text)
    )
    return re.sub(r"-+", "-", kept).strip("-. ") or "export"


def file_name(
    template: str, values: Mapping[str, object], extension: str, *, where: str = "file.name"
) -> str:
    """Return the final name; `extension` (`.csv.gz`) is added unless the template already ends with it.

    values: one for each placeholder that the template uses. Raises BadInput when template or result is wrong.
    """
    problems = template_problems(template)
    if not problems:
        used = {field: str(values[field]) for field in _split(template)[0]}
        name = _with_extension(_FIELD.sub(lambda match: used[match[1]], template), extension)
        problems = name_problems(name)
        template = name if problems else template
    if problems:
        raise BadInput([Problem(where, template, right, code) for code, right in problems])
    return name


def part_template(template: str, extension: str) -> str:
    """Return the template of a split export's names: `_{part}` is added, before an extension, where it is missing."""
    return template if "{part}" in template else _added(template, "_{part}", extension)


def restated_template(template: str, extension: str) -> str:
    """Return the template of a restatement's names, likewise with `_r{revision}`: no delivered file has such a name."""
    return template if "{revision}" in template else _added(template, "_r{revision}", extension)


def _added(template: str, more: str, extension: str) -> str:
    ending = extension
    while ending and not template.endswith(ending):
        ending = ending[: ending.rindex(".")]
    return template.removesuffix(ending) + more + ending


def whole_template(template: str) -> str:
    """Return the template of what all parts of a split export share: without `{part}` and what sets it off."""
    without = re.sub(r"^(\{part\}[ ._-]*)+", "", template)
    return re.sub(r"[ ._-]*\{part\}", "", without)


def _with_extension(name: str, extension: str) -> str:
    if not extension or name.endswith(extension):
        return name
    stem = extension[: extension.rindex(".")]
    return name + (extension[len(stem) :] if stem and name.endswith(stem) else extension)
