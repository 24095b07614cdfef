import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sleap_io.model.instance import Instance, PredictedInstance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton
from sleap_io.model.video import Video

from sleap_nn.data.labels import write_labels
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.evaluation.tracks import TrackingRules, run_tracking_evaluation

SHAPE = np.array([[0.0, 0.0], [40.0, 10.0], [20.0, 45.0]])


def write(
    path: Path, ids: list[list[int | None]], predicted: bool = False, videos: int = 1, shape: np.ndarray = SHAPE
) -> Path:
    """Write animals that stand at 0, 100, ... px; the numbers say which track each of them has in each frame."""
    skeleton = Skeleton([f"n{i}" for i in range(len(shape))])
    clips = [Video(f"clip{i}.mp4", open_backend=False) for i in range(videos)]
    frames, tracks = [], {}
    for clip in clips:
        for index, own in enumerate(ids):
            instances = []
            for place, number in enumerate(own):
                key = (clip.filename, number) if predicted else number
                track = None if number is None else tracks.setdefault(key, Track(f"track_{number}"))
                points = shape + np.array([100.0 * place, 0.0])
                cls = PredictedInstance if predicted else Instance
                more = {"point_scores": np.ones(len(shape)), "score": 1.0} if predicted else {}
                instances.append(cls.from_numpy(points, skeleton=skeleton, track=track, **more))
            frames.append(LabeledFrame(video=clip, frame_idx=index, instances=instances))
    write_labels(Labels(frames, videos=clips, skeletons=[skeleton], tracks=list(tracks.values())), path)
    return path


def test_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "truth.slp", [[0, 1]] * 10)
    found = write(tmp_path / "found.slp", [[0, 1]] * 6 + [[1, 0]] * 4, predicted=True)
    metrics = run_tracking_evaluation(truth, found, save_metrics=tmp_path / "new" / "metrics.json")
    assert (metrics["switches"], metrics["IDF1"], metrics["num_tracks"]) == (2, pytest.approx(0.6), 2)
    assert metrics["switches_per_1000_frames"] == 200
    assert json.loads((tmp_path / "new" / "metrics.json").read_text())["switches"] == 2
    assert "Identity switches     2\n" in capsys.readouterr().out


