"""The run folder: its name, and what is written into it before and after fitting."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.label_table import LabelTable, subset
from sleap_nn.data.labels import Labels, write_labels
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import ConfigError, MissingFileError, ModelError, OutputError
from sleap_nn.networks import model_dir
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.run_lock import LOCK
from sleap_nn.whole_files import whole_file

LOG = "training_log.csv"
DRAWINGS = "viz"
SPLIT = "split.json"
VIDEO_PATHS = "video_paths.yaml"
LABEL_CHECK = "label_check.json"
CHECKPOINTS = (model_dir.RESUME, model_dir.LAST_WEIGHTS, model_dir.WEIGHTS)
"""Checkpoints that training can go on from, the newest first."""


def create(config: TrainingJobConfig) -> Path:
    """Make the folder ``<ckpt_dir>/<run_name>``; one that already holds a run gets a suffix -1, -2, ...

    So does one with drawings of another run. A run that is resumed from a checkpoint in its own folder goes on there.

    Raises:
        ConfigError: The name leads out of ``ckpt_dir``.
        OutputError: The folder cannot be made or written to.
    """
    check_name(str(config.trainer_config.run_name))
    parent = Path(str(config.trainer_config.ckpt_dir))
    name = str(config.trainer_config.run_name)
    folder, suffix = parent / name, 0
    resumed = config.trainer_config.resume_ckpt_path
    if resumed is not None and folder.resolve() in (Path(resumed).resolve(), Path(resumed).resolve().parent):
        return folder
    while any((folder / file).exists() for file in (*CHECKPOINTS, model_dir.PLAIN_WEIGHTS, LOG, DRAWINGS)):
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


def check_name(name: str) -> None:
    """Refuse a name that would put the run folder outside ``ckpt_dir``, here or on another system.

    Raises:
        ConfigError: It is a path of its own, or leads upwards.
    """
    path = PureWindowsPath(name)  # knows both kinds of separators
    if path.anchor or ".." in path.parts or "\0" in name or not path.parts:
        raise ConfigError(
            f"trainer_config.run_name is {name!r}, which is no folder inside trainer_config.ckpt_dir; give a plain "
            "name."
        )


def resume_point(given: str | None) -> Path | None:
    """Return the checkpoint from which training goes on.

    Args:
        given: A checkpoint, or a run folder, whose newest one is taken; None starts a new training.

    Returns:
        The file; None also for a run folder that was interrupted before its first checkpoint.

    Raises:
        MissingFileError: There is no such file, or the folder is no run folder.
        ModelError: There are plain tensors, which no training can go on from.
    """
    if given is None:
        return None
    path = Path(given)
    if path.suffix == ".safetensors" or ((path / model_dir.PLAIN_WEIGHTS).exists() and not newest_checkpoint(path)):
        raise ModelError(
            f"{path} holds plain tensors, but not the state of a training, so it cannot be resumed; to start from "
            "its weights set model_config.pretrained_backbone_weights and pretrained_head_weights to it."
        )
    if not path.is_dir():
        if not path.exists():
            raise MissingFileError(f"The checkpoint {path} does not exist; check trainer_config.resume_ckpt_path.")
        return path
    if not (path / model_dir.CONFIG).is_file():
        raise MissingFileError(f"The folder {path} has no {model_dir.CONFIG}; give the folder of a training run.")
    return newest_checkpoint(path)


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of a run folder from which training can go on, None without one."""
    return next((folder / name for name in CHECKPOINTS if (folder / name).exists()), None)


def position_of(checkpoint: Path) -> Position:
    """Return where the training of a checkpoint goes on.

    Raises:
        MissingFileError: There is no such file.
        ModelError: It is damaged; where an older one of the run folder could take its place, the message names it.
    """
    try:
        return Position.read(checkpoint)
    except ModelError as error:
        names = CHECKPOINTS[CHECKPOINTS.index(checkpoint.name) + 1 :] if checkpoint.name in CHECKPOINTS else ()
        older = next((checkpoint.with_name(name) for name in names if checkpoint.with_name(name).is_file()), None)
        if older is None:
            raise
        raise ModelError(
            f"{str(error).rpartition(';')[0]}; give an intact file, or delete it to go on from {older}, which is older."
        ) from error


def resume_config(folder: Path, overrides: Sequence[str] = ()) -> TrainingJobConfig:
    """Return the configuration that goes on with the run of a folder.

    Labels that were never in a file are read from the copies in the folder.

    Raises:
        MissingFileError: The folder is no run folder.
        ConfigError: The configuration or an override is wrong.
    """
    if not folder.exists():
        raise MissingFileError(f"The run folder {folder} does not exist; give the folder of a training run.")
    resume_point(str(folder))
    if not folder.is_dir():
        raise MissingFileError(f"{folder} is a file; give the run folder.")
    folder = folder if folder.name not in ("", "..") else folder.resolve()  # "." has no name
    config = TrainingJobConfig.load(folder / model_dir.CONFIG, overrides)
    config.trainer_config.resume_ckpt_path = str(folder)
    config.trainer_config.ckpt_dir, config.trainer_config.run_name = str(folder.parent), folder.name
    config.trainer_config.save_ckpt = True
    if not config.data_config.train_labels_path:
        for split in ("train", "val"):
            paths = [ground_truth_path(folder, split, number) for number in ground_truth_numbers(folder, split)]
            setattr(config.data_config, f"{split}_labels_path", list(map(str, paths)))
    return config


