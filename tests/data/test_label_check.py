from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from factories import make_labels
from sleap_io.model.video import Video

from sleap_nn.data.findings import Finding, LabelReport
from sleap_nn.data.label_check import Purpose, check_labels
from sleap_nn.data.labels import LabeledFrame, LabelSet
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton

STRICT = Purpose(mirrored=True, identities=True)
HEIGHT, WIDTH = 128, 160
Change = Callable[[np.ndarray], None]


@pytest.fixture(scope="module")
def pairs_of_animals() -> LabelSet:
    """Return 60 frames with two animals each, as a careful person labels them."""
    return LabelSet.from_labels([make_labels(60, HEIGHT, WIDTH, num_animals=2, seed=1)])


@pytest.fixture(scope="module")
def single_animals() -> LabelSet:
    return LabelSet.from_labels([make_labels(60, HEIGHT, WIDTH, seed=2)])


def changed(labels: LabelSet, numbers: list[int], change: Change) -> LabelSet:
    """Return labels with the points (I, N, 2) of some frames changed."""
    frames = list(labels.frames)
    for number in numbers:
        points = frames[number].points.copy()
        change(points)
        frames[number] = replace(frames[number], points=points)
    return replace(labels, frames=tuple(frames))


def with_instances(labels: LabelSet, number: int, points: np.ndarray, class_ids: list[int]) -> LabelSet:
    frames = list(labels.frames)
    frames[number] = LabeledFrame(frames[number].key, points.astype(np.float32), np.array(class_ids))
    return replace(labels, frames=tuple(frames))


def frame_indices(labels: LabelSet, numbers: list[int]) -> list[int]:
    return [labels.frames[number].key.frame for number in numbers]


def only(report: LabelReport) -> Finding:
    (finding,) = report.findings
    return finding


def named(report: LabelReport, kind: str) -> Finding:
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


def frames_of(finding: Finding) -> list[int]:
    return [place.frame for place in finding.places]


