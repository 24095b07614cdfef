"""The run folder: its name, and what is written into it before and after fitting."""

from __future__ import annotations

from pathlib import Path

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels, write_labels
from sleap_nn.data.splits import labeled_indices, subset
from sleap_nn.errors import MissingFileError, OutputError
from sleap_nn.networks import model_dir

LOG = "training_log.csv"


def create(config: TrainingJobConfig) -> Path:
    """Make the folder ``<ckpt_dir>/<run_name>``; one that already holds a run gets a suffix -1, -2, ...

    Raises:
        OutputError: The folder cannot be made or written to.
    """
    parent = Path(str(config.trainer_config.ckpt_dir))
    name = str(config.trainer_config.run_name)
    folder, suffix = parent / name, 0
    while any((folder / file).exists() for file in (model_dir.WEIGHTS, model_dir.LAST_WEIGHTS, LOG)):
        suffix += 1
        folder = parent / f"{name}-{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write_test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"The run folder {folder} cannot be written ({error}); choose another trainer_config.ckpt_dir."
        ) from error
    return folder


def write_configs(folder: Path, initial: TrainingJobConfig, resolved: TrainingJobConfig) -> None:
    """Write the user's configuration and the resolved one."""
    initial.save(folder / model_dir.INITIAL_CONFIG)
    resolved.save(folder / model_dir.CONFIG)


def write_ground_truth(folder: Path, split: str, index: int, labels: Labels, user_instances_only: bool) -> None:
    """Write the labelled frames of one file of a split; images are not embedded anew."""
    used = subset(labels, labeled_indices(labels, user_instances_only))
    write_labels(used, ground_truth_path(folder, split, index))


def test_paths(config: TrainingJobConfig) -> list[Path]:
    """Return the test files of a configuration.

    Raises:
        MissingFileError: One of them does not exist.
    """
    given = config.data_config.test_file_path
    paths = [Path(path) for path in ([given] if isinstance(given, str) else given or [])]
    for path in paths:
        if not path.exists():
            raise MissingFileError(f"The test file {path} does not exist; check data_config.test_file_path.")
    return paths


def remove_unfinished(folder: Path) -> None:
    """Remove what a run wrote before its first checkpoint; a folder with a checkpoint or other files stays."""
    if (folder / model_dir.WEIGHTS).exists() or (folder / model_dir.LAST_WEIGHTS).exists():
        return
    written = [folder / name for name in (model_dir.INITIAL_CONFIG, model_dir.CONFIG, LOG)]
    for path in [*written, *folder.glob("labels_gt.*.slp")]:
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def ground_truth_path(folder: Path, split: str, index: int) -> Path:
    """Return where the labels of a split are."""
    return folder / f"labels_gt.{split}.{index}.slp"


def predictions_path(folder: Path, split: str, index: int) -> Path:
    """Return where the predictions on a split are."""
    return folder / f"labels_pr.{split}.{index}.slp"
