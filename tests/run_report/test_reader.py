import shutil
from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

from sleap_nn.data.labels import load_labels
from sleap_nn.errors import ConfigError
from sleap_nn.evaluation import Evaluator, load_metrics
from sleap_nn.evaluation.metrics_files import metrics_path, write_metrics
from sleap_nn.run_report import tables
from sleap_nn.run_report.reader import Notes, Run, read_run


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_WORK", 0)


@pytest.fixture
def folder(single: Path, tmp_path: Path) -> Path:
    """Return a copy of a run folder that a test may damage."""
    return Path(shutil.copytree(single, tmp_path / "run"))


def notes(run: Run) -> str:
    return " ".join(sentence for sentences in run.notes.by_section.values() for sentence in sentences)


def test_a_whole_folder_has_everything(single_run: Run):
    assert single_run.notes.by_section == {}
    assert [column.split for column in single_run.columns] == ["train", "val", "test"]
    assert [entry.num_frames for entry in single_run.labels] == [10, 6, 5]
    assert single_run.config is not None
    assert single_run.config.model_config.total_params == 123456
    assert single_run.initial is not None
    assert single_run.initial.model_config.total_params is None
    assert single_run.provenance["sleap_io_version"] == "9.8.7"
    assert single_run.main is single_run.scores["val"]


@pytest.mark.parametrize(
    ("removed", "sentence"),
    [
        ("training_config.yaml", "There is no training_config.yaml"),
        ("training_log.csv", "There is no training_log.csv."),
        ("labels_pr.val.0.slp", "There are no predictions for labels_gt.val.0.slp."),
        ("labels_gt.val.0.slp", "labels_pr.val.0.slp has no labels to compare it with."),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(folder: Path, removed: str, sentence: str):
    (folder / removed).unlink()
    run = read_run(folder)
    assert sentence in notes(run)
    assert (
        [column.split for column in run.columns] == ["train", "test"] if "val" in removed else ["train", "val", "test"]
    )


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ("training_config.yaml", "training_config.yaml"),
        ("initial_config.yaml", "initial_config.yaml"),
        ("training_log.csv", "training_log.csv"),
        ("split.json", "split.json"),
        ("label_check.json", "label_check.json"),
        ("labels_pr.val.0.slp", "cannot be read"),
        ("labels_gt.val.0.slp", "cannot be read"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x01"])
def test_what_is_broken_is_said_in_a_sentence(folder: Path, broken: str, word: str, content: bytes):
    (folder / broken).write_bytes(content)
    run = read_run(folder)
    assert word in notes(run)
    assert {"train", "test"} <= run.scores.keys()


def test_a_configuration_of_another_program_is_left_out(folder: Path):
    (folder / "training_config.yaml").write_text("model_config: {no_such_key: 1}")
    run = read_run(folder)
    assert run.config is None
    assert "no_such_key" in notes(run)
    assert set(run.scores) == {"train", "val", "test"}
    for name in ("training_config.yaml", "initial_config.yaml"):
        (folder / name).unlink()
    (folder / "training_config.json").write_text("{}")
    assert "training_config.json of SLEAP" in notes(read_run(folder))


def test_a_log_without_epochs_is_left_out(folder: Path):
    (folder / "training_log.csv").write_text("epoch,train/loss,val/loss\n")
    run = read_run(folder)
    assert run.history is None
    assert "training_log.csv has no epoch yet." in notes(run)


def test_stored_metrics_stand_in_for_predictions(folder: Path):
    truth, found = (load_labels(folder / f"labels_{kind}.val.0.slp") for kind in ("gt", "pr"))
    write_metrics(Evaluator(truth, found).evaluate(), metrics_path(folder, "val", 0))
    computed = next(column for column in read_run(folder).columns if column.split == "val")
    (folder / "labels_pr.val.0.slp").unlink()
    stored = next(column for column in read_run(folder).columns if column.split == "val")
    assert stored.title == "val.0"
    assert stored.estimates["p50"].value == pytest.approx(computed.estimates["p50"].value)
    assert np.isnan(stored.estimates["p50"].low)
    assert load_metrics(folder, "val")["distance_metrics"]["p50"] == stored.estimates["p50"].value


def test_a_metrics_file_of_another_program_is_named(folder: Path):
    np.savez(folder / "metrics.val.0.npz", metrics=np.array({"mOKS": 1}, dtype=object))
    assert "metrics.val.0.npz" not in notes(read_run(folder)), "what can be computed is not read"
    (folder / "labels_pr.val.0.slp").unlink()
    assert "metrics.val.0.npz is no archive of plain arrays" in notes(read_run(folder))


@pytest.mark.parametrize(
    "form", ["labels_{split}_gt_0.slp pred_{split}_0.slp", "labels_gt.{split}.slp labels_pr.{split}.slp"]
)
def test_folders_of_earlier_programs_are_read(folder: Path, form: str):
    expected = read_run(folder)
    for split in ("train", "val", "test"):
        truth, predictions = form.format(split=split).split()
        (folder / f"labels_gt.{split}.0.slp").rename(folder / truth)
        (folder / f"labels_pr.{split}.0.slp").rename(folder / predictions)
    run = read_run(folder)
    assert run.columns == expected.columns


def test_predictions_without_an_animal_are_scored(tmp_path: Path):
    write_run(tmp_path / "run")
    path = tmp_path / "run" / "labels_pr.val.0.slp"
    labels = load_labels(path)
    for frame in labels:
        frame.instances = []
    labels.save(str(path), embed=False, verbose=False)
    run = read_run(tmp_path / "run")
    assert run.scores["val"].matches.counts()["false_negatives"] == 6
    assert run.columns[1].estimates["recall"].value == 0


def test_notes_keep_what_failed_and_say_it_once():
    kept = Notes()

    def fail(message: str) -> None:
        raise ConfigError(message)

    assert kept.attempt("a", len, [1, 2]) == 2
    for _ in range(2):
        assert kept.attempt("a", fail, "It is wrong.") is None
    assert kept.by_section == {"a": ["It is wrong."]}
    with pytest.raises(ZeroDivisionError):
        kept.attempt("a", lambda: 1 / 0)
