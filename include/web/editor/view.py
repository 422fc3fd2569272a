"""What the templates of the form show: each field with its words, what is typed, its choices and its problems."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import available_timezones

from markupsafe import Markup

from include.definitions.model import AS_OF_WORDS
from include.definitions.naming import PLACEHOLDERS
from include.definitions.periods import MEANINGS
from include.layouts.layout import layouts
from include.reports import models
from include.web.editor import choices, fields, lookup, rows, shape, switching, words
from include.web.editor.form import COLUMNS, GIVEN, Values, document_of, text_of
from include.web.editor.problems import Found
from include.web.editor.shape import ByKind, Group, Leaf, Node, Options, Rows

_OPTIONS = re.compile(r"(targets\.\d+|file\.encryption|file)\.options\.(.+)")
_PACKAGES = {
    "targets": ("targets", "kind"),
    "file": ("formats", "format"),
    "file.encryption": ("encryption", "kind"),
}
_NUMBERS = re.compile(r"\.\d+(?=\.|$)")
# The parts of the page, by the first key of the fields that are in them; the others are in the first.
SECTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "what": ("What", ()),
    "when": ("When", ("timezone", "schedule", "paused", "settle_delay", "restate")),
    "where": ("Where to", ("targets",)),
    "file": ("File", ("file", "bundle", "sign")),
    "privacy": ("Privacy", ("privacy",)),
    "conditions": ("Conditions", ("conditions", "compare")),
    "notify": ("Notifications", ("notify",)),
    "more": ("More", ("retention", "enabled")),
}
AT = "at"  # the choice of a moment of one's own, among the words of as_of


@dataclass(frozen=True)
class Field:
    """One field. choices: value and words. usual: what holds when it is left empty. offers: the list of suggestions."""

    name: str
    label: str
    hint: Markup
    widget: str
    text: str
    texts: Sequence[str]
    required: bool
    usual: str
    problems: Sequence[str]
    choices: Sequence[tuple[str, str]] = ()
    offers: str = ""

    @property
    def id(self) -> str:
        """The id of its control in the page."""
        return f"at-{self.name}"

    @property
    def ticked(self) -> bool:
        """Whether the box is ticked: as typed, else as usual."""
        return (self.text or self.usual) == "true"


@dataclass(frozen=True)
class Form:
    """The form as it is typed now. definition_id: None while it is new."""

    values: Values
    found: Found = field(default_factory=Found)
    definition_id: str | None = None
    connections: Sequence[str] = ()

    def value(self, name: str) -> str:
        """Return the text of a field."""
        return text_of(self.values, name)

    def texts(self, name: str) -> list[str]:
        """Return the texts of a field that has several."""
        return [text for text in self.values.get(name, ()) if text]

    def rows(self, prefix: str) -> list[int]:
        """Return the numbers of the rows of a list."""
        return rows.numbers(self.values, prefix)

    def problems(self, name: str) -> list[str]:
        """Return what is wrong with a field, or with a group as a whole."""
        return self.found.at.get(name, [])

    def section_problems(self, section: str) -> int:
        """Return how many problems there are in a part of the page."""
        return sum(len(texts) for name, texts in self.found.at.items() if section_of(name) == section)

    @property
    def summary(self) -> list[tuple[str, str, str]]:
        """Every problem with the name and the label of its field."""
        return [(name, self._called(name), text) for name, texts in self.found.at.items() for text in texts]

    def field(self, name: str, *, label: str = "", offers: str = "") -> Field:
        """Return a field by its name; one that the form does not have is a text."""
        node = lookup.find(self.values, name)
        leaf = node if isinstance(node, Leaf) else Leaf("text")
        key, last = self._key(name), name.rpartition(".")[2]
        text, widget = self.value(name), leaf.widget
        if widget == "flag" and text not in ("", "true", "false"):
            widget = "text"
        if widget == "text" and ("\n" in text):
            widget = "long"
        usual = switching.usual(leaf)
        return Field(
            name=name,
            label=label or words.label(key, last),
            hint=words.marked(words.HINTS.get(key, leaf.meaning)),
            widget=widget,
            text=text,
            texts=self._several(name, leaf),
            required=leaf.required,
            usual=usual,
            problems=self.problems(name),
            choices=self._choices(key, leaf, text),
            offers=offers or self._offers(last),
        )

    def kind(self, name: str) -> str:
        """Return whether a name is a leaf, a group or a list of rows; empty for none."""
        node = lookup.find(self.values, name)
        names = {Leaf: "leaf", Group: "group", Rows: "rows"}
        return next((word for kind, word in names.items() if isinstance(node, kind)), "")

    def leaves(self, names: Sequence[str]) -> list[str]:
        """Return those of the names that are fields, and no groups or lists."""
        return [name for name in names if self.kind(name) == "leaf"]

    def group_label(self, name: str) -> str:
        """Return what a group or a list is called."""
        return words.label(self._key(name), name.rpartition(".")[2])

    def group_hint(self, name: str) -> Markup:
        """Return what a group or a list is."""
        node = lookup.find(self.values, name)
        return words.marked(node.meaning if node else "")

    def optional(self, name: str) -> bool:
        """Say whether a group may be left out as a whole."""
        node = lookup.find(self.values, name)
        return isinstance(node, Group) and node.optional

    def present(self, name: str) -> bool:
        """Say whether something of a group that may be left out is there."""
        if name in self.values:
            return bool(self.value(name))
        kept = any(
            text.startswith(f"{name}=") and not text.endswith("=null") for text in self.values.get(GIVEN, ())
        )
        return kept or any(key.startswith(f"{name}.") and any(texts) for key, texts in self.values.items())

    def below(self, name: str) -> list[str]:
        """Return the names of what is in a group."""
        node = lookup.find(self.values, name)
        return [f"{name}.{key}" for key in node.fields] if isinstance(node, Group) else []

    def options(self, name: str) -> tuple[list[str], list[str]]:
        """Return the names of a kind's options: those that most people need, and the rest."""
        node: Node | None = lookup.find(self.values, name)
        if not isinstance(node, Group):
            return ([name] if isinstance(node, Leaf) else []), []
        common = words.COMMON.get(self.package(name))
        needed = [key for key, inner in node.fields.items() if isinstance(inner, Leaf) and inner.required]
        first = list(dict.fromkeys([*(common or ()), *needed])) if common is not None else list(node.fields)
        shown = [key for key in first if key in node.fields]
        rest = [key for key in node.fields if key not in shown]
        return [f"{name}.{key}" for key in shown], [f"{name}.{key}" for key in rest]

    def touched(self, names: Sequence[str]) -> bool:
        """Say whether something is typed, or wrong, in one of these fields or below: then they are not folded away."""
        return any(
            any(
                key == name or key.startswith(f"{name}.")
                for key, texts in (*self.values.items(), *self.found.at.items())
                if any(texts) and not (self._is_usual(key) and key not in self.found.at)
            )
            for name in names
        )

    @property
    def model(self) -> str:
        """The name of the model; empty for a pack."""
        return self.value("model")

    @property
    def title(self) -> str:
        """The title of the model."""
        return models.load(self.model, where="model").TITLE if self.model in models.names() else self.model

    @property
    def time(self) -> str:
        """What the model is asked about: `none` (an instant), `optional` or `required` (a period)."""
        return models.load(self.model, where="model").PERIOD if self.model in models.names() else "optional"

    @property
    def layouts(self) -> list[str]:
        """The layouts that are made of the model."""
        return [name for name, layout in layouts().items() if layout.model == self.model]

    @property
    def columns_are(self) -> str:
        """Which columns the file has: all, chosen, or groups."""
        return self.value(COLUMNS) or "all"

    @cached_property
    def document(self) -> dict[str, Any]:
        """What is typed, as a document; it may be incomplete and wrong."""
        return document_of(rows.compact(self.values))[0]

    @cached_property
    def columns(self) -> tuple[fields.Described, ...]:
        """The columns that can be chosen, as far as what is typed says which."""
        return fields.to_choose(self.document)

    @cached_property
    def of_model(self) -> tuple[fields.Described, ...]:
        """The columns that filters, order and aggregation know."""
        return fields.of_model(self.document)

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        """What the builder of filters knows of the columns."""
        return fields.catalogue(self.document)

    @property
    def personal(self) -> list[str]:
        """The names of the columns that are about a person."""
        return [column.name for column in self.columns if column.pii]

    @property
    def order(self) -> list[str]:
        """The keys of the order, and an empty one to add another."""
        typed = [line for text in self.texts("order") for line in text.split("\n") if line]
        return [*typed, ""]

    @property
    def of_schedule(self) -> list[str]:
        """The names of the fields that the chosen kind of schedule has."""
        node = shape.definition().fields["schedule"]
        assert isinstance(node, ByKind)
        kind = node.kinds.get(self.value("schedule.kind"))
        return [f"schedule.{key}" for key in kind.fields] if kind else []

    @property
    def needs_secrets(self) -> bool:
        """Whether a column is protected by a key or a salt, which then must be named."""
        done = {self.value(f"privacy.fields.{row}.do") for row in self.rows("privacy.fields")}
        return bool(done & {"hash", "pseudonym"})

    @property
    def periods(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """The kinds of period under headings."""
        heads = {
            "since_": "Since something", "previous_": "The one before", "this_": "The one that holds the run",
            "last_": "Through yesterday", "": "Other",
        }  # fmt: skip
        found: dict[str, list[tuple[str, str]]] = {}
        for kind in MEANINGS:
            head = next(heads[start] for start in heads if kind.startswith(start))
            found.setdefault(head, []).append((kind, kind.replace("_", " ").capitalize()))
        return [(head, found[head]) for head in heads.values() if head in found]

    @property
    def period_meaning(self) -> str:
        """What the chosen period is."""
        meaning = (
            MEANINGS.get(self.value("period.kind"), "").replace("the occurrence", "the run").replace("`", "")
        )
        return meaning[:1].upper() + meaning[1:]

    @property
    def as_of_words(self) -> list[tuple[str, str]]:
        """The moments that have a word, and the choice of another one."""
        left = [word for word in AS_OF_WORDS if word != "period_end"]
        said = [
            (word, word.replace("_", " ").replace("occurrence", "the moment of the run").capitalize())
            for word in left
        ]
        return [("", "The moment of the run"), *said[1:], (AT, "A moment of your choice")]

    @property
    def as_of_is_own(self) -> bool:
        """Whether a moment of one's own is chosen."""
        return self.value("as_of") not in ("", *AS_OF_WORDS) or AT in self.values.get("as_of", ())

    @property
    def placeholders(self) -> list[tuple[str, Markup]]:
        """The placeholders of a file's name with what they stand for."""
        return [(f"{{{name}}}", words.marked(meaning)) for name, meaning in PLACEHOLDERS.items()]

    @property
    def zones(self) -> list[str]:
        """The names of all time zones with a place."""
        places = (
            name
            for name in available_timezones()
            if "/" in name and not name.startswith(("Etc/", "SystemV/"))
        )
        return ["UTC", *sorted(places)]

    def _choices(self, key: str, leaf: Leaf, text: str) -> list[tuple[str, str]]:
        named = choices.CHOICES.get(key) or choices.CHOICES.get(key.rpartition(".")[0] + ".*", {})
        if not leaf.choices:
            return []
        values = list(leaf.choices)
        if leaf.widget == "choice":
            first = [""] if "" in named or leaf.usual == "" else []
            values = [
                *first,
                *(value for value in named if value in values),
                *(x for x in values if x not in named),
            ]
            values += [text] if text and text not in values else []
        return [(value, choices.choice(named, value)) for value in values]

    def _several(self, name: str, leaf: Leaf) -> list[str]:
        typed = self.texts(name)
        if typed or name in self.values or leaf.widget != "several" or not isinstance(leaf.default, list):
            return typed
        return [str(each) for each in leaf.default]

    def _offers(self, last: str) -> str:
        named = {"connection", "salt", "pseudonym_key", "sign", "sign_with", "password_from"}
        if last in named:
            return "connections"
        return {"timezone": "zones", "together": "columns", "field": "columns", "column": "columns"}.get(
            last, ""
        )

    def _key(self, name: str) -> str:
        match = _OPTIONS.fullmatch(name)
        if match is None:
            return _NUMBERS.sub("", name)
        package, rest = self.package(match[1] + ".options"), _NUMBERS.sub("", match[2])
        own = f"{package}.{rest}"
        known = any(own in table for table in (words.LABELS, words.HINTS, choices.CHOICES))
        return own if known else f"{package.partition('.')[0]}.{rest}"

    def package(self, name: str) -> str:
        """Return the package and the kind that a group of options belongs to; `options` for those of the model."""
        beside = name.removesuffix(".options")
        package, decider = _PACKAGES.get(_NUMBERS.sub("", beside), ("options", ""))
        kind = self.value(f"{beside}.{decider}") or ("csv" if package == "formats" else "")
        return f"{package}.{kind}" if decider else "options"

    def _is_usual(self, name: str) -> bool:
        node = lookup.find(self.values, name)
        return isinstance(node, Leaf) and self.value(name) in ("", node.usual, str(node.default).lower())

    def _called(self, name: str) -> str:
        """Return what a field is called in the summary, with the number of its row."""
        if not name:
            return "The whole"
        node = lookup.find(self.values, name)
        label = self.field(name).label if isinstance(node, (Leaf, Options)) else self.group_label(name)
        number = next((int(step) + 1 for step in name.split(".") if step.isdecimal()), None)
        first = name.split(".", maxsplit=1)[0]
        where = {"targets": "Destination", "notify": "Rule", "fields": "Column", "aggregation": "Column"}.get(
            first, "Row"
        )
        return f"{where} {number}: {label}" if number else label


def section_of(name: str) -> str:
    """Return the part of the page in which a field is."""
    first = name.split(".", maxsplit=1)[0]
    return next((section for section, (_, keys) in SECTIONS.items() if first in keys), "what")
