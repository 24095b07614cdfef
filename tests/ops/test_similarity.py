import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from sleap_nn.ops.similarity import (
    bounding_boxes,
    box_areas,
    box_iou,
    object_keypoint_similarity,
    pairwise_distances,
    point_distances,
    pose_overlap,
    visible_nodes,
)

GOLDEN = Path(__file__).parents[1] / "golden"
NAN = np.nan


@pytest.fixture(scope="module")
def oks_golden():
    return json.loads((GOLDEN / "oks.json").read_text())


@pytest.fixture(scope="module")
def nms_golden():
    return json.loads((GOLDEN / "nms.json").read_text())


@pytest.mark.parametrize(
    ("key", "stddev", "area", "coco"),
    [
        ("oks_default", 0.025, None, True),
        ("oks_stddev_0.1", 0.1, None, True),
        ("oks_scale_1000", 0.025, 1000, True),
        ("oks_not_cocoeval", 0.025, None, False),
    ],
)
def test_oks_golden(oks_golden, key, stddev, area, coco):
    truth, predicted = np.array(oks_golden["gt"], float), np.array(oks_golden["pr"], float)
    oks = object_keypoint_similarity(truth, predicted, stddev, area, coco)
    np.testing.assert_allclose(oks, oks_golden[key], atol=5e-7)


def test_oks_equals_pycocotools():
    rng = np.random.default_rng(0)
    num_nodes, sigmas = 5, np.array([0.02, 0.03, 0.05, 0.08, 0.1])
    truth = rng.uniform(0, 100, (4, num_nodes, 2))
    truth[rng.random((4, num_nodes)) < 0.3] = NAN
    predicted = np.concatenate([np.nan_to_num(truth, nan=50.0) + rng.normal(0, 4, truth.shape), truth[:1] + 1])
    predicted = np.nan_to_num(predicted, nan=50.0)

    def flat(points):
        flags = np.where(visible_nodes(points), 2, 0)
        return np.concatenate([np.nan_to_num(points), flags[:, None]], axis=1).ravel().tolist()

    coco = COCOeval(iouType="keypoints")
    coco.params.kpt_oks_sigmas = sigmas
    areas = box_areas(bounding_boxes(truth))
    coco._gts[0, 0] = [
        {"keypoints": flat(points), "area": area, "bbox": [0, 0, 1, 1]}
        for points, area in zip(truth, areas, strict=True)
    ]
    coco._dts[0, 0] = [{"keypoints": flat(points), "score": -i} for i, points in enumerate(predicted)]
    expected = coco.computeOks(0, 0)
    np.testing.assert_allclose(object_keypoint_similarity(truth, predicted, sigmas), expected.T, rtol=1e-12)


@pytest.mark.parametrize("visible", [[0], [1], [0, 1], [0, 2], [0, 1, 2]])
def test_oks_of_an_exact_prediction_is_one(visible):
    points = np.full((1, 3, 2), NAN)
    points[0, visible] = np.array([[10.0, 20.0], [30.0, 20.0], [15.0, 45.0]])[visible]
    assert object_keypoint_similarity(points, points, 0.025) == 1.0


def test_oks_without_visible_truth_or_without_instances():
    nothing, something = np.full((1, 2, 2), NAN), np.ones((3, 2, 2))
    assert (object_keypoint_similarity(nothing, something, 0.025) == 0).all()
    assert object_keypoint_similarity(something, np.empty((0, 2, 2)), 0.025).shape == (3, 0)


def test_oks_ignores_nodes_missing_in_the_truth_and_punishes_those_missing_in_the_prediction():
    truth = np.array([[[0.0, 0], [10, 10], [NAN, NAN]]])
    assert object_keypoint_similarity(truth, np.array([[[0.0, 0], [10, 10], [99, 99]]]), 0.025) == 1.0
    assert object_keypoint_similarity(truth, np.array([[[0.0, 0], [NAN, NAN], [5, 5]]]), 0.025) == 0.5


def test_bounding_boxes_use_visible_points_only():
    points = np.array([[[1.0, 5], [NAN, 100], [3, 2]], [[NAN, NAN]] * 3])
    np.testing.assert_array_equal(bounding_boxes(points), [[1, 2, 3, 5], [NAN] * 4])
    np.testing.assert_array_equal(box_areas(bounding_boxes(points)), [6, NAN])
    assert bounding_boxes(np.empty((2, 0, 2))).shape == (2, 4)


def test_box_iou_golden(nms_golden):
    boxes = np.array(nms_golden["boxes"])
    np.testing.assert_allclose(box_iou(boxes[3:], boxes)[0], nms_golden["iou_row3"], atol=5e-7)


def test_box_iou_margin_and_degenerate_boxes():
    a = np.array([[0.0, 0, 1, 1]])
    assert box_iou(a, np.array([[1.0, 0, 2, 1]])) == 0
    assert box_iou(a, np.array([[1.0, 0, 2, 1]]), margin=1) == pytest.approx(2 / 6)
    point, unknown = np.array([[0.5, 0.5, 0.5, 0.5]]), np.full((1, 4), NAN)
    assert box_iou(point, point) == 0
    assert box_iou(a, unknown) == 0


def test_pose_overlap_golden(nms_golden):
    poses = np.array(nms_golden["oks_points"])
    overlap = pose_overlap(poses, poses, nms_golden["kappa"])
    assert overlap[0, 1] == pytest.approx(nms_golden["oks_0_1"], abs=5e-7)
    assert overlap[0, 1] != pytest.approx(overlap[1, 0], abs=1e-3), "the row's pose sets the scale"
    assert overlap[0, 0] == 1


def test_pose_overlap_needs_two_common_nodes_and_an_area():
    pose = np.array([[0.0, 0], [10, 10], [NAN, NAN]])
    one_in_common = np.array([[0.0, 0], [NAN, NAN], [10, 10]])
    flat = np.array([[0.0, 0], [10, 0], [NAN, NAN]])
    assert pose_overlap(pose[None], np.stack([pose, one_in_common])).tolist() == [[1, 0]]
    assert pose_overlap(flat[None], flat[None]) == 0


def test_distances():
    a, b = np.array([[0.0, 0], [NAN, 1]]), np.array([[3.0, 4], [0, 1]])
    np.testing.assert_array_equal(point_distances(a, b), [5, NAN])
    np.testing.assert_array_equal(pairwise_distances(a, b), [[5, 1], [NAN, NAN]])
