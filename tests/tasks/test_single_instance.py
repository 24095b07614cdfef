import numpy as np
import pytest
import torch

from sleap_nn.config.model_config import SingleInstanceConfig, SingleInstanceConfMapsConfig
from sleap_nn.heads.losses import HardKeypointMining, LossSettings
from sleap_nn.structures.predictions import Detection
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.single_instance import SingleInstance

SKELETON = Skeleton(("head", "body", "tail"))
CONFIG = SingleInstanceConfig(confmaps=SingleInstanceConfMapsConfig(sigma=2.5, output_stride=4))
TASK = SingleInstance.from_config(CONFIG, SKELETON)
KEY = FrameKey(0, 3)


def maps_with_peaks() -> torch.Tensor:
    maps = torch.zeros(2, 3, 10, 12)
    maps[0, 0, 2, 3], maps[0, 1, 5, 6], maps[1, 2, 9, 11] = 0.8, 0.4, 0.6
    return maps


def test_the_section_sets_the_head() -> None:
    (head,) = TASK.heads
    assert (head.channels, head.output_stride, head.loss_weight) == (3, 4, 1.0)
    assert TASK.confmaps.sigma == 2.5
    assert head.channel_names == SKELETON.node_names
    assert head.layer_name == "SingleInstanceConfmapsHead"
    assert TASK.confmaps.loss_settings == LossSettings()
    settings = LossSettings(foreground_weight=2.0, mining=HardKeypointMining())
    assert SingleInstance.from_config(CONFIG, SKELETON, settings).confmaps.loss_settings == settings


def test_detections_are_in_input_px_one_an_image() -> None:
    first, second = TASK.detect({"confmaps": maps_with_peaks()}, DecodeSettings(refinement="none"))
    assert first.points[:2].tolist() == [[12, 8], [24, 20]]
    assert np.isnan(first.points[2]).all()
    assert first.scores.tolist() == pytest.approx([0.8, 0.4, 0])
    assert second.points[2].tolist() == [44, 36]
    assert second.scores.tolist() == pytest.approx([0, 0, 0.6])


def test_settings_reach_the_peaks() -> None:
    maps = {"confmaps": maps_with_peaks()}
    first, second = TASK.detect(maps, DecodeSettings(peak_threshold=0.7))
    assert first.scores.tolist() == pytest.approx([0.8, 0, 0])
    assert np.isnan(second.points).all()
    maps["confmaps"][0, 0, 2, 4] = 0.8
    narrow, _ = TASK.detect(maps, DecodeSettings(patch_size=1))
    wide, _ = TASK.detect(maps, DecodeSettings(patch_size=3))
    assert narrow.points[0].tolist() == [12, 8]
    assert wide.points[0].tolist() == pytest.approx([14, 8])


def test_one_instance_whose_score_is_the_sum_of_its_points() -> None:
    first, _ = TASK.detect({"confmaps": maps_with_peaks()}, DecodeSettings(refinement="none"))
    lifted = first.lift(Transform.scaling(0.5))
    predictions = TASK.assemble(KEY, [lifted], DecodeSettings())
    assert predictions.key == KEY
    assert predictions.points.shape == (1, 3, 2)
    assert predictions.points[0, 0].tolist() == [24, 16]
    assert predictions.scores.tolist() == pytest.approx([1.2])
    assert predictions.point_scores[0].tolist() == pytest.approx([0.8, 0.4, 0])


def test_no_point_no_instance() -> None:
    nothing = Detection(np.full((3, 2), np.nan, np.float32), np.zeros(3, np.float32))
    predictions = TASK.assemble(KEY, [nothing], DecodeSettings())
    assert len(predictions) == 0
    assert predictions.points.shape == (0, 3, 2)
