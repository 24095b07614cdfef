import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_nn.config.model_config import BottomUpConfig, BottomUpConfMapsConfig, PAFConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.losses import LossSettings
from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import Batch, FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.base import DecodeSettings
from sleap_nn.tasks.bottomup import BottomUp
from sleap_nn.tasks.parts import MAX_PEAKS

SKELETON = Skeleton(("nose", "body", "tail", "left", "right"), edges=((1, 0), (1, 2), (1, 3), (1, 4)))
SHAPE = np.array([(0, -22), (0, 0), (2, 24), (-20, 4), (20, 4)], np.float32)
KEY = FrameKey(0, 3)
SETTINGS = DecodeSettings()
SIDE = 320


def make_task(confmaps_stride: int = 2, pafs_stride: int = 4, skeleton: Skeleton = SKELETON) -> BottomUp:
    config = BottomUpConfig(
        confmaps=BottomUpConfMapsConfig(sigma=1.5, output_stride=confmaps_stride),
        pafs=PAFConfig(sigma=15.0, output_stride=pafs_stride),
    )
    return BottomUp.from_config(config, skeleton)


def draw_animals(rng: np.random.Generator, num_animals: int, hidden: float = 0.0) -> np.ndarray:
    """Return animals (I, N, 2) in turned poses in places of their own; nose and body are never hidden."""
    places = rng.permutation(9)[:num_animals]
    angles = rng.uniform(0, 2 * np.pi, num_animals)
    turns = np.stack([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    centres = 60 + 100.0 * np.stack([places % 3, places // 3], axis=-1) + rng.uniform(-8, 8, (num_animals, 2))
    points = np.einsum("iab,nb->ina", turns, SHAPE) + centres[:, None] + rng.uniform(-2, 2, (num_animals, 5, 2))
    missing = rng.random((num_animals, 5)) < hidden
    missing[:, :2] = False
    return np.where(missing[..., None], np.nan, points).astype(np.float32)


def encode(task: BottomUp, frames: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the targets of frames of instances (I, N, 2)."""
    num_nodes = len(task.skeleton.node_names)
    points = torch.full((len(frames), max(1, *(len(frame) for frame in frames)), num_nodes, 2), torch.nan)
    for row, frame in enumerate(frames):
        points[row, : len(frame)] = torch.from_numpy(frame)
    return task.encode(
        Batch(
            image=torch.zeros(len(frames), 1, SIDE, SIDE, dtype=torch.uint8),
            points=points,
            anchors=points.nanmean(dim=2),
            class_ids=torch.full(points.shape[:2], -1),
            weights=torch.ones(len(frames)),
            transforms=torch.eye(2, 3, dtype=torch.float64).expand(len(frames), 2, 3),
            keys=tuple(FrameKey(0, i) for i in range(len(frames))),
        )
    )


def read_back(task: BottomUp, maps: dict[str, torch.Tensor], settings: DecodeSettings = SETTINGS) -> list[Predictions]:
    return [task.assemble(KEY, [detection], settings) for detection in task.detect(maps, settings)]


def assert_same(found: Predictions, expected: np.ndarray, tolerance: float) -> None:
    """Check that each label has one instance, with the same nodes in the same places."""
    assert len(found) == len(expected)
    order = [int(np.nanargmin(np.linalg.norm(found.points[:, 1] - label[1], axis=-1))) for label in expected]
    assert len(set(order)) == len(expected)
    for points, label in zip(found.points[order], expected, strict=True):
        assert np.array_equal(np.isnan(points), np.isnan(label))
        assert np.nanmax(np.linalg.norm(points - label, axis=-1)) <= tolerance


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 4), (4, 2), (4, 8)])
@pytest.mark.parametrize("num_animals", range(1, 7))
def test_targets_give_the_labels_back(num_animals: int, strides: tuple[int, int]) -> None:
    task = make_task(*strides)
    rng = np.random.default_rng(num_animals)
    frames = [draw_animals(rng, num_animals, hidden=0.2) for _ in range(3)]
    for found, expected in zip(read_back(task, encode(task, frames)), frames, strict=True):
        assert_same(found, expected, 0.6 * strides[0])
        assert (found.scores > 0.25 * (np.isfinite(found.points[..., 0]).sum(axis=1) - 1)).all()
        assert np.array_equal(found.point_scores == 0, np.isnan(found.points[..., 0]))


def test_half_precision_maps_give_the_labels_back() -> None:
    task = make_task()
    frames = [draw_animals(np.random.default_rng(0), 4)]
    maps = {name: target.bfloat16() for name, target in encode(task, frames).items()}
    (found,) = read_back(task, maps)
    assert_same(found, frames[0], 1.2)
    assert found.points.dtype == found.point_scores.dtype == found.scores.dtype == np.float32


def test_a_batch_gives_what_its_frames_give() -> None:
    task = make_task()
    rng = np.random.default_rng(1)
    frames = [draw_animals(rng, num_animals) for num_animals in (3, 0, 1, 5, 0)]
    maps = encode(task, frames)
    together = read_back(task, maps)
    assert [len(found) for found in together] == [3, 0, 1, 5, 0]
    for i, found in enumerate(together):
        (alone,) = read_back(task, {name: part[i : i + 1] for name, part in maps.items()})
        np.testing.assert_array_equal(alone.points, found.points)
        np.testing.assert_allclose(alone.scores, found.scores, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, torch.nan])
def test_maps_without_peaks_give_no_instances(value: float) -> None:
    task = make_task()
    maps = {"confmaps": torch.full((2, 5, 160, 160), value), "pafs": torch.full((2, 8, 80, 80), value)}
    for found in read_back(task, maps):
        assert len(found) == 0
        assert found.points.shape == (0, 5, 2)


def test_labels_without_a_point_and_with_one_give_no_instances() -> None:
    task = make_task()
    nothing = np.full((2, 5, 2), np.nan, np.float32)
    one = nothing.copy()
    one[0, 2] = (100, 120)
    maps = encode(task, [nothing, one])
    assert [len(detection.points) for detection in task.detect(maps, SETTINGS)] == [0, 1]
    assert [len(found) for found in read_back(task, maps)] == [0, 0]


def test_detections_and_predictions_can_be_sent_to_another_process() -> None:
    task = make_task()
    (detection,) = task.detect(encode(task, [draw_animals(np.random.default_rng(2), 3)]), SETTINGS)
    arrays = (detection.points, detection.scores, *detection.extras.values())
    assert all(isinstance(array, np.ndarray) for array in arrays)
    sent_task, sent = pickle.loads(pickle.dumps((task, detection)))
    here, there = task.assemble(KEY, [detection], SETTINGS), sent_task.assemble(KEY, [sent], SETTINGS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(there)).points, here.points)


def test_instances_are_made_in_the_coordinates_of_the_points() -> None:
    task = make_task()
    expected = draw_animals(np.random.default_rng(3), 3)
    (detection,) = task.detect(encode(task, [expected]), SETTINGS)
    transform = Transform.scaling(0.5, 0.25).then(Transform.translation(3, 4))
    found = task.assemble(KEY, [detection.lift(transform)], SETTINGS)
    assert_same(found, transform.inverse()(expected), 0.6 * 2 * 4)


def test_settings_reach_the_grouping() -> None:
    task = make_task()
    animals = draw_animals(np.random.default_rng(4), 4)
    animals[0, 2:] = np.nan
    maps = encode(task, [animals])

    def count(**changes: float) -> int:
        return len(read_back(task, maps, replace(SETTINGS, **changes))[0])

    assert count() == 4
    assert count(min_instance_peaks=3) == 3
    assert count(min_instance_peaks=0.6) == 3
    assert count(min_instance_peaks=0.4) == 4
    assert count(min_line_score=1.1) == 0
    assert count(peak_threshold=1.1) == 0
    assert count(max_edge_length_ratio=0.001) == 0
    assert count(max_edge_length_ratio=0.001, dist_penalty_weight=0.0) == 4
    (best,) = read_back(task, maps, replace(SETTINGS, max_instances=2))
    (every,) = read_back(task, maps)
    np.testing.assert_array_equal(best.scores, np.sort(every.scores)[::-1][:2])


def test_skeletons_in_parts_and_in_rings_are_joined() -> None:
    for edges in (((0, 1), (1, 2), (2, 3), (3, 4), (4, 0)), ((3, 1), (4, 1), (1, 0), (2, 1))):
        task = make_task(skeleton=replace(SKELETON, edges=edges))
        expected = draw_animals(np.random.default_rng(5), 3)
        (found,) = read_back(task, encode(task, [expected]))
        assert_same(found, expected, 1.2)


def test_a_flood_of_peaks_is_cut_to_the_highest() -> None:
    task = make_task()
    generator = torch.Generator().manual_seed(0)
    maps = {
        "confmaps": torch.rand(2, 5, 160, 160, generator=generator),
        "pafs": torch.rand(2, 8, 80, 80, generator=generator),
    }
    for sample, detection in enumerate(task.detect(maps, SETTINGS)):
        nodes = detection.extras["node"]
        assert np.bincount(nodes).tolist() == [MAX_PEAKS] * 5
        assert len(detection.extras["scores"]) == 4 * MAX_PEAKS**2
        assert detection.scores[nodes == 0].max() == maps["confmaps"][sample, 0].max()
        found = task.assemble(KEY, [detection], SETTINGS)
        assert found.points.shape == (len(found), 5, 2)


def test_candidates_name_peaks_of_their_own_frame() -> None:
    task = make_task()
    rng = np.random.default_rng(6)
    for detection in task.detect(encode(task, [draw_animals(rng, 2), draw_animals(rng, 3)]), SETTINGS):
        nodes, extras = detection.extras["node"], detection.extras
        ends = np.array(task.pafs.edges)[extras["edges"]]
        np.testing.assert_array_equal(nodes[extras["sources"]], ends[:, 0])
        np.testing.assert_array_equal(nodes[extras["destinations"]], ends[:, 1])
        assert len(extras["scores"]) == sum((nodes == a).sum() * (nodes == b).sum() for a, b in task.pafs.edges)


def test_the_section_sets_the_heads() -> None:
    config = BottomUpConfig(
        confmaps=BottomUpConfMapsConfig(sigma=2.5, output_stride=2, loss_weight=0.5),
        pafs=PAFConfig(edges=[["tail", "nose"], ["left", "body"]], sigma=20.0, output_stride=8, loss_weight=0.0),
    )
    settings = LossSettings(foreground_weight=2.0)
    task = BottomUp.from_config(config, SKELETON, settings)
    confmaps, pafs = task.heads
    assert (confmaps.layer_name, confmaps.channels, confmaps.output_stride) == ("MultiInstanceConfmapsHead", 5, 2)
    assert (pafs.layer_name, pafs.channels, pafs.output_stride) == ("PartAffinityFieldsHead", 4, 8)
    assert (confmaps.loss_weight, pafs.loss_weight, confmaps.channel_names) == (0.5, 0.0, ())
    assert task.pafs.edges == ((2, 0), (3, 1))
    assert (task.confmaps.sigma, task.pafs.sigma) == (2.5, 20.0)
    assert task.confmaps.loss_settings == task.pafs.loss_settings == settings


def test_what_the_section_leaves_open() -> None:
    task = BottomUp.from_config(BottomUpConfig(), SKELETON)
    assert task.pafs.edges == SKELETON.edges
    assert [head.loss_weight for head in task.heads] == [1.0, 1.0]


@pytest.mark.parametrize("edges", [None, []])
def test_a_skeleton_without_edges_is_refused_with_a_way_out(edges: list | None) -> None:
    config = BottomUpConfig(pafs=PAFConfig(edges=edges))
    with pytest.raises(ConfigError, match=r"no edges.*top-down"):
        BottomUp.from_config(config, Skeleton(("a", "b")))


def test_an_empty_detection_is_an_empty_frame() -> None:
    task = make_task()
    empty = np.zeros(0, np.int64)
    extras = {"node": empty, "edges": empty, "sources": empty, "destinations": empty, "scores": np.zeros(0)}
    found = task.assemble(KEY, [Detection(np.zeros((0, 2)), np.zeros(0), extras)], SETTINGS)
    assert found.key == KEY
    assert found.points.shape == (0, 5, 2)
