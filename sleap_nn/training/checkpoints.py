"""Checkpoints on disk: written whole or not at all, and where a training stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sleap_nn.errors import ConfigError, ModelError, OutputError, reason
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.training.optim import check_groups
from sleap_nn.whole_files import whole_file

POSITION = "position"
BATCH_SIZES = "batch_sizes"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a file beside the target, and renames it when it is safely on the disk.

    Whatever happens meanwhile, a full disk or a kill, the checkpoint that was there before stays intact.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: The disk is full or the folder is gone.
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            # Of a disk that is full the library only says that it lost its place in the file.
            cause = error.__context__ if isinstance(error.__context__, OSError) else error
            raise OutputError(
                f"The checkpoint {target} could not be written ({reason(cause)}); the one before it is intact. Make "
                f"room, then continue with: sleap-nn train --resume {target.parent}"
            ) from error


@dataclass(frozen=True)
class Position:
    """Where training goes on.

    Attributes:
        epoch: The epoch, from 0.
        batch: Batches of it that are done.
        seed: Seed of all draws, None if the checkpoint does not say.
        group: Samples of a batch over all devices, None if the checkpoint does not say.
    """

    epoch: int
    batch: int = 0
    seed: int | None = None
    group: int | None = None

    @classmethod
    def read(cls, path: Path) -> Position:
        """Return the position of a checkpoint.

        Raises:
            MissingFileError: There is no such file.
            ModelError: It is no checkpoint of a training.
        """
        checkpoint = model_dir.read_checkpoint(path)
        if not {"loops", "optimizer_states", "epoch"} <= checkpoint.keys():
            raise ModelError(
                f"{path} holds weights, but not the state of a training, so it cannot be resumed; to start from its "
                "weights set model_config.pretrained_backbone_weights and pretrained_head_weights to it."
            )
        stored = checkpoint.get(POSITION)
        try:
            if stored is None:
                return cls(int(checkpoint["epoch"]) + 1)
            return cls(stored["epoch"], stored["batch"], stored["seed"], stored.get("group"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"{path} does not say where its training was ({error}); give an intact file.") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {"epoch": self.epoch, "batch": self.batch, "seed": self.seed, "group": self.group}

    def regrouped(self, group: int, num_batches: int) -> Position:
        """Return the position where batches hold `group` samples and an epoch has `num_batches` of them.

        Samples of a batch that was only partly made are drawn again, and an epoch keeps a batch to do.
        """
        batch = self.batch if self.group is None else self.batch * self.group // group
        return replace(self, batch=min(batch, num_batches - 1), group=group)


def set_batch(checkpoint: dict[str, Any], batch: int) -> None:
    """Make the engine go on after so many batches of the epoch; it counts its own, which may have had another size."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    more = batch - progress["current"]["ready"]
    for counts in (progress["current"], progress["total"]):
        counts.update({name: count + more for name, count in counts.items()})


def saved_batch_sizes(path: Path) -> tuple[int, int] | None:
    """Return the batch sizes of training and validation in a checkpoint, None if it does not say."""
    sizes = model_dir.read_checkpoint(path).get(BATCH_SIZES)
    return None if sizes is None else (int(sizes[0]), int(sizes[1]))


def check_fits(path: Path, network: PoseNetwork, groups: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Refuse a checkpoint of another network before training starts.

    Args:
        path: The checkpoint.
        network: The network that goes on.
        groups: The groups in which its weights are optimised; None: they are not compared.

    Raises:
        ModelError: A tensor is missing or has another shape, the message names the first; or the weights were
            optimised in other groups.
    """
    saved, wanted = model_dir.load_weights(path), network.state_dict()
    for name, tensor in wanted.items():
        if name not in saved or saved[name].shape != tensor.shape:
            there = "is not in it" if name not in saved else f"has the shape {tuple(saved[name].shape)} there"
            raise ModelError(
                f"{path} does not continue this network: {name} of shape {tuple(tensor.shape)} {there}; resume with "
                "the model_config of that run, or use pretrained_backbone_weights to start from its weights."
            )
    if groups is not None:
        check_groups(model_dir.read_checkpoint(path)["optimizer_states"], groups)


def check_epochs(path: Path, position: Position, max_epochs: int) -> None:
    """Refuse a training that would end before the epoch which its checkpoint has reached.

    Raises:
        ConfigError: It would; the message says how many epochs are done.
    """
    if position.epoch > max_epochs:
        raise ConfigError(
            f"trainer_config.max_epochs is {max_epochs}, but {path} has {position.epoch} epochs behind it; give "
            f"{position.epoch} or more to go on from it, or start a new run."
        )
