import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from sleap_nn.ops.matching import (
    greedy,
    greedy_in_order,
    hungarian,
    non_maximum_suppression,
    unmatched,
)
from sleap_nn.ops.similarity import box_iou, pairwise_distances

NMS = json.loads((Path(__file__).parents[1] / "golden" / "nms.json").read_text())


def as_pairs(result):
    return list(zip(*(indices.tolist() for indices in result), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_hungarian_is_the_cheapest_assignment(seed):
    cost = np.random.default_rng(seed).normal(size=(3, 4))
    rows, columns = hungarian(cost)
    cheapest = min(cost[range(3), list(chosen)].sum() for chosen in itertools.permutations(range(4), 3))
    assert rows.tolist() == [0, 1, 2]
    assert cost[rows, columns].sum() == pytest.approx(cheapest)


def test_hungarian_forbidden_pairs_do_not_take_partners():
    cost = np.array([[10.0, 60.0], [20.0, 75.0]])
    assert as_pairs(hungarian(cost)) == [(0, 1), (1, 0)]
    assert as_pairs(hungarian(cost, max_cost=50)) == [(0, 0)]


def test_hungarian_prefers_one_more_pair_over_a_smaller_total():
    cost = np.array([[-5.0, 0.0], [4.0, np.inf]])
    assert as_pairs(hungarian(cost)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("assign", [hungarian, greedy])
def test_assignment_without_possible_pairs(assign):
    assert as_pairs(assign(np.empty((0, 3)))) == []
    assert as_pairs(assign(np.array([[np.nan, np.inf]]))) == []
    assert as_pairs(assign(np.array([[np.nan, 1.0]]))) == [(0, 1)]
    assert as_pairs(assign(np.array([[2.0]]), max_cost=2.0)) == [(0, 0)]
    assert as_pairs(assign(np.array([[2.0]]), max_cost=1.9)) == []


def test_greedy_takes_the_cheapest_pair_first():
    cost = np.array([[1.0, 0.5], [2.0, 0.9], [0.7, 0.1]])
    assert as_pairs(greedy(cost)) == [(2, 1), (0, 0)]
    assert as_pairs(greedy(np.zeros((2, 2)))) == [(0, 0), (1, 1)]


def test_greedy_in_order_lets_rows_choose_in_turn():
    similarity = np.array([[0.9, 0.8], [0.95, 0.1], [0.5, 0.5]])
    same = np.zeros_like(similarity)
    assert as_pairs(greedy_in_order(similarity, np.array([0, 1, 2]), 0.0, same)) == [(0, 0), (1, 1)]
    assert as_pairs(greedy_in_order(similarity, np.array([1, 0, 2]), 0.0, same)) == [(1, 0), (0, 1)]
    assert as_pairs(greedy_in_order(similarity, np.array([1, 0, 2]), 0.8, same)) == [(1, 0)]


def test_greedy_in_order_breaks_ties_by_preference():
    similarity = np.array([[1.0, 1.0, 0.5]])
    assert as_pairs(greedy_in_order(similarity, np.array([0]), 0.0, np.array([[1, 2, 9]]))) == [(0, 1)]
    assert as_pairs(greedy_in_order(similarity, np.array([0]), 0.0, np.array([[2, 2, 9]]))) == [(0, 0)]


@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_suppression_golden(threshold):
    boxes = np.array(NMS["boxes"])
    kept = non_maximum_suppression(box_iou(boxes, boxes), np.array(NMS["scores"]), threshold)
    assert kept.tolist() == NMS[f"keep_thr{threshold}"]


def test_suppression_by_distance_and_with_unknown_values():
    points = np.array([[0.0, 0], [3, 0], [10, 0], [np.nan, np.nan]])
    scores = np.array([0.5, 0.9, 0.9, np.nan])
    closer_than = -pairwise_distances(points, points)
    assert non_maximum_suppression(closer_than, scores, -3.0).tolist() == [1, 2, 0, 3]
    assert non_maximum_suppression(closer_than, scores, -3.1).tolist() == [1, 2, 3]
    assert non_maximum_suppression(np.empty((0, 0)), np.empty(0), 0.5).tolist() == []


def test_unmatched():
    assert unmatched(4, np.array([2, 0])).tolist() == [1, 3]
    assert unmatched(0, np.empty(0, int)).tolist() == []
