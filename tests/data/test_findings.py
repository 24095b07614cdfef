import json
from pathlib import Path

import pytest

from sleap_nn.data.findings import Finding, LabelReport, Place, counted
from sleap_nn.errors import DataError, OutputError

PLACES = (*(Place("a.mp4", frame, "here") for frame in (3, 5, 5, 9)), Place("b.mp4", 1, "there"))
FINDING = Finding("kind", "5 things", "repair them", PLACES)


def test_a_line_names_the_first_frames_once() -> None:
    assert FINDING.line() == "5 things (a.mp4 frame 3, 5, 9 and 1 more): repair them."
    assert FINDING.line(most_frames=4) == "5 things (a.mp4 frame 3, 5, 9; b.mp4 frame 1): repair them."
    assert FINDING.line(most_frames=1) == "5 things (a.mp4 frame 3 and 3 more): repair them."


def test_what_concerns_all_frames_names_none() -> None:
    assert Finding("kind", "A node is never visible", "label it").line() == "A node is never visible: label it."


def test_the_file_holds_every_place(tmp_path: Path) -> None:
    LabelReport(4, 1, (FINDING,)).save(tmp_path / "found.json")
    content = json.loads((tmp_path / "found.json").read_text())
    assert (content["num_frames"], content["num_instances"]) == (4, 1)
    (finding,) = content["findings"]
    assert (finding["kind"], finding["summary"], finding["remedy"]) == ("kind", "5 things", "repair them")
    assert [(place["video"], place["frame"]) for place in finding["places"]] == [
        ("a.mp4", 3),
        ("a.mp4", 5),
        ("a.mp4", 5),
        ("a.mp4", 9),
        ("b.mp4", 1),
    ]
    assert finding["places"][0]["detail"] == "here"
    assert LabelReport.load(tmp_path / "found.json") == LabelReport(4, 1, (FINDING,))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"num_frames": 1, "num_instances": 2, "findings": [{"places": []}]}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "found.json").write_text(text)
    with pytest.raises(DataError, match=r"found\.json cannot be read as a label check"):
        LabelReport.load(tmp_path / "found.json")


def test_a_file_that_cannot_be_written_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        LabelReport(0, 0, ()).save(tmp_path / "missing" / "found.json")


def test_numbers_agree_with_their_nouns() -> None:
    assert (counted(0, "frame"), counted(1, "frame"), counted(2, "frame")) == ("0 frames", "1 frame", "2 frames")
    assert LabelReport(1, 2, ()).scope == "1 frame with 2 instances"
