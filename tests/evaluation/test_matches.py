import numpy as np

from sleap_nn.evaluation.matches import FrameMatch, FramePoints, collect_matches, join_matches


def test_collect_matches_leaves_out_instances_without_points():
    nothing, a, b = np.full((2, 2), np.nan), np.zeros((2, 2)), np.ones((2, 2))
    frame = FramePoints(np.stack([nothing, a, b]), np.stack([nothing, b]), np.array([0.9, 0.8]))
    seen = []

    def match(kept):
        seen.append(kept)
        return FrameMatch(np.array([1]), np.array([0]), np.array([0.7]))

    empty = FramePoints(np.empty((0, 2, 2)), np.empty((0, 2, 2)), np.empty(0))
    matches = collect_matches(
        [empty, frame], lambda kept: match(kept) if len(kept.truth) else FrameMatch(*[np.empty(0, int)] * 3)
    )
    assert len(seen) == 1
    assert seen[0].truth.shape == (2, 2, 2)
    assert matches.indices.tolist() == [[1, 2, 1]], "indices are those of the instances as given"
    assert matches.missed.tolist() == [[1, 1]]
    assert matches.extra.tolist() == []
    assert matches.scores.tolist() == [0.8]
    assert matches.similarities.tolist() == [0.7]
    assert matches.counts() == {
        "frames": 2,
        "truth_instances": 2,
        "predicted_instances": 1,
        "matched": 1,
        "false_negatives": 1,
        "false_positives": 0,
        "points": 2,
    }


def test_collect_matches_of_nothing():
    matches = collect_matches([], lambda _: FrameMatch(*[np.empty(0, int)] * 3))
    assert matches.distances.shape == (0, 0)
    assert matches.counts()["frames"] == 0


def test_joined_matches_count_frames_through():
    def pair_first(frame):
        return FrameMatch(np.array([0]), np.array([0]), np.array([0.5]))

    def part(num_frames, score):
        points = np.full((2, 3, 2), score)
        return collect_matches([FramePoints(points, points, np.full(2, score))] * num_frames, pair_first)

    parts = [part(2, 1.0), part(1, 2.0)]
    joined = join_matches(parts)
    assert joined.indices.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert joined.missed.tolist() == joined.extra.tolist() == [[0, 1], [1, 1], [2, 1]]
    assert joined.scores.tolist() == [1, 1, 2]
    assert joined.truth[:, 0, 0].tolist() == joined.predicted[:, 0, 0].tolist() == [1, 1, 2]
    assert joined.num_frames == 3
    assert parts[1].indices.tolist() == [[0, 0, 0]], "the parts stay as they are"
