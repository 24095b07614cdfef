"""What a run writes into its folder before the first step."""

from __future__ import annotations

from pathlib import Path

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.findings import LabelReport
from sleap_nn.log import logger
from sleap_nn.training import run_folder
from sleap_nn.training.plan import Plan
from sleap_nn.training.training_data import TrainingData


def write_beginning(
    folder: Path, plan: Plan, job: TrainingJobConfig, data: TrainingData, report: LabelReport | None
) -> None:
    """Write what is known of a run.

    Args:
        folder: The run folder.
        plan: What the run was asked to do.
        job: The resolved configuration as it is by now.
        data: The labels.
        report: Findings on them.
    """
    if plan.resume is not None:
        logger.info("Going on from %s at epoch %d, batch %d.", plan.resume, plan.position.epoch, plan.position.batch)
    run_folder.write_configs(folder, plan.initial, job)
    if report is not None:
        report.save(folder / run_folder.LABEL_CHECK)
    data.record.save(folder / run_folder.SPLIT)
    run_folder.write_video_paths(folder, plan.video_paths)
    stored = job.model_config.head_configs.uses_stored_centroids
    kinds = job.data_config.user_instances_only, job.data_config.use_negative_frames, stored
    for name, split in (("train", data.train), ("val", data.val)):
        for index, labels in enumerate(split.labels):
            run_folder.write_ground_truth(folder, name, index, labels, *kinds)
    for index, labels in data.test_labels.items():
        run_folder.write_ground_truth(folder, "test", index, labels, True, stored_centroids=stored)
    numbers = {"train": range(len(data.train.labels)), "val": range(len(data.val.labels)), "test": data.test_labels}
    run_folder.remove_other_ground_truth(folder, numbers, job.data_config)
