"""The generated reference: the JSON schema of a definition, and the tables of its guide.

`python -m include.definitions.reference` writes both; a test fails when they have drifted from the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from include.definitions import aggregation, notify
from include.definitions.aggregation import Aggregated
from include.definitions.conditions import Alert, Compare, Conditions
from include.definitions.content import Content, FieldChoice, Part
from include.definitions.file import File, FileEncryption
from include.definitions.model import AS_OF_WORDS, ExportDefinition, Target, json_schema
from include.definitions.naming import PLACEHOLDERS
from include.definitions.operators import OPERATORS, words_for
from include.definitions.periods import MEANINGS, Period
from include.definitions.privacy import Privacy, Protection
from include.definitions.schedule import BusinessDay, Daily, Monthly, Once, QuarterEnd, Weekly
from include.definitions.segments import SEGMENTS
from include.definitions.split import Split
from include.ledger.fields import FieldType

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
SCHEMA = FOLDER / "export-definition.schema.json"
GUIDE = FOLDER / "definitions.md"
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def schema_text() -> str:
    """Return the published schema as it stands in its file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def guide_text(text: str) -> str:
    """Return the guide with each generated part made anew; KeyError for a part that does not exist."""
    made = parts()
    return _PART.sub(lambda match: match[1] + made[match[2]] + match[3], text)


def parts() -> dict[str, str]:
    """Return the generated parts by name, as Markdown."""
    return {
        "keys": _keys(ExportDefinition),
        "part": _keys(Part, inherited=Content),
        "field": _keys(FieldChoice),
        "split": _keys(Split),
        "compare": _keys(Compare),
        "conditions": _keys(Conditions),
        "alert": _keys(Alert),
        "operators": _table(("operator", "keeps a row whose field"), _operators()),
        "operator_types": _table(("type", "operators"), _words()),
        "segments": _table(("segment", "keeps members with"), _segments()),
        "aggregated": _keys(Aggregated),
        "functions": _table(("function", "gives"), _functions()),
        "privacy": _keys(Privacy),
        "protection": _keys(Protection),
        "file": _keys(File),
        "encryption": _keys(FileEncryption),
        "target": _keys(Target),
        "notify": _keys(notify.Notify),
        "events": _table(("event", "when"), notify.MEANINGS.items()),
        "rules": "".join(_kind(rule) for rule in (notify.EmailRule, notify.WebhookRule, notify.AirflowRule)),
        "period": _keys(Period),
        "periods": _table(("kind", "the interval"), MEANINGS.items()),
        "schedules": "".join(_kind(kind) for kind in (Once, Daily, Weekly, Monthly, BusinessDay, QuarterEnd)),
        "as_of": ", ".join(f"`{word}`" for word in AS_OF_WORDS) + "\n",
        "placeholders": _table(
            ("placeholder", "stands for"), ((f"{{{k}}}", v) for k, v in PLACEHOLDERS.items())
        ),
    }


def _keys(model: type[BaseModel], inherited: type[BaseModel] = BaseModel) -> str:
    rows = (row for row in _rows(model) if row[0] not in inherited.model_fields)
    return _table(("key", "meaning"), rows)


def _rows(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        default = field.get_default(call_default_factory=False)
        if field.is_required():
            meaning += " Required."
        elif isinstance(default, (str, bool)) and default != "":
            meaning += f" Default: `{json.dumps(default) if isinstance(default, bool) else default}`."
        yield name, meaning


def _kind(model: type[BaseModel]) -> str:
    [kind] = get_args(model.model_fields["kind"].annotation)
    text = " ".join((model.__doc__ or "").split())
    return f"**`{kind}`** {text}\n\n{_table(('key', 'meaning'), (row for row in _rows(model) if row[0] != 'kind'))}\n"


def _operators() -> Iterator[tuple[str, str]]:
    for word, operator in OPERATORS.items():
        several = "" if operator.most == 1 else f"; up to {operator.most:,} values"
        yield word, operator.meaning + several


def _words() -> Iterator[tuple[str, str]]:
    for kind in FieldType:
        yield kind.value, ", ".join(f"`{word}`" for word in words_for(kind))


def _segments() -> Iterator[tuple[str, str]]:
    for name, kind in SEGMENTS.items():
        fields = " or ".join(f"`{field}`" for field in kind.fields)
        yield name, f"{kind.meaning}. As `{kind.example}`. Needs {fields}."


def _functions() -> Iterator[tuple[str, str]]:
    for function, meaning in aggregation.MEANINGS.items():
        types = aggregation.TYPES[function]
        of = (
            "any field"
            if len(types) == len(FieldType)
            else ", ".join(x.value for x in FieldType if x in types)
        )
        yield function, f"{meaning}. Of {of}."


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| `{key}` | {meaning} |" for key, meaning in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    GUIDE.write_text(guide_text(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
