import dataclasses
import pickle
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from factories import make_labels

from sleap_nn.config.data_config import AugmentationConfig, GeometricConfig, IntensityConfig
from sleap_nn.config.model_config import CentroidConfig, SingleInstanceConfig
from sleap_nn.data.augment import Augmenter, Window
from sleap_nn.data.dataset import Draw, PoseDataset, visible_inside
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame, LabelSet
from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import DataError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.base import Task
from sleap_nn.tasks.centered_instance import CenteredInstance
from sleap_nn.tasks.centroid import Centroid
from sleap_nn.tasks.single_instance import SingleInstance

SKELETON = Skeleton(("nose", "left", "right", "tail"), symmetries=((1, 2),))
NODE_POINTS = np.array([[60.0, 20.0], [25.0, 50.0], [95.0, 50.0], [60.0, 80.0]])
NODE_LEVELS = (250, 110, 180, 60)
SPOT_RADIUS = 7.0
"""Every node is a spot of its own brightness."""
HEIGHT, WIDTH = 100, 120
WITHIN_PX = 0.6
MOVES = GeometricConfig(
    rotation_min=-180,
    rotation_max=180,
    scale_min=0.7,
    scale_max=1.3,
    translate_width=0.1,
    translate_height=0.1,
    translate_p=1.0,
    flip_p=0.5,
)
EVERYTHING = AugmentationConfig(
    IntensityConfig(uniform_noise_p=0.5, contrast_p=0.5, brightness_p=0.5), dataclasses.replace(MOVES, erase_p=0.5)
)

SINGLE = SingleInstance.from_config(SingleInstanceConfig(), SKELETON)


