from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.labels import write_labels
from sleap_nn.errors import ConfigError, InputOverwrittenError, MissingFileError, UsageError
from sleap_nn.track import track

SKELETON = sio.Skeleton(["a", "b", "c"])
SHAPE = np.array([[0.0, 0.0], [40.0, 10.0], [20.0, 45.0]])


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Return a file of two videos in which two predicted animals change places in the list; the videos are gone."""
    videos = [sio.Video(f"clip{i}.mp4", open_backend=False) for i in range(2)]
    frames = []
    for video in videos:
        for t in range(4):
            places = [t, 200 - t][:: 1 if t % 2 else -1]
            instances = [
                sio.PredictedInstance.from_numpy(
                    SHAPE + np.array([x, 0]), skeleton=SKELETON, point_scores=np.ones(3), score=0.9 if x < 100 else 0.4
                )
                for x in places
            ]
            frames.append(sio.LabeledFrame(video=video, frame_idx=t, instances=instances))
    own = sio.Labels(frames, videos=videos, skeletons=[SKELETON])
    own.provenance = {"model_type": "bottom_up"}
    write_labels(own, tmp_path / "found.slp")
    return tmp_path / "found.slp"


def places_of(found: sio.Labels) -> dict[str, list[float]]:
    """Return the places of every track in order."""
    places: dict[str, list[float]] = {}
    for frame in found:
        for instance in frame.instances:
            assert instance.track is not None
            places.setdefault(instance.track.name, []).append(instance.numpy()[0, 0])
    return places


@pytest.mark.parametrize("tracker", ["online", "global"])
def test_animals_are_followed_and_the_input_stays(labels: Path, tmp_path: Path, tracker: str) -> None:
    before = labels.read_bytes()
    output = tmp_path / "new" / "tracked.slp"
    track(labels, TrackerConfig(tracker=tracker), output_path=output)
    assert labels.read_bytes() == before
    found = sio.load_slp(str(output), open_videos=False)
    expected = [[200, 199, 198, 197], [0, 1, 2, 3]]
    assert places_of(found) == {f"track_{i}": expected[i % 2] for i in range(4)}
    assert len(found.videos) == 2
    provenance = found.provenance
    assert provenance["pipeline_type"] == "tracking_only"
    assert provenance["frames_processed"] == 8
    assert provenance["tracking_config"]["tracker"] == tracker
    assert provenance["input_provenance"]["model_type"] == "bottom_up"
    assert "model_paths" not in provenance
    assert provenance["tracking_runtime_seconds"] >= 0


def test_some_frames_of_one_video(labels: Path) -> None:
    found = track(labels, frames=[1, 2, 9], video_index=1)
    assert [(found.videos.index(frame.video), frame.frame_idx) for frame in found] == [(1, 1), (1, 2)]
    with pytest.raises(ConfigError, match="video_index is 2"):
        track(labels, video_index=2)


def test_weak_predictions_can_be_removed_before(labels: Path) -> None:
    found = track(labels, filter_config=FilterConfig(min_instance_score=0.5))
    assert places_of(found) == {"track_0": [0, 1, 2, 3], "track_1": [0, 1, 2, 3]}


def test_labels_of_a_user_are_tracked_and_never_taken_out(tmp_path: Path) -> None:
    make_labels(4, num_animals=2, path=tmp_path / "labels.pkg.slp")
    count = sum(len(frame.user_instances) for frame in sio.load_slp(str(tmp_path / "labels.pkg.slp")))
    found = track(tmp_path / "labels.pkg.slp", TrackerConfig(max_tracks=1))
    assert sum(len(frame.user_instances) for frame in found) == count > 4
    assert sum(instance.track is None for frame in found for instance in frame.instances) > 0


def test_what_cannot_be_tracked(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        track(tmp_path / "none.slp")
    with pytest.raises(UsageError, match="name a model"):
        track(tmp_path / "clip.mp4")
    with pytest.raises(InputOverwrittenError):
        track(labels, output_path=labels)
    with pytest.raises(ConfigError, match="number of animals"):
        track(labels, TrackerConfig(post_connect_single_breaks=True))


def test_names_are_those_of_what_is_in_the_output(labels: Path, tmp_path: Path) -> None:
    track(labels, output_path=tmp_path / "tracked.slp")
    again = track(tmp_path / "tracked.slp", frames=[2, 3], video_index=1, output_path=tmp_path / "again.slp")
    assert places_of(again) == {"track_0": [198, 197], "track_1": [2, 3]}
    for found in (again, sio.load_slp(str(tmp_path / "again.slp"), open_videos=False)):
        assert [track.name for track in found.tracks] == ["track_0", "track_1"]


@pytest.mark.parametrize(
    "config",
    [
        TrackerConfig(),
        TrackerConfig(candidates_method="local_queues"),
        TrackerConfig(use_kalman=True, max_tracks=2),
        TrackerConfig(tracker="global"),
    ],
    ids=["window", "queues", "kalman", "global"],
)
def test_frames_that_are_there_twice_are_joined(
    labels: Path, tmp_path: Path, config: TrackerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    """One animal of frame 1 is in a frame of its own, as merged files have it."""
    own = sio.load_slp(str(labels), open_videos=False)
    other = own[1].instances.pop()
    own.labeled_frames.append(sio.LabeledFrame(video=own[1].video, frame_idx=1, instances=[other]))
    write_labels(own, tmp_path / "merged.slp")
    found = track(tmp_path / "merged.slp", config, video_index=0)
    assert [frame.frame_idx for frame in found] == [0, 1, 2, 3]
    assert places_of(found) == {"track_0": [200, 199, 198, 197], "track_1": [0, 1, 2, 3]}
    assert "1 frame(s) of the labels were there more than once" in caplog.text
