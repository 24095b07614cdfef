import numpy as np
import pytest
from factories import make_labels
from sleap_io.model.instance import PredictedInstance
from sleap_io.model.labels import Labels

from sleap_nn.data.labels import LabelSet
from sleap_nn.data.splits import labeled_indices, split_labels, subset
from sleap_nn.errors import DataError


def times(labels: Labels) -> list[int]:
    return [frame.frame_idx for frame in labels]


def make_split(num_frames: int, fraction: float, seed: int | None = 42) -> tuple[list[int], list[int]]:
    train, val = split_labels(make_labels(num_frames), fraction, seed)
    return times(train), times(val)


def without_user_instances(labels: Labels, indices: list[int]) -> None:
    """Turn the instances of some frames into predictions."""
    for index in indices:
        frame = labels.labeled_frames[index]
        frame.instances[:] = [
            PredictedInstance.from_numpy(instance.numpy(), skeleton=labels.skeletons[0]) for instance in frame
        ]


@pytest.mark.parametrize(
    ("num_frames", "fraction", "num_train", "num_val"),
    [
        (2, 0.1, 1, 1),
        (2, 0.99, 1, 1),
        (7, 0.1, 6, 1),
        (10, 0.2, 8, 2),
        (10, 0.1, 9, 1),
        (33, 0.1, 30, 3),
        (100, 0.1, 90, 10),
        (10, 0.5, 5, 5),
    ],
)
def test_every_frame_is_on_exactly_one_side(num_frames: int, fraction: float, num_train: int, num_val: int) -> None:
    train, val = make_split(num_frames, fraction)
    assert (len(train), len(val)) == (num_train, num_val)
    assert sorted(train + val) == [10 * index for index in range(num_frames)]


def test_the_seed_decides() -> None:
    assert make_split(30, 0.3, 1) == make_split(30, 0.3, 1)
    assert make_split(30, 0.3, 1) != make_split(30, 0.3, 2)
    drawn = {tuple(make_split(30, 0.3, None)[1]) for _ in range(3)}
    assert len(drawn) > 1


def test_no_frame_is_favoured() -> None:
    labels = make_labels(8)
    chosen = np.zeros(8)
    for seed in range(200):
        _, val = split_labels(labels, 0.25, seed)
        chosen[[time // 10 for time in times(val)]] += 1
    assert chosen.sum() == 400
    assert chosen.min() > 25


def test_a_single_frame_is_on_both_sides() -> None:
    assert make_split(1, 0.1) == ([0], [0])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 1.5])
def test_a_fraction_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match=f"validation_fraction is {fraction}"):
        make_split(5, fraction)


def test_frames_without_user_labels_are_in_no_part() -> None:
    labels = make_labels(6)
    without_user_instances(labels, [1, 4])
    labels.labeled_frames[2].instances = []
    labels.labeled_frames[3].instances[0].points["visible"] = False
    train, val = split_labels(labels, 0.5, 0)
    assert sorted(times(train) + times(val)) == [0, 50]
    assert labeled_indices(labels) == [0, 5]
    assert labeled_indices(labels, user_instances_only=False) == [0, 1, 4, 5]
    train, val = split_labels(labels, 0.5, 0, user_instances_only=False)
    assert sorted(times(train) + times(val)) == [0, 10, 40, 50]


def test_flags_without_coordinates_do_not_count() -> None:
    labels = make_labels(3)
    (instance,) = labels.labeled_frames[1].instances
    instance.points["xy"] = np.nan
    instance.points["visible"] = True
    assert labeled_indices(labels) == [0, 2]


def test_labels_without_labels_are_refused() -> None:
    labels = make_labels(2)
    without_user_instances(labels, [0, 1])
    with pytest.raises(DataError, match="user-labelled"):
        split_labels(labels, 0.5, 0)


def test_the_parts_are_usable_and_the_source_is_not_changed() -> None:
    labels = make_labels(6, num_animals=2)
    labels.provenance["filename"] = "a.slp"
    before = times(labels), list(labels.videos)
    train, val = split_labels(labels, 0.3, 3)
    assert (times(labels), list(labels.videos)) == before
    whole = {frame.key: frame.points for frame in LabelSet.from_labels([labels]).frames}
    for part in (train, val):
        assert part.videos == labels.videos
        assert part.provenance == {"filename": "a.slp"}
        for frame in LabelSet.from_labels([part]).frames:
            assert np.array_equal(frame.points, whole[frame.key], equal_nan=True)
    train.provenance["filename"] = "b.slp"
    assert labels.provenance["filename"] == "a.slp"


def test_a_subset_keeps_the_order_asked_for() -> None:
    labels = make_labels(4)
    assert times(subset(labels, [2, 0])) == [20, 0]
    assert len(subset(labels, [])) == 0
