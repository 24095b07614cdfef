from pathlib import Path

import numpy as np
import pytest
from sleap_io.io.main import load_slp, load_video

from tests.factories import make_image, make_labels, make_points, make_video


@pytest.mark.parametrize("embed", [True, False])
def test_labels_can_be_read_back(tmp_path: Path, embed: bool):
    path = tmp_path / ("a.pkg.slp" if embed else "a.slp")
    labels = make_labels(3, 48, 64, num_animals=2, embed=embed, path=path)
    assert len(load_slp(str(path))) == len(labels) == 3
    assert labels.labeled_frames[0].image.shape == (48, 64, 1)


def test_labels_without_images():
    labels = make_labels(4, num_animals=2)
    assert len(labels) == 4
    assert labels.video.shape == (31, 64, 64, 1)
    assert [len(frame.instances) for frame in labels] == [2] * 4


def test_videos_images_and_points(tmp_path: Path):
    assert load_video(str(make_video(tmp_path / "a.mp4", 4, channels=3))).shape == (4, 64, 64, 3)
    assert make_image(5, 6, 3).shape == (5, 6, 3)
    points = make_points(3, 5, hidden_fraction=0.5)
    assert points.shape == (3, 5, 2)
    assert 0 < np.isnan(points[..., 0]).sum() < 15
