"""Weights of a model that predicts: its own, or those of other checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from sleap_nn.errors import ModelError
from sleap_nn.networks import model_dir
from sleap_nn.networks.network import PoseNetwork

_BACKBONE, _HEADS = "backbone.", "head_layers."


def fill(
    network: PoseNetwork, folder: Path, backbone: str | Path | None = None, heads: str | Path | None = None
) -> None:
    """Put weights into a network.

    Args:
        network: Changed in place.
        folder: The model's own folder.
        backbone: Checkpoint or run folder that replaces all weights, or only those of the backbone if `heads` is given.
        heads: Checkpoint, or run folder, that replaces the weights of the heads.

    Raises:
        MissingFileError: A checkpoint is not there.
        ModelError: Names or shapes of weights are not those of the network.
    """
    own = model_dir.weights_file(folder)
    whole = own if backbone is None else _checkpoint(backbone)
    weights = model_dir.load_weights(whole)
    _check(
        network,
        weights,
        whole,
        f"do not fit {model_dir.config_file(folder).name} in {folder}",
        "" if heads is None else _BACKBONE,
    )
    if heads is not None:
        other = _checkpoint(heads)
        taken = model_dir.load_weights(other)
        _check(network, taken, other, f"do not fit the heads of the model in {folder}", _HEADS)
        weights = _starting(weights, _BACKBONE) | _starting(taken, _HEADS)
    network.load_state_dict(weights)


def _checkpoint(given: str | Path) -> Path:
    """Return the checkpoint that a user names by itself or by its run folder."""
    path = Path(given)
    return model_dir.weights_file(path) if path.is_dir() else path


def _starting(weights: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """Return the tensors whose names have a beginning."""
    return {name: tensor for name, tensor in weights.items() if name.startswith(start)}


def _check(network: PoseNetwork, weights: Mapping[str, Tensor], path: Path, complaint: str, start: str) -> None:
    """Refuse tensors that are not those of the network.

    Args:
        network: What they are for.
        weights: The tensors.
        path: Where they were read.
        complaint: What is wrong if they do not fit.
        start: Beginning of the names that count.

    Raises:
        ModelError: Names or shapes differ.
    """
    given, expected = _starting(weights, start), _starting(network.state_dict(), start)
    wrong = sorted(set(expected) ^ set(given))
    wrong += [name for name in expected if name in given and expected[name].shape != given[name].shape]
    if wrong:
        raise ModelError(
            f"The weights in {path} {complaint} ({len(wrong)} tensors differ, the first is {wrong[0]}); give "
            "a checkpoint of the same network, as training left it."
        )
