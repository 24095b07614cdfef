from pathlib import Path

import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, ModelError, OutputError
from sleap_nn.training import run_folder


def config(folder: Path, **trainer: object) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": ["labels.slp"]},
            "model_config": {
                "backbone_config": {"unet": {}},
                "head_configs": {"single_instance": {"confmaps": {}}},
            },
            "trainer_config": {"ckpt_dir": str(folder), "run_name": "run", **trainer},
        }
    )


def test_a_folder_is_made_under_its_name_with_all_above_it(tmp_path: Path) -> None:
    folder = run_folder.create(config(tmp_path / "new" / "models", run_name="mouse 1.a=b"))
    assert folder == tmp_path / "new" / "models" / "mouse 1.a=b"
    assert list(folder.iterdir()) == []


def test_a_relative_folder_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_folder.create(config(Path()))
    assert (tmp_path / "run").is_dir()


def test_a_name_that_holds_a_model_gets_the_first_free_suffix(tmp_path: Path) -> None:
    for expected in ("run", "run-1", "run-2"):
        folder = run_folder.create(config(tmp_path))
        assert folder.name == expected
        (folder / "best.ckpt").touch()
    (tmp_path / "run-1" / "best.ckpt").unlink()
    assert run_folder.create(config(tmp_path)).name == "run-1"


def test_a_folder_without_a_model_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert run_folder.create(config(tmp_path)) == tmp_path / "run"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"run folder .*file/run cannot be written .*choose another .*ckpt_dir"):
        run_folder.create(config(tmp_path / "file"))


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        run_folder.create(config(tmp_path))


def test_both_configurations_are_written(tmp_path: Path) -> None:
    initial, resolved = config(tmp_path), config(tmp_path, max_epochs=3)
    run_folder.write_configs(tmp_path, initial, resolved)
    assert TrainingJobConfig.load(tmp_path / "initial_config.yaml").trainer_config.max_epochs == 100
    assert TrainingJobConfig.load(tmp_path / "training_config.yaml").trainer_config.max_epochs == 3


def test_the_truth_of_a_split_refers_to_its_images(tmp_path: Path) -> None:
    labels = make_labels(3, path=tmp_path / "labels.pkg.slp")
    predicted = labels[1]
    predicted.instances = [
        sio.PredictedInstance.from_numpy(instance.numpy(), skeleton=labels.skeleton, score=1.0)
        for instance in predicted.instances
    ]
    run_folder.write_ground_truth(tmp_path, "val", 2, labels, user_instances_only=True)
    written = sio.load_slp(str(run_folder.ground_truth_path(tmp_path, "val", 2)))
    assert [frame.frame_idx for frame in written] == [0, 20]
    assert Path(str(written.video.filename)) == tmp_path / "labels.pkg.slp"
    assert written[0].image.shape == (64, 64, 1)
    run_folder.write_ground_truth(tmp_path, "val", 3, labels, user_instances_only=False)
    assert len(sio.load_slp(str(tmp_path / "labels_gt.val.3.slp"))) == 3
    assert len(labels) == 3


def test_frames_without_animals_are_written_where_they_are_used(tmp_path: Path) -> None:
    labels = make_labels(3, path=tmp_path / "labels.pkg.slp")
    labels[1].instances, labels[1].is_negative = [], True
    for negative_frames, expected in ((False, [0, 20]), (True, [0, 10, 20])):
        run_folder.write_ground_truth(tmp_path, "train", 0, labels, True, negative_frames)
        written = sio.load_slp(str(tmp_path / "labels_gt.train.0.slp"))
        assert [frame.frame_idx for frame in written] == expected
        assert [frame.is_negative for frame in written] == [time == 10 for time in expected]


def test_frames_with_nothing_but_centroids_are_written_where_they_are_used(tmp_path: Path) -> None:
    labels = make_labels(3, path=tmp_path / "labels.pkg.slp")
    labels[1].instances, labels[1].centroids = [], [sio.UserCentroid(x=3.0, y=4.0)]
    for stored, expected in ((False, [0, 20]), (True, [0, 10, 20])):
        run_folder.write_ground_truth(tmp_path, "train", 0, labels, True, stored_centroids=stored)
        written = sio.load_slp(str(tmp_path / "labels_gt.train.0.slp"))
        assert [frame.frame_idx for frame in written] == expected
    assert [(centroid.x, centroid.y) for centroid in written[1].centroids] == [(3.0, 4.0)]


def test_the_drawings_of_another_run_are_left_alone(tmp_path: Path) -> None:
    folder = run_folder.create(config(tmp_path))
    (folder / run_folder.DRAWINGS).mkdir()
    assert run_folder.create(config(tmp_path)) != folder


