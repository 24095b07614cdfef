import csv
import logging
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.cache import CachedFrames
from sleap_nn.data.dataset import Draw, PoseDataset
from sleap_nn.data.frame_stores import RESERVE, DiskStore, MemoryStore
from sleap_nn.data.sources import VideoFrames
from sleap_nn.errors import ConfigError, DataError, MissingFileError, OutputError, TrainingInterruptedError
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.structures.sample import Frame, FrameKey
from sleap_nn.training import frame_cache as module
from sleap_nn.training.frame_cache import FOLDER, IN_MEMORY, ON_DISK, frame_cache, machine_folder
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.run_folder import resume_config
from sleap_nn.training.training_data import TrainingData

NUM_FRAMES = 24


def settings(folder: Path, data: dict[str, Any], **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.slp")],
            "augmentation_config": {"geometric": {"rotation_p": 1.0, "mixup_p": 0.5}},
            **data,
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": 2,
            "min_train_steps_per_epoch": 6,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": "run",
            "trainer_accelerator": "cpu",
            **trainer,
        },
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with labels of two videos."""
    folder = tmp_path_factory.mktemp("original")
    make_labels(NUM_FRAMES, path=folder / "labels.slp", num_clips=2, embed=False)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for the runs of a test, with the labels, and a temporary folder inside it."""
    (tmp_path / "labels.slp").symlink_to(original / "labels.slp")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[FrameKey]:
    """Return which frames are decoded."""
    seen: list[FrameKey] = []
    read = VideoFrames.read

    def noted(self: VideoFrames, key: FrameKey) -> Frame:
        seen.append(key)
        return read(self, key)

    monkeypatch.setattr(VideoFrames, "read", noted)
    return seen


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.WARNING)
    return caplog


def prepared(folder: Path, **data: Any) -> tuple[TrainingJobConfig, TrainingData]:
    config = TrainingJobConfig.from_cfg(settings(folder, data))
    return config, TrainingData.from_config(config)


def stores(data: TrainingData) -> set[type]:
    return {type(source._store) for source in data.sources if isinstance(source, CachedFrames)}


def read_all(data: TrainingData) -> list[np.ndarray]:
    return [source.read(key).image.copy() for source in data.sources for key in source.keys]


def frame_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.frame"))


def losses(run: Path) -> list[tuple[str, str]]:
    with (run / "training_log.csv").open(newline="") as file:
        return [(row["train/loss"], row["val/loss"]) for row in csv.DictReader(file)]


def test_on_demand_keeps_nothing(folder: Path) -> None:
    config, data = prepared(folder)
    with frame_cache(config, data, folder) as cached:
        assert cached.data is data
        assert cached.filler._threads == []
    assert not (folder / FOLDER).exists()


