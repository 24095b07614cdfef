import inspect
from pathlib import Path

import pytest

from sleap_nn.config_generator import ConfigGenerator, generate_config
from sleap_nn.config_generator.generate import SETTERS


def test_one_call_makes_and_writes(generator_labels: Path, tmp_path: Path) -> None:
    config = generate_config(
        generator_labels / "two.pkg.slp",
        tmp_path / "pair.yaml",
        view="top",
        pipeline="topdown",
        backbone="unet",
        batch_size=2,
        max_epochs=5,
        rotation=(-30, 30),
        early_stopping=False,
        anchor_part="neck",
    )
    assert config.model_config.head_configs.centered_instance.confmaps.anchor_part == "neck"
    assert config.trainer_config.max_epochs == 5
    assert config.trainer_config.train_data_loader.batch_size == 2
    assert not config.trainer_config.early_stopping.stop_training_on_plateau
    assert config.data_config.augmentation_config.geometric.rotation_max == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pair_centered_instance.yaml", "pair_centroid.yaml"]


def test_nothing_is_written_without_a_path(generator_labels: Path) -> None:
    before = sorted(generator_labels.iterdir())
    assert generate_config(generator_labels / "two.pkg.slp").model_config.head_configs.bottomup is not None
    assert sorted(generator_labels.iterdir()) == before


def test_an_unknown_setter_is_refused(generator_labels: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        generate_config(generator_labels / "two.pkg.slp", epochs=3)


def test_every_setter_is_a_keyword() -> None:
    others = {"auto", "recommend", "build", "build_centroid", "build_centered_instance", "to_yaml", "paths", "save"}
    others |= {"memory_estimate", "summary", "from_slp", "from_labels"}
    methods = {name for name, member in vars(ConfigGenerator).items() if inspect.isfunction(member) and name[0] != "_"}
    assert methods - others == SETTERS.keys()
