"""The network is replaced by the targets of the labels: prediction must give the labels back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.model_config import HeadConfig
from sleap_nn.data.dataset import visible_inside
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.heads.base import Head
from sleap_nn.stages.stage import Stage, run_stages
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Batch, Frame, FrameKey, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings, Task

WITHIN_CELLS = 0.6
NUM_NODES = 5
CLASSES = ["ann", "bob", "cid", "dot"]
SKELETON = Skeleton(tuple(f"node{i}" for i in range(NUM_NODES)), edges=((0, 1), (0, 2), (2, 3), (2, 4)))

Truth = Mapping[FrameKey, np.ndarray]


class Read(NamedTuple):
    """What became of a region."""

    key: FrameKey
    region: Region
    image: np.ndarray
    transform: Transform
    content: tuple[int, int]


class RecordingSpec:
    """An `InputSpec` that remembers what it read, by the pixels that came out."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self.reads: dict[bytes, Read] = {}

    def regions(self, frame: Frame, anchors: list[Region] | None = None) -> list[Region]:
        return self.spec.regions(frame, anchors)

    def read(self, frame: Frame, region: Region) -> tuple[np.ndarray, Transform]:
        image, transform = self.spec.read(frame, region)
        content = self.spec.content_size(frame)
        self.reads[image.tobytes()] = Read(frame.key, region, image, transform, content)
        return image, transform


class Oracle:
    """A runtime that answers with the targets of what it is shown; instance i of a frame is of class i."""

    def __init__(self, task: Task, spec: RecordingSpec, truth: Truth) -> None:
        self._task, self._spec, self._truth = task, spec, truth

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        batch = Batch.stack([self._sample(self._spec.reads[image.numpy().tobytes()]) for image in images])
        assert torch.equal(images, batch.image)
        targets = self._task.encode(batch)
        return {head.name: raw(head, targets[head.name]) for head in self._task.heads}

    def _sample(self, read: Read) -> Sample:
        points = self._truth[read.key]
        class_ids = np.arange(len(points))
        anchors = self._task.anchors(points)
        if self._task.view == "crop":
            nearest = int(np.nanargmin(np.linalg.norm(anchors - np.array(read.region.centre), axis=1)))
            points, anchors, class_ids = (part[nearest : nearest + 1] for part in (points, anchors, class_ids))
        return Sample(
            key=read.key,
            image=read.image,
            points=visible_inside(read.transform(points), *read.content),
            anchors=visible_inside(read.transform(anchors), *read.content),
            class_ids=class_ids,
            transform=read.transform,
        )


def raw(head: Head, target: Tensor) -> Tensor:
    """Return the output that becomes the target when it is activated."""
    if head.name == "class_maps":
        return torch.logit(target, eps=1e-4)
    return torch.log(target + 1e-6) if head.name == "class_vectors" else target


def build(name: str, rng: np.random.Generator, anchor_part: str | None = None, sigma: float | None = None) -> Task:
    """Return a task with strides and spreads drawn at random, of its own for every part."""
    defaults: dict[str, Any] = {name: {}}
    section = HeadConfig(**defaults).which_oneof()
    for part_name, part in vars(section).items():
        part.output_stride = int(rng.choice([1, 2, 4]))
        if "sigma" in vars(part):
            part.sigma = 15.0 if part_name == "pafs" else float(rng.uniform(1.0, 2.5)) if sigma is None else sigma
        if "classes" in vars(part):
            part.classes = CLASSES
        if "anchor_part" in vars(part):
            part.anchor_part = anchor_part
    return TASKS[name].from_config(section, SKELETON)


def random_spec(rng: np.random.Generator, task: Task, crop_size: int | None = None) -> InputSpec:
    """Draw an input that has nothing in common with the frames, nor with that of another stage."""
    return InputSpec(
        channels=int(rng.choice([1, 3])),
        max_height=None if rng.random() < 0.3 else int(rng.integers(200, 420)),
        max_width=None if rng.random() < 0.3 else int(rng.integers(200, 420)),
        scale=float(rng.uniform(0.6, 1.4)),
        stride=int(rng.choice([max(head.output_stride for head in task.heads), 16, 32])),
        crop_size=crop_size,
    )


def random_frames(rng: np.random.Generator, max_animals: int, hidden: float = 0.15) -> tuple[list[Frame], Truth]:
    """Draw three frames of one size with animals that keep to quarters of their own."""
    height, width = (int(side) for side in rng.integers(260, 400, 2))
    frames, truth = [], {}
    for index in range(3):
        key = FrameKey(0, index)
        image = rng.integers(0, 255, (height, width, int(rng.choice([1, 3]))), dtype=np.uint8)
        frames.append(Frame(key, image))
        quarters = rng.permutation(4)[: int(rng.integers(0 if index else 1, max_animals + 1))]
        animals = [
            random_animal(rng, height / 2, width / 2) + np.array((q % 2 * width / 2, q // 2 * height / 2))
            for q in quarters
        ]
        points = np.array(animals, np.float32).reshape(-1, NUM_NODES, 2)
        points[:, 3:][rng.random((len(points), 2)) < hidden] = np.nan
        truth[key] = points
    return frames, truth


def random_animal(rng: np.random.Generator, height: float, width: float) -> np.ndarray:
    """Draw nodes far enough apart and away from the border to be told from each other on any map."""
    spread = np.array([(0, 0), (22, -18), (-20, 14), (-38, 30), (-6, 36)], np.float64)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return spread @ turn.T + (width / 2, height / 2) + rng.uniform(-6, 6, 2) + rng.uniform(-3, 3, (NUM_NODES, 2))


def predict(stages: list[Stage], frames: list[Frame]) -> list[Predictions]:
    return run_stages(stages, [stages[0].prepare(frame) for frame in frames])


def make_stage(task: Task, spec: InputSpec, truth: Truth, settings: DecodeSettings | None = None) -> Stage:
    recording: Any = RecordingSpec(spec)
    return Stage(task, recording, Oracle(task, recording, truth), DecodeSettings() if settings is None else settings)


def assert_same(found: Predictions, expected: np.ndarray, stage: Stage, frame: Frame, head_index: int = 0) -> None:
    """Check counts, visibility, places (in cells of the last map) and identities."""
    visible = [i for i, points in enumerate(expected) if np.isfinite(points).any()]
    assert len(found) == len(visible)
    scale = abs(stage.spec.read(frame, Region((10.0, 10.0)))[1].matrix[0, 0])
    cell = stage.task.heads[head_index].output_stride / scale
    taken = set()
    for i, points in enumerate(found.points):
        errors = [np.nanmax(np.linalg.norm(points - expected[k], axis=-1)) for k in visible]
        best = visible[int(np.nanargmin(errors))]
        assert np.array_equal(np.isnan(points), np.isnan(expected[best]))
        assert np.nanmin(errors) <= WITHIN_CELLS * cell
        taken.add(best)
        if found.class_ids is not None:
            assert found.class_ids[i] == best
    assert len(taken) == len(visible)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.view == "frame" and not task.one_point])
