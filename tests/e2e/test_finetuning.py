"""A model starts from an earlier one: another skeleton, other channels, resumed without the old files."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
import torch
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import MissingFileError, ModelError, TrainingCollapsedError
from sleap_nn.networks import model_dir
from sleap_nn.train import resume_training, train
from sleap_nn.training.model_trainer import ModelTrainer

UNET = {"filters": 4, "max_stride": 8}
CONVNEXT = {"model_type": "small one", "arch": {"depths": [1, 1, 1, 1], "channels": [4, 8, 12, 16]}}


def settings(folder: Path, name: str, **model: Any) -> dict[str, Any]:
    return {
        "data_config": {"train_labels_path": [str(folder / "labels.pkg.slp")], "use_same_data_for_val": True},
        "model_config": {
            "backbone_config": {"unet": UNET},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            **model,
        },
        "trainer_config": {
            "max_epochs": 1,
            "train_steps_per_epoch": 3,
            "min_train_steps_per_epoch": 1,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": name,
            "trainer_accelerator": "cpu",
            "precision": "32",
            "optimizer": {"lr": 1e-12},
        },
    }


def from_old(folder: Path, **model: Any) -> dict[str, Any]:
    old = str(folder / "models" / "old")
    return {"pretrained_backbone_weights": old, "pretrained_head_weights": f"{old}/best.ckpt", **model}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with labels and a run that was trained on them."""
    make_labels(6, path=tmp_path / "labels.pkg.slp")
    config = settings(tmp_path, "old")
    config["trainer_config"]["optimizer"]["lr"] = 0.01
    ModelTrainer(config).train()
    return tmp_path


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return model_dir.load_weights(folder / "models" / name / "best.ckpt")


def fit(config: dict[str, Any], caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO, "sleap_nn"):
        ModelTrainer(config).train()
    return caplog.text


def test_training_goes_on_from_the_old_weights(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = fit(settings(folder, "new", **from_old(folder)), caplog)
    assert f"Weights from {folder / 'models' / 'old' / 'best.ckpt'}:" in text
    for name, tensor in weights(folder, "old").items():
        torch.testing.assert_close(weights(folder, "new")[name], tensor, rtol=0, atol=1e-8)


def test_a_new_skeleton_keeps_the_nodes_that_it_shares(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = sio.load_slp(str(folder / "labels.pkg.slp"))
    skeleton = labels.skeletons[0]
    old_names = list(skeleton.node_names)
    skeleton.rename_nodes({"snout": "muzzle"})
    skeleton.reorder_nodes(list(reversed(skeleton.node_names)))
    labels.update()
    config = settings(folder, "new", **from_old(folder))
    trainer = ModelTrainer(config, train_labels=[labels])
    with caplog.at_level(logging.INFO, "sleap_nn"):
        trainer.train()
    assert "8 of 9 channels by name; new: muzzle" in caplog.text
    layer = "head_layers.0.SingleInstanceConfmapsHead.0.weight"
    old, new = weights(folder, "old")[layer], weights(folder, "new")[layer]
    for channel, name in enumerate(skeleton.node_names):
        if name != "muzzle":
            torch.testing.assert_close(new[channel], old[old_names.index(name)], rtol=0, atol=1e-8)


def test_an_old_unet_decides_the_channels(tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_labels(6, path=folder / "labels.pkg.slp", channels=3)
    config = settings(folder, "new", **from_old(folder))
    text = fit(config, caplog)
    assert "reads images of 1 channel(s), so data_config.preprocessing.ensure_grayscale is set." in text
    resolved = TrainingJobConfig.load(folder / "models" / "new" / "training_config.yaml")
    assert resolved.model_config.backbone_config.which_oneof().in_channels == 1
    assert resolved.data_config.preprocessing.ensure_grayscale
    config["data_config"]["preprocessing"] = {"ensure_rgb": True}
    config["trainer_config"]["run_name"] = "wished"
    assert "ensure_grayscale is set in place of ensure_rgb." in fit(config, caplog)
    old = weights(folder, "old")
    assert all(torch.allclose(tensor, old[name], atol=1e-8) for name, tensor in weights(folder, "wished").items())


def test_other_backbones_are_fitted_to_the_images(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit(settings(folder, "grey", backbone_config={"convnext": CONVNEXT}), caplog)
    config = settings(
        folder,
        "colour",
        backbone_config={"convnext": CONVNEXT},
        pretrained_backbone_weights=str(folder / "models" / "grey"),
    )
    config["data_config"]["preprocessing"] = {"ensure_rgb": True}
    assert "grey channel shared among three" in fit(config, caplog)
    stem = "backbone.enc.features.0.0.weight"
    grey, colour = weights(folder, "grey")[stem], weights(folder, "colour")[stem]
    torch.testing.assert_close(colour, grey.expand(-1, 3, -1, -1) / 3, rtol=0, atol=1e-8)


def test_without_the_old_configuration_shapes_decide(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "models" / "old" / "training_config.yaml").write_text("model_config: [broken")
    text = fit(settings(folder, "new", **from_old(folder)), caplog)
    assert "is not used to compare the models" in text
    for name, tensor in weights(folder, "old").items():
        torch.testing.assert_close(weights(folder, "new")[name], tensor, rtol=0, atol=1e-8)


def test_what_does_not_fit_at_all_is_refused_before_anything_is_written(folder: Path) -> None:
    config = settings(folder, "new", **from_old(folder, backbone_config={"convnext": CONVNEXT}))
    with pytest.raises(ModelError, match=r"Not one of the .* tensors of the backbone"):
        ModelTrainer(config).train()
    with pytest.raises(MissingFileError, match=r"The weights .*none\.ckpt do not exist"):
        ModelTrainer(settings(folder, "new", pretrained_head_weights=str(folder / "none.ckpt")))
    assert not (folder / "models" / "new").exists()


def test_a_run_is_resumed_without_the_weights_it_started_from(folder: Path) -> None:
    make_labels(6, path=folder / "labels.pkg.slp", channels=3)
    config = settings(folder, "new", **from_old(folder))
    ModelTrainer(config).train()
    shutil.rmtree(folder / "models" / "old")
    config["trainer_config"] |= {"max_epochs": 2, "resume_ckpt_path": str(folder / "models" / "new")}
    trainer = ModelTrainer(config)
    trainer.train()
    assert trainer.lightning_model is not None
    assert trainer.lightning_model.model.backbone.in_channels == 1
    with suppress(TrainingCollapsedError):  # whether it finds anything is of no matter here
        resume_training(folder / "models" / "new", ["trainer_config.max_epochs=3"])
    log = (folder / "models" / "new" / "training_log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log] == ["epoch", "0", "1", "2"]


def test_keywords_of_train_fine_tune(folder: Path) -> None:
    with suppress(TrainingCollapsedError):
        train(
            [str(folder / "labels.pkg.slp")],
            head_configs={"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            backbone_config={"unet": UNET},
            pretrained_backbone_weights=str(folder / "models" / "old" / "best.ckpt"),
            use_same_data_for_val=True,
            freeze="backbone",
            batch_size="auto",
            max_epochs=1,
            train_steps_per_epoch=1,
            min_train_steps_per_epoch=1,
            learning_rate=1e-3,
            save_ckpt=True,
            ckpt_dir=str(folder / "models"),
            run_name="keywords",
        )
    old, new = weights(folder, "old"), weights(folder, "keywords")
    assert all(torch.equal(tensor, new[name]) == name.startswith("backbone.") for name, tensor in old.items())
