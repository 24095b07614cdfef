import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from sleap_nn.ops.grouping import Candidates, edge_order, enough_peaks, group_peaks, match_edges

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "paf_grouping.json").read_text())
Edges = list[tuple[int, int]]


def candidates(*rows: tuple[int, int, int, float]) -> Candidates:
    """Return rows of (edge, source, destination, score)."""
    edges, sources, destinations, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Candidates(
        np.array(edges, int), np.array(sources, int), np.array(destinations, int), np.array(scores, float)
    )


def group(nodes: list[int], edges: Edges, *rows: tuple[int, int, int, float]) -> tuple[list[set[int]], list[float]]:
    """Return the peaks of each instance that holds any, by first peak, and its score."""
    matches = match_edges(candidates(*rows), np.ones(len(nodes)), len(edges), 0.25)
    member, scores = group_peaks(np.array(nodes), matches, edge_order(edges))
    used = dict.fromkeys(member[member >= 0].tolist())
    return [set(np.flatnonzero(member == i).tolist()) for i in used], [float(scores[i]) for i in used]


def test_golden_grouping() -> None:
    pairs = GOLDEN["edge_peak_inds"]
    rows = [(e, a, b, s) for e, (a, b), s in zip(GOLDEN["edge_inds"], pairs, GOLDEN["line_scores"], strict=True)]
    heights = np.ones(len(GOLDEN["peaks"]))
    matches = match_edges(candidates(*rows), heights, len(GOLDEN["edges"]), 0.25)
    found = [score for match in matches for score in match.scores.tolist()]
    assert found == pytest.approx(GOLDEN["match_scores"])
    edges = [(a, b) for a, b in GOLDEN["edges"]]
    members, scores = group(GOLDEN["peak_channels"], edges, *rows)
    peaks, nodes = np.array(GOLDEN["peaks"]), np.array(GOLDEN["peak_channels"])
    for peaks_of, score, points, expected in zip(
        members, scores, GOLDEN["pred_instances"], GOLDEN["pred_instance_scores"], strict=True
    ):
        order = sorted(peaks_of, key=lambda peak: nodes[peak])
        np.testing.assert_allclose(peaks[order], points)
        assert score == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("seed", range(10))
def test_pairs_of_an_edge_have_the_highest_total(seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(0.3, 1, (4, 4))
    rows = [(0, a, 4 + b, float(scores[a, b])) for a in range(4) for b in range(4)]
    (match,) = match_edges(candidates(*rows), np.ones(8), 1, 0.25)
    best = max(sum(scores[a, b] for a, b in enumerate(order)) for order in permutations(range(4)))
    assert match.scores.sum() == pytest.approx(best)
    assert len(set(match.sources)) == len(set(match.destinations)) == 4


def test_undefined_and_low_scores_join_nothing() -> None:
    (match,) = match_edges(candidates((0, 0, 1, np.nan), (0, 0, 2, 0.24)), np.ones(3), 1, 0.25)
    assert len(match.scores) == 0
    (match,) = match_edges(candidates((0, 0, 1, np.nan), (0, 0, 2, 0.25)), np.ones(3), 1, 0.25)
    assert match.destinations.tolist() == [2]


def test_of_two_peaks_on_a_field_the_higher_is_joined() -> None:
    rows = [(0, 0, 2, 0.97), (0, 1, 2, 0.99), (1, 0, 3, 0.95), (1, 0, 4, 0.98), (1, 1, 3, 0.94), (1, 1, 4, 0.96)]
    first, second = match_edges(candidates(*rows), np.array([0.9, 0.25, 0.8, 0.9, 0.3]), 2, 0.25)
    assert (first.sources.tolist(), first.scores.tolist()) == ([0], [0.97])
    assert list(zip(second.sources.tolist(), second.destinations.tolist(), strict=True)) == [(0, 3), (1, 4)]


def test_a_pair_that_may_not_be_joined_takes_no_peak_from_another() -> None:
    rows = [(0, 0, 2, 0.9), (0, 0, 3, 0.3), (0, 1, 2, 0.3), (0, 1, 3, -4.0)]
    (match,) = match_edges(candidates(*rows), np.ones(4), 1, 0.25)
    assert list(zip(match.sources.tolist(), match.destinations.tolist(), strict=True)) == [(0, 2)]


def test_nothing_gives_nothing() -> None:
    assert group([], [(0, 1)]) == ([], [])
    assert group([0, 0, 1], [(0, 1)]) == ([], [])


@pytest.mark.parametrize(
    "edges",
    [
        [(0, 1), (2, 3)],  # two roots, two components
        [(0, 2), (1, 2), (2, 3)],  # two roots, one component
        [(0, 1), (1, 2), (2, 0)],  # a ring
        [(0, 1), (1, 2), (2, 1)],  # a ring behind a root
        [(0, 1), (0, 2), (1, 3), (2, 3)],  # two ways to a node
        [(3, 2), (2, 1), (1, 0)],
    ],
)
def test_every_edge_is_visited_once(edges: Edges) -> None:
    assert sorted(edge_order(edges)) == list(range(len(edges)))


def test_edges_near_a_root_come_first() -> None:
    assert edge_order([(2, 3), (1, 2), (0, 1), (0, 4)]) == [2, 3, 1, 0]


def test_a_ring_makes_one_instance() -> None:
    rows = [(0, 0, 1, 0.9), (1, 1, 2, 0.9), (2, 2, 0, 0.8)]
    members, scores = group([0, 1, 2], [(0, 1), (1, 2), (2, 0)], *rows)
    assert members == [{0, 1, 2}]
    assert scores == [pytest.approx(2.6)]


def test_a_source_joins_the_instance_of_its_destination() -> None:
    members, _ = group([0, 1, 2], [(0, 2), (1, 2)], (0, 0, 2, 0.9), (1, 1, 2, 0.9))
    assert members == [{0, 1, 2}]


def test_instances_without_a_common_node_become_one() -> None:
    members, scores = group([0, 1, 2, 3], [(0, 1), (2, 3), (1, 3)], (0, 0, 1, 0.5), (1, 2, 3, 0.5), (2, 1, 3, 0.5))
    assert members == [{0, 1, 2, 3}]
    assert scores == [pytest.approx(1.5)]


def test_an_instance_never_has_a_node_twice() -> None:
    edges = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 0)]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        nodes = np.sort(rng.integers(0, 4, 14))
        rows = [
            (edge, int(a), int(b), float(rng.uniform(0, 1)))
            for edge, (source, destination) in enumerate(edges)
            for a in np.flatnonzero(nodes == source)
            for b in np.flatnonzero(nodes == destination)
        ]
        members, _ = group(nodes.tolist(), edges, *rows)
        for peaks in members:
            assert len({int(nodes[peak]) for peak in peaks}) == len(peaks)


@pytest.mark.parametrize(("given", "fewest"), [(0, 0), (3, 3), (0.5, 2), (0.99, 4), (1, 1), (1.0, 1)])
def test_fewest_peaks_as_a_count_or_a_share(given: float, fewest: int) -> None:
    assert enough_peaks(given, 5) == fewest
