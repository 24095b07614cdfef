"""The network is replaced by the targets of the labels: prediction must give the labels back."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.model_config import SingleInstanceConfig, SingleInstanceConfMapsConfig
from sleap_nn.data.dataset import visible_inside
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.inference.stage import Prepared, Stage
from sleap_nn.structures.sample import Batch, Frame, FrameKey, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task

WITHIN_CELLS = 0.6


class Oracle:
    """A runtime that answers with the targets of the frames it is told about."""

    def __init__(self, task: Task, truth: Mapping[FrameKey, np.ndarray]):
        self._task = task
        self._truth = truth
        self._batch: Batch | None = None

    def expect(self, batch: list[Prepared]) -> None:
        samples = []
        for prepared in batch:
            for image, transform in zip(prepared.images, prepared.transforms, strict=True):
                points = visible_inside(transform(self._truth[prepared.key]), *image.shape[1:])
                samples.append(Sample(prepared.key, image, points, np.full(len(points), -1), transform))
        self._batch = Batch.stack(samples)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        assert self._batch is not None
        assert torch.equal(images, self._batch.image)
        return self._task.encode(self._batch)


def single_instance(num_nodes: int, sigma: float, output_stride: int) -> Task:
    config = SingleInstanceConfig(confmaps=SingleInstanceConfMapsConfig(sigma=sigma, output_stride=output_stride))
    return TASKS["single_instance"].from_config(config, Skeleton(tuple(f"node{i}" for i in range(num_nodes))))


def random_case(seed: int) -> tuple[InputSpec, Task, list[Frame], dict[FrameKey, np.ndarray]]:
    """Draw frames of one size and an input that has nothing in common with it."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(90, 260, 2))
    output_stride = int(rng.choice([1, 2, 4]))
    spec = InputSpec(
        channels=int(rng.choice([1, 3])),
        max_height=None if rng.random() < 0.3 else int(rng.integers(100, 300)),
        max_width=None if rng.random() < 0.3 else int(rng.integers(100, 300)),
        scale=float(rng.uniform(0.4, 1.4)),
        stride=int(rng.choice([output_stride, 16, 32])),
    )
    task = single_instance(num_nodes=5, sigma=float(rng.uniform(1.0, 2.5)), output_stride=output_stride)
    frames, truth = [], {}
    for index in range(3):
        key = FrameKey(0, index)
        image = rng.integers(0, 255, (height, width, int(rng.choice([1, 3]))), dtype=np.uint8)
        frames.append(Frame(key, image))
        points = rng.uniform((8, 8), (width - 9, height - 9), (1, 5, 2)).astype(np.float32)
        points[0, rng.random(5) < 0.2] = np.nan
        truth[key] = points
    return spec, task, frames, truth


@pytest.mark.parametrize("seed", range(40))
def test_the_inference_path_gives_the_labels_back(seed: int) -> None:
    spec, task, frames, truth = random_case(seed)
    oracle = Oracle(task, truth)
    stage = Stage(task, spec, oracle)
    batch = [stage.prepare(frame) for frame in frames]
    oracle.expect(batch)
    for prepared, predictions in zip(batch, stage.finish(batch), strict=True):
        expected = truth[prepared.key]
        if np.isnan(expected).all():
            assert len(predictions) == 0
            continue
        assert predictions.key == prepared.key
        assert np.array_equal(np.isnan(predictions.points), np.isnan(expected))
        input_error = prepared.transforms[0](predictions.points) - prepared.transforms[0](expected)
        cells = np.linalg.norm(input_error, axis=-1) / task.heads[0].output_stride
        assert np.nanmax(cells) <= WITHIN_CELLS


def test_a_frame_with_nothing_visible_gives_no_instance() -> None:
    task = single_instance(3, 1.5, 2)
    key = FrameKey(1, 7)
    oracle = Oracle(task, {key: np.full((1, 3, 2), np.nan, np.float32)})
    stage = Stage(task, InputSpec(channels=1, stride=16), oracle)
    batch = [stage.prepare(Frame(key, np.zeros((33, 47, 1), np.uint8)))]
    oracle.expect(batch)
    (predictions,) = stage.finish(batch)
    assert len(predictions) == 0
    assert predictions.points.shape == (0, 3, 2)
