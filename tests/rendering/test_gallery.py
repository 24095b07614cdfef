from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.render_config import RenderConfig
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.rendering.gallery import gallery_keys, gallery_sheet
from sleap_nn.rendering.scene import Scene
from sleap_nn.structures.sample import FrameKey


def scored(scores: list[float]) -> sio.Labels:
    """Return labels with one predicted instance a frame; frames are 10 apart."""
    labels = make_labels(len(scores))
    for frame, score in zip(labels, scores, strict=True):
        instance = frame.instances[0]
        frame.instances = [sio.PredictedInstance.from_numpy(instance.numpy(), skeleton=instance.skeleton, score=score)]
    return labels


def chosen(labels: sio.Labels, **options) -> list[int]:
    config = RenderConfig(**options)
    return [key.frame for key in gallery_keys(Scene.of(labels, config), config)]


def test_frames_are_spread_from_the_first_to_the_last():
    labels = make_labels(9)
    assert chosen(labels, gallery_frames=3) == [0, 40, 80]
    assert chosen(labels, gallery_frames=100) == list(range(0, 90, 10))
    assert chosen(labels, gallery_frames=3, frames="0-45") == [0, 20, 40]
    labels[0].instances = []
    assert chosen(labels, gallery_frames=2) == [10, 80]


def test_the_lowest_scores_come_first():
    labels = scored([0.9, 0.1, 0.8, 0.3, 0.7, 0.2])
    assert chosen(labels, gallery_frames=3, gallery_by="lowest_score") == [10, 50, 30]


def test_of_one_moment_only_the_worst_frame_is_shown():
    labels = scored([0.9] * 400)
    for position, score in ((200, 0.1), (201, 0.11), (100, 0.5)):
        labels[position].instances[0].score = score
    assert chosen(labels, gallery_frames=2, gallery_by="lowest_score") == [2000, 1000]


def test_what_cannot_be_shown_is_one_sentence():
    with pytest.raises(ConfigError, match="needs predicted instances"):
        chosen(make_labels(2), gallery_by="lowest_score")
    with pytest.raises(DataError, match="None of the chosen frames"):
        chosen(make_labels(2), frames="5")
    with pytest.raises(DataError, match="None of the chosen frames"):
        chosen(make_labels(2), video_index=3)


@pytest.mark.parametrize(("scale", "side"), [(None, 512), (2.0, 256)])
def test_cells_have_the_asked_size(tmp_path: Path, scale: float | None, side: int):
    labels = make_labels(2, height=128, width=128, path=tmp_path / "labels.pkg.slp")
    scene = Scene.of(labels, RenderConfig(scale=scale, gallery_crop=False))
    sheet = gallery_sheet(scene, [FrameKey(0, 0), FrameKey(0, 10)])
    assert sheet.shape == (6 + side + 20 + 6, 6 + 2 * (side + 6), 3)


def test_cropped_cells_show_the_animals_larger(tmp_path: Path):
    labels = make_labels(2, height=256, width=256, path=tmp_path / "labels.pkg.slp")
    for frame in labels:
        points = frame.instances[0].numpy()
        points[2:] = np.nan
        frame.instances = [sio.Instance.from_numpy(points, skeleton=frame.instances[0].skeleton)]
    keys = [FrameKey(0, 0), FrameKey(0, 10)]
    extents = []
    for crop in (True, False):
        config = RenderConfig(gallery_crop=crop, marker_size=3.0, edges=False, labels=False)
        sheet = gallery_sheet(Scene.of(labels, config), keys).astype(int)
        coloured = np.nonzero(sheet.max(axis=2) - sheet.min(axis=2) > 60)
        left = coloured[1] < sheet.shape[1] // 2
        extents.append(max(np.ptp(coloured[0][left]), np.ptp(coloured[1][left])))
    assert extents[0] > 1.5 * extents[1]