def write_configs(folder: Path, initial: TrainingJobConfig, resolved: TrainingJobConfig) -> None:
    """Write the user's configuration, once, and the resolved one."""
    if initial.trainer_config.resume_ckpt_path is None or not (folder / model_dir.INITIAL_CONFIG).exists():
        initial.save(folder / model_dir.INITIAL_CONFIG)
    resolved.save(folder / model_dir.CONFIG)


def write_ground_truth(
    folder: Path,
    split: str,
    index: int,
    labels: Labels,
    user_instances_only: bool,
    negative_frames: bool = False,
    stored_centroids: bool = False,
) -> None:
    """Write the labelled frames of one file of a split, if it has any; images are not embedded anew.

    Args:
        folder: The run folder.
        split: ``train``, ``val`` or ``test``.
        index: Which file of the split.
        labels: Its labels.
        user_instances_only: Frames that hold only predicted instances count as not labelled.
        negative_frames: Write the frames marked as showing no animal too.
        stored_centroids: Write the frames too that hold nothing but centroids of a user.
    """
    used = LabelTable.from_labels(labels, user_instances_only, negative_frames, stored_centroids).positions
    path = ground_truth_path(folder, split, index)
    if not used:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as partial:
        write_labels(subset(labels, used), partial)


def remove_other_ground_truth(folder: Path, numbers: Mapping[str, Collection[int]], named: DataConfig) -> None:
    """Remove the labels of files that a run does not have, which an earlier one in its folder has left.

    They would be predicted and scored as if they were this run's.

    Args:
        folder: The run folder.
        numbers: The numbers of the files of every split.
        named: Says where labels are read; such a file stays.
    """
    tests = [named.test_file_path] if isinstance(named.test_file_path, str) else named.test_file_path
    inputs = [
        Path(path).resolve()
        for paths in (named.train_labels_path, named.val_labels_path, tests)
        for path in paths or ()
    ]
    for split, own in numbers.items():
        for number in ground_truth_numbers(folder, split):
            path = ground_truth_path(folder, split, number)
            if number not in own and path.resolve() not in inputs:
                path.unlink()


def write_video_paths(folder: Path, paths: VideoPaths | None) -> None:
    """Write where the videos are, for resuming; None leaves no such file behind."""
    if paths is None:
        (folder / VIDEO_PATHS).unlink(missing_ok=True)
    else:
        paths.save(folder / VIDEO_PATHS)


def video_paths_of(resumed: str | None) -> VideoPaths | None:
    """Return where the videos were in the run that is resumed, None if they were where the labels say.

    The labels may have been repaired since, so these paths need not fit any more.

    Args:
        resumed: A checkpoint, or a run folder.
    """
    file = beside(resumed, VIDEO_PATHS)
    return None if file is None else replace(VideoPaths.load(file), required=False)


def beside(checkpoint: str | None, name: str) -> Path | None:
    """Return a file of the run folder that a checkpoint is in, None if it is not there.

    Args:
        checkpoint: The checkpoint, or the run folder itself.
        name: Name of the file.
    """
    if checkpoint is None:
        return None
    path = Path(checkpoint)
    file = (path if path.is_dir() else path.parent) / name
    return file if file.is_file() else None


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
    if any((folder / name).exists() for name in CHECKPOINTS):
        return
    names = (model_dir.INITIAL_CONFIG, model_dir.CONFIG, LOG, SPLIT, LABEL_CHECK, VIDEO_PATHS)
    written = [folder / name for name in names]
    for path in [*written, *folder.glob("labels_gt.*.slp")]:
        path.unlink(missing_ok=True)
    if not any(path.name != LOCK for path in folder.iterdir()):
        (folder / LOCK).unlink(missing_ok=True)
        folder.rmdir()


def remove_resume_point(folder: Path) -> None:
    """Remove the state that an interrupted run would need, when the run is finished."""
    (folder / model_dir.RESUME).unlink(missing_ok=True)


def ground_truth_path(folder: Path, split: str, index: int) -> Path:
    """Return where the labels of a split are."""
    return folder / f"labels_gt.{split}.{index}.slp"


def ground_truth_numbers(folder: Path, split: str) -> list[int]:
    """Return the numbers of the label files that a split has in the run folder, ascending."""
    start, end = f"labels_gt.{split}.", ".slp"
    found = (path.name.removeprefix(start).removesuffix(end) for path in folder.glob(f"{start}*{end}"))
    return sorted(int(number) for number in found if number.isdecimal())


def predictions_path(folder: Path, split: str, index: int) -> Path:
    """Return where the predictions on a split are."""
    return folder / f"labels_pr.{split}.{index}.slp"