def test_identities_belong_to_their_video_unless_names_are_global(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.slp", [[0, 1]] * 3, videos=2)
    found = write(tmp_path / "found.slp", [[0, 1]] * 3, predicted=True, videos=2)
    assert run_tracking_evaluation(truth, found)["num_identities"] == 4
    assert run_tracking_evaluation(truth, found, global_identity=True)["num_identities"] == 2


def test_predictions_without_a_track_are_tracks_of_their_own(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.slp", [[0]] * 4)
    found = write(tmp_path / "found.slp", [[0], [None], [0], [0]], predicted=True)
    metrics = run_tracking_evaluation(truth, found)
    assert (metrics["num_tracks"], metrics["switches"]) == (2, 2)


def test_animals_of_one_node_are_compared_by_distance(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.slp", [[0, 1]] * 4, shape=SHAPE[:1])
    found = write(tmp_path / "found.slp", [[0, 1]] * 4, predicted=True, shape=SHAPE[:1] + np.array([30.0, 0.0]))
    assert run_tracking_evaluation(truth, found)["IDF1"] == 1
    assert run_tracking_evaluation(truth, found, match_threshold=20)["IDF1"] == 0


def test_similarity_of_centroids_is_half_at_the_largest_distance() -> None:
    rules = TrackingRules(match_threshold=40.0, centroids=True)
    table = rules.similarity(np.zeros((1, 1, 2)), np.array([[[0.0, 0.0]], [[40.0, 0.0]], [[90.0, 0.0]]]))
    assert table[0] == pytest.approx([1, 0.5, 0])


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    truth = write(tmp_path / "truth.slp", [[0]] * 2)
    untracked = write(tmp_path / "untracked.slp", [[None]] * 2, predicted=True)
    with pytest.raises(DataError, match="has no tracks"):
        run_tracking_evaluation(truth, untracked)
    with pytest.raises(DataError, match="no instances with tracks"):
        run_tracking_evaluation(untracked, truth)
    for empty in (write(tmp_path / "none.slp", []), write(tmp_path / "empty.slp", [[], []], predicted=True)):
        for files in ((truth, empty), (empty, truth)):
            with pytest.raises(DataError, match=f"{empty.name} has no instances at all"):
                run_tracking_evaluation(*files)
    with pytest.raises(ConfigError, match="only poses"):
        run_tracking_evaluation(truth, truth, carrier="mask")


@pytest.mark.parametrize(
    "setting",
    [
        *({"match_threshold": value} for value in (0, -1, np.nan, np.inf)),
        *({"oks_stddev": value} for value in (0, np.nan)),
        *({"mt_threshold": 1.1}, {"ml_threshold": -0.1}),
    ],
    ids=str,
)
def test_settings_without_a_meaning_are_refused(tmp_path: Path, setting: dict[str, float]) -> None:
    truth = write(tmp_path / "truth.slp", [[0]] * 2)
    (name,) = setting
    with pytest.raises(ConfigError, match=f"{name} is "):
        run_tracking_evaluation(truth, truth, **setting)


def mixed(path: Path, frames: list[list[tuple[int, int | None, type]]]) -> Path:
    """Write frames of (place, track, class) of instances of a user beside predicted ones."""
    skeleton, clip = Skeleton(["n0", "n1", "n2"]), Video("clip0.mp4", open_backend=False)
    tracks = {number: Track(f"track_{number}") for number in range(3)}
    entries = []
    for index, own in enumerate(frames):
        instances = []
        for place, number, cls in own:
            points = SHAPE + np.array([100.0 * place, 0.0])
            more = {"point_scores": np.ones(3), "score": 1.0} if cls is PredictedInstance else {}
            track = None if number is None else tracks[number]
            instances.append(cls.from_numpy(points, skeleton=skeleton, track=track, **more))
        entries.append(LabeledFrame(video=clip, frame_idx=index, instances=instances))
    write_labels(Labels(entries, videos=[clip], skeletons=[skeleton], tracks=list(tracks.values())), path)
    return path


USER, MODEL = Instance, PredictedInstance
BOTH = [(0, 0, MODEL), (1, 1, MODEL)]
COUNTS = ("num_frames", "num_identities", "false_positives", "false_negatives", "switches")


def counts(tmp_path: Path, truth: list, found: list, **options: Any) -> list[float]:
    metrics = run_tracking_evaluation(mixed(tmp_path / "t.slp", truth), mixed(tmp_path / "p.slp", found), **options)
    return [metrics[name] for name in COUNTS]


def test_instances_of_a_user_replace_the_predicted_ones_on_both_sides(tmp_path: Path) -> None:
    corrected = [(0, 0, USER), (1, 1, USER), *BOTH]
    assert counts(tmp_path, [BOTH, corrected, BOTH], [BOTH] * 3) == [3, 2, 0, 0, 0]
    assert counts(tmp_path, [BOTH] * 3, [BOTH, corrected, BOTH]) == [3, 2, 0, 0, 0]


def test_predictions_in_a_frame_that_is_labelled_as_empty_are_wrong(tmp_path: Path) -> None:
    assert counts(tmp_path, [BOTH, [], BOTH], [BOTH] * 3) == [3, 2, 2, 0, 0]
    drawn = [(0, 0, USER), (1, 1, USER)]
    assert counts(tmp_path, [drawn, [], BOTH], [BOTH] * 3, user_labels_only=True) == [2, 2, 2, 0, 0]


def test_what_finds_an_animal_without_a_track_does_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The last prediction of a frame finds nothing."""
    truth = [[(0, 0, USER), (1, None, USER)]] * 3
    assert counts(tmp_path, truth, [[*BOTH, (5, 2, MODEL)]] * 3) == [3, 1, 3, 0, 0]
    assert "3 true instances have no track" in caplog.text


def test_one_identity_is_once_in_a_frame(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    twice = [(0, 0, USER), (1, 0, USER)]
    assert counts(tmp_path, [twice] * 2, [BOTH] * 2) == [2, 1, 0, 0, 0]
    assert "2 true instances have a track that their frame has twice" in caplog.text
    truth = [[(0, 0, USER), (1, 1, USER)]] * 2
    metrics = run_tracking_evaluation(
        mixed(tmp_path / "t.slp", truth), mixed(tmp_path / "p.slp", [[(0, 0, MODEL), (1, 0, MODEL)]] * 2)
    )
    assert (metrics["num_tracks"], metrics["switches"], metrics["false_positives"]) == (3, 1, 0)
