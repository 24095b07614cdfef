import numpy as np

from sleap_nn.data.synthetic import Scene
from sleap_nn.data.synthetic_tracks import Detector, crossing_animals


def test_a_perfect_detector_finds_what_is_visible() -> None:
    truth = [np.arange(24.0).reshape(3, 4, 2) + t for t in range(5)]
    truth[2][1, 1:] = np.nan
    found, animals = Detector(jitter=0, missed=0, gaps=0, min_nodes=3).detect(truth, seed=0)
    assert [sorted(own.tolist()) for own in animals] == [[0, 1, 2], [0, 1, 2], [0, 2], [0, 1, 2], [0, 1, 2]]
    for entry, own, points in zip(found, animals, truth, strict=True):
        assert (entry.points == points[own].astype(np.float32)).all()


def test_animals_are_missed_and_lost_as_asked() -> None:
    truth = [np.zeros((4, 5, 2))] * 2000
    found, _ = Detector(missed=0.2, gaps=0).detect(truth, seed=1)
    assert abs(np.mean([len(entry) for entry in found]) / 4 - 0.8) < 0.02
    lost, animals = Detector(missed=0, gaps=0.01, longest_gap=5).detect(truth, seed=1)
    seen = np.zeros((2000, 4), bool)
    for t, own in enumerate(animals):
        seen[t, own] = True
    assert 0 < (~seen).sum() < 0.1 * seen.size
    assert len(lost) == 2000


def test_the_seed_decides() -> None:
    truth = crossing_animals(Scene(num_animals=2, height=96, width=96), 4)
    assert truth[0].shape[0] == 2
    first, again, other = (Detector().detect(truth, seed)[0] for seed in (0, 0, 1))
    assert all(np.array_equal(a.points, b.points, equal_nan=True) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.points, b.points, equal_nan=True) for a, b in zip(first, other, strict=True))
