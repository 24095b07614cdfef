"""What the names of kept weights promise: ``best.ckpt`` is the best of them, ``last.ckpt`` is the newest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from sleap_nn.networks import model_dir


class KeptWeights(Checkpoint):
    """Puts right what `ModelCheckpoint` leaves open, and comes after it.

    Of several kept checkpoints the engine names the first one ``best.ckpt``, not the best one; and it writes the last
    one only in epochs that are among the best.
    """

    def __init__(self, kept: ModelCheckpoint, last: Path | None) -> None:
        """Choose whose files are named, and where the newest weights go; None for nowhere."""
        self._kept = kept
        self._last = last

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Name the kept weights by their rank, ``best.ckpt``, ``best-v1.ckpt``, ..., and write the newest."""
        self._rank(trainer)
        if self._last is not None:
            trainer.save_checkpoint(self._last)

    def _rank(self, trainer: Trainer) -> None:
        """Let files and records change places."""
        kept = self._kept
        names = ranked_names(kept.best_k_models, kept.mode)
        if all(path == name for path, name in names.items()):
            return
        if trainer.is_global_zero:
            rename(names)
        kept.best_k_models = {names[path]: score for path, score in kept.best_k_models.items()}
        kept.best_model_path = names[kept.best_model_path]
        kept.kth_best_model_path = names.get(kept.kth_best_model_path, "")


def ranked_names(scores: Mapping[str, object], mode: str) -> dict[str, str]:
    """Return the path that every kept checkpoint should have.

    Args:
        scores: Score of the checkpoint at each path, never NaN.
        mode: Whether ``min`` or ``max`` is best.
    """
    order = sorted(scores, key=lambda path: float(scores[path]), reverse=mode == "max")  # pyright: ignore[reportArgumentType]
    best = Path(model_dir.WEIGHTS)
    names = [f"{best.stem}-v{rank}{best.suffix}" if rank else best.name for rank in range(len(order))]
    return {path: str(Path(path).with_name(name)) for path, name in zip(order, names, strict=True)}


def rename(names: Mapping[str, str]) -> None:
    """Give files the names of each other."""
    moving = {path: Path(path).with_name(f".{Path(path).name}.moving") for path, name in names.items() if path != name}
    for path, between in moving.items():
        Path(path).replace(between)
    for path, between in moving.items():
        between.replace(names[path])
