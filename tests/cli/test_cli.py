"""The command line as its user meets it: what is printed, what is left behind, and the exit code."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from include import sample, state
from include.cli import main
from include.definitions.document import parse_yaml
from include.definitions.load import from_document
from include.settings import Settings
from include.snapshots import canonical
from tests.snapshots.ledgers import NEEDS, Desk
from tests.snapshots.ledgers import ledger as small_ledger
from tests.stages import in_this_process

DEFINITION = """
id: balances
name: Balances
model: balance
timezone: Europe/Paris
as_of: end_of_previous_day
schedule: {kind: daily, time: "06:00"}
targets:
  - {kind: folder, options: {folder: delivered}}
"""


class Done(NamedTuple):
    code: int
    out: str
    error: str


Loyalty = Callable[..., Done]


@pytest.fixture(scope="session")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "ledger.sqlite"
    sample.load(f"sqlite:///{path}", sample.Plan(customers=50, transactions=800))
    return path


@pytest.fixture
def home(tmp_path: Path, ledger_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "balances.yaml").write_text(DEFINITION)
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", f"sqlite:///{ledger_file}")
    monkeypatch.setenv("LOYALTY_SETTLE_SECONDS", "0")
    for name in ("LOYALTY_STATE_URL", "LOYALTY_STORE", "LOYALTY_SCRATCH", "LOYALTY_LEDGER_MAPPING"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def loyalty(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Loyalty]:
    """The command in this process, with its stages; as people start it in `test_a_full_disk_leaves_nothing_half_written`."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["loyalty", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    with in_this_process():
        yield run


def files(folder: Path) -> list[str]:
    return (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if folder.exists()
        else []
    )


@pytest.mark.slow
def test_a_run_leaves_the_file_its_manifest_and_a_delivery(loyalty: Loyalty, home: Path) -> None:
    done = loyalty(
        "export",
        "run",
        "balances",
        "--as-of",
        "2026-06-01",
        "--deliver",
        "--out",
        str(home / "out"),
        "--json",
    )
    assert done.code == 0, done.error
    told = json.loads(done.out)
    assert files(home / "out") == files(home / "delivered") == [each["name"] for each in told["files"]]
    assert told["summary"]["deliveries"]["folder"]["state"] == "confirmed"
    lines = gzip.decompress((home / "out" / told["files"][0]["name"]).read_bytes()).splitlines()
    assert len(lines) == told["files"][0]["rows"] + 1
    manifest = str(home / "out" / told["files"][1]["name"])
    assert loyalty("verify", manifest).code == 0
    data = Path(manifest.removesuffix(".manifest.json"))
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    tampered = loyalty("verify", manifest)
    assert tampered.code == 1
    assert "sha256" in tampered.error
    assert files(home / "scratch") == []


@pytest.mark.slow
def test_a_place_that_is_no_folder_is_named(loyalty: Loyalty, home: Path) -> None:
    (home / "taken").write_text("a file")
    for place in (home / "taken", home / "taken" / "x"):
        done = loyalty("export", "run", "balances", "--as-of", "2026-06-01", "--out", str(place))
        assert done.code == 2
        assert f"--out: '{place}': no file can be written there (" in done.error.replace("\n", "")
        assert "Traceback" not in done.error


@pytest.mark.slow
def test_a_run_that_sends_nothing_says_why(loyalty: Loyalty, home: Path) -> None:
    path = home / "exports" / "balances.yaml"
    path.write_text(f"{DEFINITION}filters: {{field: tier, is: Iron}}\nconditions: {{when_empty: skip}}\n")
    asked = ["export", "run", "balances", "--as-of", "2026-06-01", "--deliver", "--out", str(home / "out")]
    why = "no file of this run has a row"
    done = loyalty(*asked)
    assert (done.code, done.out) == (0, f"balances: nothing is sent: {why}\n")
    told = json.loads(loyalty(*asked, "--json").out)
    assert (told["files"], told["skipped"]) == ([], why)
    assert files(home / "out") == files(home / "delivered") == []


@pytest.mark.slow
def test_runs_and_deliveries_can_be_looked_up(loyalty: Loyalty) -> None:
    loyalty("export", "run", "balances", "--as-of", "2026-06-01", "--deliver")
    (run,) = json.loads(loyalty("runs", "--json").out)
    assert run["status"] == "done"
    (delivery,) = json.loads(loyalty("deliveries", "list", "--json").out)
    shown = json.loads(loyalty("deliveries", "show", delivery["key"][:8], "--json").out)
    assert shown["receipt"]["files"][0]["outcome"] == "created"
    assert "no delivery begins so" in loyalty("deliveries", "show", "zzz").error


