import logging
from pathlib import Path
from typing import Any

import pytest
from factories import make_labels
from sleap_io.model.labels import Labels
from sleap_io.model.video import Video

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError
from sleap_nn.training.division import SHARED_SEED, DividedLabels, divide_labels, split_seed, warn_of_shared_frames


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("sleap_nn"), "propagate", True)
    caplog.set_level(logging.INFO, logger="sleap_nn")
    return caplog


def job(data: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **trainer: Any) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"validation_fraction": 0.25, **(data or {})},
            "model_config": {
                "backbone_config": {"unet": {}},
                "head_configs": {"single_instance": {"confmaps": {}}},
                **(model or {}),
            },
            "trainer_config": trainer,
        }
    )


def labels_of(num_frames: int, name: str = "missing.mp4") -> Labels:
    labels = make_labels(num_frames)
    labels.videos[0].filename = name
    return labels


def times(parts: list[Labels]) -> list[list[int]]:
    return [[frame.frame_idx for frame in part] for part in parts]


def run_folder_of(folder: Path, divided: DividedLabels) -> str:
    """Write what a run leaves beside its checkpoint, and return the path of the checkpoint."""
    folder.mkdir()
    divided.record.save(folder / "split.json")
    return str(folder / "best.ckpt")


def test_all_files_are_divided_together_and_written_back_file_by_file() -> None:
    files = [labels_of(10, "a.mp4"), labels_of(6, "b.mp4")]
    divided = divide_labels(job({"validation_fraction": 0.125}), files, None)
    assert [len(part) for part in divided.train + divided.val] == [10, 4, 0, 2] or sum(map(len, divided.val)) == 2
    for whole, train, val in zip(times(files), times(divided.train), times(divided.val), strict=True):
        assert sorted(train + val) == whole
    record = divided.record
    assert [[frame for _, frame in file.val] for file in record.files] == times(divided.val)
    assert (record.method, record.seed) == ("time_block", 42)
    assert record.settings["fraction"] == 0.125


def test_a_frame_that_is_in_two_files_is_on_one_side() -> None:
    divided = divide_labels(job(), [labels_of(8), labels_of(8)], None)
    assert times(divided.train)[0] == times(divided.train)[1]
    assert times(divided.val)[0] == times(divided.val)[1]
    assert len(times(divided.val)[0]) == 2


def test_a_frame_of_a_project_and_of_a_package_made_of_it_is_on_one_side(tmp_path: Path) -> None:
    project = make_labels(12, path=tmp_path / "project.slp", embed=False)
    project.save(str(tmp_path / "package.pkg.slp"), embed=True, verbose=False)
    files = [project, load_labels(tmp_path / "package.pkg.slp")]
    divided = divide_labels(job({"split": {"split_by": "frame"}}), files, None)
    train, val = times(divided.train), times(divided.val)
    assert (train[0], val[0]) == (train[1], val[1])
    assert (len(train[0]), len(val[0])) == (9, 3)
    assert [[frame for _, frame in file.val] for file in divided.record.files] == val
    again = divide_labels(job(resume_ckpt_path=run_folder_of(tmp_path / "run", divided)), files, None)
    assert (times(again.train), times(again.val)) == (train, val)


def test_the_split_section_acts() -> None:
    files = [labels_of(6, "a.mp4"), labels_of(6, "b.mp4")]
    by_video = divide_labels(job({"split": {"split_by": "video"}}), files, None)
    assert sorted(map(len, by_video.val)) == [0, 6]
    folds = [times(divide_labels(job({"split": {"n_folds": 3, "fold": fold}}), files, None).val) for fold in range(3)]
    assert sorted(time for fold in folds for time in fold[0]) == list(range(0, 60, 10))
    seeds = {str(times(divide_labels(job({"split": {"seed": seed}}), files, None).val)) for seed in range(6)}
    assert len(seeds) > 1
    frames = {str(times(divide_labels(job(seed=seed), files, None).val)) for seed in range(6)}
    assert frames == seeds


