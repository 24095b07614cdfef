import numpy as np
import pytest

from sleap_nn.data.synthetic_animal import EDGES, NODE_NAMES, SYMMETRIES, Motion, Pose, contains, shape_body

NODE = {name: index for index, name in enumerate(NODE_NAMES)}


def pose(heading: float = 0.0, **changes: float) -> Pose:
    fields = {"bend": 0.0, "look": 0.0, "tail": 0.0, "gait": 0.0, "length": 60.0} | changes
    return Pose((100.0, 80.0), heading, **fields)


def test_skeleton_names_are_consistent():
    assert {name for edge in EDGES for name in edge} == set(NODE_NAMES)
    assert [(left.replace("left", "right"), right) for left, right in SYMMETRIES] == [
        (right, right) for _, right in SYMMETRIES
    ]


def test_an_animal_heading_right_has_its_left_side_up():
    nodes = shape_body(pose()).nodes
    assert nodes[NODE["snout"], 0] > nodes[NODE["neck"], 0] > nodes[NODE["tail_base"], 0]
    for left, right in SYMMETRIES:
        assert nodes[NODE[left], 1] < 80 < nodes[NODE[right], 1]


@pytest.mark.parametrize("heading", [-2.5, -1.0, 0.7, 2.0])
@pytest.mark.parametrize("bend", [-1.3, 0.0, 1.3])
def test_left_nodes_lie_left_of_the_heading(heading: float, bend: float):
    nodes = shape_body(pose(heading, bend=bend, look=-0.3)).nodes
    fronts = {"left_ear": ("snout", "neck"), "left_hindpaw": ("body", "tail_base")}
    for left, right in SYMMETRIES:
        front, back = fronts[left]
        x, y = nodes[NODE[front]] - nodes[NODE[back]]
        to_left = np.array([y, -x])
        assert (nodes[NODE[left]] - nodes[NODE[right]]) @ to_left > 0


def test_bending_keeps_the_length_and_turns_the_snout():
    straight, bent = shape_body(pose()), shape_body(pose(bend=1.2))
    for body in (straight, bent):
        lengths = np.linalg.norm(np.diff(body.spine, axis=0), axis=1)
        assert lengths.sum() == pytest.approx(60.0, rel=1e-6)
        np.testing.assert_allclose(body.spine[16], (100.0, 80.0))
        np.testing.assert_allclose(body.tail[0], body.spine[-1])
    assert bent.nodes[NODE["snout"], 1] > straight.nodes[NODE["snout"], 1] + 2


def test_the_outline_contains_the_trunk_but_not_tail_or_paws():
    body = shape_body(pose(0.4, bend=0.5))
    inside = [contains(body.outline, point) for point in body.nodes]
    expected = {"neck", "body"}
    assert {name for name, covered in zip(NODE_NAMES, inside, strict=True) if covered} >= expected
    assert not inside[NODE["tail_tip"]]
    assert not inside[NODE["left_hindpaw"]]


def test_motion_is_smooth_stays_inside_and_goes_somewhere():
    motion = Motion(3, (120, 160), length=30.0, seed=1)
    poses = [motion.poses(t) for t in range(400)]
    centers = np.array([[item.center for item in row] for row in poses])
    headings = np.array([[item.heading for item in row] for row in poses])
    assert np.linalg.norm(np.diff(centers, axis=0), axis=2).max() < 0.12 * 30
    assert np.abs(np.diff(headings, axis=0)).max() <= 0.1101
    assert (centers.min(axis=(0, 1)) >= 14.9).all()
    assert (centers.max(axis=(0, 1)) <= (159 - 14.9, 119 - 14.9)).all()
    assert (centers.std(axis=0) > 8).all()


def test_motion_does_not_depend_on_the_order_of_questions():
    ahead, stepwise = Motion(2, (64, 64), 20.0, seed=3), Motion(2, (64, 64), 20.0, seed=3)
    expected = [stepwise.poses(t) for t in range(30)]
    assert ahead.poses(29) == expected[29]
    assert ahead.poses(4) == expected[4]
    assert Motion(2, (64, 64), 20.0, seed=4).poses(4) != expected[4]