@pytest.mark.slow
def test_exports_of_the_pages_are_found_like_those_of_files(loyalty: Loyalty) -> None:
    balances = from_document(parse_yaml(DEFINITION, where="test"), where="test")
    exports = state.open(Settings.from_environment().state_url).exports
    targets = [{"kind": "folder", "options": {"folder": "of-pages"}}]
    document = {**balances.document(), "id": "made", "name": "Made", "targets": targets}
    exports.create(from_document(document, where="test"), "ann")
    listed = loyalty("export", "list").out
    assert [("pages" in line, "file" in line) for line in listed.splitlines() if "Daily 06:00" in line] == [
        (False, True),
        (True, False),
    ]
    assert [each["id"] for each in json.loads(loyalty("export", "list", "--json").out)] == [
        "balances",
        "made",
    ]
    assert "id: made" in loyalty("export", "show", "made").out
    assert loyalty("export", "validate").out == "2 definitions are right\n"
    assert loyalty("export", "run", "made", "--as-of", "2026-06-01", "--dry-run").code == 0
    assert exports.get("made").status == "Processing"  # made, and nobody has begun to deliver it
    assert "balances, made" in loyalty("export", "run", "nowhere").error


def test_definitions_are_listed_shown_and_validated(loyalty: Loyalty, home: Path) -> None:
    assert "Daily 06:00 Europe/Paris" in loyalty("export", "list").out
    assert "model: balance" in loyalty("export", "show", "balances").out
    assert loyalty("export", "validate").out == "1 definitions are right\n"
    wrong = home / "wrong.yaml"
    wrong.write_text(DEFINITION.replace("balance\n", "balanec\n").replace("folder: delivered", "foldr: x"))
    refused = loyalty("export", "validate", str(wrong))
    assert refused.code == 2
    assert "wrong.yaml: model: 'balanec'" in refused.error
    assert "wrong.yaml: targets[0].options.foldr" in refused.error
    assert json.loads(loyalty("export", "schema").out)["title"] == "ExportDefinition"


def test_validating_tells_of_connections_and_keys(loyalty: Loyalty, home: Path) -> None:
    sealed = home / "sealed.yaml"
    encryption = "{kind: openpgp, options: {recipients: [finance], sign_with: our_key}}"
    notify = "notify: {rules: [{kind: webhook, connection: ops_chat}]}\n"
    sealed.write_text(
        DEFINITION.replace("id: balances", "id: sealed") + f"file: {{encryption: {encryption}}}\n" + notify
    )
    refused = loyalty("export", "validate", str(sealed))
    assert refused.code == 2
    assert "sealed.yaml: notify.rules[0].connection: 'ops_chat': there is no" in refused.error
    assert "sealed.yaml: file.encryption.options.sign_with: 'our_key': there is no" in refused.error
    assert "AIRFLOW_CONN_OPS_CHAT" in refused.error
    assert "AIRFLOW_CONN_OUR_KEY" in refused.error
    assert "finance.asc" in refused.error


@pytest.mark.slow
def test_the_schema_of_a_delivered_xml_file_validates_it(loyalty: Loyalty, home: Path) -> None:
    path = home / "exports" / "balances.yaml"
    path.write_text(path.read_text() + "file: {format: xml, compression: none}\n")
    assert (
        loyalty("export", "run", "balances", "--as-of", "2026-03-01T00:00:00Z", "--out", str(home)).code == 0
    )
    [manifest] = home.glob("*.xml.manifest.json")
    printed = loyalty("export", "schema", str(manifest))
    assert printed.code == 0, printed.error
    (home / "balances.xsd").write_text(printed.out)
    data = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
    command = ["xmllint", "--noout", "--schema", str(home / "balances.xsd"), str(data)]
    if shutil.which("xmllint") is None:
        pytest.skip("xmllint is not installed")
    assert subprocess.run(command, check=False).returncode == 0
    data.write_text(data.read_text().replace("<active>", "<active>x", 1))
    assert subprocess.run(command, check=False).returncode != 0


@pytest.mark.slow
def test_a_delivery_that_is_not_xml_has_no_xml_schema(loyalty: Loyalty, home: Path) -> None:
    assert (
        loyalty("export", "run", "balances", "--as-of", "2026-03-01T00:00:00Z", "--out", str(home)).code == 0
    )
    [manifest] = home.glob("*.manifest.json")
    refused = loyalty("export", "schema", str(manifest))
    assert refused.code == 2
    assert "must be of one export in XML" in refused.error
    assert "in csv" in refused.error


