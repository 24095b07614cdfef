from typing import Any

import numpy as np
import pytest

from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import ConfigError
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.run import TrackingRun

SHAPE = np.array([[0.0, 0.0], [40.0, 10.0], [20.0, 45.0]])


def frames(places: list[list[float]], video: int = 0) -> list[Predictions]:
    """Frames of animals at these places along x; later ones have lower scores."""
    found = []
    for index, own in enumerate(places):
        points = np.array([SHAPE + np.array([x, 0.0]) for x in own], np.float32).reshape(-1, 3, 2)
        scores = np.linspace(1, 0.5, len(own)).astype(np.float32)
        found.append(Predictions(FrameKey(video, index), points, np.ones(points.shape[:2], np.float32), scores))
    return found


def tracks(found: list[Predictions], max_instances: int | None = None, **settings: Any) -> list[list[int]]:
    run = TrackingRun.from_config(TrackerConfig(**settings), 3, max_instances)
    finished = list(run.finished([run.update(entry) for entry in found]))
    return [entry.tracks.tolist() for entry in finished if entry.tracks is not None]


@pytest.mark.parametrize("tracker", ["online", "global"])
def test_numbers_go_on_from_video_to_video(tracker: str) -> None:
    found = frames([[0.0, 200.0]] * 3) + frames([[0.0], [1.0]], video=1)
    assert tracks(found, tracker=tracker) == [[0, 1]] * 3 + [[2]] * 2


@pytest.mark.parametrize("tracker", ["online", "global"])
def test_culling_before_tracking_keeps_the_best(tracker: str) -> None:
    found = frames([[0.0, 200.0, 400.0]] * 3)
    settings = {"tracker": tracker, "tracking_target_instance_count": 2, "tracking_pre_cull_to_target": 1}
    assert tracks(found, **settings) == [[0, 1]] * 3


def test_culling_after_tracking_and_joining_of_breaks() -> None:
    """The second animal jumps, and has a new track from then on; a third is there in one frame only."""
    found = frames([[0.0, 400.0], [0.0, 400.0], [0.0], [0.0, 600.0, 900.0], [0.0, 600.0]])
    plain = {"features": "centroids", "scoring_method": "euclidean_dist", "window_size": 1}
    assert tracks(found, **plain) == [[0, 1], [0, 1], [0], [0, 2, 3], [0, 2]]
    assert tracks(found, **plain, tracking_clean_instance_count=2) == [[0, 1], [0, 1], [0], [0, 1], [0, 1]]


def test_breaks_are_joined_where_the_number_is_known() -> None:
    found = frames([[0.0, 400.0], [0.0], [0.0], [0.0, 600.0]])
    settings = {"features": "centroids", "scoring_method": "euclidean_dist", "window_size": 1, "max_tracks": 9}
    joined = tracks(
        found, max_instances=2, **settings, candidates_method="local_queues", post_connect_single_breaks=True
    )
    assert joined == [[0, 1], [0], [0], [0, 1]]
    with pytest.raises(ConfigError, match="number of animals"):
        tracks(found, **settings, post_connect_single_breaks=True)


def test_global_tracks_obey_limits() -> None:
    found = frames([[0.0, 200.0]] * 6 + [[0.0, 200.0, 500.0]])
    assert tracks(found, tracker="global", max_tracks=2) == [[0, 1]] * 7
    poor = [Predictions(e.key, e.points.copy(), e.point_scores, e.scores) for e in found]
    poor[-1].points[2, 1:] = np.nan
    assert tracks(poor, tracker="global", min_new_track_points=1) == [[0, 1]] * 7


@pytest.mark.parametrize("tracker", ["online", "global"])
@pytest.mark.parametrize("cull", [0, 1])
def test_an_instance_without_a_point_takes_no_place(tracker: str, cull: int) -> None:
    found = frames([[0.0], [300.0, 1.0], [2.0]])
    found[1].points[0] = np.nan
    settings = {"tracker": tracker, "tracking_target_instance_count": 1, "tracking_pre_cull_to_target": cull}
    run = TrackingRun.from_config(TrackerConfig(**settings), 3)
    finished = list(run.finished([run.update(entry) for entry in found]))
    assert [entry.points[:, 0, 0].tolist() for entry in finished] == [[0.0], [1.0], [2.0]]


def test_looks_need_images() -> None:
    for tracker in ("online", "global"):
        run = TrackingRun.from_config(TrackerConfig(tracker=tracker, features="image"), 3)
        assert run.needs_image
        with pytest.raises(ConfigError, match="needs the images"):
            run.update(frames([[0.0]])[0])


def test_animals_are_told_apart_by_their_looks() -> None:
    """Two animals change places at once: only their brightness tells."""
    image = np.zeros((60, 300, 1), np.uint8)
    image[:, 150:] = 255
    run = TrackingRun.from_config(TrackerConfig(features="image"), 3)
    first, second = frames([[10.0, 220.0], [10.0, 220.0]])
    exchanged = 255 - image
    assert run.update(first, image).tracks.tolist() == [0, 1]  # pyright: ignore[reportOptionalMemberAccess]
    assert run.update(second, exchanged).tracks.tolist() == [1, 0]  # pyright: ignore[reportOptionalMemberAccess]
