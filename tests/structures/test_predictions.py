import numpy as np

from sleap_nn.structures.predictions import Detection, Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.structures.transform import Transform


def test_lifting_undoes_the_transform_and_keeps_the_rest() -> None:
    transform = Transform.scaling(0.5).then(Transform.translation(3, 4))
    frame_points = np.array([[10.0, 20.0], [np.nan, np.nan]], np.float32)
    detection = Detection(transform(frame_points), np.array([0.9, 0.0]), {"kind": np.array([1, 2])})
    lifted = detection.lift(transform)
    np.testing.assert_allclose(lifted.points, frame_points)
    assert lifted.scores is detection.scores
    assert lifted.extras is detection.extras


def test_an_empty_frame_has_shapes() -> None:
    empty = Predictions.empty(FrameKey(2, 5), 4)
    assert len(empty) == 0
    assert empty.points.shape == (0, 4, 2)
    assert empty.point_scores.shape == (0, 4)
