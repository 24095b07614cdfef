"""`WandbListener`: a run on Weights & Biases; the package wandb is an extra and imported only when it is used."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from sleap_nn.config.trainer_config import WandBConfig
from sleap_nn.log import logger
from sleap_nn.training.callbacks import wandb_keys
from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event, Listener
from sleap_nn.training.callbacks.wandb_drawings import WandbDrawings

KEY_VARIABLE = "WANDB_API_KEY"
LOGIN_SECONDS = 120


class WandbListener(Listener):
    """Logs every batch and epoch, drawings, and the final metrics."""

    service: ClassVar[str] = "Weights & Biases"

    def __init__(self, settings: WandBConfig, folder: Path, config: Mapping[str, Any], optimizer: str) -> None:
        """Choose what is logged.

        Args:
            settings: The section of the configuration; ``current_run_id`` is the id of this run.
            folder: Where the local files go, into a folder ``wandb``.
            config: The whole configuration without secrets.
            optimizer: Name of the optimizer.
        """
        self.wants_drawings = settings.save_viz_imgs_wandb
        self._settings = settings
        self._folder = folder
        self._config = config
        self._optimizer = optimizer
        self._run: Any = None
        self._drawings: WandbDrawings | None = None
        self._old_names: set[str] = set()

    def open(self) -> str | None:
        """Begin the run, or go on with an earlier one.

        Raises:
            RuntimeError: Another run is active in this process, which would be taken over otherwise.
        """
        import wandb

        if wandb.run is not None:
            raise RuntimeError(f"the run {wandb.run.id} is active in this process; end it with wandb.finish() first")
        settings = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)  # older versions of the library write elsewhere otherwise
        with no_trace_of(settings.api_key):
            self._run = wandb.init(
                entity=settings.entity,
                project=settings.project,
                name=settings.name,
                group=settings.group,
                mode=settings.wandb_mode,  # pyright: ignore[reportArgumentType]
                id=settings.current_run_id,
                resume=resume_mode(settings),
                dir=str(self._folder),
                config={"run_name": settings.name, "run_config": dict(self._config)},
                # No copies of the user's code or of changes in a repository, which may hold the login key.
                settings=wandb.Settings(disable_git=True, disable_code=True, quiet=True, login_timeout=LOGIN_SECONDS),
            )
        if settings.save_viz_imgs_wandb:
            self._drawings = WandbDrawings(self._run, settings)
        self._run.define_metric(wandb_keys.EPOCH)
        for pattern in wandb_keys.PER_EPOCH:
            self._run.define_metric(pattern, step_metric=wandb_keys.EPOCH)
        if self._run.offline:
            logger.info("Weights & Biases: to upload this run, wandb sync %s", Path(self._run.dir).parent)
            return None
        if self._run.url is None:
            logger.info("Weights & Biases is switched off by the environment (WANDB_MODE or WANDB_DISABLED).")
            return None
        logger.info("Weights & Biases: %s", self._run.url)
        return self._run.url

    def write(self, event: Event) -> None:
        """Log the loss of a batch, the values of an epoch, and put best and final ones into the summary."""
        values = event.values or {}
        if event.kind == "batch_end":
            self._run.log(dict(values))
        elif event.kind == "epoch_end":
            old = wandb_keys.old_values(values, self._optimizer)
            self._define(old)
            self._run.log(old | wandb_keys.epoch_values(values) | {wandb_keys.EPOCH: event.epoch})
        elif event.kind == "train_end" and event.epoch is not None:
            best = wandb_keys.epoch_values(values) | {wandb_keys.EPOCH: event.epoch}
            self._run.summary.update({f"best/{name}": value for name, value in best.items()})
        elif event.kind == "evaluated":
            self._run.summary.update(dict(values))

    def draw(self, epoch: int, drawings: list[Drawing]) -> None:
        """Upload the drawings of an epoch."""
        if self._drawings is not None:
            self._drawings.add(epoch, drawings)

    def wants_stop(self, wait: bool) -> bool:
        """Return False: the service stops no run."""
        return False

    def close(self, failed: bool) -> None:
        """End the run, wait for its upload, and delete its local files if they are not wanted."""
        if self._run is None:
            return
        run, self._run = self._run, None
        run.finish(exit_code=int(failed))
        delete = self._settings.delete_local_logs
        if (not run.offline) if delete is None else delete:
            remove_local_files(self._folder / "wandb", run.id)

    def _define(self, names: Mapping[str, float]) -> None:
        """Plot values with old names over the epoch, like those with today's."""
        for name in names.keys() - self._old_names:
            self._run.define_metric(name, step_metric=wandb_keys.EPOCH)
            self._old_names.add(name)


def resume_mode(settings: WandBConfig) -> Literal["must", "allow"] | None:
    """Return how a run of the same id is taken up; offline this is decided when the files are uploaded."""
    if settings.wandb_mode == "offline":
        return None
    return "must" if settings.prv_runid else "allow"


def choose_run_id(settings: WandBConfig, is_resumed: bool) -> str:
    """Return the id of the run that begins.

    It is, in this order, that of the run to go on with, of the interrupted run that training resumes, of the run that
    a sweep has prepared, or a new one.
    """
    interrupted = settings.current_run_id if is_resumed else None
    return settings.prv_runid or interrupted or os.environ.get("WANDB_RUN_ID") or secrets.token_hex(4)


@contextmanager
def no_trace_of(key: str | None) -> Iterator[None]:
    """Log in with a key inside the block, in a way that leaves it in no file.

    The library's own login writes it to a file of the user's home folder, so it goes into the environment variable;
    and the library saves the command line, where the key may stand as well.
    """
    if not key:
        yield
        return
    before, arguments = os.environ.get(KEY_VARIABLE), sys.argv
    os.environ[KEY_VARIABLE] = key
    sys.argv = [argument.replace(key, "***") for argument in arguments]
    try:
        yield
    finally:
        sys.argv = arguments
        if before is None:
            del os.environ[KEY_VARIABLE]
        else:
            os.environ[KEY_VARIABLE] = before


def remove_local_files(folder: Path, run_id: str) -> None:
    """Remove what a run left in the folder ``wandb``, and the folder if nothing else is in it."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name.endswith(f"-{run_id}"):
            shutil.rmtree(path)
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.exists():
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
