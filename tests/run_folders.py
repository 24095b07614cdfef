"""Finished run folders without any training: labels, and predictions that are off by what the test says."""

from pathlib import Path

import numpy as np
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.label_table import subset
from sleap_nn.data.labels import Labels, write_labels
from sleap_nn.networks import model_dir
from sleap_nn.training import run_folder
from sleap_nn.training.split_record import FileSplit, SplitRecord

LOG = """\
epoch,train/loss,val/loss,learning_rate,train/time,val/time
0,0.5,0.4,0.001,10,2
1,0.2,0.1,0.001,10,2
2,0.1,0.2,0.0005,10,2
"""
NUM_FRAMES = {"train": 10, "val": 6, "test": 5}


def write_run(
    folder: Path,
    model_type: str = "single_instance",
    num_animals: int = 1,
    error: float = 1.0,
    splits: tuple[str, ...] = ("train", "val"),
) -> TrainingJobConfig:
    """Write a run folder and return its resolved configuration.

    Args:
        folder: Made if missing.
        model_type: The model type; of a centroid model the predictions are centroids.
        num_animals: Animals in every frame.
        error: Spread of the predictions about the labels in px, in x and in y.
        splits: Splits to write labels and predictions of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    total = sum(NUM_FRAMES[split] for split in splits)
    package = folder / "labels.pkg.slp"
    labels = make_labels(total, num_animals=num_animals, path=package, num_clips=2)
    initial = config_of(model_type, package)
    resolved = TrainingJobConfig.from_cfg(initial)
    resolved.model_config.total_params = 123456
    resolved.trainer_config.train_steps_per_epoch = 20
    resolved.data_config.preprocessing.max_height = 64
    run_folder.write_configs(folder, initial, resolved)
    (folder / run_folder.LOG).write_text(LOG)
    rng = np.random.default_rng(0)
    order, start = rng.permutation(total), 0
    for split in splits:
        part = subset(labels, sorted(order[start : start + NUM_FRAMES[split]].tolist()))
        start += NUM_FRAMES[split]
        write_labels(part, run_folder.ground_truth_path(folder, split, 0))
        predicted = predict(part, rng, error, centroids=model_type == "centroid")
        write_labels(predicted, run_folder.predictions_path(folder, split, 0))
    (folder / model_dir.WEIGHTS).touch()
    SplitRecord("video", 5, (FileSplit(str(package), (("a", 0), ("a", 9)), (("b", 4),)),)).save(
        folder / run_folder.SPLIT
    )
    return resolved


def config_of(model_type: str, labels: Path) -> TrainingJobConfig:
    """Return what a user would have given."""
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": [str(labels)]},
            "model_config": {
                "backbone_config": {"unet": {"filters": 8}},
                "head_configs": {model_type: {"confmaps": {"sigma": 1.5, "output_stride": 2}}},
            },
            "trainer_config": {"optimizer": {"lr": 0.003}, "lr_scheduler": {"cosine_annealing_warmup": {}}},
        }
    )


def predict(truth: Labels, rng: np.random.Generator, error: float, centroids: bool = False) -> Labels:
    """Return predictions about labels; the farther a point is off, the lower is its score."""
    skeleton = sio.Skeleton(["centroid"]) if centroids else truth.skeletons[0]
    frames = []
    for frame in truth.labeled_frames:
        instances = []
        for instance in frame.instances:
            points = instance.numpy()
            points = np.nanmean(points, axis=0, keepdims=True) if centroids else points
            shift = rng.normal(0, error, points.shape)
            scores = np.exp(-np.linalg.norm(shift, axis=1) / max(2 * error, 1e-6))
            instances.append(
                sio.PredictedInstance.from_numpy(
                    points + shift,
                    skeleton=skeleton,
                    point_scores=scores,
                    score=float(scores.mean()),
                    track=instance.track,
                )
            )
        frames.append(sio.LabeledFrame(video=frame.video, frame_idx=frame.frame_idx, instances=instances))
    found = sio.Labels(frames, videos=list(truth.videos), skeletons=[skeleton], tracks=list(truth.tracks))
    found.provenance = {
        "sleap_io_version": "9.8.7",
        "inference_end_timestamp": "2031-02-03T04:05:06.789",
        "system_info": {"pytorch_version": "1.2.3", "python_version": "3.4.5", "platform": "A", "gpus": ["A fine GPU"]},
    }
    return found
