from pathlib import Path
from typing import Any

import pytest
from factories import make_labels
from listening import Notebook

from sleap_nn.training.callbacks.evaluate import EpochEvaluation
from sleap_nn.training.callbacks.visualize import EpochDrawings
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.observers import make_observers


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    make_labels(4, path=tmp_path / "labels.pkg.slp")
    return {
        "data_config": {"train_labels_path": [str(tmp_path / "labels.pkg.slp")]},
        "model_config": {
            "backbone_config": {"unet": {"filters": 2, "max_stride": 4}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 2,
            "min_train_steps_per_epoch": 1,
            "train_steps_per_epoch": 1,
            "trainer_accelerator": "cpu",
            "run_name": "run",
        },
    }


@pytest.mark.parametrize("metrics", [False, True])
@pytest.mark.parametrize("drawings", [False, True])
def test_only_what_is_asked_for_looks_on(
    settings: dict[str, Any], tmp_path: Path, metrics: bool, drawings: bool
) -> None:
    settings["trainer_config"]["eval"] = {"enabled": metrics}
    trainer = ModelTrainer(settings)
    observers = make_observers(trainer.job, trainer.task, trainer.data, 0, tmp_path / "viz" if drawings else None)
    assert [type(observer) for observer in observers] == [EpochEvaluation] * metrics + [EpochDrawings] * drawings


@pytest.mark.parametrize(
    ("wanted", "written", "expected"),
    [(True, False, [0, 1]), (False, False, []), (False, True, [0, 1])],
)
def test_listeners_get_the_drawings_that_they_want_or_that_are_made_anyway(
    settings: dict[str, Any], tmp_path: Path, wanted: bool, written: bool, expected: list[int]
) -> None:
    settings["trainer_config"]["visualize_preds_during_training"] = written
    trainer, book = ModelTrainer(settings), Notebook()
    book.wants_drawings = wanted
    trainer.listeners.join([book])
    trainer.train()
    assert [epoch for name, epoch in book.calls if name == "draw"] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["labels.pkg.slp"]


@pytest.mark.parametrize(
    "options",
    [{"precision": "bf16-mixed"}, {"channels_last": False}, {"val_data_loader": {"num_workers": 1}}],
    ids=["mixed precision", "channels first", "worker processes"],
)
def test_metrics_and_drawings_take_every_way_of_training(
    settings: dict[str, Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    observed = {"eval": {"enabled": True}, "visualize_preds_during_training": True, "keep_viz": True}
    settings["trainer_config"] |= {**observed, **options}
    trainer = ModelTrainer(settings)
    trainer.train()
    assert trainer.trainer is not None
    assert float(trainer.trainer.callback_metrics["eval/val/oks_voc_mAP"]) >= 0
    assert len(list((tmp_path / "run" / "viz").iterdir())) == 4
