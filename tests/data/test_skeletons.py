"""Labels with several skeletons: nodes go by name, and what has other nodes is refused."""

from pathlib import Path

import numpy as np
import pytest
from factories import make_labels
from sleap_io.model.instance import Instance, PredictedInstance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton

from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.data.labels import LabelSet, load_labels, skeleton_of
from sleap_nn.data.skeletons import main_skeleton, node_order, refuse_other_nodes, unify
from sleap_nn.errors import DataError
from sleap_nn.evaluation.evaluator import Evaluator
from sleap_nn.inference.tracking import apply_tracking


def names(labels: Labels) -> list[str]:
    return labels.skeletons[0].node_names


def with_second(nodes: list[str] | None = None) -> Labels:
    """Return labels whose second half uses a skeleton of other nodes, or of the same in reverse."""
    labels = make_labels(4)
    own = labels.skeletons[0]
    second = Skeleton(own.node_names[::-1] if nodes is None else nodes)
    for frame in labels.labeled_frames[2:]:
        points = [instance.numpy()[::-1] for instance in frame.instances]
        frame.instances = [Instance.from_numpy(xy[: len(second)], skeleton=second) for xy in points]
    labels.skeletons = [own, second]
    return labels


def test_points_go_to_their_nodes_whatever_their_order() -> None:
    expected = LabelSet.from_labels([make_labels(4)])
    found = LabelSet.from_labels([with_second()])
    assert found.skeleton.node_names == expected.skeleton.node_names
    for one, other in zip(found.frames, expected.frames, strict=True):
        np.testing.assert_array_equal(one.points, other.points)


@pytest.mark.parametrize("nodes", [["p", "q"], [f"node{i}" for i in range(9)]])
def test_instances_with_other_nodes_are_refused(nodes: list[str]) -> None:
    labels = with_second(nodes)
    with pytest.raises(DataError, match=r"different skeletons, with the nodes .* and with the nodes (p, q|node0, .*);"):
        LabelSet.from_labels([labels])
    with pytest.raises(DataError, match="different skeletons"):
        Evaluator(labels, labels)
    with pytest.raises(DataError, match="different skeletons"):
        apply_tracking(labels, TrackerConfig())


def test_a_skeleton_that_no_instance_uses_does_not_count(tmp_path: Path) -> None:
    labels = make_labels(4, path=tmp_path / "a.pkg.slp")
    expected = skeleton_of(labels)
    labels.skeletons = [Skeleton(["p", "q"], name="unused"), *labels.skeletons]
    assert skeleton_of(labels).node_names == expected.node_names
    assert len(LabelSet.from_labels([labels])) == 4
    labels.save(str(tmp_path / "b.slp"), embed=False, verbose=False)
    read = load_labels(tmp_path / "b.slp")
    assert tuple(names(read)) == expected.node_names
    assert [skeleton.name for skeleton in read.skeletons[1:]] == ["unused"]
    apply_tracking(read, TrackerConfig())


def test_predictions_of_another_skeleton_matter_only_where_they_are_used() -> None:
    labels = make_labels(3)
    other = Skeleton(["p", "q"])
    predicted = PredictedInstance.from_numpy(np.ones((2, 2)), skeleton=other)
    labels.labeled_frames.append(LabeledFrame(video=labels.videos[0], frame_idx=1, instances=[predicted]))
    labels.skeletons = [other, *labels.skeletons]
    assert len(LabelSet.from_labels([labels])) == 3
    with pytest.raises(DataError, match="different skeletons"):
        LabelSet.from_labels([labels], user_instances_only=False)
    refuse_other_nodes(labels)
    with pytest.raises(DataError, match="different skeletons"):
        refuse_other_nodes(labels, all_instances=True)


def test_instances_are_carried_over_when_a_file_is_read(tmp_path: Path) -> None:
    labels = with_second()
    labels.save(str(tmp_path / "two.slp"), embed=False, verbose=False)
    read = load_labels(tmp_path / "two.slp", open_videos=False)
    expected = make_labels(4)
    for frame, other in zip(read.labeled_frames, expected.labeled_frames, strict=True):
        assert frame.instances[0].skeleton is read.skeletons[0]
        np.testing.assert_array_equal(frame.instances[0].numpy(), other.instances[0].numpy())
        assert frame.instances[0].points["name"].tolist() == names(read)


def test_files_may_have_their_nodes_in_another_order() -> None:
    first, second = make_labels(2), with_second()
    second.labeled_frames = second.labeled_frames[2:]
    second.skeletons = second.skeletons[1:]
    together = LabelSet.from_labels([first, second])
    np.testing.assert_array_equal(together.frames[2].points, LabelSet.from_labels([make_labels(4)]).frames[2].points)
    alone = LabelSet.from_labels([second], like=together.skeleton)
    np.testing.assert_array_equal(alone.frames[0].points, together.frames[2].points)
    unify(second, first.skeletons[0])
    assert main_skeleton(second) is first.skeletons[0]
    np.testing.assert_array_equal(second[0].instances[0].numpy(), together.frames[2].points[0].astype(float))


def test_the_order_of_nodes() -> None:
    assert node_order(["c", "a", "b"], ["a", "b", "c"]) == [1, 2, 0]
    with pytest.raises(DataError, match="nodes a, b and with the nodes a, c;"):
        node_order(["a", "c"], ["a", "b"])
