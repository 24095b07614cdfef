from pathlib import Path
from typing import Any

import pytest

from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError

UNET = "model_config.backbone_config.unet"
CONFMAPS = "model_config.head_configs.single_instance.confmaps"
PREPROCESSING = "data_config.preprocessing"
LOADER = "trainer_config.train_data_loader"


def tree(path: str, value: Any) -> dict[str, Any]:
    """Return a configuration in which one value is set."""
    config: dict[str, Any] = {
        "model_config": {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {"confmaps": {}}}}
    }
    place = config
    *sections, name = path.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{UNET}.filters", 10**9),
        (f"{UNET}.filters_rate", 1e9),
        (f"{UNET}.max_stride", 2**40),
        (f"{UNET}.stem_stride", 2**20),
        (f"{UNET}.kernel_size", 10**6),
        (f"{UNET}.stacks", 10**9),
        (f"{UNET}.convs_per_block", 10**9),
        (f"{UNET}.in_channels", 10**9),
        (f"{CONFMAPS}.output_stride", 2**20),
        (f"{PREPROCESSING}.max_height", 10**9),
        (f"{PREPROCESSING}.max_width", 10**9),
        (f"{PREPROCESSING}.crop_size", 10**7),
        (f"{PREPROCESSING}.min_crop_size", 10**7),
        (f"{PREPROCESSING}.crop_padding", 10**7),
        (f"{PREPROCESSING}.scale", 1e9),
        (f"{LOADER}.batch_size", 10**9),
        (f"{LOADER}.num_workers", 10**6),
        ("trainer_config.trainer_devices", 10**6),
        ("trainer_config.seed", 2**40),
        ("trainer_config.min_train_steps_per_epoch", 10**20),
        ("trainer_config.max_epochs", 10**400),
        (f"{CONFMAPS}.sigma", 1e300),
    ],
)
def test_sizes_beyond_any_use_are_refused_where_they_are_written(path: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingJobConfig.from_cfg(tree(path, value))
    (line,) = str(caught.value).splitlines()
    assert path.rpartition(".")[2] in line
    assert "at most" in line or "up to" in line or " to 65536" in line


OPTIONS = (
    "batch_size queue_maxsize max_height max_width crop_size input_scale integral_patch_size max_instances n_points "
    "paf_workers"
)


@pytest.mark.parametrize("name", OPTIONS.split())
def test_options_of_prediction_have_largest_values(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at most"):
        InferenceConfig(**{name: 10**9 + 1})


@pytest.mark.parametrize("name", ["of_window_size", "of_max_levels", "of_img_scale"])
def test_options_of_tracking_have_largest_values(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at most"):
        TrackerConfig(**{name: 10**9})


def test_an_override_of_thousands_of_digits_is_no_number(tmp_path: Path) -> None:
    TrainingJobConfig.from_cfg(tree("trainer_config.seed", 1)).save(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match=r"filters must be a whole number"):
        TrainingJobConfig.load(tmp_path / "c.yaml", [f"{UNET}.filters={'9' * 5000}"])
