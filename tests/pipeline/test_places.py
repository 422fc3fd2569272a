"""Rule: who makes exports on the pages cannot write anywhere on the machine, nor into what the installation keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.definitions.model import Target
from include.errors import BadInput
from include.pipeline import Context, exports
from include.pipeline.places import problems
from include.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "mounted").mkdir()
    monkeypatch.setenv("LOYALTY_HOME", str(home))
    return Settings.from_environment()


def told(settings: Settings, folder: str) -> list[str]:
    found = problems(
        settings, Target.model_validate({"kind": "folder", "options": {"folder": folder}}), "targets[0]"
    )
    assert all(each.where == "targets[0].options.folder" and each.value == folder for each in found)
    return [each.code for each in found]


@pytest.mark.parametrize(
    "folder", ["delivered/finance", "cafe", "file://{home}/delivered", "{home}/delivered"]
)
def test_below_the_home_is_allowed(settings, tmp_path, folder):
    assert told(settings, folder.format(home=tmp_path / "home")) == []


@pytest.mark.parametrize(
    "folder",
    [
        "/etc", "/", ".", "store", "store/artefacts", "file://{home}/store", "keys", "scratch/x", "airflow/logs",
        "{home}", "{home}/../mounted", "{mounted}/x", "s3://any/where", "link/x",
    ],
)  # fmt: skip
def test_elsewhere_and_where_the_installation_keeps_its_own_is_not(settings, tmp_path, folder):
    (tmp_path / "home" / "link").symlink_to(tmp_path / "mounted")
    shown = folder.format(home=tmp_path / "home", mounted=tmp_path / "mounted")
    if ".." in shown:  # the target itself refuses it
        assert told(settings, shown) == []
    else:
        assert told(settings, shown) == ["folder_not_allowed"]


def test_an_administrator_allows_others(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("LOYALTY_PAGE_FOLDERS", f"{tmp_path / 'mounted'} s3://partners/loyalty")
    allowed = Settings.from_environment()
    assert told(allowed, str(tmp_path / "mounted" / "x")) == []
    assert told(allowed, "s3://partners/loyalty/acme") == []
    assert told(allowed, "s3://partners/loyalty-2") == ["folder_not_allowed"]
    assert told(allowed, "delivered") == ["folder_not_allowed"]


def test_the_page_names_the_field(settings):
    document = {
        "id": "a",
        "name": "A",
        "model": "balance",
        "targets": [{"kind": "folder", "options": {"folder": "/etc"}}],
    }
    with pytest.raises(BadInput) as caught:
        exports.validated(Context.from_settings(settings), document)
    assert [each.where for each in caught.value.problems] == ["targets[0].options.folder"]


def test_no_folder_that_is_watched_for_points_is_delivered_to(settings, tmp_path, monkeypatch):
    """Rule: who may make exports, and not import, gets no points booked by a file in an inbox."""
    file = tmp_path / "inboxes.yaml"
    file.write_text(
        "inboxes:\n"
        f"  - {{name: crm, folder: {tmp_path / 'home' / 'points-in'}, mode: add, program: club}}\n"
        "  - {name: till, folder: /in/points, connection: till_sftp, mode: add, program: club}\n"
    )
    monkeypatch.setenv("LOYALTY_INBOXES", str(file))
    watching = Settings.from_environment()
    for place in ("points-in", "points-in/x", "./points-in/"):
        assert told(watching, place) == ["folder_not_allowed"]
    assert told(watching, "points") == []

    def by_sftp(connection: str, place: str) -> list[str]:
        target = Target.model_validate(
            {"kind": "sftp", "options": {"connection": connection, "folder": place}}
        )
        return [each.code for each in problems(watching, target, "targets[0]")]

    assert (
        by_sftp("till_sftp", "in/points") == by_sftp("till_sftp", "/in//points/x") == ["folder_not_allowed"]
    )
    assert by_sftp("till_sftp", "in/other") == by_sftp("partner", "in/points") == []
    file.write_text("inboxes: [{}]\n")
    assert told(Settings.from_environment(), "points-in") == []  # a file that is wrong watches nothing
