import json
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.evaluation.matches import FramePoints


@pytest.fixture(scope="session")
def golden():
    return json.loads((Path(__file__).parents[1] / "golden" / "evaluation.json").read_text())


@pytest.fixture(scope="session")
def golden_frames(golden):
    return [
        FramePoints(
            np.array(frame["gt"], float),
            np.array([p["points"] for p in frame["pred"]], float),
            np.array([p["score"] for p in frame["pred"]]),
        )
        for frame in golden["frames"]
    ]


def make_video(name="clip.mp4", shape=(100, 64, 96, 1)):
    return sio.Video(filename=name, open_backend=False, backend_metadata={"shape": shape} if shape else {})


def make_labels(frames, nodes=("a", "b", "c"), video=None, predicted=False):
    """Make labels of one video from {frame index: points (I, N, 2) or (points, scores)}."""
    skeleton = sio.Skeleton(list(nodes))
    video = make_video() if video is None else video
    labeled = []
    for frame_idx, content in frames.items():
        points, scores = content if isinstance(content, tuple) else (content, np.ones(len(content)))
        instances = [
            sio.PredictedInstance.from_numpy(
                np.asarray(p, float), skeleton=skeleton, point_scores=np.ones(len(nodes)), score=float(s)
            )
            if predicted
            else sio.Instance.from_numpy(np.asarray(p, float), skeleton=skeleton)
            for p, s in zip(points, scores, strict=True)
        ]
        labeled.append(sio.LabeledFrame(video=video, frame_idx=frame_idx, instances=instances))
    return sio.Labels(labeled_frames=labeled, videos=[video], skeletons=[skeleton])


@pytest.fixture(name="make_video")
def make_video_fixture():
    return make_video


@pytest.fixture(name="make_labels")
def make_labels_fixture():
    return make_labels


@pytest.fixture
def golden_labels(golden, golden_frames):
    truth = {f["frame"]: points.truth for f, points in zip(golden["frames"], golden_frames, strict=True)}
    found = {
        f["frame"]: (points.predicted, points.scores) for f, points in zip(golden["frames"], golden_frames, strict=True)
    }
    return make_labels(truth), make_labels(found, predicted=True)
