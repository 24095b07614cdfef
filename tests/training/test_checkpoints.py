from pathlib import Path
from typing import Any

import pytest
import torch

from sleap_nn.errors import MissingFileError, ModelError, OutputError
from sleap_nn.training.checkpoints import AtomicCheckpointIO, Position, check_fits, set_batch

STATE = {"state_dict": {}, "loops": {}, "optimizer_states": [], "epoch": 4}


def test_a_checkpoint_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.ckpt"
    for value in (1, 2):
        AtomicCheckpointIO().save_checkpoint({"value": value}, path)
    assert torch.load(path, weights_only=True) == {"value": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["a.ckpt"]


def test_a_full_disk_leaves_the_checkpoint_before_intact(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint({"value": 1}, path)

    resource = pytest.importorskip("resource")
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, most))
    try:
        with pytest.raises(OutputError, match=r"\(.*File too large\).*one before it is intact.*--resume"):
            AtomicCheckpointIO().save_checkpoint({"value": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    assert torch.load(path, weights_only=True) == {"value": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_position_survives_a_checkpoint(tmp_path: Path) -> None:
    position = Position(epoch=3, batch=17, seed=5)
    torch.save(STATE | {"position": position.to_dict()}, tmp_path / "a.ckpt")
    assert Position.read(tmp_path / "a.ckpt") == position


def test_a_checkpoint_without_position_is_the_end_of_its_epoch(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.ckpt")
    assert Position.read(tmp_path / "a.ckpt") == Position(epoch=5, batch=0, seed=None)


def test_weights_alone_are_no_position(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match="pretrained_backbone_weights"):
        Position.read(tmp_path / "a.ckpt")
    with pytest.raises(MissingFileError):
        Position.read(tmp_path / "none.ckpt")


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"model.weight": torch.zeros(2, 3)}, "bias of shape .* is not in it"),
        ({"model.weight": torch.zeros(4, 3), "model.bias": torch.zeros(2)}, "has the shape .4, 3. there"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, weights: dict[str, Any], words: str) -> None:
    torch.save({"state_dict": weights}, tmp_path / "a.ckpt")
    network: Any = torch.nn.Linear(3, 2)
    with pytest.raises(ModelError, match=words):
        check_fits(tmp_path / "a.ckpt", network)


def test_weights_of_the_same_network_fit(tmp_path: Path) -> None:
    network: Any = torch.nn.Linear(3, 2)
    torch.save({"state_dict": {f"model.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "a.ckpt")
    check_fits(tmp_path / "a.ckpt", network)


@pytest.mark.parametrize(
    ("saved", "group", "num_batches", "batch"),
    [
        (Position(1, 3, 0, 8), 8, 10, 3),
        (Position(1, 3, 0, 8), 4, 10, 6),
        (Position(1, 3, 0, 8), 16, 10, 1),
        (Position(1, 3, 0, 8), 4, 5, 4),
        (Position(1, 3, 0, None), 4, 10, 3),
        (Position(1), 4, 10, 0),
    ],
)
def test_a_position_is_told_in_batches_of_another_size(
    saved: Position, group: int, num_batches: int, batch: int
) -> None:
    assert saved.regrouped(group, num_batches) == Position(1, batch, saved.seed, group)


def test_the_engine_is_told_how_many_batches_are_done() -> None:
    counts = {"ready": 3, "started": 3, "processed": 3, "completed": 2}
    progress = {"current": dict(counts), "total": {name: count + 10 for name, count in counts.items()}}
    checkpoint = {"loops": {"fit_loop": {"epoch_loop.batch_progress": progress}}}
    set_batch(checkpoint, 5)
    assert progress["current"] == {"ready": 5, "started": 5, "processed": 5, "completed": 4}
    assert progress["total"] == {"ready": 15, "started": 15, "processed": 15, "completed": 14}
