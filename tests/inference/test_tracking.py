from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_video
from model_folders import write_model

from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.synthetic import Scene, synthetic_labels
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.tracking import apply_tracking

NUM_FRAMES = 6


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracking")
    scene = Scene(num_animals=2, height=64, width=64, channels=1)
    synthetic_labels(folder / "labels.pkg.slp", scene, 4)
    make_video(folder / "clip.mp4", num_frames=NUM_FRAMES, num_animals=2)
    for name in ("bottomup", "multi_class_bottomup"):
        write_model(folder / name, name, folder / "labels.pkg.slp")
    return folder


def predictor(project: Path, config: TrackerConfig | None, batch_size: int = 4, model: str = "bottomup") -> Predictor:
    return Predictor.from_model_paths(
        project / model, batch_size=batch_size, precision="32", peak_threshold=0.6, tracker_config=config
    )


def content(labels: sio.Labels) -> list[list[tuple]]:
    """Return what there is to know of all instances."""
    return [
        [
            (None if i.track is None else i.track.name, np.nan_to_num(i.numpy()).round(2).tolist())
            for i in frame.instances
        ]
        for frame in labels
    ]


def scores(labels: sio.Labels) -> np.ndarray:
    """Return the tracking scores of all instances."""
    return np.array([instance.tracking_score for frame in labels for instance in frame.instances])


@pytest.mark.parametrize(
    "config",
    [
        TrackerConfig(),
        TrackerConfig(use_flow=True),
        TrackerConfig(features="image"),
        TrackerConfig(tracker="global"),
        TrackerConfig(tracker="global", features="image"),
    ],
    ids=["online", "flow", "image", "global", "global, image"],
)
def test_tracks_are_the_same_for_any_batch_size_and_call(project: Path, config: TrackerConfig) -> None:
    told = []
    one = predictor(project, config, batch_size=1)
    first = one.predict(project / "clip.mp4", tracking_progress_callback=lambda *step: told.append(step))
    found = content(first)
    for again in (one, predictor(project, config, batch_size=4)):
        labels = again.predict(project / "clip.mp4")
        assert content(labels) == found
        assert scores(labels) == pytest.approx(scores(first), abs=1e-3)
    assert sum(len(frame) for frame in found) > 0
    assert {name for frame in found for name, *_ in frame} == {track.name for track in first.tracks}
    assert told == [(i + 1, NUM_FRAMES) for i in range(NUM_FRAMES)]
    assert first.provenance["tracking_config"]["tracker"] == config.tracker


def test_tracking_does_not_change_what_is_found(project: Path) -> None:
    plain = predictor(project, None).predict(project / "clip.mp4")
    tracked = predictor(project, TrackerConfig()).predict(project / "clip.mp4")
    assert [len(frame) for frame in plain] == [len(frame) for frame in tracked]
    assert "tracking_config" not in plain.provenance


def test_identities_that_a_model_knows_stay_the_tracks(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = predictor(project, None, model="multi_class_bottomup").predict(project / "clip.mp4")
    tracked = predictor(project, TrackerConfig(), model="multi_class_bottomup").predict(project / "clip.mp4")
    assert content(plain) == content(tracked)
    assert "nothing else is tracked" in caplog.text


def test_raw_results_have_no_tracks(project: Path) -> None:
    own = predictor(project, TrackerConfig())
    with pytest.raises(ConfigError, match="Tracks are stored in labels"):
        own.predict_streaming(project / "clip.mp4")
    with pytest.raises(ConfigError, match="Tracks are stored in labels"):
        own.predict(project / "clip.mp4", make_labels=False)


def test_options_are_checked_before_a_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="number of animals"):
        Predictor.from_model_paths(tmp_path / "none", tracker_config=TrackerConfig(use_kalman=True))


def test_retracking_is_the_same_as_tracking(project: Path) -> None:
    tracked = predictor(project, TrackerConfig()).predict(project / "clip.mp4")
    plain = predictor(project, None).predict(project / "clip.mp4")
    told = []
    again = Predictor.retrack(plain, TrackerConfig(), progress_callback=lambda *step: told.append(step))
    assert again is plain
    assert content(again) == content(tracked)
    assert told[-1] == (NUM_FRAMES, NUM_FRAMES)


def test_retracking_can_leave_out_empty_frames(project: Path) -> None:
    plain = predictor(project, None).predict(project / "clip.mp4")
    plain[0].instances = []
    assert len(Predictor.retrack(plain, TrackerConfig(), clean_empty_frames=True)) == NUM_FRAMES - 1


def test_labels_of_several_skeletons_are_refused() -> None:
    video = sio.Video("clip.mp4", open_backend=False)
    frames = [
        sio.LabeledFrame(
            video, index, [sio.PredictedInstance.from_numpy(np.ones((len(nodes), 2)), skeleton=sio.Skeleton(nodes))]
        )
        for index, nodes in enumerate((["a"], ["a", "b"]))
    ]
    with pytest.raises(DataError, match="different skeletons, with the nodes a and with the nodes a, b"):
        apply_tracking(sio.Labels(frames), TrackerConfig())
