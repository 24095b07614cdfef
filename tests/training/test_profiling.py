import json
import logging
from pathlib import Path
from typing import Any

import pytest
from factories import make_labels

from sleap_nn.training.model_trainer import ModelTrainer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_labels(6, path=tmp_path / "labels.pkg.slp")
    return tmp_path


def run(folder: Path, name: str | None, save: bool = True) -> Path:
    config: dict[str, Any] = {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 1,
            "train_steps_per_epoch": 6,
            "min_train_steps_per_epoch": 1,
            "profiler": name,
            "save_ckpt": save,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
        },
    }
    ModelTrainer(config).train()
    return folder / "models" / "run"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("simple", ["run_training_batch", "backward"]),
        ("advanced", ["function calls", "ncalls"]),
        ("pytorch", ["aten::"]),
    ],
)
def test_a_profile_lies_in_the_run_folder(folder: Path, name: str, words: list[str]) -> None:
    made = run(folder, name)
    text = (made / "fit-profile.txt").read_text()
    assert all(word in text for word in words)
    traces = list(made.glob("*.pt.trace.json"))
    assert bool(traces) == (name == "pytorch")
    assert all(json.loads(trace.read_text())["traceEvents"] for trace in traces)


@pytest.mark.parametrize("name", ["passthrough", None])
def test_without_measuring_there_is_no_profile(folder: Path, name: str | None) -> None:
    assert not list(run(folder, name).glob("*profile*"))


def test_without_a_run_folder_the_profile_is_printed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("lightning.pytorch")
    log.addHandler(caplog.handler)
    try:
        run(folder, "simple", save=False)
    finally:
        log.removeHandler(caplog.handler)
    assert "run_training_batch" in caplog.text
    assert not (folder / "models").exists()
