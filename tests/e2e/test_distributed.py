"""Training on several devices as a user starts it: the command line, a call in Python, torchrun on two machines."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
import torch
import yaml
from factories import make_labels
from ranks import free_port

from sleap_nn.networks import model_dir
from sleap_nn.train import run_training
from sleap_nn.training.checkpoints import Position

pytestmark = pytest.mark.slow

LISTENING = """
import signal
from sleap_nn.cli import cli
signal.signal(signal.SIGINT, signal.default_int_handler)
cli()
"""
"""The program, also where a shell that runs the tests in the background made its children deaf for Ctrl+C."""


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


def start(
    folder: Path, *arguments: str, module: str | None = None, output: str = "output.txt"
) -> subprocess.Popen[str]:
    """Start the program, or a module, in a session of its own; what it prints goes to a file."""
    command = ["-c", LISTENING] if module is None else ["-m", module]
    with (folder / "output.txt").open("w") as file:
        return subprocess.Popen(
            [sys.executable, *command, *arguments],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> Any:
    """Wait until something is there; a process that has ended meanwhile will not bring it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return found


def ranks_of(parent: int) -> list[int]:
    """Return the processes that a launcher has started."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, ppid, args in rows if int(ppid) == parent and "sleap_nn.worker" in args]


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def end_within(process: subprocess.Popen[str], seconds: float) -> int:
    """Return the exit code of a process that ends in time."""
    try:
        return process.wait(seconds)
    finally:
        process.kill()


def epochs_in(run: Path) -> list[str]:
    with (run / "training_log.csv").open(newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file)]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes as Linux shows them")
def test_a_run_survives_all_that_can_befall_it(tmp_path: Path) -> None:
    make_labels(9, path=tmp_path / "labels.pkg.slp")
    config = settings("labels.pkg.slp", trainer_devices=2, trainer_strategy="ddp", train_steps_per_epoch=40)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    run, output = tmp_path / "models" / "run", tmp_path / "output.txt"

    # One of the processes is killed: the others end, and one sentence says why.
    first = start(tmp_path, "train", "config.yaml", "trainer_config.max_epochs=100000")
    wait_for((run / model_dir.RESUME).exists, first)
    ranks = ranks_of(first.pid)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    assert end_within(first, 30) == 1
    assert not any(map(is_running, ranks))
    text = output.read_text()
    assert text.count("Error") == 1 and "Traceback" not in text
    assert re.search(r"Error: Process 1 .* SIGKILL.*--resume .*models/run\n$", text)

    # The launcher is killed: the others notice.
    second = start(tmp_path, "train", "--resume", "models/run", "trainer_config.max_epochs=100000")
    wait_for(lambda: "Epoch" in output.read_text(), second)
    ranks = ranks_of(second.pid)
    second.kill()
    deadline = time.monotonic() + 30
    while any(map(is_running, ranks)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, ranks))

    # Ctrl+C saves the state of the run.
    third = start(tmp_path, "train", "--resume", "models/run", "trainer_config.max_epochs=100000")
    wait_for(lambda: "Epoch" in output.read_text(), third)
    ranks = ranks_of(third.pid)
    third.send_signal(signal.SIGINT)
    assert end_within(third, 30) == 75
    assert not any(map(is_running, ranks))
    text = output.read_text()
    assert text.count("Training was interrupted") == 1 and "Traceback" not in text
    position = Position.read(run / model_dir.RESUME)
    assert position.epoch >= 1 and position.group == 4
    assert epochs_in(run) == [str(epoch) for epoch in range(position.epoch)]
    assert not list(Path("/tmp").glob(f"sleap_nn_{os.getpid()}*"))


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
    assert trainer.peak_height > 0
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
    agents = [
        start(machine, *common, f"--node-rank={rank}", *train, module="torch.distributed.run")
        for rank, machine in enumerate(machines)
    ]
    outputs = []
    for machine, agent in zip(machines, agents, strict=True):
        code = end_within(agent, 200)
        outputs.append((machine / "output.txt").read_text())
        assert code == 0, outputs
    assert outputs[0].count("Epoch ") == 3
    assert "Run folder: models/run" in outputs[0]
    assert (machines[0] / "models" / "run" / "labels_pr.val.0.slp").exists()
    assert "Epoch " not in outputs[1]
    assert sorted(path.name for path in machines[1].iterdir()) == ["labels.pkg.slp", "output.txt"]
