from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from sleap_nn.evaluation.keypoints import match_keypoints
from sleap_nn.evaluation.matches import FramePoints, Matches
from sleap_nn.run_report.reader import Run, read_run
from sleap_nn.run_report.scores import SplitScores
from sleap_nn.structures.skeleton import Skeleton


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on one animal, with all three splits."""
    folder = tmp_path_factory.mktemp("runs") / "single"
    write_run(folder, splits=("train", "val", "test"))
    return folder


@pytest.fixture(scope="session")
def single_run(single: Path) -> Run:
    return read_run(single)


@pytest.fixture(scope="session")
def centroid_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of a centroid model on two animals."""
    folder = tmp_path_factory.mktemp("runs") / "centroid"
    write_run(folder, "centroid", num_animals=2)
    return read_run(folder)


def make_matches(truth: np.ndarray, predicted: np.ndarray, scores: np.ndarray | None = None) -> Matches:
    """Pair the instances of frames.

    Args:
        truth: (frames, instances, nodes, 2).
        predicted: The same.
        scores: (frames, instances); None: 1.
    """
    frames = [
        FramePoints(t, p, np.ones(len(p)) if scores is None else scores[index])
        for index, (t, p) in enumerate(zip(truth, predicted, strict=True))
    ]
    return match_keypoints(frames, 0.5, 1000.0, 0)


def make_scores(
    truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray | None = None, name: str = "val"
) -> SplitScores:
    """Return the scores of poses that belong to no labels file; `confidence` is (pairs, nodes)."""
    matches = make_matches(truth, predicted)
    num_nodes = truth.shape[2]
    tracks = (None,) * len(matches.indices)
    return SplitScores(
        name=name,
        skeleton=Skeleton(tuple(f"node {index}" for index in range(num_nodes))),
        one_point=False,
        anchor=None,
        matches=matches,
        frames=(),
        num_labelled=(~np.isnan(truth[..., 0])).sum(axis=(0, 1)),
        confidence=np.full((len(tracks), num_nodes), 0.5) if confidence is None else confidence,
        true_tracks=tracks,
        found_tracks=tracks,
        num_skipped=0,
    )


@pytest.fixture(name="make_scores")
def make_scores_fixture():
    return make_scores