def test_a_source_is_asked_for_its_shapes_once_and_not_for_every_frame(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data = prepared(folder, data_pipeline_fw=ON_DISK)
    asked: list[VideoFrames] = []
    shapes = VideoFrames.shapes
    monkeypatch.setattr(VideoFrames, "shapes", lambda source: asked.append(source) or shapes(source))
    with frame_cache(config, data, folder) as cached:
        assert stores(cached.data) == {DiskStore}
    assert asked == list(data.sources)


@pytest.mark.parametrize(("mode", "kind"), [(IN_MEMORY, MemoryStore), (ON_DISK, DiskStore)])
def test_every_frame_is_decoded_once_in_the_background(
    folder: Path, decoded: list[FrameKey], mode: str, kind: type
) -> None:
    config, data = prepared(folder, data_pipeline_fw=mode, cache_workers=3)
    expected = read_all(data)
    decoded.clear()
    with frame_cache(config, data, folder / "run") as cached:
        assert len(cached.filler._threads) == 3
        cached.filler.wait()
        assert stores(cached.data) == {kind}
        assert all(np.array_equal(a, b) for a, b in zip(expected, read_all(cached.data), strict=True))
        assert len(decoded) == NUM_FRAMES
        assert len(frame_files(folder / "run" / FOLDER)) == (NUM_FRAMES if mode == ON_DISK else 0)
    assert not (folder / "run" / FOLDER).exists()


def test_frames_that_are_shrunk_are_kept_small_and_read_alike(folder: Path, decoded: list[FrameKey]) -> None:
    shrunk = {"preprocessing": {"scale": 0.5}}
    samples: dict[str, list[np.ndarray]] = {}
    for mode in ("torch_dataset", IN_MEMORY, ON_DISK):
        config, data = prepared(folder, data_pipeline_fw=mode, **shrunk)
        assert data.bytes_kept(config) == (NUM_FRAMES * 32 * 32 if mode == IN_MEMORY else 0)
        with frame_cache(config, data, folder / mode) as cached:
            cached.filler.wait()
            task = ModelTrainer.get_model_trainer_from_config(config).task
            shapes = {image.shape for image in read_all(cached.data)}
            assert shapes == {(32, 32, 1) if mode == IN_MEMORY else (64, 64, 1)}
            decoded.clear()
            train, val = cached.data.datasets(config, task, seed=3)
            drawn = [dataset[Draw(row, 5)] for dataset in (train, val) for row in range(len(dataset))]
            assert (decoded == []) == (mode != "torch_dataset")
        samples[mode] = [value for sample in drawn for value in (sample.image, sample.points, sample.transform.matrix)]
        assert drawn[0].image.shape == (1, 32, 32)
    for mode in (IN_MEMORY, ON_DISK):
        for expected, value in zip(samples["torch_dataset"], samples[mode], strict=True):
            np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("data", [{"parallel_caching": False}, {"validation_fraction": 0.5, "few": True}])
def test_without_threads_frames_are_kept_when_they_are_read(
    folder: Path, decoded: list[FrameKey], data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if data.pop("few", False):
        monkeypatch.setattr(module, "_FEWEST_FRAMES", NUM_FRAMES + 1)
    config, data_of_run = prepared(folder, data_pipeline_fw=IN_MEMORY, **data)
    with frame_cache(config, data_of_run, None) as cached:
        assert cached.filler._threads == []
        assert decoded == []
        read_all(cached.data)
        read_all(cached.data)
        assert len(decoded) == NUM_FRAMES


def test_validation_on_the_training_data_keeps_frames_once(folder: Path) -> None:
    config, data = prepared(folder, data_pipeline_fw=IN_MEMORY, use_same_data_for_val=True)
    with frame_cache(config, data, None) as cached:
        assert len(cached.data.sources) == 1
        assert cached.data.train.source is cached.data.val.source


def test_frames_that_do_not_fit_into_memory_are_kept_on_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 100_000)
    config, data = prepared(folder, data_pipeline_fw=IN_MEMORY)
    with frame_cache(config, data, folder / "run") as cached:
        assert stores(cached.data) == {DiskStore}
    assert told.messages == [
        "The 24 frames need 0.1 MB of memory, and 0.1 MB are available; they are kept on disk instead."
    ]


def test_every_process_of_a_machine_needs_its_own_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 200_000)
    config, data = prepared(folder, data_pipeline_fw=IN_MEMORY)
    with frame_cache(config, data, folder / "run") as cached:
        assert stores(cached.data) == {MemoryStore}
    monkeypatch.setenv("WORLD_SIZE", "2")
    with frame_cache(config, data, folder / "run") as cached:
        assert stores(cached.data) == {DiskStore}
    assert "in each of 2 processes" in told.text


def test_memory_that_the_system_refuses_is_no_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("out of memory")

    monkeypatch.setattr(MemoryStore, "__init__", refuse)
    config, data = prepared(folder, data_pipeline_fw=IN_MEMORY)
    with frame_cache(config, data, folder / "run") as cached:
        assert stores(cached.data) == {DiskStore}
    assert "cannot be had (out of memory)" in told.text


