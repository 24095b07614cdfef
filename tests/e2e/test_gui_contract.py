"""The command lines of the SLEAP GUI, as it sends them, and what it reads back: exit codes, JSON lines, ZMQ messages.

The commands stand here as they are recorded; only paths and ports are filled in.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
import yaml
from click.testing import CliRunner, Result
from factories import make_labels, make_video
from gui_peer import Gui
from model_folders import write_model

from sleap_nn.cli import cli

TRAIN = """
sleap-nn train --config-name training_config.yaml --config-dir {folder}
    trainer_config.ckpt_dir={folder}/models trainer_config.run_name=240101_120000.single_instance.n=8
    trainer_config.zmq.controller_port={controller_port} trainer_config.zmq.publish_port={publish_port}
"""
TRAIN_SHORT = """
sleap-nn train -c training_config -d {folder} trainer_config.ckpt_dir={folder}/models
    trainer_config.zmq.controller_port={controller_port} trainer_config.zmq.publish_port={publish_port}
    "data_config.train_labels_path=[{folder}/labels.pkg.slp]" trainer_config.max_epochs=1
"""

TOP_DOWN = "--model_paths {folder}/centroid --model_paths {folder}/centered_instance"
TRACKING = """
    --tracking --tracking_window_size 5 --candidates_method fixed_window --features keypoints --scoring_method oks
    --scoring_reduction mean --robust_best_instance 1.0 --track_matching_method hungarian --max_instances 2
    --tracking_target_instance_count 2 --post_connect_single_breaks
