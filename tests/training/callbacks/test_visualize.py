from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch

from sleap_nn.config.model_config import SingleInstanceConfig, UNetConfig
from sleap_nn.config.trainer_config import TrainerConfig
from sleap_nn.data.dataset import PoseDataset
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame, LabelSet
from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import OutputError, TrainingInterruptedError
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.networks.unet import UNet
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks.single_instance import SingleInstance
from sleap_nn.training.callbacks import visualize
from sleap_nn.training.callbacks.drawings import CLASS_MAPS, PAFS, PREDICTIONS, Drawing, DrawingSink
from sleap_nn.training.callbacks.visualize import DrawingFolder, EpochDrawings
from sleap_nn.training.module import TrainingModule

SKELETON = Skeleton(("nose",))
TASK = SingleInstance.from_config(SingleInstanceConfig(), SKELETON)


class Kept(DrawingSink):
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[Drawing]] = {}

    def add(self, epoch: int, drawings: list[Drawing]) -> None:
        self.epochs[epoch] = drawings


def drawing(stage: str = "train", kind: str = PREDICTIONS) -> Drawing:
    return Drawing(
        stage=stage,
        kind=kind,
        picture=np.full((20, 30, 3), 77, np.uint8),
        image=np.zeros((8, 8, 1), np.uint8),
        maps=np.zeros((1, 4, 4), np.float32),
        points_true=np.zeros((1, 1, 2), np.float32),
        points_pred=np.zeros((1, 1, 2), np.float32),
        scores_pred=np.ones((1, 1), np.float32),
        node_names=("nose",),
    )


def dataset(num_frames: int) -> PoseDataset:
    """Frames that are as bright as their number."""
    frames = tuple(
        LabeledFrame(FrameKey(0, i), np.full((1, 1, 2), 8, np.float32), np.array([-1])) for i in range(num_frames)
    )
    source = ArrayFrames([np.full((16, 16, 1), i, np.uint8) for i in range(num_frames)])
    return PoseDataset(LabelSet(SKELETON, (), frames, ()), source, TASK, InputSpec(1))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> TrainingModule:
    network = PoseNetwork(UNet(UNetConfig(filters=2, max_stride=2)), TASK.heads)
    monkeypatch.setattr(TrainingModule, "maps", lambda self, images: self.model(images))
    return TrainingModule(TASK, network, TrainerConfig())


def engine(epoch: int = 0, is_global_zero: bool = True) -> Any:
    return SimpleNamespace(current_epoch=epoch, is_global_zero=is_global_zero)


@pytest.mark.parametrize(
    ("image_format", "extension"), [("png", "png"), ("jpg", "jpg"), ("JPEG", "jpg"), ("svg", "png"), ("", "png")]
)
def test_files_are_named_by_stage_kind_and_epoch(tmp_path: Path, image_format: str, extension: str) -> None:
    folder = DrawingFolder(tmp_path / "viz", image_format, is_kept=True)
    folder.add(7, [drawing(), drawing("val"), drawing("val", PAFS), drawing("train", CLASS_MAPS)])
    assert {path.name for path in (tmp_path / "viz").iterdir()} == {
        f"train.0007.{extension}",
        f"validation.0007.{extension}",
        f"validation.pafs_magnitude.0007.{extension}",
        f"train.class_maps.0007.{extension}",
    }
    path = tmp_path / "viz" / f"train.0007.{extension}"
    assert path.read_bytes()[:3] == (b"\xff\xd8\xff" if extension == "jpg" else b"\x89PN")
    assert abs(int(cv2.imread(str(path)).mean()) - 77) <= 2


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "viz").write_text("in the way")
    with pytest.raises(OutputError, match="viz cannot be made"):
        DrawingFolder(tmp_path / "viz", "png", is_kept=True).add(0, [drawing()])