@pytest.mark.slow
def test_a_ledger_is_made_filled_and_checked(loyalty: Loyalty, home: Path) -> None:
    url = f"sqlite:///{home / 'new' / 'ledger.sqlite'}"
    assert loyalty("ledger", "init", "--url", url).code == 0
    assert loyalty("ledger", "sample", "--url", url, "--customers", "20", "--transactions", "100").code == 0
    assert loyalty("ledger", "check", "--url", url).code == 0
    again = loyalty("ledger", "sample", "--url", url)
    assert again.code == 2
    assert "an empty ledger only" in again.error
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE transactions SET points = -points WHERE type = 'earned'"))
    broken = loyalty("ledger", "check", "--url", url, "--json")
    assert broken.code == 1
    assert any(each["blocking"] for each in json.loads(broken.out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "run", "nope"], "known exports are balances"),
        (["export", "run", "balances", "--as-of", "2026-02-31"], "must be an instant such as"),
        (["export", "run", "balances", "--as-of", "2026-02-01T10:00"], "has no zone"),
        (["export", "run", "balances", "--as-of", "2100-01-01"], "must not be after now"),
        (["export", "run", "balances", "--to", "2026-02-01"], "about one instant"),
        (["export", "run", "missing.yaml"], "missing.yaml"),
    ],
)
def test_bad_input_is_one_clear_error(
    loyalty: Loyalty, home: Path, arguments: list[str], message: str
) -> None:
    refused = loyalty(*arguments)
    assert refused.code == 2
    assert message in refused.error
    assert "Traceback" not in refused.error
    assert files(home / "store") == files(home / "delivered") == []


@pytest.mark.slow
def test_a_ledger_that_cannot_be_reached(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, code in (
        ("nonsense", 2),
        ("postgresql://nobody:secret@127.0.0.1:1/none", 1),
        (f"sqlite:///{home / 'absent.sqlite'}", 2),
    ):
        monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
        refused = loyalty("export", "run", "balances", "--as-of", "2026-06-01")
        assert refused.code == code, refused
        assert "Traceback" not in refused.error
        assert "secret" not in refused.error
        assert files(home / "delivered") == []
    assert not (home / "absent.sqlite").exists()


@pytest.mark.slow
def test_a_ledger_that_lacks_relations_and_columns(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{home / 'thin.sqlite'}"
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("CREATE TABLE transactions (transaction_id TEXT, points INTEGER)"))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    refused = loyalty("export", "run", "balances", "--as-of", "2026-06-01")
    assert refused.code == 2
    for missing in ("customers", "programs", "created_at", "customer_id", "program_id"):
        assert missing in refused.error


@pytest.mark.slow
def test_an_empty_ledger_gives_a_header(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{home / 'empty.sqlite'}"
    engine = sa.create_engine(url)
    canonical.create(engine)
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    done = loyalty("export", "run", "balances", "--as-of", "2026-06-01", "--out", str(home / "out"))
    assert done.code == 0, done.error
    (data,) = (home / "out").glob("*.gz")
    assert len(gzip.decompress(data.read_bytes()).splitlines()) == 1


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_half_written(home: Path) -> None:
    """RLIMIT_FSIZE makes every file above 64 kB fail, as a full disk would."""
    command = [
        sys.executable,
        "-m",
        "include.cli",
        "export",
        "run",
        "balances",
        "--as-of",
        "2026-06-01",
        "--deliver",
    ]

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))

    sample_url = f"sqlite:///{home / 'bigger.sqlite'}"
    sample.load(sample_url, sample.Plan(customers=1000, transactions=20_000))
    environment = os.environ | {"LOYALTY_LEDGER_URL": sample_url}
    prepared = subprocess.run(
        [sys.executable, "-m", "include.cli", "runs"], env=environment, capture_output=True, check=True
    )
    assert prepared.returncode == 0
    full = subprocess.run(command, env=environment, preexec_fn=limit, capture_output=True, text=True)
    assert full.returncode == 1, full.stderr
    assert "Traceback" not in full.stderr
    assert files(home / "delivered") == []
    assert files(home / "scratch") == []
    # It could not even give back its lease, which is over in a minute.
    with sa.create_engine(f"sqlite:///{home / 'state.sqlite'}").begin() as connection:
        assert connection.execute(sa.text("UPDATE loyalty_leases SET expires_at = 0")).rowcount
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert len(files(home / "delivered")) == 2


@pytest.mark.slow
def test_upkeep_retires_old_snapshots_and_says_which(
    loyalty: Loyalty, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_ledger(f"sqlite:///{home / 'small.sqlite'}", 10)
    desk = Desk(home, f"sqlite:///{home / 'small.sqlite'}")
    first, _ = desk.take(), desk.take(needs={**NEEDS, "rewards": ("reward_id",)})
    assert json.loads(loyalty("upkeep", "--json").out)["retired_snapshots"] == []
    monkeypatch.setenv("LOYALTY_SNAPSHOT_DAYS", "0")
    assert first.id in loyalty("upkeep").out
    assert json.loads(loyalty("upkeep", "--json").out)["retired_snapshots"] == []
    monkeypatch.setenv("LOYALTY_SNAPSHOT_DAYS", "soon")
    refused = loyalty("upkeep")
    assert (refused.code, "LOYALTY_SNAPSHOT_DAYS" in refused.error) == (2, True)
