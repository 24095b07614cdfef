import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from sleap_io.io.main import load_slp, load_video

from sleap_nn.data.synthetic import (
    FRAME_STEP,
    GUESSED_FRACTION,
    Scene,
    synthetic_labels,
    synthetic_skeleton,
    write_dataset,
)
from sleap_nn.data.synthetic_animal import NODE_NAMES
from sleap_nn.errors import DataError, OutputError

SMALL = Scene(num_animals=2, height=64, width=80, seed=3, channels=1)


def test_skeleton_has_edges_and_symmetries():
    skeleton = synthetic_skeleton()
    assert skeleton.node_names == list(NODE_NAMES)
    assert len(skeleton.edges) == len(NODE_NAMES) - 1
    flipped = [NODE_NAMES[index] for index in skeleton.get_flipped_node_inds()]
    assert flipped[1:3] == ["right_ear", "left_ear"]
    assert flipped[5:7] == ["right_hindpaw", "left_hindpaw"]


@pytest.mark.parametrize("channels", [1, 3])
def test_frame_shapes(channels: int):
    image, points, ids = dataclasses.replace(SMALL, channels=channels).frame(5)
    assert (image.shape, image.dtype) == ((64, 80, channels), np.uint8)
    assert (points.shape, points.dtype) == ((2, len(NODE_NAMES), 2), np.float32)
    assert ids.tolist() == [0, 1]


def test_a_scene_is_fixed_by_its_fields():
    first, second = SMALL.frame(7), dataclasses.replace(SMALL)
    second.frame(12)
    again = second.frame(7)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    other = dataclasses.replace(SMALL, seed=4).frame(7)
    assert np.abs(first[0].astype(int) - other[0]).mean() > 3


def test_gray_is_the_gray_of_the_colour_scene():
    colour = dataclasses.replace(SMALL, channels=3).image(2)
    gray = cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)
    assert np.abs(gray.astype(int) - SMALL.image(2)[..., 0]).max() <= 2


def test_individuals_look_different_from_the_floor_and_each_other():
    scene = Scene(num_animals=2, height=128, width=128, seed=1, num_obstacles=0)
    tones = []
    for t in range(0, 60, 10):
        image, points, _ = scene.frame(t)
        trunk = points[:, NODE_NAMES.index("body")]
        if np.isfinite(trunk).all():
            tones.append([image[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].mean() for x, y in trunk])
    dark, light = np.mean(tones, axis=0)
    assert light - dark > 60


def test_nodes_under_obstacles_and_other_animals_are_hidden():
    scene = Scene(num_animals=3, height=80, width=80, seed=2, num_obstacles=2, body_length=30)
    hidden_by_animal = hidden_by_obstacle = 0
    for t in range(0, 120, 3):
        points, seen = scene.points(t), scene.visible(t)
        inside = scene.inside(t)
        assert not (seen & ~inside).any()
        covered = inside & ~seen
        hidden_by_animal += covered[:2].sum()
        hidden_by_obstacle += covered[2].sum()
        labelled = scene.frame(t)[1]
        np.testing.assert_array_equal(np.isfinite(labelled).all(axis=2), seen)
        np.testing.assert_array_equal(labelled[seen], points[seen])
    assert hidden_by_animal > 10
    assert hidden_by_obstacle > 5


def test_the_top_animal_is_hidden_only_at_the_rim_without_obstacles():
    scene = dataclasses.replace(SMALL, num_obstacles=0)
    for t in range(0, 60, 4):
        np.testing.assert_array_equal(scene.visible(t)[-1], scene.inside(t)[-1])


def test_labels_guess_a_few_covered_nodes():
    scene = Scene(num_animals=4, height=64, width=64, seed=2, num_obstacles=1, body_length=30)
    guessed = covered = 0
    for t in range(0, 200, 2):
        labelled, seen = np.isfinite(scene.labelled_points(t)[..., 0]), scene.visible(t)
        assert labelled[seen].all()
        guessed += (labelled & ~seen).sum()
        covered += (scene.inside(t) & ~seen).sum()
    assert abs(guessed / covered - GUESSED_FRACTION) < 0.08