def test_each_split_is_drawn_for_every_sink_and_on_disk(tmp_path: Path, module: TrainingModule) -> None:
    sinks = [Kept(), Kept()]
    folder = DrawingFolder(tmp_path / "viz", "png", is_kept=True)
    callback = EpochDrawings({"train": dataset(4), "val": dataset(2)}, 0, sinks, folder)
    callback.on_validation_epoch_end(engine(3), module)
    assert sorted(path.name for path in (tmp_path / "viz").iterdir()) == ["train.0003.png", "validation.0003.png"]
    assert sinks[0].epochs == sinks[1].epochs
    assert [(d.stage, d.kind) for d in sinks[0].epochs[3]] == [("train", PREDICTIONS), ("val", PREDICTIONS)]


def test_without_a_folder_nothing_is_written(
    tmp_path: Path, module: TrainingModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sink = Kept()
    callback = EpochDrawings({"train": dataset(4), "val": dataset(2)}, 0, [sink])
    callback.on_validation_epoch_end(engine(), module)
    callback.on_fit_end(engine(), module)
    assert len(sink.epochs[0]) == 2
    assert list(tmp_path.iterdir()) == []


def test_other_processes_draw_nothing(module: TrainingModule) -> None:
    sink = Kept()
    EpochDrawings({"train": dataset(1)}, 0, [sink]).on_validation_epoch_end(engine(is_global_zero=False), module)
    assert sink.epochs == {}


def shown(seed: int, module: TrainingModule, num_epochs: int = 12) -> list[int]:
    """Return which training frame was drawn in each epoch."""
    sink = Kept()
    callback = EpochDrawings({"train": dataset(30), "val": dataset(1)}, seed, [sink])
    for epoch in range(num_epochs):
        callback.on_validation_epoch_end(engine(epoch), module)
    return [int(sink.epochs[epoch][0].image.mean()) for epoch in range(num_epochs)]


def test_seed_and_epoch_choose_the_sample_and_no_generator_moves(module: TrainingModule) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = shown(1, module)
    assert first == shown(1, module)
    assert first != shown(2, module)
    assert len(set(first)) > 4
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("is_kept", [True, False])
def test_drawings_go_when_the_run_ends_unless_kept(tmp_path: Path, module: TrainingModule, is_kept: bool) -> None:
    run = tmp_path / "run"
    callback = EpochDrawings({"train": dataset(1)}, 0, [], DrawingFolder(run / "viz", "png", is_kept))
    callback.on_validation_epoch_end(engine(), module)
    (run / "best.ckpt").touch()
    callback.on_fit_end(engine(), module)
    assert (run / "viz").exists() == is_kept
    assert (run / "best.ckpt").exists()


def test_a_run_folder_made_for_drawings_goes_with_them(tmp_path: Path, module: TrainingModule) -> None:
    callback = EpochDrawings({"train": dataset(1)}, 0, [], DrawingFolder(tmp_path / "run" / "viz", "png", False))
    callback.on_fit_end(engine(), module)
    callback.on_validation_epoch_end(engine(), module)
    callback.on_fit_end(engine(), module)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "remains"), [(MemoryError(), False), (KeyboardInterrupt(), False), (TrainingInterruptedError(""), True)]
)
def test_after_an_error_they_stay_only_for_a_run_that_goes_on(
    tmp_path: Path, module: TrainingModule, error: BaseException, remains: bool
) -> None:
    callback = EpochDrawings({"train": dataset(1)}, 0, [], DrawingFolder(tmp_path / "run" / "viz", "png", False))
    callback.on_validation_epoch_end(engine(), module)
    callback.on_exception(engine(), module, error)
    assert (tmp_path / "run" / "viz").exists() == remains


def test_the_title_says_what_is_seen(module: TrainingModule, monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []
    monkeypatch.setattr(visualize, "make_drawings", lambda *arguments: titles.append(arguments[-1]) or [])
    EpochDrawings({"val": dataset(1)}, 0, []).on_validation_epoch_end(cast(Any, engine(5)), module)
    assert titles == ["validation, epoch 5, frame 0 of video 0"]