def test_negative_frames_are_divided_as_well() -> None:
    labels = labels_of(8)
    for index in (1, 2):
        labels[index].instances = []
        labels[index].is_negative = True
    with_negative = divide_labels(job({"use_negative_frames": True}), [labels], None)
    assert sorted(times(with_negative.train)[0] + times(with_negative.val)[0]) == list(range(0, 80, 10))
    without = divide_labels(job(), [labels], None)
    assert sorted(times(without.train)[0] + times(without.val)[0]) == [0, 30, 40, 50, 60, 70]


def test_the_training_frames_may_validate(tmp_path: Path) -> None:
    labels = labels_of(4)
    divided = divide_labels(job({"use_same_data_for_val": True}), [labels], None)
    assert divided.train == divided.val == [labels]
    assert divided.record.trained == divided.record.validated
    path = run_folder_of(tmp_path / "run", divided)
    again = divide_labels(job({"use_same_data_for_val": True}, resume_ckpt_path=path), [labels_of(6)], None)
    assert times(again.train) == times(again.val) == times([labels])
    other = divide_labels(job(resume_ckpt_path=path), [labels_of(6)], None)
    assert times(other.train) != times(other.val)


def test_labels_without_labels_are_refused() -> None:
    labels = labels_of(2)
    for frame in labels:
        frame.instances = []
    with pytest.raises(DataError, match="user-labelled"):
        divide_labels(job(), [labels], None)


def test_validation_files_are_used_as_they_are_and_shared_frames_are_counted(logged: pytest.LogCaptureFixture) -> None:
    train, val = labels_of(5), labels_of(8)
    divided = divide_labels(job(), [train], [val])
    assert (divided.train, divided.val) == ([train], [val])
    assert "5 of the 8 labelled frame(s) of the validation labels are also in the training labels" in logged.text
    assert (divided.record.method, len(divided.record.files)) == ("val_labels_path", 2)
    logged.clear()
    divide_labels(job(), [train], [labels_of(8, "other.mp4")])
    assert logged.text == ""


def test_nothing_is_said_about_test_labels_of_other_frames(logged: pytest.LogCaptureFixture) -> None:
    warn_of_shared_frames("test", [("a", 1)], [("a", 2), ("b", 1)])
    assert logged.text == ""


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_resumed_run_has_the_same_frames_in_the_same_order(
    tmp_path: Path, logged: pytest.LogCaptureFixture, as_folder: bool
) -> None:
    labels = labels_of(8)
    labels.labeled_frames.reverse()
    first = divide_labels(job(seed=3), [labels], None)
    checkpoint = run_folder_of(tmp_path / "run", first)
    grown = labels_of(12)
    path = str(tmp_path / "run") if as_folder else checkpoint
    again = divide_labels(job({"split": {"split_by": "frame"}}, resume_ckpt_path=path), [grown], None)
    assert times(again.train) == times(first.train)
    assert times(again.val) == times(first.val)
    assert again.record == first.record
    assert "4 labelled frame(s) are new since the run began and are not used" in logged.text
    shrunk = labels_of(7)
    divide_labels(job(resume_ckpt_path=path), [shrunk], None)
    assert "1 frame(s) of the split are no longer labelled" in logged.text


def test_a_resumed_run_with_validation_files_has_the_same_frames(tmp_path: Path) -> None:
    first = divide_labels(job(), [labels_of(4, "a.mp4")], [labels_of(3, "b.mp4")])
    path = run_folder_of(tmp_path / "run", first)
    again = divide_labels(job(resume_ckpt_path=path), [labels_of(6, "a.mp4")], [labels_of(5, "b.mp4")])
    assert (times(again.train), times(again.val)) == ([[0, 10, 20, 30]], [[0, 10, 20]])


