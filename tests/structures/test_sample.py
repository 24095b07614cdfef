from dataclasses import replace

import numpy as np

from sleap_nn.structures.sample import Batch, FrameKey, Mixed, Sample
from sleap_nn.structures.transform import Transform


def sample(height: int, num_instances: int) -> Sample:
    return Sample(
        key=FrameKey(0, height),
        image=np.full((1, height, 6), 7, np.uint8),
        points=np.ones((num_instances, 2, 2), np.float32),
        anchors=np.full((num_instances, 2), 2, np.float32),
        class_ids=np.zeros(num_instances, np.int64),
        transform=Transform.translation(height, 0),
    )


def test_stacking_pads_instances_and_images() -> None:
    batch = Batch.stack([sample(4, 1), sample(5, 3), sample(4, 0)])
    assert batch.image.shape == (3, 1, 5, 6)
    assert batch.points.shape == (3, 3, 2, 2)
    assert batch.points[0, 1:].isnan().all()
    assert batch.class_ids.tolist() == [[0, -1, -1], [0, 0, 0], [-1, -1, -1]]
    assert batch.transforms[1, 0, 2] == 5
    assert [key.frame for key in batch.keys] == [4, 5, 4]
    assert not batch.image[0, 0, 4].any()
    assert len(batch) == 3
    assert batch.anchors.shape == (3, 3, 2)
    assert batch.anchors[0, 0].tolist() == [2, 2]
    assert batch.anchors[2].isnan().all()
    assert batch.weights.tolist() == [1, 1, 1]
    assert batch.mixed is None


def test_mixed_samples_are_stacked_beside_the_others() -> None:
    second = replace(sample(4, 2), image=np.full((1, 4, 6), 99, np.uint8))
    batch = Batch.stack([replace(sample(4, 1), mixed=Mixed(second, 0.25)), replace(sample(4, 1), weight=0.5)])
    assert batch.mixed is not None
    assert batch.mixed.mixed is None
    assert batch.mixed.points.shape == (2, 2, 2, 2)
    assert batch.mix_weights is not None
    assert batch.mix_weights.tolist() == [0.25, 0]
    assert batch.weights.tolist() == [1, 0.5]
    assert batch.to("cpu").mixed is not None


def test_parts_of_a_batch_know_which_of_their_samples_show_no_animal() -> None:
    samples = [sample(4, 1), replace(sample(4, 0), is_negative=True), sample(4, 2)]
    parts = Batch.stack(samples).split(2)
    assert [part.is_negative for part in parts] == [(False, True), (False,)]
    assert [len(part) for part in parts] == [2, 1]
