"""What a run says about its labels before it learns them; it never stops a run."""

from __future__ import annotations

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.crop_size import extents
from sleap_nn.data.findings import LabelReport
from sleap_nn.data.label_check import Purpose, check_labels
from sleap_nn.log import logger
from sleap_nn.tasks.base import Task
from sleap_nn.training.hints import random_crop_hint
from sleap_nn.training.training_data import TrainingData


def report_labels(data: TrainingData, task: Task, config: TrainingJobConfig) -> LabelReport:
    """Check the labels of a run, and tell what was found.

    Args:
        data: The labels, divided.
        task: What is learned from them.
        config: The resolved configuration.
    """
    if task.view == "frame" and task.max_labelled is None:
        hint = random_crop_hint(extents(data.train.set, task.anchors), config)
        if hint is not None:
            logger.info("Hint: %s", hint)
    same = config.data_config.use_same_data_for_val
    sets = [data.train.set] if same else [data.train.set, data.val.set]
    report = check_labels(sets, purpose_of(task, config))
    if not report.findings:
        logger.info("Label check: nothing looks wrong in %s.", report.scope)
    for line in report.lines():
        logger.warning("Label check: %s", line)
    return report


def purpose_of(task: Task, config: TrainingJobConfig) -> Purpose:
    """Return what labels have to hold for a run."""
    data = config.data_config
    changes = data.augmentation_config
    geometric = None if changes is None else changes.geometric
    return Purpose(
        mirrored=data.use_augmentations_train and geometric is not None and geometric.flip_p > 0,
        identities=bool(task.classes),
        one_animal=task.max_labelled == 1,
    )
