import numpy as np
import pytest

from sleap_nn.data.synthetic import Scene
from sleap_nn.data.synthetic_tracks import Detector, crossing_animals
from sleap_nn.evaluation.identity import FrameIdentities, clear_mot, identity_f1
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.linking import _assigned, _best_links, link


@pytest.fixture(scope="module")
def crossing() -> tuple[list[Predictions], list[np.ndarray]]:
    """Three animals that cross, are missed and are lost for a while."""
    truth = crossing_animals(Scene(num_animals=3, height=384, width=384, seed=0), 110)
    return Detector().detect(truth, seed=0)


def scores(found: list[Predictions], animals: list[np.ndarray]) -> tuple[float, float]:
    """Return IDF1 and switches; instances are in the order in which they were found."""
    frames = []
    for entry, names in zip(found, animals, strict=True):
        assert entry.tracks is not None
        frames.append(FrameIdentities(names, entry.tracks, np.eye(len(names))))
    return identity_f1(frames, 0.5)["IDF1"], clear_mot(frames, 0.5)["switches"]


def test_animals_keep_their_identity(crossing: tuple[list[Predictions], list[np.ndarray]]) -> None:
    found, animals = crossing
    linked = link(found)
    assert scores(linked, animals) == (1.0, 0)
    assert all(a.points is b.points for a, b in zip(found, linked, strict=True))
    numbers = [number for entry in linked if entry.tracks is not None for number in entry.tracks.tolist()]
    assert sorted(set(numbers), key=numbers.index) == sorted(set(numbers))


def test_a_known_number_closes_gaps_that_are_too_long_to_be_sure(
    crossing: tuple[list[Predictions], list[np.ndarray]],
) -> None:
    _, animals = crossing
    kept = [
        entry.take(names != 0) if 40 <= i < 100 else entry
        for i, (entry, names) in enumerate(zip(*crossing, strict=True))
    ]
    known = [names[names != 0] if 40 <= i < 100 else names for i, names in enumerate(animals)]
    linked = link(kept, 3)
    assert len({number for entry in linked if entry.tracks is not None for number in entry.tracks.tolist()}) == 3
    assert scores(linked, known)[1] == 0


def test_who_lies_on_whom_is_kept_apart_by_the_nodes_in_sight() -> None:
    """Two animals stay on one spot for half of the time; the upper one hides nodes of the lower one."""
    rng = np.random.default_rng(0)
    body = np.array([[0, 0], [32, 0], [16, 24], [48, 12], [64, 0]])
    frames, animals = [], []
    for t in range(200):
        apart = max(0.0, 3 * abs(t - 100.0) - 150.0)
        order = rng.permutation(2)
        points = np.array([[-apart, 0.0], [apart, 1.0]])[:, None] + body + rng.normal(0, 1.0, (2, 5, 2))
        points[0, 3:] = np.nan
        points[1, 0] = np.nan
        ones = np.ones((2, 5), np.float32)
        frames.append(Predictions(FrameKey(0, t), points[order].astype(np.float32), ones, ones[:, 0]))
        animals.append(order)
    assert scores(link(frames, 2), animals) == (1.0, 0)


def test_looks_decide_where_nothing_else_does() -> None:
    """Two animals meet, are unseen while they are together, and part again: either may be either."""
    rng = np.random.default_rng(0)
    frames, animals, looks = [], [], []
    for t in range(160):
        away = abs(t - 80.0)
        places = (
            np.array([[-away, 3.0 * away], [away, -3.0 * away]])
            if t < 80
            else np.array([[-away, -3.0 * away], [away, 3.0 * away]])
        )
        order = rng.permutation(2) if abs(t - 80) > 12 else np.zeros(0, np.int64)
        points = (places[order, None] + rng.normal(0, 0.3, (len(order), 3, 2)) + [[0, 0], [8, 0], [4, 6]]).astype(
            np.float32
        )
        ones = np.ones((len(order), 3), np.float32)
        frames.append(Predictions(FrameKey(0, t), points, ones, ones[:, 0]))
        animals.append(order)
        looks.append(np.array([[0.0, 0.5], [0.5, 0.0]])[order] + rng.normal(0, 0.05, (len(order), 2)))
    for exchanged in (False, True):
        seen = [own[:, ::-1] if exchanged and t > 80 else own for t, own in enumerate(looks)]
        names = [1 - own if exchanged and t > 80 else own for t, own in enumerate(animals)]
        assert scores(link(frames, 2, seen), names) == (1.0, 0)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_next_to_nothing_is_no_error(count: int) -> None:
    empty = Predictions.empty(FrameKey(0, 0), 3)
    assert [len(entry) for entry in link([empty] * count, 2)] == [0] * count
    assert link([]) == []


