"""What a restatement or a comparison says has changed goes to a tab of its own, in every mode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.formats.diff import CHANGE
from include.formats.hashes import file_sha256
from include.formats.manifest import read_manifest, write_manifest
from include.targets.protocol import Parcel, ParcelFile
from tests.targets.sheets_delivery import COLUMNS, MODES, ROWS, deliver, google, parcel

__all__ = ["google"]  # a fixture
pytestmark = pytest.mark.servers


def of_changes(sent: Parcel) -> Parcel:
    """The parcel, whose manifest says that its file holds what changed."""
    path = sent.files[-1].path
    made = read_manifest(path)
    told = made.model_copy(
        update={"files": tuple(x.model_copy(update={"holds": "changes"}) for x in made.files)}
    )
    again = write_manifest(path.parent, told)
    about = ParcelFile(again, again.name, file_sha256(again), again.stat().st_size, "application/json")
    return replace(sent, files=[*sent.files[:-1], about])


@pytest.mark.parametrize("mode", MODES)
def test_a_row_before_and_after_its_change_stand_on_the_tab_of_changes(google, tmp_path, mode):
    rows = [("before", *ROWS[0]), ("after", *ROWS[0][:2], 1300, *ROWS[0][3:]), ("added", *ROWS[1])]
    sent = of_changes(parcel(tmp_path, rows, columns=[CHANGE, *COLUMNS]))
    for _ in range(2):
        deliver(google, sent, **MODES[mode])
    shown = google.book.sheet("daily (changes)").table()
    assert [row[:2] for row in shown[1:]] == [["before", "007"], ["after", "007"], ["added", "1E5"]]
