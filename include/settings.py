"""Where things are: read from the environment once, with the embedded defaults of docs/architecture.md."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.errors import BadInput, Problem

ROOT = Path(__file__).resolve().parent.parent
NOTIFY = (
    "LOYALTY_MAIL_CONNECTION",
    "LOYALTY_USER_MAIL_DOMAIN",
    "LOYALTY_NOTIFY_EMAIL",
    "LOYALTY_NOTIFY_WEBHOOK",
    "LOYALTY_NOTIFY_WHEN",
    "LOYALTY_NOTIFY_LATE_AFTER",
    "LOYALTY_NOTIFY_REQUESTER",
    "LOYALTY_DIGEST_EMAIL",
    "LOYALTY_TIMEZONE",
)
WEB_PREFIX = "/loyalty"  # of our pages, under Airflow's API server
IMPORTS_DAG = "loyalty-imports"  # its runs import points; who may run it in Airflow may be granted to import
LONGEST_RUN = timedelta(days=10)  # of an export in Airflow: then it fails
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Settings:
    """All settings. URLs may hold secrets: never log them, show `include.snapshots.source.public_url`."""

    ledger_url: str
    ledger_mapping: Path | None
    state_url: str
    store_url: str
    scratch: Path
    exports: Path
    keys: Path
    settle_delay: timedelta
    sample_url: str = ""
    """Where the sample ledger lies, which is read while no other is named."""
    keep_snapshots: timedelta = timedelta(days=35)
    whole_snapshots: timedelta = timedelta(days=30)
    """How old the last whole reading of the ledger may be that a snapshot begins from; zero: all are read whole."""
    proof_days: int = 0
    """So many of the last days a snapshot proves against the ledger each time, the others in turn; 0: all each time."""
    checkpoint_every: timedelta = timedelta(0)
    """How often runs that could begin from a checkpoint replay the ledger in full, and compare; zero: always."""
    scratch_bytes: int = 0
    """How much work under way may come to hold in scratch; 0: what the disk has."""
    keep_files: timedelta = timedelta(days=400)
    answer_age: timedelta = timedelta(minutes=15)
    """How old a snapshot may be that an API answers from."""
    audit_anchors: tuple[str, ...] = ()
    shares: int = 4
    """In how many processes at most a large snapshot is rendered, as processors and memory allow; 1: in one."""
    share_rows: int = 0
    """In Airflow, a run that reads more transactions is rendered by tasks of about so many each; 0: always by one."""
    notify: Mapping[str, str] = field(default_factory=dict)
    """The variables that say who is told what; `include.notices.installation` reads them."""
    public_url: str = ""
    """Where people reach Airflow's API server, without a slash at the end; empty where download links are off."""
    page_folders: tuple[str, ...] = ()
    """Folders, and URLs of buckets, below which exports made on the pages may deliver."""
    ledger_write_url: str = ""
    """The ledger as imports write it; empty where nobody turned imports on."""
    import_approval_rows: int = 1000
    """Imports of more rows than this wait for a second person."""
    inboxes: Path | None = None
    """The YAML file that says which folders are watched for files to import; None where none is."""
    import_approvers: tuple[str, ...] = ()
    """Names of users whose answer to Airflow's own question about an import counts."""
    import_look: timedelta = timedelta(minutes=5)
    """How often a run in Airflow that waits for a second person looks whether somebody has decided elsewhere."""

    @property
    def mail_connection(self) -> str:
        """Return the name of the connection by which the installation itself sends mail."""
        return self.notify.get("LOYALTY_MAIL_CONNECTION", "loyalty_mail")

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """Return settings from `LOYALTY_*` variables; what is not set has its embedded default under var/."""
        home = home_folder(environment)
        mapping = environment.get("LOYALTY_LEDGER_MAPPING")
        sample_url = f"sqlite:///{home / 'ledger.sqlite'}"
        return Settings(
            ledger_url=environment.get("LOYALTY_LEDGER_URL", sample_url),
            sample_url=sample_url,
            ledger_mapping=Path(mapping) if mapping else None,
            state_url=environment.get("LOYALTY_STATE_URL", f"sqlite:///{home / 'state.sqlite'}"),
            store_url=environment.get("LOYALTY_STORE", f"file://{home / 'store'}"),
            scratch=Path(environment.get("LOYALTY_SCRATCH", str(home / "scratch"))),
            exports=Path(environment.get("LOYALTY_EXPORTS", str(ROOT / "include" / "exports"))),
            keys=Path(environment.get("LOYALTY_KEYS", str(home / "keys"))),
            settle_delay=timedelta(
                seconds=_number(environment, "LOYALTY_SETTLE_SECONDS", 300, most=7 * 86_400)
            ),
            keep_snapshots=timedelta(days=_number(environment, "LOYALTY_SNAPSHOT_DAYS", 35, most=36_525)),
            whole_snapshots=timedelta(
                days=_number(environment, "LOYALTY_SNAPSHOT_WHOLE_DAYS", 30, most=36_525)
            ),
            proof_days=int(_number(environment, "LOYALTY_SNAPSHOT_PROOF_DAYS", 0, most=36_525)),
            checkpoint_every=timedelta(days=_number(environment, "LOYALTY_CHECKPOINT_DAYS", 0, most=366)),
            scratch_bytes=int(_number(environment, "LOYALTY_SCRATCH_GB", 0, most=1_000_000) * 10**9),
            keep_files=timedelta(days=_number(environment, "LOYALTY_FILE_DAYS", 400, most=36_525)),
            answer_age=timedelta(
                seconds=_number(environment, "LOYALTY_ANSWER_SECONDS", 900, most=7 * 86_400)
            ),
            shares=max(1, int(_number(environment, "LOYALTY_SHARES", 4, most=64))),
            share_rows=int(_number(environment, "LOYALTY_SHARE_ROWS", 0, most=10**12)),
            audit_anchors=tuple(environment.get("LOYALTY_AUDIT_ANCHORS", "").split()),
            notify={name: environment[name] for name in NOTIFY if environment.get(name)},
            public_url=_public_url(environment),
            ledger_write_url=environment.get("LOYALTY_LEDGER_WRITE_URL") or _embedded(environment, home),
            import_approval_rows=int(
                _number(environment, "LOYALTY_IMPORT_APPROVAL_ROWS", 1000, most=100_000_000)
            ),
            page_folders=tuple(environment.get("LOYALTY_PAGE_FOLDERS", "").split()) or (str(home),),
            inboxes=Path(environment["LOYALTY_INBOXES"]) if environment.get("LOYALTY_INBOXES") else None,
            import_approvers=tuple(environment.get("LOYALTY_IMPORT_APPROVERS", "").replace(",", " ").split()),
            import_look=timedelta(
                seconds=max(_number(environment, "LOYALTY_IMPORT_LOOK_SECONDS", 300, most=86_400), 1)
            ),
        )


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return LOYALTY_HOME, absolute: what is not set is kept there, and relative folders begin there."""
    return Path(environment.get("LOYALTY_HOME", str(ROOT / "var"))).resolve()


def local_folder(place: str, base: Path = Path()) -> Path | None:
    """Return the folder that a path, which may be relative to `base`, or a file:// URL names; None for a bucket."""
    if "://" not in place:
        return base / place
    parts = urlsplit(place)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _embedded(environment: Mapping[str, str], home: Path) -> str:
    """Return the ledger that imports may write without being told: the embedded one, and no other."""
    own = "LOYALTY_LEDGER_URL" not in environment and not environment.get("LOYALTY_LEDGER_MAPPING")
    return f"sqlite:///{home / 'ledger.sqlite'}" if own else ""


def _public_url(environment: Mapping[str, str]) -> str:
    url = environment.get("LOYALTY_PUBLIC_URL", "").rstrip("/")
    if url and not _is_public(url):
        right = "https://host or https://host/path, where people reach Airflow (http for this machine itself only)"
        shown = "(with a login)" if "@" in url else url
        raise BadInput([Problem("LOYALTY_PUBLIC_URL", shown, right, "bad_public_url")])
    return url


def _is_public(url: str) -> bool:
    """Say whether it is an address alone, without login, query or fragment, and safe on the way."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    alone = re.fullmatch(r"[!-~]+", url) is not None and not set(url) & set("\\<>\"'@?#")
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)
    return alone and bool(host) and safe


def _number(environment: Mapping[str, str], name: str, default: float, *, most: float) -> float:
    text = environment.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        unit = name.rsplit("_", 1)[-1].lower()
        right = f"must be a number of {unit} from 0 to {most}"
        raise BadInput([Problem(name, text, right, "bad_setting")])
    return number
