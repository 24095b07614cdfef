"""Every backbone under every model type: one training step, and a prediction, on inputs of odd sizes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from small_backbones import section

from sleap_nn.data.dataset import visible_inside
from sleap_nn.networks.network import BACKBONES, PoseNetwork, initialise
from sleap_nn.ops.centroids import centroids
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import DecodeSettings, Task

POINTS = np.array([[(20.3, 8.1), (30.0, 15.6), (9.2, 19.4)]], np.float32)


def make_batch(channels: int, height: int, width: int) -> Batch:
    image = np.random.default_rng(0).integers(0, 256, (channels, height, width), dtype=np.uint8)
    anchors = visible_inside(centroids(POINTS), height, width)
    return Batch.stack([Sample(FrameKey(0, 0), image, POINTS, anchors, np.zeros(1, np.int64), Transform.identity())])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_one_step_and_a_prediction(backbone: str, name: str, channels: int, build_task: Callable[..., Task]) -> None:
    torch.manual_seed(0)
    task = build_task(name, output_stride=2)
    network = PoseNetwork.from_config(section(backbone, in_channels=channels, output_stride=2), task.heads)
    initialise(network, "default")
    side = network.backbone.max_stride
    batch = make_batch(channels, side, 3 * side)
    network.train()
    targets = task.encode(batch)
    outputs = network(batch.image)
    assert {key: value.shape for key, value in outputs.items()} == {key: t.shape for key, t in targets.items()}
    loss = task.total_loss(task.losses(outputs, targets, batch.weights))
    loss.backward()
    gradients = [p.grad for p in network.head_layers.parameters()]
    assert loss.isfinite()
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)
    assert any(bool(g.any()) for g in gradients if g is not None)
    network.eval()
    with torch.inference_mode():
        detections = task.detect(task.activate(network(batch.image)), DecodeSettings(peak_threshold=-10.0))
    found = task.assemble(FrameKey(0, 0), detections, DecodeSettings(max_instances=3))
    assert isinstance(found, Predictions)
    assert len(found) <= 3