def test_names_of_the_files_of_a_split(tmp_path: Path) -> None:
    assert run_folder.ground_truth_path(tmp_path, "train", 0).name == "labels_gt.train.0.slp"
    assert run_folder.predictions_path(tmp_path, "test", 11).name == "labels_pr.test.11.slp"


def test_the_numbers_of_the_files_of_a_split_are_in_order(tmp_path: Path) -> None:
    for name in ("train.10", "train.9", "train.0", "val.3", "train.old"):
        (tmp_path / f"labels_gt.{name}.slp").touch()
    assert run_folder.ground_truth_numbers(tmp_path, "train") == [0, 9, 10]


def test_labels_of_another_run_go_but_not_those_that_are_read(tmp_path: Path) -> None:
    for name in ("train.0", "train.1", "train.2", "val.0", "test.4", "test.5"):
        (tmp_path / f"labels_gt.{name}.slp").touch()
    named = DataConfig(train_labels_path=[str(tmp_path / "labels_gt.train.2.slp")])
    run_folder.remove_other_ground_truth(tmp_path, {"train": [0], "val": [], "test": [5]}, named)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"labels_gt.train.0.slp", "labels_gt.train.2.slp", "labels_gt.test.5.slp"}


WRITTEN = ("initial_config.yaml", "training_config.yaml", "training_log.csv", "labels_gt.train.0.slp")


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in WRITTEN:
        (folder / name).touch()
    return folder


def test_a_run_without_a_checkpoint_leaves_nothing_behind(unfinished: Path) -> None:
    run_folder.remove_unfinished(unfinished)
    assert not unfinished.exists()
    assert unfinished.parent.exists()


def test_files_of_other_people_stay(unfinished: Path) -> None:
    others = ("notes.txt", "labels_pr.train.0.slp", "labels_gt.train.0.slp.bak", "other.ckpt", "my_config.yaml")
    for name in others:
        (unfinished / name).write_text(name)
    (unfinished / "sub").mkdir()
    run_folder.remove_unfinished(unfinished)
    assert {path.name for path in unfinished.iterdir()} == {*others, "sub"}


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_a_run_with_a_checkpoint_stays_whole(unfinished: Path, name: str) -> None:
    (unfinished / name).touch()
    run_folder.remove_unfinished(unfinished)
    assert {path.name for path in unfinished.iterdir()} == {*WRITTEN, name}


def test_plain_tensors_are_not_written_over_and_not_resumed_from(tmp_path: Path) -> None:
    folder = run_folder.create(config(tmp_path))
    (folder / "training_config.yaml").touch()
    assert run_folder.resume_point(str(folder)) is None
    (folder / "best.safetensors").touch()
    assert run_folder.create(config(tmp_path)).name == "run-1"
    for given in (folder, folder / "best.safetensors"):
        with pytest.raises(ModelError, match="cannot be resumed"):
            run_folder.resume_point(str(given))
    (folder / "last.ckpt").touch()
    assert run_folder.resume_point(str(folder)) == folder / "last.ckpt"


@pytest.mark.parametrize("name", ["../run", "a/../../run", "/tmp/run", "..", ".", "..\\run", "C:\\run", "a\0b"])
def test_a_name_never_leads_out_of_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models"
    with pytest.raises(ConfigError, match=r"run_name is .* no folder inside trainer_config\.ckpt_dir"):
        run_folder.create(config(folder, run_name=name))
    assert list(tmp_path.iterdir()) == []


def test_a_name_may_have_folders_of_its_own(tmp_path: Path) -> None:
    assert run_folder.create(config(tmp_path, run_name="day 1/run")) == tmp_path / "day 1" / "run"


def test_the_working_folder_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_folder.create(config(tmp_path))
    config(tmp_path).save(folder / "training_config.yaml")
    monkeypatch.chdir(folder)
    resumed = run_folder.resume_config(Path()).trainer_config
    assert (resumed.ckpt_dir, resumed.run_name) == (str(tmp_path), "run")


def test_labels_from_memory_are_resumed_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = run_folder.create(config(tmp_path))
    config(tmp_path).save(folder / "training_config.yaml")
    numbers = (0, 1, 2, 10, 11)
    for name in (*numbers, "old", "0.copy"):
        (folder / f"labels_gt.train.{name}.slp").touch()
    resumed = run_folder.resume_config(folder, ["data_config.train_labels_path=null"]).data_config
    assert resumed.train_labels_path == [str(folder / f"labels_gt.train.{number}.slp") for number in numbers]
    assert resumed.val_labels_path == []
