from pathlib import Path

import pytest
from factories import make_labels
from foreign_labels import write_coco, write_dlc, write_image, write_yolo

from sleap_nn.data.labels import LabelSet, load_labels
from sleap_nn.data.other_formats import is_labels, kind_of, read_labels
from sleap_nn.errors import DataError, MissingFileError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.slp", "slp"),
        ("a.pkg.slp", "slp"),
        ("a.PKG.SLP", "slp"),
        ("a.json", "coco"),
        ("a.csv", "dlc"),
        ("CollectedData_me.h5", "dlc"),
        ("video.h5", None),
        ("a.mp4", None),
        ("none.yaml", None),
        ("none", None),
    ],
)
def test_files_are_told_by_their_names(tmp_path: Path, name: str, kind: str | None) -> None:
    assert kind_of(tmp_path / name) == kind
    assert is_labels(tmp_path / name) == (kind is not None)


def test_folders_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    dlc, yolo = write_dlc(tmp_path / "dlc"), write_yolo(tmp_path / "yolo")
    assert kind_of(dlc) == kind_of(dlc / "config.yaml") == "dlc"
    assert kind_of(yolo) == kind_of(yolo / "data.yaml") == kind_of(yolo / "labels" / "val") == "yolo"
    assert kind_of(yolo / "images" / "val") is None
    assert kind_of(dlc / "labeled-data" / "a") is None
    write_image(tmp_path / "images" / "a.png")
    assert kind_of(tmp_path / "images") is None
    (tmp_path / "config.yaml").write_text("data_config: {}\nmodel_config: {}\n")
    assert kind_of(tmp_path / "config.yaml") is None


def test_labels_of_a_path_that_are_none(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match=r"images is not recognised as labels; give a \.slp or"):
        load_labels(tmp_path / "images")
    with pytest.raises(DataError, match="not recognised as labels"):
        read_labels(tmp_path / "a.mp4")
    for name in ("none.csv", "none.json", "CollectedData_none.h5"):
        with pytest.raises(MissingFileError, match="does not exist"):
            load_labels(tmp_path / name)


def test_labels_of_two_programs_are_used_together(tmp_path: Path) -> None:
    first, second = load_labels(write_coco(tmp_path / "coco")), load_labels(write_dlc(tmp_path / "dlc"))
    assert len(LabelSet.from_labels([first, second])) == 9
    other = make_labels(2, path=tmp_path / "other.pkg.slp")
    with pytest.raises(DataError, match="different skeletons"):
        LabelSet.from_labels([first, other])