"""

PREDICT_COMMANDS = {
    "a range": (f"track --data_path {{folder}}/clip.mp4 {TOP_DOWN} --frames 1-3 --gui -o {{out}}", [1, 2, 3]),
    "a range as older versions write it": (
        f"track --data_path {{folder}}/clip.mp4 {TOP_DOWN} --frames 1,-3 --gui -o {{out}}",
        [1, 2, 3],
    ),
    "single frames": (
        "track -i {folder}/clip.mp4 -m {folder}/bottomup/best.ckpt --frames 0,2 --batch_size 4 --gui -o {out}",
        [0, 2],
    ),
    "a video of a project": (
        f"track --data_path {{folder}}/project.slp {TOP_DOWN} --video_index 0 --frames 0,-1 --gui -o {{out}}",
        [0, 1],
    ),
    "suggestions": (
        f"track --data_path {{folder}}/project.slp {TOP_DOWN} --only_suggested_frames --gui -o {{out}}",
        [1, 3],
    ),
    "suggestions of a video, by the newer command": (
        f"predict --data_path {{folder}}/project.slp {TOP_DOWN} --only_suggested_frames --video_index 0 --gui"
        " -o {out}",
        [1, 3],
    ),
    "the labelled frames": (
        "track --data_path {folder}/labels.pkg.slp --model_paths {folder}/bottomup --only_labeled_frames --gui"
        " -o {out}",
        [0, 10, 20, 30],
    ),
    "with tracks": (
        f"track --data_path {{folder}}/clip.mp4 {TOP_DOWN} --peak_threshold 0.2 --no_empty_frames {TRACKING}"
        " --device cpu --gui -o {out}",
        None,
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_labels(4, num_animals=2, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=5, num_animals=2)
    for name in ("bottomup", "centroid", "centered_instance"):
        write_model(folder / name, name, folder / "labels.pkg.slp")
    video = sio.load_video(str(folder / "clip.mp4"))
    suggestions = [sio.SuggestionFrame(video, frame) for frame in (1, 3)]
    skeletons = sio.load_slp(str(folder / "labels.pkg.slp"), open_videos=False).skeletons
    sio.Labels([], videos=[video], skeletons=skeletons, suggestions=suggestions).save(str(folder / "project.slp"))
    return folder


def arguments(command: str, **places: Any) -> list[str]:
    words = shlex.split(command.format(**places))
    return words[1:] if words[0] == "sleap-nn" else words


def run(command: str, **places: Any) -> Result:
    return CliRunner().invoke(cli, arguments(command, **places), catch_exceptions=False)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return what the GUI reads; every line has to be one object without words that JSON lacks."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


@pytest.mark.parametrize("name", PREDICT_COMMANDS)
def test_a_prediction_that_the_gui_starts(folder: Path, tmp_path: Path, name: str) -> None:
    command, frames = PREDICT_COMMANDS[name]
    result = run(command, folder=folder, out=tmp_path / "out.slp")
    assert result.exit_code == 0, result.output
    said = json_lines(result.stdout)
    progress = [line for line in said if line["event"] == "progress"]
    assert all({"n_processed", "n_total", "rate", "eta"} <= line.keys() for line in progress)
    assert progress[-1]["n_processed"] == progress[-1]["n_total"]
    assert said[-1]["event"] == "done"
    assert said[-1]["outputs"] == [(tmp_path / "out.slp").as_posix()]
    assert "Predictions output path:" in result.stderr
    found = sio.load_slp(str(tmp_path / "out.slp"), open_videos=False)
    if frames is None:
        assert found.tracks
        assert [line["n_total"] for line in progress if line.get("phase") == "tracking"][-1] == 5
    else:
        assert [frame.frame_idx for frame in found] == frames


@pytest.mark.parametrize("command", ["track", "predict"])
def test_tracking_alone_that_the_gui_starts(folder: Path, tmp_path: Path, command: str) -> None:
    found = run(f"predict -i {{folder}}/clip.mp4 {TOP_DOWN} -o {{out}}", folder=folder, out=tmp_path / "found.slp")
    assert found.exit_code == 0, found.output
    result = run(
        f"{command} --data_path {{out}}/found.slp --gui -o {{out}}/tracked.slp {TRACKING}", out=tmp_path, folder=folder
    )
    assert result.exit_code == 0, result.output
    said = json_lines(result.stdout)
    assert (said[0]["event"], said[-1]["event"]) == ("start", "done")
    assert said[-2]["n_processed"] == said[-2]["n_total"] == 5
    assert "Running tracking on 5 frames..." in result.stderr


@pytest.mark.parametrize(
    ("command", "code", "kind"),
    [
        ("track -i {folder}/none.mp4 -m {folder}/bottomup --gui", 1, "MissingFileError"),
        ("track -i {folder}/clip.mp4 -m {folder}/none --gui", 1, "MissingFileError"),
        ("track -i {folder}/clip.mp4 -m {folder}/bottomup -m {folder}/centroid --gui", 2, "MixedModelsError"),
        ("predict -i {folder}/project.slp -m {folder}/bottomup --video_index 7 --gui", 2, "UsageError"),
        ("predict -i {folder}/clip.mp4 --gui", 2, "UsageError"),
        ("track -i {folder}/clip.mp4 --tracking --gui", 2, "UsageError"),
        ("track -i {folder}/none.slp --tracking --gui", 1, "MissingFileError"),
    ],
)
def test_a_failure_is_the_last_line_that_the_gui_reads(folder: Path, command: str, code: int, kind: str) -> None:
    result = run(command, folder=folder)
    assert result.exit_code == code, result.output
    last = json_lines(result.stdout)[-1]
    assert (last["error"], last["type"]) == (True, kind)
    assert last["message"] in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_usage_says_nothing_in_json(folder: Path) -> None:
    result = run("track -i {folder}/clip.mp4 -m {folder}/bottomup --frames 3-1 --gui", folder=folder)
    assert (result.exit_code, result.stdout) == (2, "")


def write_training_config(folder: Path) -> None:
    make_labels(8, path=folder / "labels.pkg.slp")
    content = {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 500,
            "min_train_steps_per_epoch": 5,
            "save_ckpt": True,
            "trainer_accelerator": "cpu",
            "enable_progress_bar": False,
            "zmq": {"controller_port": 1, "publish_port": 2, "controller_polling_timeout": 300},
        },
    }
    (folder / "training_config.yaml").write_text(yaml.safe_dump(content))


def test_a_training_that_the_gui_starts_and_stops(tmp_path: Path) -> None:
    write_training_config(tmp_path)
    gui = Gui(stop_at_batch=6)
    gui.start()
    ports = {name: port for name, port in gui.ports(0).items() if name.endswith("port")}
    words = arguments(TRAIN, folder=tmp_path, **ports)
    ended = subprocess.run([sys.executable, "-m", "sleap_nn.cli", *words], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    kinds = gui.kinds()
    assert (kinds[0], kinds[-1]) == ("train_begin", "train_end")
    assert kinds.count("batch_end") < 500
    assert all(message["what"] == "" for message in gui.messages)
    epoch = next(message for message in gui.messages if message["event"] == "epoch_end")
    assert {"loss", "val_loss", "train/loss", "val/loss"} <= epoch["logs"].keys()
    run_folder = tmp_path / "models" / "240101_120000.single_instance.n=8"
    assert {"best.ckpt", "training_config.yaml", "labels_pr.val.0.slp"} <= {path.name for path in run_folder.iterdir()}
    for line in (
        "Started training at: ",
        "Input config:",
        "Total model parameters: ",
        "Starting training loop...",
        "The stop command was received",
        "Finished training loop. [",
    ):
        assert line in ended.stdout


def test_a_training_that_is_not_stopped(tmp_path: Path) -> None:
    write_training_config(tmp_path)
    gui = Gui(stop_at_batch=None)
    gui.start()
    ports = {name: port for name, port in gui.ports(0).items() if name.endswith("port")}
    result = run(TRAIN_SHORT, folder=tmp_path, **ports)
    assert result.exit_code in (0, 3), result.output  # 3: one epoch may be too short to find anything
    assert gui.kinds()[-1] == "train_end"


def test_a_training_that_cannot_start_fails_with_a_sentence(tmp_path: Path) -> None:
    write_training_config(tmp_path)
    result = run(
        TRAIN + " data_config.val_labels_path=[{folder}/none.slp]", folder=tmp_path, controller_port=1, publish_port=2
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert "none.slp" in result.stderr
