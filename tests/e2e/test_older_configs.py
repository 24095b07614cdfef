"""Configurations of earlier versions and the samples of the training guide load, and older keys are named in a line."""

import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from guide_snippets import DEVICES, GUIDE, WANDB, repaired

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError

SHARED = Path(__file__).parents[3] / "shared"
INTEROP = Path(os.environ.get("SLEAP_NN_INTEROP", SHARED / "interop"))
SAVED = sorted(INTEROP.glob("checkpoints/*/*_config.yaml"))

MODEL = """
model_config:
  backbone_config: {unet: {filters: 8, max_stride: 8}}
  head_configs: {single_instance: {confmaps: {sigma: 2.5, output_stride: 2}}}
"""

SAMPLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "weights and biases of the guide": (
        WANDB,
        {"trainer_config.wandb.viz_box_size": 5.0, "trainer_config.wandb.viz_boxes": False},
        "trainer_config.wandb_config as trainer_config.wandb",
    ),
    "all devices": (
        DEVICES["automatic"],
        {"trainer_config.trainer_devices": None, "trainer_config.run_name": "multi_gpu_training_1"},
        "",
    ),
    "first and third device": (
        repaired(DEVICES["indices"]),
        {"trainer_config.trainer_devices": 2, "trainer_config.trainer_device_indices": [0, 2]},
        "",
    ),
    "steps of an epoch": (
        "trainer_config: {trainer_steps_per_epoch: 7}",
        {"trainer_config.train_steps_per_epoch": 7},
        "trainer_config.trainer_steps_per_epoch as trainer_config.train_steps_per_epoch",
    ),
    "one batch size": (
        "trainer_config: {batch_size: 6}",
        {
            "trainer_config.train_data_loader.batch_size": 6,
            "trainer_config.val_data_loader.batch_size": 6,
        },
        "trainer_config.batch_size as trainer_config.train_data_loader.batch_size and",
    ),
    "what is watched": (
        "trainer_config: {model_ckpt: {monitor: val_loss, save_last: true}}",
        {"trainer_config.model_ckpt.monitor": "val/loss", "trainer_config.model_ckpt.save_last": True},
        "",
    ),
    "one labels file": (
        "data_config: {train_labels_path: a.slp, val_labels_path: b.slp}",
        {"data_config.train_labels_path": ["a.slp"], "data_config.val_labels_path": ["b.slp"]},
        "",
    ),
    "devices from a shell": (
        'trainer_config: {trainer_devices: "2"}',
        {"trainer_config.trainer_devices": 2},
        "",
    ),
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def value_at(config: TrainingJobConfig, path: str) -> Any:
    value: Any = yaml.safe_load(config.to_yaml())
    for key in path.split("."):
        value = value[key]
    return value


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_loads(name: str, tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    text, expected, notice = SAMPLES[name]
    (tmp_path / "config.yaml").write_text(MODEL + text)
    config = TrainingJobConfig.load(tmp_path / "config.yaml", require_available=False)
    assert {path: value_at(config, path) for path in expected} == expected
    notices = [record.getMessage() for record in logged.records if "Other names of keys" in record.getMessage()]
    assert len(notices) == bool(notice)
    assert notice in "".join(notices)
    # What is saved has today's names only, so it loads without a notice.
    logged.clear()
    config.save(tmp_path / "again.yaml")
    again = TrainingJobConfig.load(tmp_path / "again.yaml", require_available=False)
    assert again.to_yaml() == config.to_yaml()
    assert "Other names of keys" not in logged.text


def test_a_sample_that_is_no_yaml_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(MODEL + 'trainer_config:\nckpt_dir: models\n  run_name: "run"\n')
    with pytest.raises(ConfigError, match="not valid YAML"):
        TrainingJobConfig.load(tmp_path / "config.yaml")


@pytest.mark.skipif(not SAVED, reason="run folders of earlier versions are not at hand (SLEAP_NN_INTEROP)")
@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_configuration_of_an_earlier_version_loads_with_all_its_values(path: Path, tmp_path: Path) -> None:
    config = TrainingJobConfig.load(path, require_available=False)
    written = yaml.safe_load(path.read_text())
    saved = yaml.safe_load(config.to_yaml())
    assert _changed(written, saved) == []
    config.save(tmp_path / "config.yaml")
    again = TrainingJobConfig.load(tmp_path / "config.yaml", require_available=False)
    assert again.to_yaml() == config.to_yaml()


FILLED_IN = {"sleap_nn_version", "filename", "api_key"}


def _changed(written: Any, saved: Any, path: str = "") -> list[str]:
    """Return the keys that are lost or have other values; what a save fills in does not count."""
    if not isinstance(written, dict):
        return [] if written == saved else [f"{path}: {written!r} became {saved!r}"]
    if not isinstance(saved, dict):
        return [f"{path}: a section became {saved!r}"]
    return [
        change
        for key, value in written.items()
        if key not in FILLED_IN
        for change in _changed(value, saved.get(key), f"{path}.{key}".strip("."))
    ]


@pytest.mark.skipif(not GUIDE.is_file(), reason="the training guide is not at hand (SLEAP_NN_TRAINING_GUIDE)")
def test_every_yaml_block_of_the_guide_loads_or_is_no_yaml(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    loaded = 0
    for block in blocks:
        (tmp_path / "config.yaml").write_text(MODEL + block)
        try:
            yaml.safe_load(block)
        except yaml.YAMLError:
            with pytest.raises(ConfigError, match="not valid YAML"):
                TrainingJobConfig.load(tmp_path / "config.yaml")
            continue
        TrainingJobConfig.load(tmp_path / "config.yaml", require_available=False)
        loaded += 1
    assert loaded >= 2
