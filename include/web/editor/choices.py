"""What can be chosen is called for people who have never seen a definition; a choice without words here says its own.

Keys are those of `words`, with the values of a definition and their words.
"""

from __future__ import annotations

from collections.abc import Mapping

CHOICES: Mapping[str, Mapping[str, str]] = {
    "schedule.kind": {
        "": "By hand: somebody starts it",
        "once": "Once, on a date",
        "daily": "Every day",
        "weekly": "Every week, on some days",
        "monthly": "Every month, on some days",
        "business_day": "Every month, on a business day",
        "quarter_end": "Every quarter, on its last day",
    },
    "schedule.days": {"last": "Last"},
    "schedule.months": dict(
        zip(
            map(str, range(1, 13)),
            ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
            strict=True,
        )
    ),
    "bundle": {"none": "Files", "zip": "One zip archive", "workbook": "One Excel workbook, a sheet for each"},
    "targets.kind": {
        "": "Choose where",
        "email": "E-mail",
        "sftp": "SFTP server",
        "folder": "Folder of this installation, or a bucket by URL",
        "google_sheets": "Google Sheets",
        "s3": "Amazon S3, or a store like it",
        "gcs": "Google Cloud Storage",
        "azure_blob": "Azure Blob Storage",
        "webhook": "Webhook",
    },
    "file.format": {
        "csv": "CSV",
        "tsv": "TSV, separated by tabs",
        "psv": "PSV, separated by |",
        "xlsx": "Excel (xlsx)",
        "json": "JSON",
        "jsonl": "JSON lines",
        "parquet": "Parquet",
        "xml": "XML",
    },
    "file.compression": {
        "": "As usual for the format",
        "none": "None",
        "gzip": "gzip",
        "zip": "zip",
        "zstd": "zstd",
    },
    "file.encryption.kind": {
        "": "None",
        "openpgp": "OpenPGP (PGP, GnuPG)",
        "age": "age",
        "zip_aes": "Zip archive with a password (AES)",
    },
    "privacy.fields.do": {
        "": "Stays as it is",
        "drop": "Leave it out",
        "mask": "Mask it",
        "hash": "Hash it",
        "pseudonym": "Put a pseudonym in its place",
    },
    "privacy.fields.show": {
        "": "What suits the column",
        "nothing": "Nothing",
        "email": "First letter and domain: a***@example.com",
        "initials": "Initials",
        "last_3": "Last 3",
        "last_4": "Last 4",
        "year": "Year",
    },
    "conditions.when_empty": {
        "send": "Send the file with its header only",
        "skip": "Send nothing",
        "fail": "Send nothing and tell that it failed",
    },
    "aggregation.function": {
        "": "Choose",
        "group": "Group by it",
        "count": "Count the rows",
        "sum": "Sum",
        "average": "Average",
        "min": "Smallest",
        "max": "Largest",
    },
    "notify.rules.kind": {
        "": "Choose how",
        "email": "E-mail",
        "webhook": "Webhook",
        "airflow": "Notifier of Airflow",
    },
    "notify.rules.when": {
        "finished": "finished",
        "failed": "failed",
        "skipped": "had nothing to send",
        "late": "is late",
        "uncertain": "waits for a person",
        "restated": "sent a correction",
    },
    "formats.newline": {"lf": "LF (Unix, most programs)", "crlf": "CR LF (Windows)"},
    "formats.encoding": {
        "utf-8": "UTF-8",
        "utf-8-bom": "UTF-8 with a mark that Excel recognises",
        "utf-16": "UTF-16",
        "latin-1": "Latin-1",
    },
    "formats.decimal_sign": {".": "Point: 12.50", ",": "Comma: 12,50"},
    "formats.points": {"fixed": "Always two: 12.50, 100.00", "plain": "Only those needed: 12.5, 100"},
    "formats.profile": {
        "human": "People: texts never run as formulas in a spreadsheet",
        "machine": "Programs: texts exactly as they are",
    },
    "formats.quoting": {
        "minimal": "Where needed",
        "text": "Every text",
        "all": "Everything",
        "none": "Never",
    },
    "targets.attach": {
        "auto": "Where small and without readable personal data, else as links",
        "always": "Always",
        "never": "Never: as links",
    },
    "options.grain": {"account": "Account", "customer": "Customer"},
    "options.holders": {"all": "Customers' and cards'", "customers": "Customers'", "cards": "Cards'"},
    "options.by": {"tier": "Tier", "issue_month": "Month of issue"},
    "options.method": {
        "": "As each program says, else cost",
        "cost": "Cost",
        "deferred_revenue": "Deferred revenue",
        "none": "Points only, no money",
    },
    "options.rate_source": {
        "": "As each program says, else its rates",
        "program_rates": "The rates of the program",
        "chain_ladder": "Chain ladder, from the past",
    },
    "options.profile": {"default": "Those that matter", "all": "All"},
    "options.cards": {
        "all": "Loyalty cards and gift cards",
        "loyalty": "Loyalty cards",
        "gift": "Gift cards",
    },
}
DELIMITERS: Mapping[str, str] = {",": "Comma  ,", ";": "Semicolon  ;", "\t": "Tab", "|": "Bar  |"}
DATES: Mapping[str, str] = {
    "iso8601": "ISO 8601: 2026-03-31",
    "excel": "For Excel: 2026-03-31",
    "dd/mm/yyyy": "Day first: 31/03/2026",
    "mm/dd/yyyy": "Month first: 03/31/2026",
}
INSTANTS: Mapping[str, str] = {
    "iso8601": "ISO 8601: 2026-03-31T06:00:00Z",
    "excel": "For Excel: 2026-03-31 06:00:00",
    "dd/mm/yyyy": "Day first: 31/03/2026 06:00:00",
    "mm/dd/yyyy": "Month first: 03/31/2026 06:00:00",
}


def choice(words: Mapping[str, str], value: str) -> str:
    """Return what a choice is called; without words of ours, what it says itself."""
    return words.get(value) or (value.replace("_", " ").capitalize() if value else "-")
