from pathlib import Path

import numpy as np
import pytest
import yaml
from foreign_labels import NODES, SIZE, brightness, write_image, write_yolo, xs
from PIL import Image

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError, MissingFileError

NAN = np.nan
HEIGHT, WIDTH = SIZE


@pytest.mark.parametrize("shape", [(3, 3), (3, 2)])
@pytest.mark.parametrize("name", ["", "data.yaml"])
def test_all_splits_with_points_in_px(tmp_path: Path, shape: tuple[int, int], name: str) -> None:
    labels = load_labels(write_yolo(tmp_path, shape) / name)
    assert brightness(labels) == [0, 1, 10, 11]
    np.testing.assert_allclose(xs(labels), [0.1 * WIDTH, 0.2 * WIDTH] * 2)
    expected = [[0.1 * WIDTH, 0.5 * HEIGHT], [0.25 * WIDTH, 0.25 * HEIGHT], [NAN, NAN]]
    np.testing.assert_allclose(labels[0].instances[0].numpy(), expected)
    assert labels.skeletons[0].node_names == list(NODES)
    assert labels.tracks == []


def test_one_split(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    assert brightness(load_labels(tmp_path / "labels" / "val")) == [10, 11]
    assert brightness(load_labels(tmp_path / "labels" / "train")) == [0, 1]


def about(folder: Path, **changes: object) -> None:
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_layouts(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "images" / "train").rename(tmp_path / "train" / "images")
    (tmp_path / "labels" / "train").rename(tmp_path / "train" / "labels")
    about(tmp_path, train="../train/images", path="/nowhere")
    assert brightness(load_labels(tmp_path)) == [0, 1, 10, 11]
    assert brightness(load_labels(tmp_path / "train" / "labels")) == [0, 1]
    (tmp_path / "list.txt").write_text("train/images/train1.png\n\nimages/val/val0.png\n")
    about(tmp_path, train="list.txt", val=["images/val"], test="images/test")
    assert brightness(load_labels(tmp_path)) == [1, 10, 11]
    (tmp_path / "train" / "images" / "train0.png").unlink()
    with pytest.raises(MissingFileError, match="have no image"):
        load_labels(tmp_path)
    (tmp_path / "train" / "labels" / "train0.txt").unlink()
    (tmp_path / "labels" / "classes.txt").write_text("mouse")
    (tmp_path / "list.txt").write_text("none.png")
    with pytest.raises(MissingFileError, match=r"none.png of .*list.txt"):
        load_labels(tmp_path)
    about(tmp_path, train="images/none")
    with pytest.raises(MissingFileError, match=r"images/none \(train of"):
        load_labels(tmp_path)


def test_an_empty_file_is_a_negative_example_and_a_missing_one_is_not(tmp_path: Path) -> None:
    write_yolo(tmp_path, num_images=3)
    (tmp_path / "labels" / "train" / "train0.txt").write_text("")
    (tmp_path / "labels" / "train" / "train1.txt").unlink()
    labels = load_labels(tmp_path / "labels" / "train")
    assert [(len(frame.instances), frame.is_negative) for frame in labels] == [(0, True), (0, False), (1, False)]


def test_labels_without_an_image_and_images_without_labels(tmp_path: Path) -> None:
    write_yolo(tmp_path)
    (tmp_path / "images" / "train" / "train0.png").unlink()
    with pytest.raises(MissingFileError, match=r"1 file\(s\) of labels of .*train0.txt; put the image"):
        load_labels(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "other")
    with pytest.raises(DataError, match="has labels, the first would be"):
        load_labels(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 .5 .5 .1 .1", "Line 2 of .* has 5 values"),
        ("0 .5 .5 .1 .1 .1 .1 2 .2 .2 2 .3 .3 2 .9", "has 15 values, .* are 14"),
        ("0 .5 .5 .1 .1 .1 .1 2 .2 .2 2 .3 .3 x", "no number"),
        ("0 .5 .5 .1 .1 .1 .1 2 .2 .2 2 .3 .3 .97", "not 0, 1 or 2"),
        ("0 .5 .5 .1 .1 30 20 2 .2 .2 2 .3 .3 2", "far outside the image"),
        ("0 .5 .5 .1 .1 nan .1 2 .2 .2 2 .3 .3 2", "far outside the image"),
    ],
)
def test_a_line_that_is_not_understood_is_refused(tmp_path: Path, line: str, words: str) -> None:
    path = write_yolo(tmp_path) / "labels" / "train" / "train0.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=words):
        load_labels(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kpt_shape": 17}, "no kpt_shape such as"),
        ({"kpt_shape": [3, 4]}, r"allowed are \[number"),
        ({"kpt_shape": [10**9, 3]}, r"allowed are \[number"),
        ({"kpt_shape": [2, 3]}, "names 3 keypoints, but kpt_shape says 2"),
        ({"skeleton": [[0, 3]]}, "pairs of 0 to 2"),
    ],
)
def test_a_description_that_is_not_understood_is_refused(tmp_path: Path, changes: dict, words: str) -> None:
    about(write_yolo(tmp_path), **changes)
    with pytest.raises(DataError, match=words):
        load_labels(tmp_path)


def test_an_image_that_is_to_be_shown_turned_is_refused(tmp_path: Path) -> None:
    write_yolo(tmp_path, splits=["train"])
    path = tmp_path / "images" / "train" / "train0.png"
    image = Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path.with_suffix(".jpg"), exif=exif)
    path.unlink()
    with pytest.raises(DataError, match=r"train0.jpg carries a mark \(EXIF\)"):
        load_labels(tmp_path)


def test_a_file_that_is_no_image(tmp_path: Path) -> None:
    path = write_yolo(tmp_path) / "images" / "train" / "train0.png"
    path.write_bytes(b"none")
    with pytest.raises(DataError, match=r"train0\.png cannot be read"):
        load_labels(tmp_path)
    write_image(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (2**30).to_bytes(4, "big") * 2
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train0\.png cannot be read"):
        load_labels(tmp_path)
