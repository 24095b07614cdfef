import json
import logging
from pathlib import Path
from typing import Any

import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.errors import DataError
from sleap_nn.training.label_report import purpose_of, report_labels
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.run_folder import LABEL_CHECK


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def make_trainer(folder: Path, head: str = "single_instance", num_animals: int = 1, **data: Any) -> ModelTrainer:
    path = folder / "labels.pkg.slp"
    labels = make_labels(10, path=path, num_animals=num_animals)
    labels[4].instances[0]["snout"] = (-20.0, 5.0)
    labels.save(str(folder / "labels.slp"), embed=False, verbose=False)
    return ModelTrainer(
        {
            "data_config": {"train_labels_path": [str(folder / "labels.slp")], **data},
            "model_config": {"backbone_config": {"unet": {"filters": 2, "max_stride": 8}}, "head_configs": {head: {}}},
            "trainer_config": {
                "max_epochs": 1,
                "min_train_steps_per_epoch": 1,
                "save_ckpt": True,
                "ckpt_dir": str(folder),
                "run_name": "run",
                "trainer_accelerator": "cpu",
            },
        }
    )


def test_findings_are_said(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    trainer = make_trainer(tmp_path)
    report = report_labels(trainer.data, trainer.task, trainer.job)
    assert report.num_frames == 10
    (record,) = [record for record in logged.records if "Label check" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("Label check: 1 point outside the image")


def test_clean_labels_are_one_line(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    trainer = make_trainer(tmp_path, train_labels_path=[str(tmp_path / "labels.pkg.slp")])
    report_labels(trainer.data, trainer.task, trainer.job)
    assert logged.messages[-1] == "Label check: nothing looks wrong in 10 frames with 10 instances."


@pytest.mark.parametrize(("head", "num_hints"), [("bottomup", 1), ("single_instance", 0)])
def test_small_animals_get_a_hint_where_several_are_looked_for(
    tmp_path: Path, logged: pytest.LogCaptureFixture, head: str, num_hints: int
) -> None:
    trainer = make_trainer(tmp_path, head)
    for frame in trainer.data.train.set.frames:
        frame.points[:] = 20 + (frame.points - 20) / 10
    report_labels(trainer.data, trainer.task, trainer.job)
    assert sum("random_crop_size" in message for message in logged.messages) == num_hints


def test_frames_that_also_validate_count_once(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, use_same_data_for_val=True)
    assert report_labels(trainer.data, trainer.task, trainer.job).num_frames == 10


def flip(probability: float) -> dict[str, Any]:
    return {"augmentation_config": {"geometric": {"flip_p": probability}}}


def test_the_purpose_follows_the_configuration(tmp_path: Path) -> None:
    plain = make_trainer(tmp_path)
    assert purpose_of(plain.task, plain.job).one_animal
    assert not purpose_of(plain.task, plain.job).mirrored
    mirrored = make_trainer(tmp_path, **flip(0.5), use_augmentations_train=True)
    assert purpose_of(mirrored.task, mirrored.job).mirrored
    unused = make_trainer(tmp_path, **flip(0.5), use_augmentations_train=False)
    assert not purpose_of(unused.task, unused.job).mirrored
    classes = make_trainer(tmp_path, "multi_class_bottomup", num_animals=2)
    purpose = purpose_of(classes.task, classes.job)
    assert (purpose.identities, purpose.one_animal) == (True, False)


def test_training_checks_its_labels_and_goes_on(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    trainer = make_trainer(tmp_path)
    trainer.train()
    assert "Label check: 1 point outside" in logged.text
    content = json.loads((tmp_path / "run" / LABEL_CHECK).read_text())
    assert [finding["kind"] for finding in content["findings"]] == ["off_frame"]
    assert (tmp_path / "run" / "best.ckpt").exists()


def test_crowded_frames_are_all_named_before_training_refuses_them(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    trainer = make_trainer(tmp_path, num_animals=2)
    with pytest.raises(DataError, match="at most 1"):
        trainer.train()
    assert "Label check: Several animals in 10 frames" in logged.text


def test_labels_with_nothing_but_centroids_are_checked(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    labels = make_labels(10, path=tmp_path / "drawn.pkg.slp", num_animals=2)
    for frame in labels:
        frame.instances, frame.centroids = [], [sio.UserCentroid(x=20.0, y=30.0)]
    labels.save(str(tmp_path / "centroids.slp"), embed=False, verbose=False)
    trainer = make_trainer(tmp_path, "centroid", train_labels_path=[str(tmp_path / "centroids.slp")])
    report = report_labels(trainer.data, trainer.task, trainer.job)
    assert (report.num_frames, report.findings) == (10, ())
