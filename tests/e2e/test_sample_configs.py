"""Every sample configuration trains for two steps and predicts."""

from pathlib import Path

import pytest
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.inference.predictor import Predictor
from sleap_nn.training.model_trainer import ModelTrainer

CONFIGS = sorted((Path(__file__).parents[2] / "examples" / "configs").glob("*.yaml"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    make_labels(4, height=96, width=128, num_animals=1, path=folder / "one.pkg.slp")
    make_labels(4, height=96, width=128, num_animals=2, path=folder / "two.pkg.slp")
    return folder


def test_there_is_one_for_every_model_type_and_backbone() -> None:
    assert len(CONFIGS) == 18


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_two_steps(path: Path, folder: Path, tmp_path: Path) -> None:
    labels = folder / ("one.pkg.slp" if path.stem.startswith("single") else "two.pkg.slp")
    overrides = [
        f"data_config.train_labels_path=[{labels.as_posix()}]",
        "data_config.validation_fraction=0.25",
        "trainer_config.train_data_loader.batch_size=1",
        "trainer_config.min_train_steps_per_epoch=1",
        "trainer_config.train_steps_per_epoch=2",
        "trainer_config.max_epochs=1",
        "trainer_config.trainer_accelerator=cpu",
        "trainer_config.enable_progress_bar=false",
        f"trainer_config.ckpt_dir={tmp_path.as_posix()}",
        "trainer_config.run_name=run",
    ]
    trainer = ModelTrainer(TrainingJobConfig.load(path, overrides))
    trainer.train()
    assert trainer.trainer is not None
    assert trainer.trainer.global_step == 2
    found = Predictor.from_model_paths(tmp_path / "run", peak_threshold=0.01, max_instances=4).predict(labels)
    assert len(found) == 4