def test_a_disk_without_room_means_reading_on_demand(
    folder: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=RESERVE + 50_000))
    config, data = prepared(folder, data_pipeline_fw=ON_DISK)
    with frame_cache(config, data, folder / "run") as cached:
        assert stores(cached.data) == set()
        assert len(read_all(cached.data)) == NUM_FRAMES
    assert "cache_img_path" in told.text
    assert len(told.messages) == 1
    assert not (folder / "run" / FOLDER).exists()


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, cache_img_path=str(folder / "file" / "cache"))
    with pytest.raises(OutputError, match=r"file/cache.*cache_img_path"), frame_cache(config, data, folder):
        pass


@pytest.mark.parametrize("keep", [False, True])
def test_a_run_without_a_folder_keeps_frames_in_a_temporary_one(folder: Path, keep: bool) -> None:
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, delete_cache_imgs_after_training=not keep)
    with frame_cache(config, data, None) as cached:
        cached.filler.wait()
        assert len(frame_files(folder / "temporary")) == NUM_FRAMES
    assert len(frame_files(folder / "temporary")) == (NUM_FRAMES if keep else 0)
    assert len(list((folder / "temporary").iterdir())) == int(keep)


def test_a_later_run_decodes_nothing_that_an_earlier_one_kept(folder: Path, decoded: list[FrameKey]) -> None:
    keep = {"cache_img_path": str(folder / "cache"), "delete_cache_imgs_after_training": False}
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, validation_fraction=0.2, **keep)
    with frame_cache(config, data, folder / "first") as cached:
        cached.filler.wait()
        expected = {image.tobytes() for image in read_all(cached.data)}
    decoded.clear()
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, validation_fraction=0.5, **keep)
    with frame_cache(config, data, folder / "second") as cached:
        assert {image.tobytes() for image in read_all(cached.data)} == expected
    assert decoded == []


def test_each_run_removes_what_it_added_to_a_common_folder(folder: Path) -> None:
    common = {"data_pipeline_fw": ON_DISK, "cache_img_path": str(folder / "cache"), "parallel_caching": False}
    config, data = prepared(folder, **common, delete_cache_imgs_after_training=False)
    with frame_cache(config, data, folder / "first") as cached:
        train = cached.data.train.source
        for key in train.keys:
            train.read(key)
    (folder / "cache" / "notes.txt").write_text("mine")
    config, data = prepared(folder, **common)
    with frame_cache(config, data, folder / "second") as cached:
        read_all(cached.data)
        assert len(frame_files(folder / "cache")) == NUM_FRAMES
    assert len(frame_files(folder / "cache")) == len(data.train.set)
    assert (folder / "cache" / "notes.txt").exists()


def test_frames_are_removed_after_an_error(folder: Path) -> None:
    config, data = prepared(folder, data_pipeline_fw=ON_DISK)
    with pytest.raises(DataError), frame_cache(config, data, folder / "run") as cached:
        cached.filler.wait()
        raise DataError("broken")
    assert not (folder / "run" / FOLDER).exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingInterruptedError])
@pytest.mark.parametrize("resumable", [False, True])
def test_frames_stay_when_the_run_can_be_resumed(folder: Path, error: type[BaseException], resumable: bool) -> None:
    config, data = prepared(folder, data_pipeline_fw=ON_DISK)
    run = folder / "run"
    with pytest.raises(error), frame_cache(config, data, run) as cached:
        cached.filler.wait()
        if resumable:
            (run / model_dir.RESUME).touch()
        raise error
    assert len(frame_files(run)) == (NUM_FRAMES if resumable else 0)