def test_small_and_large_tables_are_assigned_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.nonzero(rng.random((30, 30)) < 0.2)
    _, rows = np.unique(rows, return_inverse=True)
    _, columns = np.unique(columns, return_inverse=True)
    gains = rng.uniform(0.1, 9, len(rows))
    gain = {(int(a), int(b)): float(g) for a, b, g in zip(rows, columns, gains, strict=True)}
    dense = _assigned(rows, columns, gains)
    monkeypatch.setattr("sleap_nn.tracking.linking.MOST_DENSE", 0)
    sparse = _assigned(rows, columns, gains)
    assert sum(gain[pair] for pair in dense) == pytest.approx(sum(gain[pair] for pair in sparse))


def moving(rng: np.random.Generator, num_animals: int, num_frames: int) -> list[Predictions]:
    """Frames of fast animals that are often missed, in any order."""
    places, speeds = rng.uniform(0, 200, (num_animals, 2)), rng.normal(0, 15, (num_animals, 2))
    shapes = rng.uniform(-12, 12, (num_animals, 3, 2))
    frames = []
    for t in range(num_frames):
        speeds = 0.9 * speeds + rng.normal(0, 6, speeds.shape)
        places = np.clip(places + speeds, 0, 200)
        seen = rng.permutation(num_animals)[: rng.integers(num_animals + 1)]
        points = (places[seen, None] + shapes[seen] + rng.normal(0, 0.7, (len(seen), 3, 2))).astype(np.float32)
        ones = np.ones((len(seen), 3), np.float32)
        frames.append(Predictions(FrameKey(0, t), points, ones, ones[:, 0]))
    return frames


@pytest.mark.parametrize("num_animals", [1, 2, 3, 5])
def test_there_are_never_more_tracks_than_animals(num_animals: int) -> None:
    rng = np.random.default_rng(num_animals)
    for _ in range(25):
        linked = link(moving(rng, num_animals, int(rng.integers(4, 20))), num_animals)
        tracks = [entry.tracks.tolist() for entry in linked if entry.tracks is not None]
        assert all(len(set(own)) == len(own) and min(own, default=0) >= 0 for own in tracks)
        assert len({track for own in tracks for track in own}) <= num_animals


def test_without_a_price_there_are_as_many_links_as_possible() -> None:
    """The costs are alike, large, and smallest for a pair that leaves two without a partner."""
    rows, columns = np.array([0, 0, 1]), np.array([2, 3, 2])
    assert _best_links(rows, columns, np.array([100.0, 101.0, 101.0]), np.inf, 4) == {0: 3, 1: 2}


def test_animals_that_jump_far_are_still_so_many() -> None:
    """All links cost the same, a lot."""
    ones = np.ones((2, 1), np.float32)
    places = np.array([[[[1, 1]], [[201, 1]]], [[[1, 501]], [[201, 501]]]], np.float32)
    linked = link([Predictions(FrameKey(0, t), own, ones, ones[:, 0]) for t, own in enumerate(places)], 2)
    assert sorted(track for entry in linked if entry.tracks is not None for track in entry.tracks.tolist()) == [
        0,
        0,
        1,
        1,
    ]


def test_more_instances_than_animals_in_a_frame_make_more_tracks() -> None:
    rng = np.random.default_rng(0)
    linked = link(moving(rng, 4, 20), 2)
    tracks = {track for entry in linked if entry.tracks is not None for track in entry.tracks.tolist()}
    assert len(tracks) == max(len(entry) for entry in linked)


@pytest.mark.parametrize("num_animals", [None, 5])
def test_the_order_of_instances_does_not_matter(num_animals: int | None) -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        frames = moving(rng, 5, 30)
        looks = [entry.points[:, 0, :1] / 200 for entry in frames]
        orders = [rng.permutation(len(entry)) for entry in frames]
        mixed = [entry.take(order) for entry, order in zip(frames, orders, strict=True)]
        plain = link(frames, num_animals, looks)
        other = link(mixed, num_animals, [own[order] for own, order in zip(looks, orders, strict=True)])
        names = set()
        for a, b, order in zip(plain, other, orders, strict=True):
            assert a.tracks is not None and b.tracks is not None
            names |= set(zip(a.tracks[order].tolist(), b.tracks.tolist(), strict=True))
        assert len(names) == len({name for name, _ in names}) == len({name for _, name in names})