@pytest.mark.parametrize("num_animals", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_clean_labels_give_nothing(num_animals: int, seed: int) -> None:
    labels = LabelSet.from_labels([make_labels(60, HEIGHT, WIDTH, num_animals, seed)])
    report = check_labels([labels], replace(STRICT, one_animal=num_animals == 1))
    assert report.findings == ()
    assert report.scope == f"60 frames with {labels.num_instances} instances"


def test_points_off_the_frame(single_animals: LabelSet) -> None:
    def move(points: np.ndarray) -> None:
        points[0, 0] = (WIDTH + 3, 20)
        points[0, 1] = (20, -4)

    finding = named(check_labels([changed(single_animals, [4, 9], move)], STRICT), "off_frame")
    assert finding.summary.startswith("4 points outside the image")
    assert frames_of(finding) == frame_indices(single_animals, [4, 9])
    assert finding.places[0].detail.startswith("snout, left_ear of the instance at (")


def test_points_on_the_border_are_in_the_frame(single_animals: LabelSet) -> None:
    def move(points: np.ndarray) -> None:
        points[0, 0] = (WIDTH, -0.5)

    report = check_labels([changed(single_animals, [4], move)], STRICT)
    assert "off_frame" not in [finding.kind for finding in report.findings]


def test_without_the_size_of_the_frame_only_negative_points_are_off_it(single_animals: LabelSet) -> None:
    def move(points: np.ndarray) -> None:
        points[0, 0] = (WIDTH + 3, 20)
        points[0, 1] = (20, -4)

    video = Video("gone.mp4", open_backend=False)
    labels = replace(changed(single_animals, [4], move), videos=(video,))
    assert named(check_labels([labels], STRICT), "off_frame").summary.startswith("1 point outside")


def test_exchanged_ears(pairs_of_animals: LabelSet) -> None:
    left, right = pairs_of_animals.skeleton.symmetries[0]
    numbers = [
        i for i, frame in enumerate(pairs_of_animals.frames) if np.isfinite(frame.points[1, [left, right]]).all()
    ]

    def exchange(points: np.ndarray) -> None:
        points[1, [left, right]] = points[1, [right, left]]

    finding = only(check_labels([changed(pairs_of_animals, numbers[:3], exchange)], STRICT))
    assert finding.kind == "left_right"
    assert finding.summary == "Left and right may be exchanged in 3 instances"
    assert frames_of(finding) == frame_indices(pairs_of_animals, numbers[:3])
    names = pairs_of_animals.skeleton.node_names
    assert finding.places[0].detail.startswith(f"{names[left]}/{names[right]} of the instance at (")


def test_an_animal_that_is_labelled_the_wrong_way_round(single_animals: LabelSet) -> None:
    order = single_animals.skeleton.mirrored_order()
    paired = [node for pair in single_animals.skeleton.symmetries for node in pair]
    number = next(i for i, f in enumerate(single_animals.frames) if np.isfinite(f.points[0, paired]).all())

    def exchange(points: np.ndarray) -> None:
        points[:] = points[:, order]

    finding = only(check_labels([changed(single_animals, [number], exchange)], STRICT))
    assert finding.places[0].detail.startswith("all pairs of the instance")


def stretch(points: np.ndarray) -> None:
    """Move the snout far away."""
    points[0, 0] = np.nanmean(points[0], axis=0) + 3 * WIDTH


def test_giants_are_measured_against_their_own_video(single_animals: LabelSet) -> None:
    finding = named(check_labels([changed(single_animals, [20], stretch)], Purpose()), "giant")
    assert finding.summary == "1 instance far larger than the others"
    assert frames_of(finding) == frame_indices(single_animals, [20])
    assert "px are usual" in finding.places[0].detail
    frame = next(frame for frame in single_animals.frames if frame.key.frame == finding.places[0].frame)
    middle = np.nanmedian(frame.points[0, 1:], axis=0)
    x, y = map(float, finding.places[0].detail.rpartition("(")[2].rstrip(")").split(","))
    assert np.hypot(*(middle - (x, y))) < WIDTH / 8, "the place is that of the animal, not of its stray point"
    zoomed = LabelSet.from_labels([make_labels(60, 3 * HEIGHT, 3 * WIDTH, seed=2)])
    assert check_labels([single_animals, zoomed], Purpose()).findings == ()


def test_many_large_animals_are_no_giants(single_animals: LabelSet) -> None:
    report = check_labels([changed(single_animals, list(range(10)), stretch)], Purpose())
    assert "giant" not in [finding.kind for finding in report.findings]


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_an_instance_labelled_twice(pairs_of_animals: LabelSet, shift: float) -> None:
    points = pairs_of_animals.frames[7].points
    labels = with_instances(pairs_of_animals, 7, np.concatenate([points, points[1:] + shift]), [0, 1, -1])
    finding = only(check_labels([labels], STRICT))
    assert finding.kind == "duplicate"
    assert finding.summary.startswith("1 instance with nearly the same points")
    assert frames_of(finding) == frame_indices(labels, [7])


def test_animals_that_touch_are_not_the_same(pairs_of_animals: LabelSet) -> None:
    points = pairs_of_animals.frames[7].points
    labels = with_instances(pairs_of_animals, 7, np.concatenate([points, points[1:] + 6]), [0, 1, -1])
    assert check_labels([labels], STRICT).findings == ()


def test_instances_with_a_single_point(pairs_of_animals: LabelSet) -> None:
    def hide(points: np.ndarray) -> None:
        points[0] = np.nan
        points[0, 0] = (5, 5)

    finding = only(check_labels([changed(pairs_of_animals, [3], hide)], STRICT))
    assert finding.kind == "single_point"
    assert finding.places[0].detail == "only snout at (5, 5)"


def test_one_node_is_enough_for_a_skeleton_of_one() -> None:
    frames = tuple(
        LabeledFrame(FrameKey(0, i), np.full((1, 1, 2), 5 + i, np.float32), np.array([-1])) for i in range(30)
    )
    video = Video("a.mp4", backend_metadata={"shape": (30, 90, 90, 1)}, open_backend=False)
    assert check_labels([LabelSet(Skeleton(("middle",)), (video,), frames, ())], STRICT).findings == ()


@pytest.mark.parametrize(("num_visible", "word"), [(0, "never"), (2, "2 times")])
def test_nodes_that_are_hardly_ever_visible(single_animals: LabelSet, num_visible: int, word: str) -> None:
    def hide(points: np.ndarray) -> None:
        points[:, 5] = np.nan

    seen = [i for i, frame in enumerate(single_animals.frames) if np.isfinite(frame.points[0, 5]).all()]
    hidden = [i for i in range(len(single_animals)) if i not in seen[:num_visible]]
    finding = only(check_labels([changed(single_animals, hidden, hide)], STRICT))
    assert finding.kind == "rare_node"
    assert finding.summary == (
        f"1 node hardly ever visible in 60 instances: {single_animals.skeleton.node_names[5]} ({word})"
    )
    assert finding.places == ()


def test_a_frame_that_is_labelled_twice(single_animals: LabelSet) -> None:
    labels = replace(single_animals, frames=(*single_animals.frames, single_animals.frames[12]))
    finding = only(check_labels([labels], STRICT))
    assert finding.kind == "repeated_frame"
    assert frames_of(finding) == frame_indices(single_animals, [12])


def test_a_frame_that_trains_and_validates_is_the_business_of_the_split(single_animals: LabelSet) -> None:
    assert check_labels([single_animals, single_animals], STRICT).findings == ()


def test_mirrored_training_needs_the_symmetries_that_names_promise(single_animals: LabelSet) -> None:
    bare = replace(single_animals, skeleton=replace(single_animals.skeleton, symmetries=()))
    finding = only(check_labels([bare], STRICT))
    assert finding.kind == "no_symmetry"
    assert "No symmetry joins left_ear/right_ear" in finding.summary
    assert "flip_p=0" in finding.remedy
    assert check_labels([bare], Purpose(mirrored=False)).findings == ()


def test_a_body_that_differs_from_its_mirror_image_needs_symmetries_whatever_its_names(
    single_animals: LabelSet,
) -> None:
    names = tuple(f"n{i}" for i in range(len(single_animals.skeleton.node_names)))
    labels = replace(single_animals, skeleton=replace(single_animals.skeleton, node_names=names, symmetries=()))
    assert "sense of rotation" in only(check_labels([labels], STRICT)).summary


def test_one_track_for_two_instances(pairs_of_animals: LabelSet) -> None:
    labels = with_instances(pairs_of_animals, 2, pairs_of_animals.frames[2].points, [1, 1])
    finding = only(check_labels([labels], STRICT))
    assert finding.kind == "shared_track"
    assert finding.places[0].detail == "two instances of animal_1"
    assert check_labels([labels], Purpose(identities=False)).findings == ()
    nameless = with_instances(pairs_of_animals, 2, pairs_of_animals.frames[2].points, [-1, -1])
    assert check_labels([nameless], STRICT).findings == ()


def test_several_animals_for_a_model_of_one(pairs_of_animals: LabelSet) -> None:
    finding = only(check_labels([pairs_of_animals], Purpose(one_animal=True)))
    assert finding.kind == "several_animals"
    num_crowded = sum(len(frame.points) > 1 for frame in pairs_of_animals.frames)
    assert finding.summary.startswith(f"Several animals in {num_crowded} frames")
    assert check_labels([pairs_of_animals], Purpose()).findings == ()


def test_frames_are_named_by_their_own_video() -> None:
    first = LabelSet.from_labels([make_labels(30, HEIGHT, WIDTH, seed=1)])
    second = LabelSet.from_labels([make_labels(30, HEIGHT, WIDTH, seed=2)])
    videos = [Video(name, backend_metadata={"shape": (400, HEIGHT, WIDTH, 1)}, open_backend=False) for name in "ab"]

    def move(points: np.ndarray) -> None:
        points[0, 0] = (-9, 5)

    sets = [replace(first, videos=(videos[0],)), changed(replace(second, videos=(videos[1],)), [2], move)]
    finding = only(check_labels(sets, Purpose()))
    assert [(place.video, place.frame) for place in finding.places] == [("b", second.frames[2].key.frame)]


@pytest.mark.parametrize("num_frames", [1, 2, 40])
@pytest.mark.parametrize("num_instances", [0, 1, 3])
@pytest.mark.parametrize("kind", ["no points", "one point", "one place", "anywhere"])
def test_whatever_the_labels_no_check_fails(num_frames: int, num_instances: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-50, 300, (num_frames, num_instances, 5, 2)).astype(np.float32)
    if kind == "no points":
        points[:] = np.nan
    elif kind == "one point":
        points[:, :, 1:] = np.nan
    elif kind == "one place":
        points[:] = 7
    frames = tuple(LabeledFrame(FrameKey(0, i), p, np.zeros(num_instances, np.int64)) for i, p in enumerate(points))
    skeleton = Skeleton(("a", "bL", "bR", "cL", "cR"), ((0, 1), (0, 2), (1, 3), (2, 4)), ((1, 2), (3, 4)))
    labels = LabelSet(skeleton, (Video("a.mp4", open_backend=False),), frames, ("x",))
    for sets in ([labels], [labels, labels]):
        report = check_labels(sets, Purpose(mirrored=True, identities=True, one_animal=True))
        report.lines()
        report.to_dict()
