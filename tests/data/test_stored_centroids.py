import numpy as np
import sleap_io as sio
from factories import make_labels

from sleap_nn.data.stored_centroids import centroids_as_instances


def test_frames_with_stored_centroids_hold_these_alone_and_the_labels_stay() -> None:
    labels = make_labels(3, num_animals=2)
    labels[1].centroids = [sio.UserCentroid(x=3.0, y=4.0)]
    before = [list(frame.instances) for frame in labels]
    changed = centroids_as_instances(labels, node=1)
    (instance,) = changed[1].instances
    expected = np.full((len(labels.skeletons[0].nodes), 2), np.nan)
    expected[1] = (3, 4)
    np.testing.assert_array_equal(instance.numpy(), expected)
    assert (changed[1].frame_idx, changed[1].video) == (labels[1].frame_idx, labels[1].video)
    assert (changed[0], changed[2]) == (labels[0], labels[2])
    assert [list(frame.instances) for frame in labels] == before
