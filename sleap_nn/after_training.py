"""What follows a fit: predictions and metrics of every split, and the verdict on a network that finds nothing."""

from __future__ import annotations

import math
from pathlib import Path

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.evaluation.evaluator import Evaluator
from sleap_nn.evaluation.metrics_files import metrics_path, write_metrics
from sleap_nn.inference.predictor import MissingFramesError
from sleap_nn.inference.run import predict
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.training.callbacks.guards import REMEDIES
from sleap_nn.training.run_folder import ground_truth_path, predictions_path, test_paths

PEAK_THRESHOLD = 0.2


def evaluate_run(folder: Path, config: TrainingJobConfig) -> int | None:
    """Predict the splits of a run with its best weights, and write predictions and metrics beside them.

    Args:
        folder: The run folder.
        config: Its resolved configuration.

    Returns:
        The number of instances found on the training split, None without weights to predict with.
    """
    if not (folder / model_dir.WEIGHTS).exists():
        logger.warning("%s holds no %s, so there is nothing to predict with.", folder, model_dir.WEIGHTS)
        return None
    num_found = 0
    for split in ("train", "val", "test"):
        for index in _file_numbers(folder, split):
            found = _evaluate_split(folder, config, split, index)
            num_found += found if split == "train" else 0
    for index, path in _test_videos(config):
        _predict(folder, config, path, predictions_path(folder, "test", index))
    return num_found


def refuse_collapsed(peak_height: float, num_found: int | None) -> None:
    """Say in plain words that a network is of no use.

    Args:
        peak_height: Largest confidence map value on the validation set, NaN if unknown.
        num_found: Instances found on the training frames, None if nothing was predicted.

    Raises:
        TrainingCollapsedError: The maps are flat, or not one instance was found.
    """
    if num_found == 0:
        reason = "it finds no instance on the very frames it was trained on"
    elif num_found is None and not math.isnan(peak_height) and peak_height < PEAK_THRESHOLD:
        reason = f"its highest confidence map value is {peak_height:.3f}, and {PEAK_THRESHOLD} makes a point"
    else:
        return
    raise TrainingCollapsedError(f"Training ended, but the network is of no use: {reason}. {REMEDIES}")


def _test_videos(config: TrainingJobConfig) -> list[tuple[int, Path]]:
    """Return the test files that are videos, with their position."""
    return [(i, path) for i, path in enumerate(test_paths(config)) if path.suffix != ".slp"]


def _file_numbers(folder: Path, split: str) -> list[int]:
    """Return the numbers of the label files that a split has in the run folder."""
    return sorted(int(path.name.split(".")[2]) for path in folder.glob(f"labels_gt.{split}.*.slp"))


def _evaluate_split(folder: Path, config: TrainingJobConfig, split: str, index: int) -> int:
    """Predict one labels file of a split, write its metrics, and return the number of instances found."""
    truth_path = ground_truth_path(folder, split, index)
    target = predictions_path(folder, split, index)
    found = _predict(folder, config, truth_path, target)
    num_instances = sum(len(frame.instances) for frame in found)
    if num_instances == 0:
        logger.warning("No instance was found on %s.%d, so it has no metrics.", split, index)
        return 0
    only_user = config.data_config.user_instances_only
    metrics = Evaluator(load_labels(truth_path), found, user_labels_only=only_user).evaluate()
    write_metrics(metrics, metrics_path(folder, split, index))
    distances = metrics["distance_metrics"]
    logger.info(
        "%s.%d: %d instances on %d frames, mOKS %.3f, median error %.2f px, 95 %% below %.2f px.",
        split,
        index,
        num_instances,
        len(found),
        metrics["mOKS"]["mOKS"],
        distances["p50"],
        distances["p95"],
    )
    return num_instances


def _predict(folder: Path, config: TrainingJobConfig, source: Path, target: Path) -> Labels:
    """Predict with the device and batch size of the run; frames that cannot be read are reported, not fatal."""
    accelerator = config.trainer_config.trainer_accelerator
    try:
        return predict(
            str(source),
            model_paths=folder,
            device="cpu" if accelerator == "cpu" else "auto",
            batch_size=config.trainer_config.val_data_loader.batch_size,
            peak_threshold=PEAK_THRESHOLD,
            output_path=target,
        )
    except MissingFramesError as error:
        logger.warning("%s", error)
        return error.labels
