import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_labels import NODES, brightness, coco_content, write_coco, write_image, xs

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError, MissingFileError

NAN = np.nan


def test_points_edges_tracks_and_visibility(tmp_path: Path) -> None:
    labels = load_labels(write_coco(tmp_path))
    assert brightness(labels) == xs(labels) == [0, 1, 2]
    skeleton = labels.skeletons[0]
    assert skeleton.node_names == list(NODES)
    assert skeleton.edge_names == [("snout", "left"), ("snout", "right")]
    np.testing.assert_array_equal(labels[2].instances[0].numpy(), [[2, 0], [2, 1], [NAN, NAN]])
    assert [track.name for track in labels.tracks] == ["track_0"]


def test_an_image_without_animals_is_a_frame_that_is_no_negative_example(tmp_path: Path) -> None:
    content = coco_content()
    del content["annotations"][1]
    labels = load_labels(write_coco(tmp_path, content))
    assert [len(frame.instances) for frame in labels] == [1, 0, 1]
    assert not labels[1].is_negative


@pytest.mark.parametrize("folder", ["", "imgs", "data/images", "some/where"])
def test_images_are_found(tmp_path: Path, folder: str) -> None:
    assert brightness(load_labels(write_coco(tmp_path, images=folder))) == [0, 1, 2]


def test_images_beside_annotations(tmp_path: Path) -> None:
    path = write_coco(tmp_path, images="train2017")
    (tmp_path / "annotations").mkdir()
    moved = path.rename(tmp_path / "annotations" / "person_keypoints_train2017.json")
    write_image(tmp_path / "val2017" / "img0.png", 99)
    assert brightness(load_labels(moved)) == [0, 1, 2]


def test_an_image_that_could_be_one_of_several_is_refused(tmp_path: Path) -> None:
    path = write_coco(tmp_path, images="a")
    assert brightness(load_labels(path)) == [0, 1, 2]
    write_image(tmp_path / "b" / "img1.png", 99)
    with pytest.raises(DataError, match=r"img1\.png could be .*; write its folder into file_name"):
        load_labels(path)


def test_missing_images(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    (tmp_path / "images" / "img1.png").unlink()
    with pytest.raises(MissingFileError, match=r"1 of the 3 images .*img1.png"):
        load_labels(path)
    assert len(load_labels(path, open_videos=False)) == 3


def test_images_of_another_size_than_the_labels_say(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    write_image(tmp_path / "images" / "img2.png", size=(80, 120))
    with pytest.raises(DataError, match="is 60 x 40 px, but it is 120 x 80 px"):
        load_labels(path)


def test_images_of_several_sizes_are_several_videos(tmp_path: Path) -> None:
    content = coco_content()
    content["images"][1] |= {"height": 20, "width": 30}
    path = write_coco(tmp_path, content)
    write_image(tmp_path / "images" / "img1.png", 1, size=(20, 30))
    labels = load_labels(path)
    assert sorted(zip(brightness(labels), xs(labels), strict=True)) == [(0, 0), (1, 1), (2, 2)]
    assert len(labels.videos) == 2


def test_a_skeleton_that_counts_from_0(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = coco_content()
    content["categories"][1]["skeleton"] = [[0, 1], [0, 2]]
    with caplog.at_level(logging.WARNING, logger="sleap_nn"):
        labels = load_labels(write_coco(tmp_path, content))
    assert labels.skeletons[0].edge_names == [("snout", "left"), ("snout", "right")]
    assert "counts keypoints from 0" in caplog.text


def change(content: dict[str, Any], place: list, value: Any) -> dict[str, Any]:
    """Return content with one value replaced."""
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (["images"], None, "'images' is missing"),
        (["annotations", 0], 5, "'annotations' is missing"),
        (["annotations", 0, "keypoints"], [1, 2, 2], "visibility of 3 keypoints"),
        (["annotations", 0, "keypoints", 0], "a", "no number"),
        (["annotations", 0, "keypoints", 0], 10**400, "no number"),
        (["annotations", 0, "keypoints", 0], float("nan"), "without a position"),
        (["annotations", 0, "keypoints", 2], 0.87, "not 0, 1 or 2"),
        (["annotations", 0, "image_id"], 5, "image 5, which is not listed"),
        (["annotations", 0, "image_id"], [], "no image_id"),
        (["annotations", 0, "category_id"], 3, "no category names the keypoints"),
        (["images", 0, "id"], 99, "same id"),
        (["images", 0, "file_name"], 7, "no file_name"),
        (["images", 0, "height"], -1, "no number of px"),
        (["images", 0, "file_name"], "img1.png", "twice"),
        (["categories", 1, "skeleton"], [[1, 4]], "not among the 3"),
        (["categories", 1, "skeleton"], "x", "list of pairs"),
        (["categories", 1, "keypoints"], ["a", "a", "b"], "'a' twice"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, place: list, value: Any, words: str) -> None:
    path = write_coco(tmp_path)
    path.write_text(json.dumps(change(coco_content(), place, value)))
    with pytest.raises(DataError, match=words):
        load_labels(path)


def test_several_skeletons_are_refused(tmp_path: Path) -> None:
    content = coco_content()
    content["categories"].append({"id": 9, "name": "hand", "keypoints": ["thumb"]})
    assert len(load_labels(write_coco(tmp_path, content))) == 3
    content["annotations"][0] |= {"category_id": 9, "keypoints": [1, 1, 2]}
    with pytest.raises(DataError, match=r"mouse with 3, hand with 1"):
        load_labels(write_coco(tmp_path, content))


@pytest.mark.parametrize("text", ["[]", "{", "[" * 100_000, '{"a": 1}', "\x00"])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json"):
        load_labels(tmp_path / "a.json")
