"""A definition in one sentence, as a person would say it: when, what, about which time, as which file, to whom.

"Every month on the Last day at 06:00 Europe/Paris, liability of this month, CSV, to SFTP finance and 3 recipients."
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from include.definitions.base import show_day, show_time
from include.definitions.content import Part
from include.definitions.model import ExportDefinition, Target
from include.definitions.periods import Period
from include.definitions.schedule import (
    ONE_DAY,
    WEEKDAYS,
    BusinessDay,
    Daily,
    Monthly,
    Once,
    QuarterEnd,
    Schedule,
    Weekly,
)
from include.definitions.zones import zone

# Of more than this many, the first ones are named and the others counted.
NAMED_AT_MOST = 3
_FORMATS = MappingProxyType({"jsonl": "JSON Lines", "parquet": "Parquet", "xlsx": "Excel"})
_COMPRESSIONS = MappingProxyType({"gzip": "gzip", "zip": "ZIP", "zstd": "zstd"})
_ENCRYPTIONS = MappingProxyType({"openpgp": "OpenPGP", "age": "age", "zip_aes": "ZIP with AES"})
_KINDS = MappingProxyType({
    "azure_blob": "Azure", "folder": "folder", "gcs": "Google Cloud Storage", "google_sheets": "Google Sheets",
    "s3": "S3", "sftp": "SFTP", "webhook": "webhook",
})  # fmt: skip
# What tells two targets of a kind apart where they have no names.
_PLACES = MappingProxyType({"folder": "folder", "s3": "bucket", "gcs": "bucket", "azure_blob": "container"})
_PEOPLE = ("to", "cc", "bcc")
_PERIODS = MappingProxyType({
    "since_previous_occurrence": "since the run before",
    "since_last_delivery": "since the last delivery",
    "last_7_days": "of the last 7 days",
    "last_30_days": "of the last 30 days",
    "last_90_days": "of the last 90 days",
    "last_3_months": "of the last 3 months",
    "last_12_months": "of the last 12 months",
    "last_24_months": "of the last 24 months",
    "all_time": "of all time",
})  # fmt: skip


def sentence(definition: ExportDefinition) -> str:
    """Return the definition in one sentence."""
    parts = [when(definition), _what(definition), *_conditions(definition), _files(definition)]
    text = f"{', '.join(parts)}, to {destinations(definition.targets)}."
    return text[:1].upper() + text[1:]


def when(definition: ExportDefinition) -> str:
    """Return when it runs: `every Monday and Thursday at 06:00 Europe/Paris`, or `by hand`."""
    schedule = definition.schedule
    if schedule is None:
        return "by hand"
    text = f"{_days(schedule)} at {show_time(schedule.time)} {definition.timezone}"
    text += f", from {show_day(schedule.start)}" if schedule.start else ""
    return text + (f", until {show_day(schedule.end - ONE_DAY)}" if schedule.end else "")


def _days(schedule: Schedule) -> str:
    match schedule:
        case Once():
            return f"once, on {show_day(schedule.date)}"
        case Daily():
            return "every day"
        case Weekly():
            return f"every {listed([name.title() for name in WEEKDAYS if name in schedule.days])}"
        case Monthly():
            return _days_of_months(schedule)
        case BusinessDay():
            return f"every month on {_business_day(schedule)}"
        case QuarterEnd():
            return "every quarter on the Last day"


def _days_of_months(schedule: Monthly) -> str:
    numbers = sorted({day for day in schedule.days if day != "last"})
    parts = [f"day{'s' if len(numbers) > 1 else ''} {listed(map(str, numbers))}"] if numbers else []
    parts += ["the Last day"] if "last" in schedule.days else []
    months = [date(2000, number, 1).strftime("%B") for number in sorted(set(schedule.months or ()))]
    return f"every {listed(months) or 'month'} on {' and '.join(parts)}"


def _business_day(schedule: BusinessDay) -> str:
    if schedule.day == -1:
        text = "the last business day"
    elif schedule.day > 0:
        text = f"business day {schedule.day}"
    else:
        text = f"business day {-schedule.day} from the end"
    holidays = len(schedule.holidays)
    return text + (f" ({counted(holidays, 'holiday')} left out)" if holidays else "")


def _what(definition: ExportDefinition) -> str:
    """Return what is reported and about which time: `liability of this month`."""
    parts = definition.parts
    if definition.exports:
        return f"{counted(len(parts), 'export')} together ({_some([part.id for part in parts])}) {_about(definition)}"
    [part] = parts
    text = part.model.replace("_", " ")
    groups = [each.field.replace("_", " ") for each in part.aggregation or () if each.function == "group"]
    text += f" by {_some(groups)}" if groups else ""
    text += f" {_about(definition)}"
    text += ", filtered" if part.filters else ""
    text += f", the first {counted(part.limit, 'row')}" if part.limit else ""
    return text + (f", in the layout {part.layout}" if part.layout else "")


def _about(definition: ExportDefinition) -> str:
    if definition.period is not None:
        return _period(definition.period)
    if isinstance(definition.as_of, datetime):
        there = definition.as_of.astimezone(zone(definition.timezone))
        return f"as of {show_day(there.date())} {there:%H:%M}"
    word = definition.as_of or "occurrence"
    if word != "occurrence":
        words = word.replace("end_of_previous", "the end of the previous").replace(
            "end_of_this", "the end of this"
        )
        return f"as of {words.replace('_', ' ')}"
    return "as of that moment" if definition.schedule else "as of the moment of the run"


def _period(period: Period) -> str:
    kind = period.kind
    if kind == "custom":
        assert period.start is not None
        assert period.end is not None
        return f"from {show_day(period.start)} to {show_day(period.end - ONE_DAY)}"
    text = _PERIODS.get(kind)
    if text is None:
        unit, word = kind.removesuffix("_to_date"), kind.rpartition("_")[2]
        text = (
            f"of the {unit} to date" if word == "date" else f"of {kind.replace('previous', 'the previous')}"
        )
        text = text.replace("_", " ")
    return f"{text}, the current day included" if period.include_current_day else text


def _conditions(definition: ExportDefinition) -> list[str]:
    words = []
    if definition.conditions.only_when_changed:
        words.append("only when something changed")
    if definition.conditions.when_empty == "skip":
        words.append("unless it is empty")
    return words


def _files(definition: ExportDefinition) -> str:
    """Return what the files are like: `CSV`, `Excel, encrypted with OpenPGP`, `CSV and Parquet in one ZIP archive`."""
    if definition.bundle == "workbook":
        return "one Excel workbook"
    text = listed(dict.fromkeys(_file(part) for part in definition.parts))
    return f"{text} in one ZIP archive" if definition.bundle == "zip" else text


def _file(part: Part) -> str:
    file = part.file
    text = _FORMATS.get(file.format, file.format.upper())
    compression = _COMPRESSIONS.get(file.compression or "")
    text += f" ({compression})" if compression else ""
    if file.split is not None:
        by = file.split.field or ("size" if file.split.bytes else f"{file.split.rows:,} rows")
        text += f" split by {by}"
    if file.encryption is not None:
        kind = file.encryption.kind
        text += f" encrypted with {_ENCRYPTIONS.get(kind, kind)}"
    return text


def destinations(targets: Sequence[Target]) -> str:
    """Return where files go: `SFTP finance and 3 recipients`; mails of all targets are counted together."""
    places = [_place(target) for target in targets if target.kind != "email"]
    people = {
        str(each).casefold()
        for target in targets
        if target.kind == "email"
        for each in _people(target.options)
    }
    if people:
        return listed([*_first(places, NAMED_AT_MOST - 1), counted(len(people), "recipient")])
    return _some(places)


def _first(places: list[str], most: int) -> list[str]:
    """Return the places, of too many the first ones and how many others there are."""
    if len(places) <= most:
        return places
    return [*places[:most], f"{len(places) - most} more {'place' if len(places) - most == 1 else 'places'}"]


def _people(options: Mapping[str, Any]) -> Iterable[Any]:
    for name in _PEOPLE:
        given = options.get(name)
        yield from given if isinstance(given, (list, tuple)) else ([given] if given else [])


def _place(target: Target) -> str:
    kind = _KINDS.get(target.kind, target.kind.replace("_", " "))
    name = target.name or target.options.get(_PLACES.get(target.kind, "connection"))
    return f"{kind} {name}" if name else kind


def _some(names: Sequence[str]) -> str:
    kept = list(dict.fromkeys(names)) if len(set(names)) <= NAMED_AT_MOST else list(names)
    if len(kept) <= NAMED_AT_MOST:
        return listed(kept)
    return f"{', '.join(kept[:NAMED_AT_MOST])} and {len(kept) - NAMED_AT_MOST} more"


def listed(words: Iterable[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`; an empty text for no words."""
    texts = list(words)
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def counted(number: int, word: str) -> str:
    """Return `1 recipient`, `2 recipients`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
