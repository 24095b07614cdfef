"""Labels of both sides of a training have their nodes in one order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import make_labels
from sleap_io.model.instance import Instance
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.labels import load_labels
from sleap_nn.errors import DataError
from sleap_nn.training.training_data import TrainingData


def settings(**data: Any) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "data_config": data,
            "model_config": {
                "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            },
        }
    )


def turned(labels: Labels, nodes: list[str] | None = None) -> Labels:
    """Give labels a skeleton of the reverse order, or other nodes."""
    own = Skeleton(labels.skeletons[0].node_names[::-1] if nodes is None else nodes)
    for frame in labels.labeled_frames:
        frame.instances = [Instance.from_numpy(i.numpy()[::-1], skeleton=own) for i in frame.instances]
    labels.skeletons = [own]
    return labels


@pytest.mark.parametrize("in_memory", [True, False])
def test_validation_labels_have_the_nodes_of_the_training_labels(tmp_path: Path, in_memory: bool) -> None:
    train = make_labels(3, path=tmp_path / "train.pkg.slp")
    expected = make_labels(3, seed=1, path=tmp_path / "plain.pkg.slp")
    val = turned(load_labels(tmp_path / "plain.pkg.slp"))
    if in_memory:
        data = TrainingData.from_config(settings(), [train], [val])
    else:
        val.save(str(tmp_path / "val.slp"), embed=False, verbose=False)
        paths = {name: [str(tmp_path / file)] for name, file in (("train", "train.pkg.slp"), ("val", "val.slp"))}
        data = TrainingData.from_config(settings(**{f"{name}_labels_path": paths[name] for name in paths}))
        assert data.val.labels[0].skeletons[0].node_names == train.skeletons[0].node_names
    assert data.val.set.skeleton == data.train.set.skeleton
    for frame, other in zip(data.val.set.frames, expected.labeled_frames, strict=True):
        np.testing.assert_allclose(frame.points, [i.numpy() for i in other.instances], rtol=1e-6)


def test_validation_labels_of_other_nodes_are_refused(tmp_path: Path) -> None:
    train = make_labels(3, path=tmp_path / "train.pkg.slp")
    val = turned(make_labels(3, path=tmp_path / "val.pkg.slp"), [f"node{i}" for i in range(9)])
    with pytest.raises(DataError, match=r"that of the training labels has the nodes .* has node0, node1"):
        TrainingData.from_config(settings(), [train], [val])
