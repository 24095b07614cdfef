from pathlib import Path

import pytest

from sleap_nn.errors import MissingFileError
from sleap_nn.run_report.files import RunFiles

GENERATIONS = {
    "today": ("labels_gt.{split}.{i}.slp", "labels_pr.{split}.{i}.slp", "metrics.{split}.{i}.npz"),
    "0.0": ("labels_{split}_gt_{i}.slp", "pred_{split}_{i}.slp", "{split}_{i}_pred_metrics.npz"),
    "sleap": ("labels_gt.{split}.slp", "labels_pr.{split}.slp", "metrics.{split}.npz"),
}


@pytest.mark.parametrize(("generation", "numbers"), [("today", (0, 11)), ("0.0", (0, 1)), ("sleap", (0,))])
def test_the_files_of_every_generation_are_found(tmp_path: Path, generation: str, numbers: tuple[int, ...]):
    for form in GENERATIONS[generation]:
        for split in ("train", "val"):
            for number in numbers:
                (tmp_path / form.format(split=split, i=number)).touch()
    train, val = RunFiles.find(tmp_path).splits
    assert (train.name, val.name) == ("train", "val")
    for kind, form in zip(("truth", "predictions", "metrics"), GENERATIONS[generation], strict=True):
        expected = {number: tmp_path / form.format(split="val", i=number) for number in numbers}
        assert vars(val)[kind] == expected
    assert val.scored == list(numbers)


def test_the_single_test_files_of_the_first_generation_are_found(tmp_path: Path):
    for name in ("pred_test.slp", "test_pred_metrics.npz", "notes.txt", "labels_gt.test.0.slp.bak"):
        (tmp_path / name).touch()
    (test,) = RunFiles.find(tmp_path).splits
    assert test.name == "test"
    assert test.predictions == {0: tmp_path / "pred_test.slp"}
    assert test.metrics == {0: tmp_path / "test_pred_metrics.npz"}
    assert test.truth == {}
    assert test.scored == []


def test_todays_name_counts_before_older_ones(tmp_path: Path):
    for name in ("metrics.val.0.npz", "val_0_pred_metrics.npz", "metrics.val.npz"):
        (tmp_path / name).touch()
    (val,) = RunFiles.find(tmp_path).splits
    assert val.metrics == {0: tmp_path / "metrics.val.0.npz"}


def test_a_file_in_the_folder_stands_for_it(tmp_path: Path):
    folder = tmp_path / "my run"
    folder.mkdir()
    for name in ("training_config.yaml", "training_log.csv", "split.json", "best.ckpt"):
        (folder / name).touch()
    found = RunFiles.find(folder / "best.ckpt")
    assert found == RunFiles.find(folder)
    assert found.name == "my run"
    assert found.config == folder / "training_config.yaml"
    assert found.initial_config is None
    assert found.log == folder / "training_log.csv"
    assert found.split == folder / "split.json"
    assert found.splits == ()


@pytest.mark.parametrize("name", ["training_config.json", "initial_config.yaml", "training_log.csv", "pred_test.slp"])
def test_any_trace_of_a_training_makes_a_run_folder(tmp_path: Path, name: str):
    (tmp_path / name).touch()
    RunFiles.find(tmp_path)


def test_a_folder_without_a_training_is_refused(tmp_path: Path):
    (tmp_path / "video.mp4").touch()
    with pytest.raises(MissingFileError, match=r"holds no training run .*training_config\.yaml"):
        RunFiles.find(tmp_path)
    with pytest.raises(MissingFileError, match="does not exist"):
        RunFiles.find(tmp_path / "nothing")
