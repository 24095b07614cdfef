from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sleap_nn.tracking.ends import Ends
from sleap_nn.tracking.evidence import Descriptions, LikelihoodRatio, LookEvidence, MotionEvidence, SightEvidence
from sleap_nn.tracking.tracklets import Tracklet


def walkers(num_animals: int, num_frames: int, seed: int = 0) -> list[Tracklet]:
    """Animals of three nodes on smooth random ways."""
    rng = np.random.default_rng(seed)
    speeds = rng.normal(0, 0.3, (num_frames, num_animals, 2)).cumsum(axis=0)
    places = rng.uniform(0, 500, (num_animals, 2)) + np.clip(speeds, -4, 4).cumsum(axis=0)
    points = places[:, :, None] + np.array([[0.0, 0.0], [20.0, 0.0], [10.0, 10.0]]) + rng.normal(0, 0.5, (3, 2))
    frames = np.arange(num_frames)
    return [Tracklet(frames, np.stack([frames, 0 * frames + i], axis=1), points[:, i]) for i in range(num_animals)]


def test_far_costs_more_than_near_and_no_kind_of_evidence_rules_alone() -> None:
    ratio = LikelihoodRatio.fit((np.log(0.05), 0.5), (np.log(3.0), 0.8), 1e-4)
    costs = ratio(np.array([0.0, 0.02, 0.05, 0.2, 1.0, 5.0, 500.0, np.nan]))
    assert (np.diff(costs[:-1]) >= 0).all()
    assert costs[2] < -3 < 3 < costs[5]
    assert costs[6] <= -np.log(1e-4) + 1e-6
    assert costs[7] == 0


def test_what_goes_on_costs_less_than_what_others_do() -> None:
    stretches = walkers(6, 400)
    evidence = MotionEvidence.measure(stretches, 25.0)
    gap = 4
    before = [stretch.part(180, 200) for stretch in stretches]
    after = [stretch.part(200 + gap - 1, 230) for stretch in stretches]
    own = evidence(Ends.last(before), Ends.first(after))
    others = evidence(Ends.last(before), Ends.first([*after[1:], after[0]]))
    assert (own < -2).all()
    assert (others > 2).all()


def hidden(stretch: Tracklet, node: int) -> Tracklet:
    """Return a stretch in which one node is never seen."""
    points = stretch.points.copy()
    points[:, node] = np.nan
    return replace(stretch, points=points)


def test_the_same_nodes_in_sight_speak_for_one_animal() -> None:
    evidence = SightEvidence.measure([hidden(stretch, i % 3) for i, stretch in enumerate(walkers(6, 400))])
    assert evidence is not None
    assert (np.diff(evidence.table) >= 0).all()
    whole = walkers(6, 400)
    before = Ends.last([hidden(stretch.part(180, 200), 0) for stretch in whole])
    own, other = (evidence(before, Ends.first([hidden(s.part(200, 230), node) for s in whole])) for node in (0, 1))
    assert (own + 3 < other).all()


def test_nodes_that_all_animals_show_say_nothing() -> None:
    evidence = SightEvidence.measure(walkers(6, 400))
    assert evidence is not None
    assert abs(evidence.table[0]) < 0.1
    assert SightEvidence.measure(walkers(6, 3)) is SightEvidence.measure([]) is None


def test_speeds_are_believed_where_they_help() -> None:
    """Animals that keep their way: without speed a link over 8 frames would miss by more than with it."""
    evidence = MotionEvidence.measure(walkers(4, 400), 25.0)
    assert evidence.dampings[0] > 0
    assert evidence.dampings[4] >= 4


def test_little_to_learn_from_is_no_error() -> None:
    stretches = walkers(2, 3)
    evidence = MotionEvidence.measure(stretches, 25.0)
    assert evidence(Ends.last(stretches), Ends.first(stretches)).shape == (2,)
    assert LookEvidence.measure(described([np.zeros((3, 2))])) is None


def described(values: list[np.ndarray]) -> Descriptions:
    bounds = np.cumsum([0, *(len(own) for own in values)])
    rows = [np.arange(start, stop) for start, stop in pairwise(bounds)]
    return Descriptions(np.concatenate(values), rows, np.zeros(len(values), np.int64))


def test_looks_tell_animals_apart_as_far_as_they_differ() -> None:
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    different = described([mean + rng.normal(0, 1, (200, 3)) for mean in means])
    equal = described([rng.normal(0, 1, (200, 3)) for _ in means])
    lengths = np.full(2, 50)
    costs = {}
    for name, descriptions in (("different", different), ("equal", equal)):
        evidence = LookEvidence.measure(descriptions)
        assert evidence is not None
        costs[name] = evidence(means[[0, 0]], means[[0, 1]], lengths)
    assert costs["different"][0] < -2 < 2 < costs["different"][1]
    assert np.abs(costs["equal"][0]) < 1


def test_means_leave_out_what_is_unknown() -> None:
    descriptions = described([np.array([[1.0, np.nan], [3.0, np.nan]]), np.array([[5.0, 6.0]])])
    assert descriptions.means() == pytest.approx(np.array([[2.0, np.nan], [5.0, 6.0]]), nan_ok=True)