@pytest.mark.parametrize(("place", "mark"), [({"cache_img_path": "cache"}, "cache"), ({}, f"moved/{FOLDER}")])
def test_a_resumed_run_removes_what_it_kept_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: dict[str, str], mark: str
) -> None:
    monkeypatch.chdir(folder)
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, **place)
    run = folder / "run"
    with pytest.raises(TrainingInterruptedError), frame_cache(config, data, run) as cached:
        cached.filler.wait()
        run.mkdir(exist_ok=True)
        (run / model_dir.RESUME).touch()
        raise TrainingInterruptedError
    if not place:
        run = run.rename(folder / "moved")
    assert len(frame_files(folder / mark)) == NUM_FRAMES
    with frame_cache(config, data, run):
        pass
    assert frame_files(folder / mark) == []


def test_existing_frames_must_all_be_there(folder: Path, decoded: list[FrameKey]) -> None:
    existing = {"data_pipeline_fw": ON_DISK, "cache_img_path": str(folder / "cache")}
    config, data = prepared(folder, **existing, use_existing_imgs=True)
    with pytest.raises(MissingFileError, match=r"24 of 24 frames are not in .*cache"), frame_cache(config, data, None):
        pass
    assert not (folder / "cache").exists()
    filled, _ = prepared(folder, **existing, delete_cache_imgs_after_training=False)
    with frame_cache(filled, data, folder / "first") as cached:
        cached.filler.wait()
    decoded.clear()
    with frame_cache(config, data, folder / "second") as cached:
        assert len(read_all(cached.data)) == NUM_FRAMES
    assert decoded == []
    assert len(frame_files(folder / "cache")) == NUM_FRAMES
    frame_files(folder / "cache")[0].unlink()
    missing_one = pytest.raises(MissingFileError, match=r"^[^\n]* 1 of 24 frames [^\n]*clip[01]\.mp4[^\n]*\.$")
    with missing_one, frame_cache(config, data, folder / "third"):
        pass


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"data_pipeline_fw": IN_MEMORY}, ON_DISK),
        ({}, ON_DISK),
        ({"data_pipeline_fw": ON_DISK}, "cache_img_path"),
    ],
)
def test_existing_frames_need_a_place(folder: Path, data: dict[str, Any], message: str) -> None:
    config, data_of_run = prepared(folder, use_existing_imgs=True, **data)
    with pytest.raises(ConfigError, match=message), frame_cache(config, data_of_run, None):
        pass


def test_a_changed_video_never_meets_its_former_frames(tmp_path: Path) -> None:
    keep = {"cache_img_path": str(tmp_path / "cache"), "delete_cache_imgs_after_training": False}
    for seed in (0, 7):
        make_labels(4, path=tmp_path / "labels.slp", embed=False, seed=seed)
        config, data = prepared(tmp_path, data_pipeline_fw=ON_DISK, **keep)
        with frame_cache(config, data, tmp_path / "run") as cached:
            assert all(np.array_equal(a, b) for a, b in zip(read_all(cached.data), read_all(data), strict=True))
    assert len(frame_files(tmp_path / "cache")) == 2 * 4


