"""What users write into a mail: text with `{placeholders}`, and nothing else that means anything."""

from __future__ import annotations

import re
from types import MappingProxyType

from include.definitions.base import refuse
from include.targets.protocol import About

PLACEHOLDERS = MappingProxyType({
    "id": "id of the definition",
    "name": "name of the definition",
    "period": "the period, as in file names",
    "as_of": "the instant T of the report, as in file names",
    "owner": "who answers for the export",
    "rows": "how many rows all files have",
    "revision": "0 for the first delivery of a period, then 1, 2, ...",
})  # fmt: skip
_FIELD = re.compile(r"\{([^{}]*)\}")


def checked(template: str) -> str:
    """Return the template; a problem of the model for an unknown placeholder or a stray brace."""
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for field in _FIELD.findall(template):
        if field not in PLACEHOLDERS:
            raise refuse("unknown_placeholder", f"{{{field}}} is not a placeholder; known are {known}")
    if set("{}") & set(_FIELD.sub("", template)):
        raise refuse("stray_brace", f"braces stand only around a placeholder: {known}")
    return template


def filled(template: str, about: About) -> str:
    """Return a checked template with the delivery's values."""
    values = {
        "id": about.export_id,
        "name": about.name,
        "period": about.period,
        "as_of": about.as_of,
        "owner": about.owner,
        "rows": f"{sum(about.rows.values()):,}",
        "revision": str(about.revision),
    }
    return _FIELD.sub(lambda match: values[match[1]], template)


def subject(template: str, about: About) -> str:
    """Return the subject on one line; a later revision, a repetition and a test say that they are one."""
    told = ("Test: " if about.is_test else "") + filled(template, about)
    if about.revision and "{revision}" not in template:
        told += f" (revision {about.revision})"
    if about.sending:
        told += " (sent again)"
    return " ".join(told.split())
