"""What follows a fit: predictions and metrics of every split, and the verdict on a network that finds nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import Labels, load_labels, skeleton_of
from sleap_nn.data.other_formats import is_labels
from sleap_nn.data.stored_centroids import centroids_as_instances
from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.evaluation.evaluator import Evaluator
from sleap_nn.evaluation.main_figures import main_figures
from sleap_nn.evaluation.metrics_files import load_metrics, metrics_path, write_metrics
from sleap_nn.evaluation.run import CENTROID_DISTANCE
from sleap_nn.heartbeat import phase
from sleap_nn.inference.output import save_labels
from sleap_nn.inference.predictor import MissingFramesError
from sleap_nn.inference.run import predict
from sleap_nn.log import logger
from sleap_nn.networks import model_dir
from sleap_nn.tasks import TASKS
from sleap_nn.training.callbacks.listeners import Event, Listeners
from sleap_nn.training.collapse import PEAK_THRESHOLD, HeadStrength, find_collapse, poor_on_train_text
from sleap_nn.training.run_folder import ground_truth_numbers, ground_truth_path, predictions_path, test_paths


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
        for index in ground_truth_numbers(folder, split):
            found = _evaluate_split(folder, config, split, index)
            num_found += found if split == "train" else 0
    for index, path in _test_videos(config):
        _predict(folder, config, path, predictions_path(folder, "test", index))
    return num_found


def tell_metrics(folder: Path, listeners: Listeners) -> None:
    """Tell those who follow a run the metrics of its splits, as ``eval/<split>.<i>/<name>``."""
    values = {
        f"eval/{split}.{index}/{name}": value
        for split in ("train", "val", "test")
        for index in ground_truth_numbers(folder, split)
        if metrics_path(folder, split, index).exists()
        for name, value in main_figures(load_metrics(metrics_path(folder, split, index))).items()
    }
    listeners.write(Event("evaluated", values=values))


def refuse_collapsed(strengths: Sequence[HeadStrength], num_found: int | None, was_stopped: bool = False) -> None:
    """Say in plain words that a network is of no use.

    Args:
        strengths: How much each head said in the last validation; empty if there was none.
        num_found: Instances found on the training frames, None if nothing was predicted.
        was_stopped: The user ended the training, maybe too early for a result: this is a warning, then.

    Raises:
        TrainingCollapsedError: The maps are flat, or not one instance was found.
    """
    collapse = find_collapse(strengths, num_found)
    if collapse is None:
        return
    if was_stopped:
        logger.warning("Training was stopped before the network is of any use: %s.", collapse.reason)
        return
    raise TrainingCollapsedError(f"Training ended, but the network is of no use: {collapse.reason}. {collapse.remedy}")


def _test_videos(config: TrainingJobConfig) -> list[tuple[int, Path]]:
    """Return the test files that are videos, with their position."""
    return [(i, path) for i, path in enumerate(test_paths(config)) if not is_labels(path)]


def _evaluate_split(folder: Path, config: TrainingJobConfig, split: str, index: int) -> int:
    """Predict one labels file of a split, write its metrics, and return the number of instances found."""
    truth_path = ground_truth_path(folder, split, index)
    target = predictions_path(folder, split, index)
    found = _predict(folder, config, truth_path, target)
    num_instances = sum(len(frame.instances) for frame in found)
    if num_instances == 0:
        logger.warning("No instance was found on %s.%d, so it has no metrics.", split, index)
        return 0
    with phase(f"comparing {target.name} with the labels"):
        metrics = evaluator_of_run(load_labels(truth_path), found, config).evaluate()
    write_metrics(metrics, metrics_path(folder, split, index))
    logger.info("%s.%d: %d instances on %d frames, %s.", split, index, num_instances, len(found), _summary(metrics))
    if split == "train":
        _warn_if_poor(metrics)
    return num_instances


def _warn_if_poor(metrics: Mapping[str, Any]) -> None:
    """Say so if a network is hardly of use on the frames it was trained on."""
    counts, poses = metrics["counts"], metrics.get("mOKS")
    text = poor_on_train_text(counts["matched"], counts["truth_instances"], None if poses is None else poses["mOKS"])
    if text is not None:
        logger.warning(text)


def evaluator_of_run(truth: Labels, found: Labels, config: TrainingJobConfig) -> Evaluator:
    """Compare poses, or centroids where a model predicts nothing else or the skeleton has one node.

    An animal of one node has no size, against which poses are compared. Centroids that a user stored are the truth
    where they were learned.

    Args:
        truth: Labels of a run.
        found: What the model of the run predicts on them.
        config: The resolved configuration of the run.

    Raises:
        DataError: No frame, or no node name, occurs in both.
    """
    only_user = config.data_config.user_instances_only
    heads = config.model_config.head_configs
    finds_centroids = TASKS[str(heads.which_oneof_attrib_name())].one_point
    skeleton = skeleton_of(truth)
    if not finds_centroids and len(skeleton.node_names) > 1:
        return Evaluator(truth, found, user_labels_only=only_user)
    anchor = skeleton.node_index(heads.which_oneof().confmaps.anchor_part) if finds_centroids else None
    if heads.uses_stored_centroids:
        truth = centroids_as_instances(truth, 0 if anchor is None else anchor)
    return Evaluator(
        truth,
        found,
        match_threshold=CENTROID_DISTANCE,
        user_labels_only=only_user,
        match_method="centroid",
        anchor_ind=anchor,
    )


def _summary(metrics: Mapping[str, Any]) -> str:
    """Return the figures of a split for the log."""
    if "detection_metrics" in metrics:
        values = metrics["detection_metrics"]
        found = f"precision {values['precision']:.3f}, recall {values['recall']:.3f}"
    else:
        values = metrics["distance_metrics"]
        found = f"mOKS {metrics['mOKS']['mOKS']:.3f}"
    identity = metrics.get("identity_metrics")
    named = "" if identity is None else f", identity right in {100 * identity['accuracy']:.1f} %"
    return f"{found}, median error {values['p50']:.2f} px, 95 % below {values['p95']:.2f} px{named}"


def _predict(folder: Path, config: TrainingJobConfig, source: Path, target: Path) -> Labels:
    """Predict with the device and batch size of the run; frames that cannot be read are reported, not fatal."""
    accelerator = config.trainer_config.trainer_accelerator
    try:
        labels = predict(
            str(source),
            model_paths=folder,
            device="cpu" if accelerator == "cpu" else "auto",
            batch_size=int(config.trainer_config.val_data_loader.batch_size),
            peak_threshold=PEAK_THRESHOLD,
        )
    except MissingFramesError as error:
        if error.labels is None:
            raise
        logger.warning("%s", error)
        labels = error.labels
    save_labels(labels, target)
    return labels