def test_ranks_share_the_work_and_only_the_first_removes_it(
    folder: Path, decoded: list[FrameKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    config, data = prepared(folder, data_pipeline_fw=ON_DISK, cache_workers=1, use_same_data_for_val=True)
    with frame_cache(config, data, folder / "run") as cached:
        cached.filler.wait()
    assert [key.video for key in decoded] == [1] * (NUM_FRAMES // 2) + [0] * (NUM_FRAMES // 2)
    assert len(frame_files(folder / "run")) == NUM_FRAMES
    monkeypatch.setenv("LOCAL_RANK", "0")
    with frame_cache(config, data, folder / "run") as cached:
        cached.filler.wait()
    assert len(decoded) == NUM_FRAMES
    assert frame_files(folder / "run") == []


@pytest.fixture(scope="module")
def reference(original: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Return the losses of a run that reads frames whenever it needs them, in this process."""
    models = tmp_path_factory.mktemp("models")
    ModelTrainer(settings(original, {}, ckpt_dir=str(models))).train()
    return losses(models / "run")


@pytest.mark.parametrize("mode", ["torch_dataset", IN_MEMORY, ON_DISK])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_neither_cache_nor_workers_change_the_losses(
    folder: Path, reference: list[tuple[str, str]], mode: str, num_workers: int
) -> None:
    loaders = {name: {"num_workers": num_workers} for name in ("train_data_loader", "val_data_loader")}
    trainer = ModelTrainer(settings(folder, {"data_pipeline_fw": mode}, **loaders))
    trainer.train()
    assert losses(folder / "models" / "run") == reference
    assert not (folder / "models" / "run" / FOLDER).exists()


def test_an_interrupted_run_goes_on_with_its_frames(
    folder: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[FrameKey], reference: list[tuple[str, str]]
) -> None:
    read, count = PoseDataset.__getitem__, iter(range(10**6))

    def stop_at_draw(self: PoseDataset, draw: Any) -> Any:
        if self._augmenter is not None and next(count) == 30:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(self, draw)

    run = folder / "models" / "run"
    with monkeypatch.context() as patch, pytest.raises(TrainingInterruptedError):
        patch.setattr(PoseDataset, "__getitem__", stop_at_draw)
        ModelTrainer(settings(folder, {"data_pipeline_fw": ON_DISK})).train()
    assert frame_files(run)
    trainer = ModelTrainer(resume_config(run))
    decoded.clear()
    trainer.train()
    assert len(decoded) < NUM_FRAMES
    assert losses(run) == reference
    assert frame_files(run) == []


def test_auto_is_replaced_by_a_number_of_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleap_nn.training.loading.usable_cpus", lambda: 3)
    loaders = {"train_data_loader": {"num_workers": "auto"}, "val_data_loader": {"num_workers": "auto"}}
    trainer = ModelTrainer(settings(folder, {}, min_train_steps_per_epoch=16, max_epochs=1, **loaders))
    trainer.train()
    saved = TrainingJobConfig.load(folder / "models" / "run" / "training_config.yaml").trainer_config
    assert (saved.train_data_loader.num_workers, saved.val_data_loader.num_workers) == (2, 0)


def test_a_frame_that_a_worker_cannot_read_is_named_in_one_sentence(tmp_path: Path) -> None:
    make_labels(6, path=tmp_path / "labels.slp", embed=False)
    loaders = {"train_data_loader": {"num_workers": 1}}
    trainer = ModelTrainer(settings(tmp_path, {"data_pipeline_fw": IN_MEMORY}, **loaders))
    trainer.data.train.source.close()
    (tmp_path / "clip0.mp4").write_bytes(b"this is no video")
    with pytest.raises(DataError, match=r"^Frame \d+ of [^\n]*clip0\.mp4 [^\n]*\.$"):
        trainer.train()


def test_a_worker_that_is_killed_is_told_in_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main, read = os.getpid(), PoseDataset.__getitem__

    def die(self: PoseDataset, draw: Any) -> Any:
        if os.getpid() != main:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, draw)

    monkeypatch.setattr(PoseDataset, "__getitem__", die)
    trainer = ModelTrainer(settings(folder, {}, train_data_loader={"num_workers": 1}))
    with pytest.raises(DataError, match=r"is gone .*num_workers") as caught:
        trainer.train()
    assert "\n" not in str(caught.value)


def test_processes_of_a_machine_without_the_run_folder_share_one_of_their_own(tmp_path: Path) -> None:
    with machine_folder(tmp_path, "token") as own:
        assert own == tmp_path
    with machine_folder(None, None) as alone:
        assert alone is None
    with machine_folder(None, "0a1b") as first, machine_folder(None, "0a1b") as second:
        assert first is not None
        assert first == second
        first.mkdir()
    assert not first.exists()
