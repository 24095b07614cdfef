import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from sleap_nn.ops.identity import assign_classes, group_by_class, same_identity

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "class_assignment.json").read_text())


@pytest.mark.parametrize("case", ["2", "3"])
def test_golden(case: str) -> None:
    classes, scores = assign_classes(np.array(GOLDEN[f"probs{case}"]))
    assert classes.tolist() == GOLDEN[f"inds{case}"]
    expected = [0 if p is None else p for p in GOLDEN[f"matched_probs{case}"]]
    assert scores.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_the_sum_of_probabilities_is_the_largest_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_instances, num_classes = (int(n) for n in rng.integers(1, 5, 2))
    probabilities = rng.random((num_instances, num_classes))
    classes, scores = assign_classes(probabilities)
    padded = [*range(num_classes), *[-1] * num_instances]
    best = max(
        sum(probabilities[i, c] for i, c in enumerate(chosen) if c >= 0)
        for chosen in itertools.permutations(padded, num_instances)
    )
    assert scores.sum() == pytest.approx(best)
    given = classes[classes >= 0]
    assert len(set(given.tolist())) == len(given)


def test_nothing_to_assign() -> None:
    classes, scores = assign_classes(np.zeros((0, 3)))
    assert (classes.tolist(), scores.tolist()) == ([], [])


def test_a_class_takes_one_peak_of_each_node_and_only_one_that_likes_it_best() -> None:
    nodes = np.array([0, 0, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.3], [0.1, 0.6], [0.4, 0.7]])
    assert group_by_class(nodes, probabilities, 2).tolist() == [0, -1, 1, 1]
    assert group_by_class(nodes[:2], probabilities[:2], 2).tolist() == [0, -1]
    assert group_by_class(nodes[:0], probabilities[:0], 2).tolist() == []


def test_of_two_peaks_on_an_animal_the_higher_one_is_taken() -> None:
    nodes = np.array([0, 0, 0])
    probabilities = np.array([[0.90, 0.05], [0.95, 0.05], [0.05, 0.90]])
    heights = np.array([0.9, 0.2, 0.8])
    assert group_by_class(nodes, probabilities, 1).tolist() == [-1, 0, 1]
    assert group_by_class(nodes, probabilities, 1, heights).tolist() == [0, -1, 1]


def test_a_peak_gets_the_class_that_is_left_if_that_has_some_probability() -> None:
    nodes, heights = np.array([0, 0, 1, 1]), np.ones(4)
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.9, 0.01], [0.8, 0.02]])
    assert group_by_class(nodes, probabilities, 2, heights).tolist() == [0, 1, 0, -1]
    assert group_by_class(nodes[:0], probabilities[:0], 2, heights[:0]).tolist() == []


def test_identities_are_counted() -> None:
    counted = same_identity(["a", "b", None, "a"], ["a", "a", "b", None])
    assert counted == {"n_pairs": 3, "n_right": 1, "n_wrong": 1, "n_missing": 1, "accuracy": pytest.approx(1 / 3)}
    assert math.isnan(same_identity([None], ["a"])["accuracy"])
