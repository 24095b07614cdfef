from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.model_config import SingleInstanceConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.stages.stage import Stage
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.single_instance import SingleInstance

TASK = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("dot",)))


class Brightness:
    """A runtime whose map is the picture itself; it remembers the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        assert images.dtype == torch.uint8
        self.shapes.append(tuple(images.shape))
        return {"confmaps": images.float() / 255}


def dot(number: int, height: int, width: int, x: int, y: int, size: int = 1) -> Frame:
    """Return a black frame with a white square whose middle is (x, y)."""
    image = np.zeros((height, width, 1), np.uint8)
    image[y - size // 2 : y + size // 2 + 1, x - size // 2 : x + size // 2 + 1] = 255
    return Frame(FrameKey(0, number), image)


def make_stage(runtime: Brightness, refinement: str = "none", **spec: object) -> Stage:
    return Stage(TASK, InputSpec(channels=1, **spec), runtime, DecodeSettings(0.2, refinement))


FRAMES = [
    dot(0, 8, 16, 3, 5),
    dot(1, 16, 8, 6, 1),
    dot(2, 8, 16, 11, 2),
    dot(3, 24, 24, 20, 21),
    dot(4, 16, 8, 1, 14),
]


def test_frames_of_unequal_size_keep_their_order() -> None:
    runtime = Brightness()
    stage = make_stage(runtime)
    found = stage.finish([stage.prepare(frame) for frame in FRAMES])
    assert [p.key.frame for p in found] == [0, 1, 2, 3, 4]
    assert [p.points[0, 0].tolist() for p in found] == [[3, 5], [6, 1], [11, 2], [20, 21], [1, 14]]
    assert sorted(runtime.shapes) == [(1, 1, 24, 24), (2, 1, 8, 16), (2, 1, 16, 8)]


def test_matched_frames_are_run_together_and_come_back_in_their_own_pixels() -> None:
    runtime = Brightness()
    stage = make_stage(runtime, "integral", max_height=24, max_width=24, stride=16)
    found = stage.finish([stage.prepare(frame) for frame in FRAMES])
    assert runtime.shapes == [(5, 1, 32, 32)]
    # Enlarging puts a pixel's centre at (zoom - 1) / 2 beside where points are multiplied to: half an input pixel.
    for prediction, expected in zip(found, [[3, 5], [6, 1], [11, 2], [20, 21], [1, 14]], strict=True):
        np.testing.assert_allclose(prediction.points[0, 0], expected, atol=0.5)


def test_a_scaled_input_is_lifted_to_frame_pixels() -> None:
    runtime = Brightness()
    stage = make_stage(runtime, "integral", scale=0.5, stride=8)
    (found,) = stage.finish([stage.prepare(dot(0, 40, 60, 41, 17, size=5))])
    assert runtime.shapes == [(1, 1, 24, 32)]
    np.testing.assert_allclose(found.points[0, 0], [41, 17], atol=0.6)


def test_a_frame_in_which_nothing_is_found_is_empty_and_moves_no_other() -> None:
    stage = make_stage(Brightness())
    black = Frame(FrameKey(0, 9), np.zeros((8, 16, 1), np.uint8))
    found = stage.finish([stage.prepare(frame) for frame in (FRAMES[0], black, FRAMES[2])])
    assert [len(p) for p in found] == [1, 0, 1]
    assert found[1].key == FrameKey(0, 9)
    assert found[2].points[0, 0].tolist() == [11, 2]


def test_the_threshold_of_the_settings_decides() -> None:
    grey = Frame(FrameKey(0, 0), FRAMES[0].image // 2)
    for threshold, num_instances in ((0.4, 1), (0.6, 0)):
        stage = Stage(TASK, InputSpec(1), Brightness(), DecodeSettings(threshold, "none"))
        (found,) = stage.finish([stage.prepare(grey)])
        assert len(found) == num_instances


def test_without_frames_nothing_is_run() -> None:
    runtime = Brightness()
    assert make_stage(runtime).finish([]) == []
    assert runtime.shapes == []


def test_every_region_of_a_frame_is_an_input() -> None:
    stage = make_stage(Brightness())
    assert len(stage.prepare(FRAMES[0]).images) == 1
    prepared = stage.prepare(FRAMES[0], [Region((1.0, 2.0)), Region((3.0, 4.0))])
    assert len(prepared.images) == len(prepared.transforms) == 2
    assert stage.prepare(FRAMES[0], []).images == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_inputs_have_the_channels_of_the_network(channels: int) -> None:
    stage = Stage(TASK, InputSpec(channels), Brightness())
    (image,) = stage.prepare(FRAMES[0]).images
    assert image.shape == (channels, 8, 16)
