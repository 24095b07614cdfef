"""Training on several devices as a user starts it: the command line, a call in Python, torchrun on two machines."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
import torch
import yaml
from factories import make_labels
from ranks import free_port, start_program

from sleap_nn.networks import model_dir
from sleap_nn.train import run_training
from sleap_nn.training.checkpoints import Position

pytestmark = pytest.mark.slow


def settings(labels: str, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {"train_labels_path": [labels]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 3,
            "train_steps_per_epoch": 8,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": 2},
            "save_ckpt": True,
            "ckpt_dir": "models",
            "run_name": "run",
            "optimizer": {"lr": 1e-2},
            "trainer_accelerator": "cpu",
            "precision": "32",
            "foreground_weight": 100.0,
            **trainer,
        },
    }


@pytest.fixture
def start() -> Iterator[Callable[..., BaseProcess]]:
    """Return `ranks.start_program`, whose processes do not outlive the test."""
    started: list[BaseProcess] = []

    def start_and_note(*arguments: Any) -> BaseProcess:
        started.append(start_program(*arguments))
        return started[-1]

    yield start_and_note
    for process in started:
        process.kill()


def wait_for(what: Callable[[], Any], process: BaseProcess, seconds: float = 300) -> None:
    """Wait until something is there; a process that has ended meanwhile will not bring it."""
    deadline = time.monotonic() + seconds
    while not what():
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.1)


def ranks_of(parent: BaseProcess) -> list[int]:
    """Return the processes that a launcher has started."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, ppid, args in rows if int(ppid) == parent.pid and "sleap_nn.worker" in args]


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def end_within(process: BaseProcess, seconds: float) -> int | None:
    """Return the exit code of a process, None if it takes longer."""
    process.join(seconds)
    return process.exitcode


def epochs_in(run: Path) -> list[str]:
    with (run / "training_log.csv").open(newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file)]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes as Linux shows them")
def test_a_run_survives_a_killed_process_and_ctrl_c(tmp_path: Path, start: Callable[..., BaseProcess]) -> None:
    make_labels(9, path=tmp_path / "labels.pkg.slp")
    config = settings("labels.pkg.slp", trainer_devices=2, trainer_strategy="ddp", max_epochs=100000)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run, output = tmp_path / "models" / "run", tmp_path / "output.txt"

    # One of the processes is killed: the others end, and one sentence says why.
    first = start(tmp_path, "train", "config.yaml")
    wait_for((run / model_dir.RESUME).exists, first)
    ranks = ranks_of(first)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    assert end_within(first, 30) == 1
    assert not any(map(is_running, ranks))
    text = output.read_text()
    assert text.count("Error") == 1 and "Traceback" not in text
    assert re.search(r"Error: Process 1 .* SIGKILL.*--resume .*models/run\n$", text)

    # Ctrl+C saves the state of the run.
    output.write_text("")
    second = start(tmp_path, "train", "--resume", "models/run")
    wait_for(lambda: "Epoch" in output.read_text(), second)
    ranks = ranks_of(second)
    os.kill(int(second.pid or 0), signal.SIGINT)
    assert end_within(second, 30) == 75
    assert not any(map(is_running, ranks))
    text = output.read_text()
    assert text.count("Training was interrupted") == 1 and "Traceback" not in text
    position = Position.read(run / model_dir.RESUME)
    assert position.epoch >= 1 and position.group == 4
    assert epochs_in(run) == [str(epoch) for epoch in range(position.epoch)]


def test_labels_in_memory_train_on_two_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    labels = make_labels(9, path=tmp_path / "labels.pkg.slp")
    config = settings("nowhere.slp", trainer_devices=2, train_steps_per_epoch=40)
    config["data_config"] = {}
    trainer = run_training(config, [labels], [labels])
    assert trainer.run_dir is not None and trainer.run_dir.resolve() == tmp_path / "models" / "run"
    assert len(sio.load_slp(str(trainer.run_dir / "labels_pr.val.0.slp"))) == 9
    assert (trainer.run_dir / "metrics.val.0.json").exists()
    assert epochs_in(trainer.run_dir) == ["0", "1", "2"]
    assert trainer.trainer is not None and trainer.lightning_model is not None
    assert (trainer.trainer.current_epoch, trainer.trainer.global_step) == (3, 3 * 20)
    assert float(trainer.trainer.callback_metrics["val/loss"]) > 0
    assert trainer.strengths[0].value > 0
    assert trainer.config.trainer_config.trainer_devices == 2
    weights = trainer.lightning_model.model.state_dict()
    last = model_dir.read_checkpoint(trainer.run_dir / model_dir.WEIGHTS)["state_dict"]
    assert {f"model.{name}" for name in weights} == set(last)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert "Epoch 2" not in capfd.readouterr().out  # a program that set up no logging gets no log lines


def test_two_machines_that_share_no_folder(tmp_path: Path) -> None:
    machines = [tmp_path / "a", tmp_path / "b"]
    for machine in machines:
        machine.mkdir()
        make_labels(9, path=machine / "labels.pkg.slp")
    (machines[0] / "config.yaml").write_text(yaml.safe_dump(settings("labels.pkg.slp")))
    common = ("--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={free_port()}")
    train = (
        "-m",
        "sleap_nn.cli",
        "train",
        "config.yaml",
        "trainer_config.max_epochs=3",
        "trainer_config.train_steps_per_epoch=40",
    )
    agents = []
    for rank, machine in enumerate(machines):
        command = [sys.executable, "-m", "torch.distributed.run", *common, f"--node-rank={rank}", *train]
        with (machine / "output.txt").open("w") as output:
            agents.append(subprocess.Popen(command, cwd=machine, stdout=output, stderr=subprocess.STDOUT))
    codes = []
    for agent in agents:
        with agent:
            codes.append(agent.wait(300))
    outputs = [(machine / "output.txt").read_text() for machine in machines]
    assert codes == [0, 0], outputs
    assert outputs[0].count("Epoch ") == 3
    assert "Run folder: models/run" in outputs[0]
    assert (machines[0] / "models" / "run" / "labels_pr.val.0.slp").exists()
    assert "Epoch " not in outputs[1]
    assert sorted(path.name for path in machines[1].iterdir()) == ["labels.pkg.slp", "output.txt"]
