from collections.abc import Mapping

import numpy as np
import pytest
from torch import Tensor

from sleap_nn.config.model_config import CenteredInstanceConfig, SingleInstanceConfig
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame
from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import DataError
from sleap_nn.stages.stage import Stage
from sleap_nn.stages.stream import anchors_of_labels, flattened, predict_batches, predict_frames
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.centered_instance import CenteredInstance
from sleap_nn.tasks.single_instance import SingleInstance

WHOLE = SingleInstance.from_config(SingleInstanceConfig(), Skeleton(("dot",)))
CROPS = CenteredInstance.from_config(CenteredInstanceConfig(), Skeleton(("dot",)))


class BrokenFrames(ArrayFrames):
    """Images of which some cannot be read."""

    def __init__(self, images: list[np.ndarray], broken: set[int]) -> None:
        super().__init__(images)
        self._broken = broken

    def read(self, key: FrameKey) -> Frame:
        if key.frame in self._broken:
            raise DataError(f"Frame {key.frame} is broken.")
        return super().read(key)


def pictures(count: int) -> list[np.ndarray]:
    """Return black images with a white pixel at x = number + 2, y = 4."""
    images = [np.zeros((16, 16, 1), np.uint8) for _ in range(count)]
    for number, image in enumerate(images):
        image[4, number + 2] = 255
    return images


class Picture:
    """A runtime whose map is the picture itself; it remembers the sizes of the batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        self.sizes.append(len(images))
        return {"confmaps": images.float() / 255}


def test_frames_come_in_order_in_batches_and_report_progress() -> None:
    runtime, seen = Picture(), []
    stage = Stage(WHOLE, InputSpec(channels=1), runtime)
    batches = predict_batches([stage], ArrayFrames(pictures(5)), batch_size=2)
    found = list(flattened(batches, 5, progress=lambda done, total: seen.append((done, total))))
    assert [p.key.frame for p in found] == [0, 1, 2, 3, 4]
    assert runtime.sizes == [2, 2, 1]
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_two_passes_at_a_time_give_the_batches_of_one(batch_size: int) -> None:
    stage = Stage(WHOLE, InputSpec(channels=1), Picture())
    frames = BrokenFrames(pictures(11), {0, 3, 4, 10})
    alone, together = (
        list(predict_batches([stage], frames, batch_size, num_passes=num_passes)) for num_passes in (1, 2)
    )
    assert [len(batch) for batch in together] == [len(batch) for batch in alone]
    assert [batch.failures for batch in together] == [batch.failures for batch in alone]
    for one, other in zip(flattened(alone, 11, print), flattened(together, 11, print), strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.points, other.points)


def test_a_frame_that_cannot_be_read_is_reported_and_the_others_go_on() -> None:
    stage, failures = Stage(WHOLE, InputSpec(channels=1), Picture()), []
    frames = BrokenFrames(pictures(4), {1})
    found = list(flattened(predict_batches([stage], frames, batch_size=4), 4, on_failure=failures.append))
    assert [p.key.frame for p in found] == [0, 2, 3]
    assert failures == [(FrameKey(0, 1), "Frame 1 is broken.")]
    with pytest.raises(DataError, match="Frame 1 is broken"):
        list(predict_frames([stage], frames, batch_size=1))


def test_a_stage_of_crops_reads_about_the_anchors_and_nothing_elsewhere() -> None:
    stage = Stage(CROPS, InputSpec(channels=1, crop_size=8), Picture())
    anchors = {FrameKey(0, 0): [Region((2.0, 4.0)), Region((3.0, 5.0))]}
    first, second = predict_frames([stage], ArrayFrames(pictures(2)), batch_size=4, anchors=anchors)
    np.testing.assert_allclose(first.points, [[[2, 4]], [[2, 4]]], atol=0.5)
    assert len(second) == 0


@pytest.mark.parametrize(("node", "expected"), [(None, (2.0, 3.0)), (1, (4.0, 6.0))])
def test_anchors_of_labels(node: int | None, expected: tuple[float, float]) -> None:
    labelled = LabeledFrame(FrameKey(0, 7), np.array([[[0, 0], [4, 6]]], np.float32), np.array([-1]))
    empty = LabeledFrame(FrameKey(0, 8), np.zeros((0, 2, 2), np.float32), np.zeros(0, np.int64))
    assert anchors_of_labels([labelled, empty], node) == {
        FrameKey(0, 7): [Region(expected)],
        FrameKey(0, 8): [],
    }
