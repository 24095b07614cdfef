from dataclasses import replace

import cv2
import numpy as np
import pytest

from sleap_nn.errors import MissingFileError
from sleap_nn.run_report.examples import choose, draw_example, draw_frame
from sleap_nn.run_report.reader import Run

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", range(30))
def test_no_frame_is_chosen_twice_and_kinds_are_in_order(count: int):
    quality = RNG.permutation(count) / 30
    chosen = choose(quality)
    assert len({frame for _, frame in chosen}) == len(chosen) <= 12
    if count > 1:
        worst = [quality[frame] for kind, frame in chosen if kind == "worst"]
        median = [quality[frame] for kind, frame in chosen if kind == "median"]
        best = [quality[frame] for kind, frame in chosen if kind == "best"]
        assert worst[0] == quality.min()
        assert worst == sorted(worst)
        assert best == sorted(best, reverse=True)
        assert all(max(worst) < value < min(best, default=1) for value in median)
        assert not best or best[0] == quality.max()
    if count >= 12:
        assert [sum(kind == k for kind, _ in chosen) for k in ("worst", "median", "best")] == [6, 3, 3]


def test_the_median_is_among_the_median_frames():
    quality = RNG.permutation(101) / 100
    chosen = [quality[frame] for kind, frame in choose(quality) if kind == "median"]
    assert chosen == [0.49, 0.5, 0.51]


def test_frames_that_say_nothing_are_not_chosen():
    assert choose(np.array([np.nan, 0.5, np.nan, 0.7])) == [("worst", 1), ("median", 3)]
    assert choose(np.full(3, np.nan)) == []


def test_equally_good_frames_have_no_order():
    assert choose(np.zeros(20)) == [("any", frame) for frame in range(6)]


def test_an_example_shows_its_frame_and_says_how_far_it_is_off(single_run: Run):
    scores = single_run.scores["val"]
    example = draw_example(scores, "worst", 2)
    labelled = scores.frames[2][0]
    dataset = labelled.video.backend_metadata["dataset"].partition("/")[0]
    assert example.place == f"labels.pkg.slp:{dataset}, frame {labelled.frame_idx}"
    distances = scores.matches.distances[2]
    assert example.facts.startswith(f"OKS {scores.quality[2]:.2f}, mean error {np.nanmean(distances):.2f} px, largest")
    image = cv2.imdecode(np.frombuffer(example.image, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1::-1] == example.size
    assert np.ptp(image.astype(int), axis=2).max() > 60, "points are in colour"


def test_missed_and_surplus_animals_are_counted(centroid_run: Run):
    scores = centroid_run.scores["val"]
    example = draw_example(scores, "best", 1)
    assert example.facts.startswith("mean error")
    labelled, _ = scores.frames[1]
    nothing = type(labelled)(video=labelled.video, frame_idx=labelled.frame_idx)
    matches = scores.matches
    kept = matches.indices[:, 0] != 1
    lost = np.concatenate([matches.missed, [[1, 0], [1, 1]]])
    fewer = replace(
        matches,
        truth=matches.truth[kept],
        predicted=matches.predicted[kept],
        similarities=matches.similarities[kept],
        scores=matches.scores[kept],
        indices=matches.indices[kept],
        missed=lost,
    )
    frames = (scores.frames[0], (labelled, nothing), *scores.frames[2:])
    assert draw_example(replace(scores, matches=fewer, frames=frames), "worst", 1).facts == "2 animals missed"


def test_a_video_that_is_gone_is_named(single_run: Run, monkeypatch: pytest.MonkeyPatch):
    scores = single_run.scores["val"]
    video = scores.frames[0][0].video
    monkeypatch.setattr(type(video), "exists", lambda self, *a, **k: False)
    with pytest.raises(MissingFileError, match=r"labels\.pkg\.slp"):
        draw_example(scores, "worst", 0)


@pytest.mark.parametrize(
    ("size", "points"),
    [
        ((60, 80), [[20.0, 20], [40, 30]]),
        ((1000, 1500), [[700.0, 400], [760, 450]]),
        ((1000, 1500), [[0.0, 0], [1499, 999]]),
        ((60, 80), [[20.0, 20], [20, 20]]),
        ((60, 80), [[-500.0, 20], [2000, 30]]),
        ((60, 80), [[-500.0, -20], [-400, -30]]),
        ((60, 80), [[np.nan, np.nan], [np.nan, np.nan]]),
        ((1, 1), [[0.0, 0], [0, 0]]),
    ],
)
def test_pictures_have_a_size_to_look_at(size: tuple[int, int], points: list):
    image = np.full((*size, 1), 90, np.uint8)
    pose = np.array([points])
    drawn = draw_frame(image, pose, pose, [(0, 1)])
    assert drawn.dtype == np.uint8
    assert max(drawn.shape[:2]) <= 640
    assert min(size) < 10 or max(drawn.shape[:2]) >= 220


def test_small_animals_are_enlarged():
    image = np.zeros((1000, 1000, 3), np.uint8)
    image[480:520, 480:520] = (0, 0, 200)
    pose = np.array([[[485.0, 485], [515, 515]]])
    drawn = draw_frame(image, pose, pose, [])
    assert (drawn[..., 2] > 150).mean() > 0.15
