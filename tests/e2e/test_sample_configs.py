"""Every sample configuration trains for two steps and predicts; so does one that trains on random crops."""

from pathlib import Path

import pytest
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.inference.predictor import Predictor
from sleap_nn.training.model_trainer import ModelTrainer

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIGS = sorted((EXAMPLES / "configs").glob("*.yaml"))
OF_REAL_LABELS = sorted({*EXAMPLES.glob("*/*.yaml")} - {*CONFIGS})
WHOLE_FRAMES = ("single_instance", "centroid", "bottomup", "multi_class_bottomup")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    make_labels(4, height=96, width=128, num_animals=1, path=folder / "one.pkg.slp")
    make_labels(4, height=96, width=128, num_animals=2, path=folder / "two.pkg.slp")
    return folder


def test_there_is_one_for_every_model_type_and_backbone() -> None:
    assert len(CONFIGS) == 18


def overrides(labels: Path, folder: Path) -> list[str]:
    return [
        f"data_config.train_labels_path=[{labels.as_posix()}]",
        "data_config.validation_fraction=0.25",
        "trainer_config.train_data_loader.batch_size=1",
        "trainer_config.min_train_steps_per_epoch=1",
        "trainer_config.train_steps_per_epoch=2",
        "trainer_config.max_epochs=1",
        "trainer_config.trainer_accelerator=cpu",
        "trainer_config.enable_progress_bar=false",
        f"trainer_config.ckpt_dir={folder.as_posix()}",
        "trainer_config.run_name=run",
    ]


def labels_for(name: str, folder: Path) -> Path:
    return folder / ("one.pkg.slp" if name.startswith("single") else "two.pkg.slp")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_two_steps(path: Path, folder: Path, tmp_path: Path) -> None:
    labels = labels_for(path.stem, folder)
    trainer = ModelTrainer(TrainingJobConfig.load(path, overrides(labels, tmp_path)))
    trainer.train()
    assert trainer.trainer is not None
    assert trainer.trainer.global_step == 2
    found = Predictor.from_model_paths(tmp_path / "run", peak_threshold=0.01, max_instances=4).predict(labels)
    assert len(found) == 4


@pytest.mark.parametrize("name", WHOLE_FRAMES)
def test_training_on_random_crops_and_prediction_on_whole_frames(name: str, folder: Path, tmp_path: Path) -> None:
    """The side is a multiple of neither the stride nor the side of a frame."""
    labels = labels_for(name, folder)
    changes = ["data_config.augmentation_config.geometric.random_crop_size=49", "data_config.preprocessing.scale=1.0"]
    added = [*overrides(labels, tmp_path), *(f"++{change}" for change in changes)]
    config = TrainingJobConfig.load(EXAMPLES / "configs" / f"{name}_unet.yaml", added)
    trainer = ModelTrainer(config)
    batch, targets = trainer.draw_samples(3)
    side = batch.image.shape[-1]
    assert batch.image.shape == (3, 1, side, side)
    assert 49 <= side < 96
    strides = {head.name: head.output_stride for head in trainer.task.heads}
    assert all(target.shape[-1] * strides[key] == side for key, target in targets.items())
    trainer.train()
    assert trainer.draw_samples(1, train=False)[0].image.shape[-2:] != (side, side)
    found = Predictor.from_model_paths(tmp_path / "run", peak_threshold=0.01, max_instances=4).predict(labels)
    assert len(found) == 4


@pytest.mark.parametrize("path", OF_REAL_LABELS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_examples_of_real_labels_can_be_read(path: Path) -> None:
    config = TrainingJobConfig.load(path)
    assert config.trainer_config.max_time is not None
    assert config.model_config.head_configs.which_oneof_attrib_name() in path.read_text(encoding="utf-8")