def test_an_empty_arena():
    image, points, ids = Scene(num_animals=0, height=32, width=48).frame(3)
    assert image.shape == (32, 48, 3)
    assert points.shape == (0, len(NODE_NAMES), 2)
    assert len(ids) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"num_animals": -1},
        {"channels": 4},
        {"height": 12},
        {"body_length": 500.0},
        {"num_obstacles": -1},
        {"seed": -1},
    ],
)
def test_impossible_scenes_are_refused(change: dict):
    with pytest.raises(DataError):
        dataclasses.replace(SMALL, **change)


@pytest.mark.parametrize("channels", [1, 3])
def test_embedded_labels_hold_the_drawn_frames(tmp_path: Path, channels: int):
    scene = dataclasses.replace(SMALL, channels=channels)
    labels = synthetic_labels(tmp_path / "labels.pkg.slp", scene, num_frames=5, num_clips=2)
    assert [frame.frame_idx for frame in labels] == [0, FRAME_STEP, 2 * FRAME_STEP, 0, FRAME_STEP]
    assert [video.source_video for video in labels.videos] == [None, None]
    assert [track.name for track in labels.tracks] == ["animal_0", "animal_1"]
    assert len(labels.skeletons) == 1
    frame = labels.labeled_frames[1]
    np.testing.assert_array_equal(frame.image, scene.image(FRAME_STEP))
    expected = scene.labelled_points(FRAME_STEP)
    for instance in frame.instances:
        assert instance.track is not None
        number = labels.tracks.index(instance.track)
        np.testing.assert_allclose(instance.numpy(), expected[number], atol=1e-4)
    second = dataclasses.replace(scene, seed=scene.seed + 1000)
    np.testing.assert_array_equal(labels.labeled_frames[3].image, second.image(0))


def test_empty_frames_are_embedded_too(tmp_path: Path):
    scene = dataclasses.replace(SMALL, num_animals=0)
    labels = synthetic_labels(tmp_path / "labels.pkg.slp", scene, num_frames=2)
    np.testing.assert_array_equal(labels.labeled_frames[1].image, scene.image(FRAME_STEP))


def test_labels_beside_clips_read_the_same_frames(tmp_path: Path):
    labels = synthetic_labels(tmp_path / "labels.slp", SMALL, num_frames=2, embed=False)
    assert labels.video.shape == (FRAME_STEP + 1, 64, 80, 1)
    difference = labels.labeled_frames[1].image.astype(int) - SMALL.image(FRAME_STEP)
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("counts", [(0, 1), (3, 0)])
def test_labels_need_frames_and_clips(tmp_path: Path, counts: tuple[int, int]):
    with pytest.raises(DataError, match="At least one"):
        synthetic_labels(tmp_path / "labels.pkg.slp", SMALL, *counts)


@pytest.mark.parametrize("channels", [1, 3])
def test_dataset_of_labels_video_and_truth(tmp_path: Path, channels: int):
    scene = dataclasses.replace(SMALL, channels=channels)
    dataset = write_dataset(tmp_path / "data", scene, num_labels=3, num_video_frames=6, num_clips=2, fps=25)
    video = load_video(str(dataset.video))
    assert video.shape == (6, 64, 80, channels)
    assert video.fps == pytest.approx(25)
    difference = video[5].astype(float) - scene.image(5)
    assert np.abs(difference).mean() < 5
    assert np.abs(difference.mean(axis=(0, 1))).max() < 3

    truth = load_slp(str(dataset.truth))
    assert [frame.frame_idx for frame in truth] == list(range(6))
    assert len(load_slp(str(dataset.labels))) == 3
    for frame in truth:
        points, seen = scene.points(frame.frame_idx), scene.visible(frame.frame_idx)
        for number, instance in enumerate(frame.instances):
            np.testing.assert_array_equal(np.isfinite(instance.numpy()[:, 0]), seen[number])
            np.testing.assert_allclose(instance.numpy(invisible_as_nan=False), points[number], atol=1e-4)


def test_training_frames_do_not_come_from_the_video(tmp_path: Path):
    dataset = write_dataset(tmp_path, SMALL, num_labels=2, num_video_frames=1, num_clips=1)
    first = load_slp(str(dataset.labels)).labeled_frames[0]
    assert np.abs(first.image.astype(int) - SMALL.image(0)).mean() > 3


def test_odd_sizes_cannot_be_videos(tmp_path: Path):
    with pytest.raises(DataError, match="even"):
        write_dataset(tmp_path, dataclasses.replace(SMALL, width=81), num_labels=1, num_video_frames=2)


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        write_dataset(tmp_path / "file", SMALL)