def test_whole_frames_give_the_labels_back(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = build(name, rng)
    frames, truth = random_frames(rng, 1 if task.max_labelled == 1 else 4)
    stage = make_stage(task, random_spec(rng, task), truth)
    for frame, found in zip(frames, predict([stage], frames), strict=True):
        assert found.key == frame.key
        assert_same(found, truth[frame.key], stage, frame)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.view == "crop"])
def test_two_stages_of_unequal_inputs_give_the_labels_back(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    anchor_part = "node0" if seed % 2 else None
    first, second = build("centroid", rng, anchor_part), build(name, rng, anchor_part)
    frames, truth = random_frames(rng, 4)
    stages = [
        make_stage(first, random_spec(rng, first), truth),
        make_stage(second, random_spec(rng, second, crop_size=int(rng.integers(180, 260))), truth),
    ]
    for frame, found in zip(frames, predict(stages, frames), strict=True):
        assert found.key == frame.key
        assert_same(found, truth[frame.key], stages[1], frame)
        assert (found.scores > 0.5).all()


@pytest.mark.parametrize("seed", range(10))
def test_centroids_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    task = build("centroid", rng, "node2" if seed % 2 else None)
    frames, truth = random_frames(rng, 4)
    stage = make_stage(task, random_spec(rng, task), truth)
    for frame, found in zip(frames, predict([stage], frames), strict=True):
        assert_same(found, task.anchors(truth[frame.key])[:, None], stage, frame)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.view == "crop"])
def test_a_crop_at_the_corner_of_the_frame(name: str) -> None:
    rng = np.random.default_rng(0)
    task = build(name, rng)
    points = np.array([[(2.0, 3.0), (30, 4), (5, 28), (40, 38), (0, 0)]], np.float32)
    corner = np.array((319.0, 239.0), np.float32)
    frame = Frame(FrameKey(0, 0), rng.integers(1, 255, (240, 320, 1), dtype=np.uint8))
    truth = {frame.key: np.concatenate((points, corner - points))}
    stage = make_stage(task, InputSpec(channels=1, scale=0.8, stride=32, crop_size=130), truth)
    anchors = [Region((float(x), float(y))) for x, y in task.anchors(truth[frame.key])]
    (found,) = run_stages([stage], [stage.prepare(frame, anchors)])
    assert_same(found, truth[frame.key], stage, frame)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.view == "crop"])
def test_a_crop_too_small_loses_the_points_outside_and_no_others(name: str) -> None:
    rng = np.random.default_rng(1)
    task = build(name, rng, "node0")
    truth = {FrameKey(0, 0): np.array([[(100, 100), (115, 100), (100, 80), (160, 100), (100, 170)]], np.float32)}
    frame = Frame(FrameKey(0, 0), rng.integers(1, 255, (200, 240, 1), dtype=np.uint8))
    stage = make_stage(task, InputSpec(channels=1, scale=0.75, stride=32, crop_size=64), truth)
    (found,) = run_stages([stage], [stage.prepare(frame, [Region((100.0, 100.0))])])
    expected = truth[frame.key].copy()
    expected[0, 3:] = np.nan
    assert_same(found, expected, stage, frame)


@pytest.mark.parametrize("name", TASKS)
def test_a_frame_with_nothing_visible_gives_no_instance(name: str) -> None:
    task = build(name, np.random.default_rng(0))
    frame = Frame(FrameKey(1, 7), np.zeros((63, 77, 1), np.uint8))
    truth = {frame.key: np.full((1, NUM_NODES, 2), np.nan, np.float32)}
    stage = make_stage(task, InputSpec(channels=1, stride=16, crop_size=48 if task.view == "crop" else None), truth)
    anchors = [] if task.view == "crop" else None
    (found,) = run_stages([stage], [stage.prepare(frame, anchors)])
    assert len(found) == 0
    assert found.points.shape == (0, len(task.predicted_skeleton.node_names), 2)


def test_only_the_best_instances_are_kept() -> None:
    rng = np.random.default_rng(3)
    task = build("centroid", rng, sigma=1.5)
    frames, truth = random_frames(rng, 4)
    spec = random_spec(rng, task)
    every = predict([make_stage(task, spec, truth)], frames)
    settings = replace(DecodeSettings(), max_instances=1)
    for found, all_found in zip(predict([make_stage(task, spec, truth, settings)], frames), every, strict=True):
        assert len(found) == min(1, len(all_found))
        if len(found):
            assert found.scores[0] == all_found.scores.max()
