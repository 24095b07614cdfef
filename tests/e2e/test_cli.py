"""The main job through the command line, as a user types it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from click.testing import CliRunner, Result
from factories import make_labels, make_video

from sleap_nn.cli import cli

CONFIG = """
data_config:
  train_labels_path: [{labels}]
model_config:
  backbone_config:
    unet: {{filters: 8, max_stride: 8}}
  head_configs:
    single_instance:
      confmaps: {{sigma: 1.5, output_stride: 2}}
trainer_config:
  trainer_accelerator: cpu
  max_epochs: 6
  min_train_steps_per_epoch: 20
  save_ckpt: true
  ckpt_dir: {models}
  run_name: run
  optimizer: {{lr: 3.0e-3}}
"""


LISTENING = """
import signal
from sleap_nn.cli import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
cli()
"""
"""The program, also where a shell that runs the tests in the background made its children deaf for Ctrl+C."""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_labels(12, path=folder / "labels.pkg.slp")
    make_video(folder / "clip.mp4", num_frames=9)
    text = CONFIG.format(labels=folder / "labels.pkg.slp", models=folder / "models")
    (folder / "config.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def trained(project: Path) -> Path:
    result = run("train", "--config-name", "config", "--config-dir", project)
    assert result.exit_code == 0, result.output
    assert "Run folder:" in result.output
    return project / "models" / "run"


def test_train_writes_predictions_and_metrics(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.train.0.json").read_text())
    assert metrics["distance_metrics"]["p50"] < 8


def test_train_writes_a_report(trained: Path) -> None:
    page = (trained / "report.html").read_text()
    assert "Results on the validation frames" in page
    assert page.count("data:image/jpeg;base64") == 1
    assert not (trained / "resume.ckpt").exists()


def test_predict_a_video_then_the_labels_then_score_them(project: Path, trained: Path, tmp_path: Path) -> None:
    result = run("predict", "-i", project / "clip.mp4", "-m", trained, "--frames", "0-2,7", "-o", tmp_path / "clip.slp")
    assert result.exit_code == 0, result.output
    found = sio.load_slp(str(tmp_path / "clip.slp"))
    assert [frame.frame_idx for frame in found] == [0, 1, 2, 7]
    assert found.provenance["cli_args"]["frames"] == [0, 1, 2, 7]

    output = tmp_path / "labels.slp"
    result = run("predict", "-i", project / "labels.pkg.slp", "--model-paths", trained, "--output-path", output)
    assert result.exit_code == 0, result.output
    result = run("eval", "-g", project / "labels.pkg.slp", "-p", output, "-s", tmp_path / "metrics")
    assert result.exit_code == 0, result.output
    assert "mOKS" in result.output
    with np.load(tmp_path / "metrics.npz", allow_pickle=False) as metrics:
        assert metrics["distance_metrics/p50"] < 8


def test_the_default_output_lies_beside_the_input(project: Path, trained: Path) -> None:
    result = run("predict", "-i", project / "clip.mp4", "-m", trained / "best.ckpt", "-d", "cpu", "-b", "2")
    assert result.exit_code == 0, result.output
    assert len(sio.load_slp(str(project / "clip.mp4.slp"))) == 9


def test_overrides_act_and_unknown_ones_are_refused(project: Path, trained: Path) -> None:
    result = run(
        "train",
        project / "config.yaml",
        "trainer_config.run_name=other name=with ~ signs",
        "trainer_config.max_epochs=1",
        "trainer_config.early_stopping.patience=3",
        "trainer_config.optimizer.lr=1e-12",
    )
    assert result.exit_code == 3, result.output
    assert "of no use" in result.output
    log = (project / "models" / "other name=with ~ signs" / "training_log.csv").read_text()
    assert len(log.splitlines()) == 2
    result = run("train", project / "config.yaml", "trainer_config.max_epoch=1")
    assert result.exit_code == 1
    assert "trainer_config.max_epochs" in result.output
    result = run("train", project / "config.yaml", "max_epochs")
    assert result.exit_code == 2


def test_train_without_a_configuration_shows_its_help() -> None:
    result = run("train")
    assert result.exit_code == 0
    assert "--config-name" in result.output


@pytest.mark.parametrize("after_a_checkpoint", [False, True])
def test_interrupting_training_leaves_a_run_that_can_be_resumed(
    project: Path, tmp_path: Path, after_a_checkpoint: bool
) -> None:
    models = tmp_path / "models"
    options = [f"trainer_config.ckpt_dir={models}", "trainer_config.max_epochs=100000"]
    if not after_a_checkpoint:
        options.append("trainer_config.min_train_steps_per_epoch=1000000")
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, "train", str(project / "config.yaml"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    awaited = models / "run" / ("best.ckpt" if after_a_checkpoint else "training_log.csv")
    deadline = time.monotonic() + 90
    while not awaited.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2)  # the log is made just before the first step, from which on signals are obeyed
    process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 75, output
    assert output.rstrip().endswith(f"continue with: sleap-nn train --resume {models / 'run'}")
    assert "Traceback" not in output
    assert (models / "run" / "resume.ckpt").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_run_leaves_none_and_everything_saved(
    project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """A terminal sends Ctrl+C to the worker processes too, a batch system its SIGTERM."""
    run_dir = tmp_path / "models" / "run"
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", LISTENING, "train", str(project / "config.yaml")),
            f"trainer_config.ckpt_dir={run_dir.parent}",
            "trainer_config.max_epochs=100000",
            "trainer_config.train_data_loader.num_workers=2",
            "trainer_config.val_data_loader.num_workers=1",
            "data_config.data_pipeline_fw=torch_dataset_cache_img_disk",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not (run_dir / "best.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    try:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 75, output
        assert output.rstrip().endswith(f"continue with: sleap-nn train --resume {run_dir}")
        assert "Traceback" not in output
        assert (run_dir / "resume.ckpt").exists()
        assert len(list((run_dir / "frame_cache").glob("*.frame"))) == 12
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
