from pathlib import Path

import numpy as np
import torch
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import LabelSet
from sleap_nn.training.collapse import HeadStrength
from sleap_nn.training.handover import Handover, Outcome, Progress

JOB = {"model_config": {"backbone_config": {"unet": {"filters": 4}}, "head_configs": {"single_instance": {}}}}


def test_labels_arrive_as_they_were(tmp_path: Path) -> None:
    labels = [
        make_labels(4, num_animals=2, height=96, width=96, seed=n, path=tmp_path / f"{n}.pkg.slp") for n in (0, 1)
    ]
    labels[0].labeled_frames[1].instances = []
    labels[0].labeled_frames[1].is_negative = True
    provenance = [dict(part.provenance) for part in labels]
    handover = Handover(tmp_path / "folder")
    handover.folder.mkdir()
    handover.write_labels((labels, None))
    train, val = handover.read_labels()
    assert val is None
    assert train is not None
    assert [part.provenance for part in labels] == provenance
    sent, arrived = (LabelSet.from_labels(files, negative_frames=True) for files in (labels, train))
    assert (arrived.track_names, len(arrived)) == (sent.track_names, len(sent))
    for ours, theirs in zip(arrived.frames, sent.frames, strict=True):
        assert ours.key == theirs.key
        np.testing.assert_array_equal(ours.points, theirs.points)
        np.testing.assert_array_equal(ours.class_ids, theirs.class_ids)
    assert arrived.videos[1][0].shape == (96, 96, 1)


def test_labels_in_files_are_not_handed_over(tmp_path: Path) -> None:
    Handover(tmp_path).write_labels((None, None))
    assert list(tmp_path.iterdir()) == []
    assert Handover(tmp_path).read_labels() == (None, None)


def test_an_outcome_arrives_as_it_was(tmp_path: Path) -> None:
    job = TrainingJobConfig.from_cfg(JOB)
    progress = Progress(3, 60, {"val/loss": 0.5})
    strengths = (HeadStrength("confmaps", "confidence maps", 0.5),)
    sent = Outcome(job, tmp_path / "models" / "run", {"a": torch.arange(3.0)}, strengths, progress)
    Handover(tmp_path).write_outcome(sent)
    arrived = Handover(tmp_path).read_outcome()
    assert (arrived.job, arrived.run_dir, arrived.progress) == (sent.job, sent.run_dir, sent.progress)
    assert torch.equal(arrived.weights["a"], sent.weights["a"])
    assert arrived.strengths == strengths
    assert arrived.progress.global_rank == 0
