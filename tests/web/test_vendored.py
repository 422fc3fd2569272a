"""What others wrote is shipped as they published it, with its licence, and nothing of it is fetched when a page opens."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from include.web.assets import FOLDER

VENDORED = FOLDER / "vendor"
OURS = {"README.md", "inter.css"}
ROW = re.compile(
    r"^\| `(?P<file>[^`]+)` \|.*\| (?P<licence>.*) \| `(?P<sha256>[0-9a-f]{64})` \|$", re.MULTILINE
)
ROWS = {each["file"]: each for each in ROW.finditer((VENDORED / "README.md").read_text("utf-8"))}


def texts(suffix: str) -> list[Path]:
    return [path for path in FOLDER.rglob(f"*{suffix}") if not path.name.startswith("htmx")]


def test_every_file_is_listed():
    assert {path.name for path in VENDORED.iterdir()} - OURS == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_a_file_is_what_its_package_holds(name):
    assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == ROWS[name]["sha256"]


@pytest.mark.parametrize("name", [name for name in ROWS if not name.endswith(".LICENSE.txt")])
def test_a_file_has_its_licence_beside_it(name):
    named = re.search(r"`(.+\.LICENSE\.txt)`", ROWS[name]["licence"])
    assert named is not None
    assert "permi" in (VENDORED / named[1]).read_text("utf-8").lower()


def test_nothing_is_fetched_from_elsewhere():
    pages = (FOLDER.parent / "templates").rglob("*.html")
    for path in [*texts(".css"), *texts(".js"), *pages]:
        loaded = re.findall(
            r"(?:url\(|@import|import\s|\bfrom\s|src=|href=)\s*[\"']?(https?:|//)[^\"')\s]*",
            path.read_text("utf-8"),
        )
        assert loaded == [], path


def test_every_font_that_a_style_names_is_there():
    for path in texts(".css"):
        for name in re.findall(r"url\([\"']?([^\"')]+)", path.read_text("utf-8")):
            assert name.startswith("data:") or (path.parent / name).is_file(), (path, name)
