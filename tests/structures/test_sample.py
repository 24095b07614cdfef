import numpy as np

from sleap_nn.structures.sample import Batch, FrameKey, Sample
from sleap_nn.structures.transform import Transform


def sample(height: int, num_instances: int) -> Sample:
    return Sample(
        key=FrameKey(0, height),
        image=np.full((1, height, 6), 7, np.uint8),
        points=np.ones((num_instances, 2, 2), np.float32),
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
