import logging

import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner

from sleap_nn.cli.eval import command
from sleap_nn.errors import MissingFileError
from sleap_nn.evaluation import load_metrics

POSE = np.array([[10.0, 10], [30, 12], [20, 40]])


@pytest.fixture(autouse=True)
def restored_logger(monkeypatch):
    logger = logging.getLogger("sleap_nn")
    state = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = state[0], state[2]
    logger.setLevel(state[1])


@pytest.fixture
def files(tmp_path):
    skeleton = sio.Skeleton(["a", "b", "c"])
    video = sio.Video(filename="clip.mp4", open_backend=False, backend_metadata={"shape": (10, 64, 64, 1)})
    paths = {}
    for name in ("truth", "found", "empty"):
        frames = []
        for frame_idx in range(1 if name == "found" else 2):
            instance = (
                sio.Instance.from_numpy(POSE, skeleton=skeleton)
                if name == "truth"
                else sio.PredictedInstance.from_numpy(POSE + 1, skeleton=skeleton, score=0.9)
            )
            instances = [] if name == "empty" else [instance]
            frames.append(sio.LabeledFrame(video=video, frame_idx=frame_idx, instances=instances))
        labels = sio.Labels(labeled_frames=frames, videos=[video], skeletons=[skeleton])
        paths[name] = str(tmp_path / f"{name}.slp")
        labels.save(paths[name], verbose=False)
    return paths


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args])


def test_prints_the_report_and_writes_the_files(files, tmp_path):
    result = run("-g", files["truth"], "-p", files["found"], "-s", tmp_path / "m")
    assert result.exit_code == 0, result.output
    assert "Evaluation Results:" in result.output
    assert "1.41 px" in result.output
    assert "1 skipped" in result.output
    assert load_metrics(tmp_path / "m.npz")["distance_metrics"]["avg"] == pytest.approx(np.sqrt(2))
    assert (tmp_path / "m.json").is_file()


@pytest.mark.parametrize(
    ("options", "section", "key"),
    [
        (["--oks-stddev", "0.1"], "mOKS", "mOKS"),
        (["--oks_stddev", "0.1"], "mOKS", "mOKS"),
        (["--oks-scale", "5000"], "mOKS", "mOKS"),
        (["--match_threshold", "0.99"], "counts", "matched"),
        (["--no-user_labels_only", "--count-missing-frames"], "counts", "false_negatives"),
        (["--match-method", "centroid", "--match-threshold", "1"], "detection_metrics", "n_tp"),
        (["--match_method", "centroid", "--anchor_part", "b"], "distance_metrics", "avg"),
    ],
)
def test_every_option_reaches_the_evaluation(files, tmp_path, options, section, key):
    given = ["-g", files["truth"], "-p", files["found"], "-s"]
    plain = ["--match_method", "centroid"] if "centroid" in options else []
    for name, extra in (("plain", plain), ("changed", options)):
        assert run(*given, tmp_path / name, *extra).exit_code == 0
    before, after = (load_metrics(tmp_path / f"{name}.npz")[section][key] for name in ("plain", "changed"))
    assert before != after


def test_user_labels_only(files):
    assert "Empty Frame Pairs" in str(run("-g", files["found"], "-p", files["found"]).exception)
    result = run("-g", files["found"], "-p", files["found"], "--no-user-labels-only")
    assert result.exit_code == 0


def test_no_predictions_at_all(files, tmp_path):
    result = run("-g", files["truth"], "-p", files["empty"], "-s", tmp_path / "m.npz")
    assert result.exit_code == 0
    assert "has no instances" in result.output
    assert not (tmp_path / "m.npz").exists()


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["-g", "a.slp"],
        ["-g", "a.slp", "-p", "b.slp", "--oks_stddev", "wide"],
        ["-g", "a.slp", "-p", "b.slp", "--oks_stddev", "nan"],
        ["-g", "a.slp", "-p", "b.slp", "--oks_stddev", "0"],
        ["-g", "a.slp", "-p", "b.slp", "--oks_scale", "-1"],
        ["-g", "a.slp", "-p", "b.slp", "--match_threshold", "nan"],
        ["-g", "a.slp", "-p", "b.slp", "--match_method", "nearest"],
        ["-g", "a.slp", "-p", "b.slp", "--no-such-option"],
    ],
)
def test_usage_errors(args):
    assert run(*args).exit_code == 2


def test_unusable_input_is_left_to_the_group():
    result = run("-g", "none.slp", "-p", "none.slp")
    assert isinstance(result.exception, MissingFileError)
    result = run("-g", "none.slp", "-p", "none.slp", "--match_method", "mask")
    assert result.exit_code == 1


def test_help_shows_every_option_with_its_default():
    result = run("--help")
    assert result.exit_code == 0
    for text in ("--ground_truth_path", "--count_missing_frames", "0.025", "auto"):
        assert text in result.output