def test_a_run_resumed_on_other_labels_is_divided_anew(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    path = run_folder_of(tmp_path / "run", divide_labels(job(), [labels_of(8, "a.mp4")], None))
    other = divide_labels(job(resume_ckpt_path=path), [labels_of(8, "b.mp4")], None)
    assert "they are divided anew" in logged.text
    assert len(other.val[0]) == 2
    (tmp_path / "run" / "split.json").unlink()
    assert len(divide_labels(job(resume_ckpt_path=path), [labels_of(8)], None).val[0]) == 2


def test_frames_that_validated_the_weights_never_train(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    for seed in range(4):
        first = divide_labels(job(seed=seed), [labels_of(8)], None)
        path = run_folder_of(tmp_path / f"run{seed}", first)
        for key in ("pretrained_backbone_weights", "pretrained_head_weights"):
            tuned = divide_labels(job({"split": {"split_by": "frame"}}, {key: path}, seed=9), [labels_of(16)], None)
            assert set(times(first.val)[0]) < set(times(tuned.val)[0])
            assert set(times(first.train)[0]) < set(times(tuned.train)[0])
            assert len(tuned.val[0]) == 4
    assert "8 frames are known from the weights that this training starts from and stay on their side: 6 train, 2" in (
        logged.text
    )


def test_new_frames_join_the_side_of_their_neighbours(tmp_path: Path) -> None:
    first = divide_labels(job(), [labels_of(8)], None)
    path = run_folder_of(tmp_path / "run", first)
    dense = labels_of(8)
    for index, frame in enumerate(labels_of(8)):
        frame.frame_idx, frame.video = 10 * index + 1, dense.video
        dense.append(frame)
    tuned = divide_labels(job({}, {"pretrained_backbone_weights": path}), [dense], None)
    assert {time // 10 for time in times(tuned.val)[0]} == {time // 10 for time in times(first.val)[0]}


def test_frames_that_validated_are_left_out_beside_validation_files(
    tmp_path: Path, logged: pytest.LogCaptureFixture
) -> None:
    first = divide_labels(job(), [labels_of(8)], None)
    path = run_folder_of(tmp_path / "run", first)
    config = job({}, {"pretrained_backbone_weights": path})
    tuned = divide_labels(config, [labels_of(8)], [labels_of(3, "b.mp4")])
    assert times(tuned.train) == times(first.train)
    assert "2 frame(s) of the training labels validated the weights that this training starts from" in logged.text


def test_what_validated_a_grandparent_is_not_forgotten(tmp_path: Path) -> None:
    first = divide_labels(job(), [labels_of(8, "a.mp4")], None)
    paths = [run_folder_of(tmp_path / "first", first)]
    second = divide_labels(job({}, {"pretrained_backbone_weights": paths[0]}), [labels_of(8, "b.mp4")], None)
    assert set(second.record.held_out) == set(first.record.validated)
    paths.append(run_folder_of(tmp_path / "second", second))
    third = divide_labels(job({}, {"pretrained_backbone_weights": paths[1]}), [labels_of(8, "a.mp4")], None)
    assert set(times(first.val)[0]) <= set(times(third.val)[0])


def test_weights_without_a_split_hold_nothing_back(tmp_path: Path) -> None:
    (tmp_path / "old.h5").touch()
    config = job({}, {"pretrained_backbone_weights": str(tmp_path / "old.h5")})
    assert times(divide_labels(config, [labels_of(8)], None).val) == times(
        divide_labels(job(), [labels_of(8)], None).val
    )


def test_without_a_seed_every_run_is_split_differently_but_not_every_process() -> None:
    drawn = {divide_labels(job(seed=None), [labels_of(40)], None).record.seed for _ in range(4)}
    assert len(drawn) == 4
    trainer = job(seed=None).trainer_config
    vars(trainer)["trainer_devices"] = 2
    assert split_seed(trainer) == SHARED_SEED == 42
    vars(trainer)["trainer_devices"] = None
    vars(trainer)["trainer_device_indices"] = [0, 2]
    assert split_seed(trainer) == 42
    trainer.seed = 7
    assert split_seed(trainer) == 7


def test_videos_of_one_name_in_one_file_are_told_apart() -> None:
    labels = labels_of(4)
    second = Video("elsewhere/missing.mp4", backend_metadata=dict(labels.video.backend_metadata))
    labels.videos.append(second)
    for frame in labels_of(4):
        frame.video = second
        labels.append(frame)
    divided = divide_labels(job({"split": {"split_by": "video"}, "validation_fraction": 0.5}), [labels], None)
    assert times(divided.train) == times(divided.val) == [[0, 10, 20, 30]]
