import json
import logging
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, PreprocessingConfig
from sleap_nn.data.crop_size import Extent, augmentation_padding, extents, find_crop_size
from sleap_nn.data.labels import LabelSet
from sleap_nn.ops.centroids import centroids

GOLDEN = Path(__file__).parents[1] / "golden"
CROPS = json.loads((GOLDEN / "augment_crop.json").read_text())["crop_size"]
PADDINGS = json.loads((GOLDEN / "geometry.json").read_text())["aug_padding"]


def extent(side: float, size: tuple[int, int] = (100, 100), where: str = "frame 0 of a.mp4") -> Extent:
    return Extent(side, size, where)


def golden_extents() -> list[Extent]:
    found = []
    for instance in CROPS["instances"]:
        points = np.array([[np.nan, np.nan] if None in point else point for point in instance])[None]
        found.append(extent(float(2 * np.nanmax(np.abs(points - centroids(points)[:, None])))))
    return found


@pytest.mark.parametrize("row", CROPS["rows_rule_B_0.3.5"])
def test_the_rule_of_the_specification(row: dict) -> None:
    preprocessing = PreprocessingConfig(min_crop_size=row["min_crop_size"], crop_padding=row["padding"])
    assert find_crop_size(golden_extents(), preprocessing, None, row["max_stride"]) == row["crop_size"]


@pytest.mark.parametrize("row", PADDINGS)
def test_room_for_augmentation(row: dict) -> None:
    turned, zoomed = row["rotation_max"], row["scale_max"]
    geometric = GeometricConfig(rotation_min=-turned, rotation_max=turned, scale_min=0.9, scale_max=zoomed)
    assert augmentation_padding(row["bbox_size"], AugmentationConfig(geometric=geometric)) == row["padding"]


def test_effects_that_never_happen_need_no_room() -> None:
    never = GeometricConfig(rotation_min=-180, rotation_max=180, scale_max=2.0, rotation_p=0.0, scale_p=0.0)
    assert augmentation_padding(100, AugmentationConfig(geometric=never)) == 0
    assert augmentation_padding(100, AugmentationConfig()) == 0
    assert augmentation_padding(100, None) == 0
    together = GeometricConfig(rotation_min=-180, rotation_max=180, rotation_p=None, scale_p=None, affine_p=0.5)
    assert augmentation_padding(100, AugmentationConfig(geometric=together)) == 56


def test_a_stray_label_is_named_and_does_not_count(caplog: pytest.LogCaptureFixture) -> None:
    animals = [extent(60 + i) for i in range(5)]
    preprocessing = PreprocessingConfig(min_crop_size=None, crop_padding=0)
    expected = find_crop_size(animals, preprocessing, None, 16)
    with caplog.at_level(logging.WARNING, "sleap_nn"):
        found = find_crop_size([*animals, extent(900, where="frame 17 of b.mp4")], preprocessing, None, 16)
    assert found == expected == 64
    assert "frame 17 of b.mp4" in caplog.text


def test_frames_are_measured_after_the_size_match() -> None:
    preprocessing = PreprocessingConfig(max_height=200, max_width=200, min_crop_size=None, crop_padding=0)
    assert find_crop_size([extent(50), extent(100, (200, 200))], preprocessing, None, 4) == 100
    assert find_crop_size([extent(60), extent(100, (200, 200))], preprocessing, None, 4) == 120


def test_extents_of_labels(tmp_path: Path) -> None:
    labels = LabelSet.from_labels([make_labels(3, path=tmp_path / "a.pkg.slp", num_animals=2)])
    found = extents(labels, centroids)
    assert len(found) == labels.num_instances
    points = labels.frames[0].points[:1]
    assert found[0].side == pytest.approx(2 * np.nanmax(np.abs(points - centroids(points)[:, None])))
    assert found[0].frame_size == (64, 64)
    assert "frame 0 of" in found[0].where


def test_instances_of_which_only_a_centroid_is_known_have_no_extent() -> None:
    labels = make_labels(3)
    labels[0].centroids = [sio.UserCentroid(x=3.0, y=4.0)]
    found = LabelSet.from_labels([labels], stored_centroids=True)
    assert [np.isfinite(extent.side) for extent in extents(found, centroids)] == [True, True]