def spots(points: np.ndarray = NODE_POINTS) -> np.ndarray:
    """Draw the nodes as round spots on black."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = np.zeros((HEIGHT, WIDTH))
    for (node_x, node_y), level in zip(points, NODE_LEVELS, strict=True):
        image += level * np.clip(SPOT_RADIUS + 0.5 - np.hypot(x - node_x, y - node_y), 0, 1)
    return image.astype(np.uint8)[..., None]


def make_dataset(
    augmentation: AugmentationConfig | None = None,
    spec: InputSpec | None = None,
    seed: int = 0,
    num_frames: int = 2,
    num_instances: int = 1,
    task: Task = SINGLE,
) -> PoseDataset:
    points = np.repeat(NODE_POINTS[None].astype(np.float32), num_instances, axis=0)
    frames = [LabeledFrame(FrameKey(0, i), points, np.full(num_instances, -1)) for i in range(num_frames)]
    labels = LabelSet(SKELETON, (), tuple(frames), ())
    source = ArrayFrames([spots()] * num_frames)
    augmenter = None if augmentation is None else Augmenter.from_config(augmentation)
    return PoseDataset(labels, source, task, InputSpec(1, stride=16) if spec is None else spec, augmenter, seed)


def spot_near(image: np.ndarray, point: np.ndarray, radius: int) -> tuple[np.ndarray, float]:
    """Return the centre of mass and the largest value of the pixels around a point."""
    column, row = np.round(point).astype(int)
    top, left = max(row - radius, 0), max(column - radius, 0)
    patch = image[top : row + radius + 1, left : column + radius + 1].astype(float)
    y, x = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]]
    return np.array([(x * patch).sum(), (y * patch).sum()]) / patch.sum(), patch.max()


def check_nodes(sample: Sample) -> int:
    """Check that every node whose spot is inside lies on its own spot; return how many were checked.

    In a mirror image the left node lies on what was drawn for the right one.
    """
    height, width = sample.image.shape[1:]
    area = np.linalg.det(sample.transform.matrix[:, :2])
    radius = int(np.ceil((SPOT_RADIUS + 1) * np.sqrt(abs(area))) + 1)
    order = SKELETON.mirrored_order() if area < 0 else range(4)
    num_checked = 0
    for point, level in zip(sample.points[0], [NODE_LEVELS[node] for node in order], strict=True):
        if np.isnan(point).any() or (point < radius).any() or (point > (width - radius, height - radius)).any():
            continue
        centre, value = spot_near(sample.image[0], point, radius)
        assert np.linalg.norm(centre - point) <= WITHIN_PX
        assert value == pytest.approx(level, abs=10)
        num_checked += 1
    return num_checked


def same(a: Sample, b: Sample) -> bool:
    return (
        a.key == b.key
        and np.array_equal(a.image, b.image)
        and np.array_equal(a.points, b.points, equal_nan=True)
        and np.array_equal(a.transform.matrix, b.transform.matrix)
    )


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(1),
        InputSpec(1, stride=32),
        InputSpec(1, scale=0.5, stride=16),
        InputSpec(1, max_height=150, max_width=180, stride=16),
        InputSpec(1, max_height=75, max_width=160, scale=0.8),
    ],
)
def test_nodes_sit_on_their_spots(spec: InputSpec) -> None:
    assert check_nodes(make_dataset(spec=spec)[0]) == 4


@pytest.mark.parametrize(
    "geometric",
    [
        GeometricConfig(rotation_p=0, scale_p=0, flip_p=1),
        GeometricConfig(rotation_min=-180, rotation_max=180, scale_p=0),
        GeometricConfig(rotation_p=0, scale_min=0.6, scale_max=1.4),
        GeometricConfig(rotation_p=0, scale_p=0, translate_width=0.2, translate_height=0.2, translate_p=1),
        MOVES,
    ],
    ids=["flip", "rotation", "zoom", "shift", "everything"],
)
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_nodes_sit_on_their_spots_after_augmentation(geometric: GeometricConfig, scale: float) -> None:
    dataset = make_dataset(AugmentationConfig(geometric=geometric), InputSpec(1, scale=scale, stride=16), num_frames=1)
    checked = [check_nodes(dataset[Draw(0, number)]) for number in range(25)]
    assert sum(checked) > 40


def test_a_mirrored_animal_keeps_its_left_and_right() -> None:
    mirror = AugmentationConfig(geometric=GeometricConfig(rotation_p=0, scale_p=0, flip_p=1))
    sample = make_dataset(mirror, InputSpec(1))[0]
    mirrored = NODE_POINTS[[0, 2, 1, 3]] * (-1, 1) + (WIDTH - 1, 0)
    np.testing.assert_allclose(sample.points[0], mirrored, atol=1e-4)
    assert spot_near(sample.image[0], sample.points[0, 1], 3)[1] == pytest.approx(NODE_LEVELS[2], abs=3)
    np.testing.assert_allclose(sample.transform(NODE_POINTS[[0, 2, 1, 3]]), mirrored, atol=1e-4)


def test_a_draw_is_the_same_in_any_order() -> None:
    requests = [Draw(0, 0), Draw(1, 1), Draw(1, 0), Draw(0, 7), Draw(1, 7)]
    first, second = make_dataset(EVERYTHING, seed=3), make_dataset(EVERYTHING, seed=3)
    forwards = {draw: first[draw] for draw in requests}
    backwards = {draw: second[draw] for draw in reversed(requests)}
    assert all(same(forwards[draw], backwards[draw]) for draw in requests)
    assert len({sample.image.tobytes() for sample in forwards.values()}) == len(requests)
    assert same(first[1], forwards[Draw(1, 0)])
    other_seed = make_dataset(EVERYTHING, seed=4)
    assert not any(same(other_seed[draw], forwards[draw]) for draw in requests)


def test_without_augmentation_every_draw_is_the_same() -> None:
    dataset = make_dataset()
    assert same(dataset[Draw(1, 0)], dataset[Draw(1, 12)])
    assert dataset[1].key == FrameKey(0, 1)


def test_samples_have_the_documented_shapes() -> None:
    sample = make_dataset(EVERYTHING)[Draw(0, 5)]
    assert sample.image.shape == (1, 112, 128)
    assert sample.image.dtype == np.uint8
    assert sample.points.shape == (1, 4, 2)
    assert sample.points.dtype == np.float32
    assert sample.class_ids.tolist() == [-1]


def test_points_outside_become_missing_and_the_labels_stay() -> None:
    points = np.array([[[-0.01, 5], [0, 0], [19.9, 9.9], [20, 5], [5, 10], [np.nan, 3]]])
    inside = visible_inside(points, height=10, width=20)
    assert np.isfinite(inside).all(axis=-1).tolist() == [[False, True, True, False, False, False]]
    assert inside.dtype == np.float32
    assert points[0, 0, 1] == 5


def test_what_leaves_the_input_is_missing() -> None:
    away = GeometricConfig(rotation_p=0, scale_min=3, scale_max=3)
    dataset = make_dataset(AugmentationConfig(geometric=away))
    assert np.isnan(dataset[0].points).all()
    assert np.array_equal(dataset.rows[0].frame.points[0], NODE_POINTS)


def test_rows_follow_the_task() -> None:
    assert len(make_dataset(num_frames=3)) == 3
    with pytest.raises(DataError, match="2 labelled animals"):
        make_dataset(num_instances=2)


def test_a_dataset_can_be_sent_to_a_worker() -> None:
    dataset = make_dataset(EVERYTHING, seed=1)
    dataset.close_files()
    copy = pickle.loads(pickle.dumps(dataset))
    assert same(copy[Draw(1, 9)], dataset[Draw(1, 9)])


def test_the_tracks_of_labels_are_class_ids() -> None:
    labels = LabelSet.from_labels([make_labels(3)])
    task = SingleInstance.from_config(SingleInstanceConfig(), labels.skeleton)
    source = ArrayFrames([np.zeros((64, 64, 1), np.uint8)] * 31)
    dataset = PoseDataset(labels, source, task, InputSpec(1))
    assert [dataset[row].class_ids.tolist() for row in range(3)] == [[0]] * 3
    assert [dataset[row].key.frame for row in range(3)] == [0, 10, 20]


def windows(side: int, focus: float, spec: InputSpec, geometric: GeometricConfig, num_frames: int = 1) -> PoseDataset:
    """Return a data set whose samples are squares out of its frames."""
    cut = dataclasses.replace(geometric, random_crop_size=side, random_crop_focus=focus)
    return make_dataset(AugmentationConfig(geometric=cut), spec, num_frames=num_frames)


STILL = GeometricConfig(rotation_p=0, scale_p=0)


@pytest.mark.parametrize("geometric", [STILL, MOVES], ids=["still", "moving"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("focus", [0.0, 1.0])
def test_nodes_sit_on_their_spots_in_random_crops(geometric: GeometricConfig, scale: float, focus: float) -> None:
    dataset = windows(96, focus, InputSpec(1, scale=scale, stride=16), geometric)
    samples = [dataset[Draw(0, number)] for number in range(40)]
    assert {sample.image.shape for sample in samples} == {(1, 96, 96)}
    assert sum(check_nodes(sample) for sample in samples) > 10
    lost = np.isnan(np.stack([sample.points[0] for sample in samples])).all(axis=-1)
    inside = np.stack([sample.transform(NODE_POINTS) for sample in samples])
    assert (lost | ((inside >= 0) & (inside < 96)).all(axis=-1) | (geometric is MOVES)).all()


def test_random_crops_lie_about_an_animal_or_anywhere() -> None:
    spec = InputSpec(1, stride=16)
    about = [windows(48, 1.0, spec, MOVES)[Draw(0, number)] for number in range(60)]
    offsets = np.stack([sample.transform(NODE_POINTS) for sample in about]) - 24
    nearest = np.abs(offsets).max(axis=-1).argmin(axis=-1)
    chosen = offsets[np.arange(60), nearest]
    assert (np.abs(chosen) <= 48 / 4 + 0.5).all()
    assert np.ptp(chosen, axis=0).min() > 18
    assert np.bincount(nearest, minlength=4).min() > 5
    anywhere = [windows(48, 0.0, spec, STILL)[Draw(0, number)] for number in range(200)]
    corners = np.stack([sample.transform.inverse()(np.zeros(2)) for sample in anywhere])
    np.testing.assert_allclose(corners.min(axis=0), -24, atol=3)
    np.testing.assert_allclose(corners.max(axis=0), (WIDTH - 24, HEIGHT - 24), atol=3)


def test_every_point_of_an_animal_longer_than_the_square_is_shown() -> None:
    points = np.array([[[0.0, 0], [30, 0], [np.nan, np.nan], [300, 0]], [[np.nan, np.nan]] * 4, [[0, 90.0]] * 4])
    chosen = [Window(48, (0.5, 0.5), animal).focus(points) for animal in np.arange(12) / 12]
    assert chosen == [(0, 0)] * 2 + [(30, 0)] * 2 + [(300, 0)] * 2 + [(0, 90)] * 6
    assert Window(48, (0.5, 0.5), 0.5).focus(points[1:2]) is None
    assert Window(48, (0.5, 0.5), None).focus(points) is None


def test_a_centroid_model_learns_from_squares_about_anchors() -> None:
    geometric = dataclasses.replace(STILL, random_crop_size=48, random_crop_focus=1.0)
    task = Centroid.from_config(CentroidConfig(), SKELETON)
    dataset = make_dataset(AugmentationConfig(geometric=geometric), InputSpec(1, stride=16), task=task)
    anchors = np.stack([dataset[Draw(0, number)].anchors[0] for number in range(40)])
    assert (np.abs(anchors - 24) <= 48 / 4 + 0.5).all()
    assert np.ptp(anchors, axis=0).min() > 18


def test_a_random_crop_of_a_frame_without_visible_animals_lies_anywhere() -> None:
    dataset = windows(48, 1.0, InputSpec(1, stride=16), STILL, num_frames=2)
    dataset.rows[0].frame.points[:] = np.nan
    shown = [dataset[Draw(0, number)] for number in range(50)]
    assert all(np.isnan(sample.points).all() for sample in shown)
    assert np.ptp([sample.transform.matrix[0, 2] for sample in shown]) > WIDTH / 4


def test_random_crops_of_frames_of_any_size_make_one_batch() -> None:
    spec = InputSpec(1, stride=16)
    dataset = windows(320, 1.0, spec, STILL)
    samples = [dataset[Draw(0, number)] for number in range(20)]
    assert Batch.stack(samples).image.shape == (20, 1, 320, 320)
    assert all(check_nodes(sample) == 4 for sample in samples)


def test_random_crops_show_every_part_of_a_frame() -> None:
    """Corners are seen a quarter as often as the middle at least, or false animals are found in them."""
    seen = np.zeros((HEIGHT, WIDTH), int)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    dataset = windows(48, 0.0, InputSpec(1, stride=16), STILL)
    for number in range(400):
        left, top = dataset[Draw(0, number)].transform.inverse()(np.zeros(2))
        seen += (x >= left) & (x < left + 48) & (y >= top) & (y < top + 48)
    assert seen.min() > 0.15 * seen[HEIGHT // 2, WIDTH // 2] > 0


class Crops(NamedTuple):
    """A data set of crops, and the points that it was made of."""

    dataset: PoseDataset
    points: np.ndarray


def crops(
    spec: InputSpec,
    augmentation: AugmentationConfig | None = None,
    shift: tuple[float, float] = (0, 0),
    anchor: int | None = None,
    seed: int | None = 0,
) -> Crops:
    """Return a data set of crops about one animal, and a frame without any."""
    task = CenteredInstance(
        skeleton=SKELETON,
        anchor_node=anchor,
        confmaps=ConfidenceMapsHead("CenteredInstanceConfmapsHead", 4, 2),
    )
    points = (NODE_POINTS + shift).astype(np.float32)
    frames = (
        LabeledFrame(FrameKey(0, 0), np.stack([points, points + 3]), np.array([4, 7])),
        LabeledFrame(FrameKey(0, 1), np.zeros((0, 4, 2), np.float32), np.zeros(0, np.int64)),
    )
    labels = LabelSet(SKELETON, (), frames, ())
    source = ArrayFrames([spots(points)] * 2)
    augmenter = None if augmentation is None else Augmenter.from_config(augmentation)
    return Crops(PoseDataset(labels, source, task, spec, augmenter, seed, negative_weight=0.25), points)


@pytest.mark.parametrize("anchor", [None, 0, 3])
@pytest.mark.parametrize("scale", [1.0, 0.6, 1.5])
@pytest.mark.parametrize("shift", [(0, 0), (0.4, -0.3), (-16, -11)])
def test_nodes_sit_on_their_spots_in_crops(anchor: int | None, scale: float, shift: tuple[float, float]) -> None:
    dataset, points = crops(InputSpec(1, scale=scale, stride=32, crop_size=110), shift=shift, anchor=anchor)
    sample = dataset[0]
    assert sample.image.shape[1] % 32 == 0
    assert check_nodes(sample) >= 3
    content = int(110 * scale)
    assert not sample.image[:, content:].any()
    assert not sample.image[:, :, content:].any()
    centre = points.mean(axis=0) if anchor is None else points[anchor]
    expected = (110 / 2 - 0.5) * scale
    assert sample.transform(centre) == pytest.approx(np.array([expected, expected]), abs=1e-3)
    assert sample.anchors[0] == pytest.approx(np.array([expected, expected]), abs=1e-3)


def test_a_crop_row_has_one_instance_with_its_class() -> None:
    dataset, _ = crops(InputSpec(1, stride=16, crop_size=96))
    assert len(dataset) == 3
    assert [dataset[i].points.shape[0] for i in range(3)] == [1, 1, 0]
    assert [dataset[i].class_ids.tolist() for i in range(3)] == [[4], [7], []]


def test_a_turned_crop_keeps_its_anchor_in_the_middle() -> None:
    turned = GeometricConfig(rotation_min=180, rotation_max=180, scale_p=0.0)
    dataset, _ = crops(InputSpec(1, stride=1, crop_size=101), AugmentationConfig(geometric=turned))
    sample = dataset[0]
    assert sample.anchors[0] == pytest.approx(np.array([50, 50]), abs=1e-3)
    assert check_nodes(sample) == 4


def test_frames_without_animals_are_negative_examples() -> None:
    dataset, _ = crops(InputSpec(1, stride=16, crop_size=32))
    assert [dataset[i].weight for i in range(3)] == [1, 1, 0.25]
    assert Batch.stack([dataset[i] for i in range(3)]).is_negative == (False, False, True)
    first, second = dataset[Draw(2, 0)], dataset[Draw(2, 1)]
    assert not np.array_equal(first.transform.matrix, second.transform.matrix)
    assert same(first, dataset[Draw(2, 0)])
    assert first.image.shape == (1, 32, 32)


def test_without_a_seed_every_draw_of_a_row_is_the_same() -> None:
    dataset, _ = crops(InputSpec(1, stride=16, crop_size=32), seed=None)
    assert same(dataset[Draw(2, 0)], dataset[Draw(2, 7)])


def test_too_many_animals_are_refused_with_the_frame() -> None:
    with pytest.raises(DataError, match="Frame 0 of video 0 has 2 labelled animals"):
        make_dataset(num_instances=2)


def test_a_second_sample_shines_through() -> None:
    always = GeometricConfig(rotation_p=0.0, scale_p=0.0, mixup_p=1.0, mixup_lambda_min=0.3, mixup_lambda_max=0.3)
    dataset = make_dataset(AugmentationConfig(geometric=always))
    sample, plain = dataset[0], make_dataset()[0]
    assert sample.mixed is not None
    assert sample.mixed.weight == pytest.approx(0.3)
    blended = np.rint(0.7 * plain.image.astype(float) + 0.3 * sample.mixed.sample.image)
    assert np.abs(sample.image - blended).max() <= 1
    batch = Batch.stack([sample, plain])
    task = SingleInstance.from_config(SingleInstanceConfig(), SKELETON)
    target = task.encode(batch)["confmaps"]
    alone = [task.encode(Batch.stack([replace(s, mixed=None)]))["confmaps"][0] for s in (sample, sample.mixed.sample)]
    torch.testing.assert_close(target[0], 0.7 * alone[0] + 0.3 * alone[1])
    torch.testing.assert_close(target[1], task.encode(Batch.stack([plain]))["confmaps"][0])
    assert same(dataset[0], sample)


def test_stored_centroids_take_the_place_of_computed_ones() -> None:
    task = Centroid(skeleton=SKELETON, confmaps=ConfidenceMapsHead("CentroidConfmapsHead", 1, 2, of_anchors=True))
    frame = LabeledFrame(
        FrameKey(0, 0), np.full((1, 4, 2), np.nan, np.float32), np.array([-1]), np.array([[31.0, 17.0]], np.float32)
    )
    dataset = PoseDataset(LabelSet(SKELETON, (), (frame,), ()), ArrayFrames([spots()]), task, InputSpec(1, scale=0.5))
    assert dataset[0].anchors.tolist() == [[15.5, 8.5]]


SPOT = np.array([61.0, 47.0])


def ahead_of_spot(spec: InputSpec, geometric: GeometricConfig, task: Task = SINGLE) -> np.ndarray:
    """Return how far a point lies beyond its spot in a sample, in px of the input."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    image = (250 * np.exp(-((x - SPOT[0]) ** 2 + (y - SPOT[1]) ** 2) / 2 / 6**2)).astype(np.uint8)
    frame = LabeledFrame(FrameKey(0, 0), np.broadcast_to(SPOT, (1, 4, 2)).astype(np.float32), np.array([-1]))
    augmenter = Augmenter.from_config(AugmentationConfig(geometric=geometric))
    dataset = PoseDataset(LabelSet(SKELETON, (), (frame,), ()), ArrayFrames([image[..., None]]), task, spec, augmenter)
    sample = dataset[0]
    levels = sample.image[0].astype(float)
    rows, columns = np.mgrid[: levels.shape[0], : levels.shape[1]]
    centre = np.array([(columns * levels).sum(), (rows * levels).sum()]) / levels.sum()
    return sample.points[0, 0] - centre


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (InputSpec(1), 0.0),
        (InputSpec(1, scale=0.5, stride=16), 0.25),
        (InputSpec(1, scale=2.0), -0.5),
        (InputSpec(1, max_height=HEIGHT // 2, max_width=WIDTH // 2), 0.25),
        (InputSpec(1, max_height=HEIGHT // 2, max_width=WIDTH // 2, scale=0.5), 0.375),
        (InputSpec(1, scale=0.5, crop_size=90, stride=16), 0.25),
    ],
)
@pytest.mark.parametrize(
    "geometric",
    [
        GeometricConfig(rotation_p=0, scale_p=0),
        GeometricConfig(rotation_p=0, scale_p=0, flip_p=1),
        GeometricConfig(rotation_min=180, rotation_max=180, scale_p=0),
        GeometricConfig(rotation_min=90, rotation_max=90, scale_min=0.8, scale_max=0.8),
    ],
    ids=["plain", "flip", "half turn", "turn and zoom"],
)
def test_what_resizing_does_to_points_is_the_same_in_every_sample(
    spec: InputSpec, expected: float, geometric: GeometricConfig
) -> None:
    """A network learns how far points lie beyond what they name; were it turned along, predictions would be off."""
    centred = CenteredInstance(skeleton=SKELETON, confmaps=ConfidenceMapsHead("CenteredInstanceConfmapsHead", 4, 2))
    ahead = ahead_of_spot(spec, geometric, SINGLE if spec.crop_size is None else centred)
    assert ahead == pytest.approx([expected, expected], abs=0.05)


def test_what_moves_into_the_padding_keeps_its_point() -> None:
    spec = InputSpec(1, stride=200)
    flip = GeometricConfig(rotation_p=0, scale_p=0, flip_p=1)
    ahead = ahead_of_spot(spec, flip)
    assert spec.sizes(HEIGHT, WIDTH)[1][1] - 1 - SPOT[0] > WIDTH  # the spot lies in what was padding
    assert ahead == pytest.approx([0, 0], abs=0.05)


def test_a_mirrored_crop_lies_about_its_own_anchor() -> None:
    flip = AugmentationConfig(geometric=GeometricConfig(rotation_p=0, scale_p=0, flip_p=1))
    sample = crops(InputSpec(1, stride=1, crop_size=181), flip, anchor=1).dataset[0]
    assert sample.points[0, 1] == pytest.approx(np.array([90, 90]), abs=1e-3)
    assert sample.anchors[0] == pytest.approx(sample.points[0, 1], abs=1e-3)
    assert check_nodes(sample) == 4
