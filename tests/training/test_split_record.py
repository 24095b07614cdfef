import json
from pathlib import Path

import pytest

from sleap_nn.errors import DataError, OutputError
from sleap_nn.training.split_record import FileSplit, SplitRecord, find_frames

A, B = "a.mp4|8x8|10 bytes", "b.mp4|8x8|"
RECORD = SplitRecord(
    method="time_block",
    seed=42,
    files=(
        FileSplit("one.slp", train=((A, 5), (A, 3), (B, 1), (A, 9)), val=((B, 2),)),
        FileSplit(None, train=((A, 3),), val=((A, 7),)),
    ),
    settings={"fraction": 0.1, "block_length": None},
    held_out=((B, 30),),
)


def test_a_record_is_read_back_with_the_order_of_its_frames(tmp_path: Path) -> None:
    RECORD.save(tmp_path / "split.json")
    assert SplitRecord.load(tmp_path / "split.json") == RECORD


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    RECORD.save(tmp_path / "split.json")
    tree = json.loads((tmp_path / "split.json").read_text())
    assert (tree["method"], tree["seed"], tree["counts"]) == ("time_block", 42, {"train": 4, "val": 2})
    assert tree["files"][0] == {
        "labels": "one.slp",
        "train": [{"video": A, "frames": [5, 3]}, {"video": B, "frames": [1]}, {"video": A, "frames": [9]}],
        "val": [{"video": B, "frames": [2]}],
    }


def test_frames_are_numbered_once_in_their_order() -> None:
    assert RECORD.trained == {(A, 5): 0, (A, 3): 1, (B, 1): 2, (A, 9): 3}
    assert RECORD.validated == {(B, 2): 0, (A, 7): 1}


def test_frames_are_known_by_their_side() -> None:
    frames = [(A, 3), (A, 7), (A, 8), (B, 2), (B, 30)]
    assert RECORD.sides_of(frames) == {(A, 3): False, (A, 7): True, (B, 2): True, (B, 30): True}
    both = SplitRecord("use_same_data_for_val", None, (FileSplit(None, ((A, 1),), ((A, 1),)),))
    assert both.sides_of([(A, 1)]) == {(A, 1): False}


def test_a_frame_is_found_in_images_embedded_from_its_video() -> None:
    embedded = "a.mp4|8x8|400 frames"
    assert RECORD.sides_of([(embedded, 5), (embedded, 7), (embedded, 6)]) == {(embedded, 5): False, (embedded, 7): True}
    twins = "a.mp4|8x8|1 bytes", "a.mp4|8x8|2 bytes"
    assert find_frames([(embedded, 5)], [(twins[0], 5), (twins[1], 5)]) == {
        (embedded, 5): [(twin, 5) for twin in twins]
    }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"files": 3}', '{"files": [{"labels": null}]}'])
def test_a_damaged_file_is_refused_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DataError, match=r"split.json cannot be read .* delete it to divide the labels anew"):
        SplitRecord.load(tmp_path / "split.json")


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"):
        RECORD.save(tmp_path / "gone" / "split.json")
