import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.data.label_formats import write_format
from sleap_nn.data.labels import write_labels


class Backwards(set):
    """A set that gives its nodes in the order that sleap-io happens to see in some processes."""

    def __iter__(self):
        return iter(sorted(set.__iter__(self), key=lambda node: node.name, reverse=True))


@pytest.fixture
def labels() -> sio.Labels:
    nodes = [sio.Node(name) for name in ("a", "b", "c", "d")]
    symmetries = [sio.Symmetry([nodes[2], nodes[1]]), sio.Symmetry([nodes[0], nodes[3]])]
    skeleton = sio.Skeleton(nodes, [sio.Edge(nodes[1], nodes[0])], symmetries)
    for symmetry in symmetries:
        object.__setattr__(symmetry, "nodes", Backwards(symmetry.nodes))  # else it would be made a plain set
    video = sio.Video("clip.mp4", backend_metadata={"shape": (3, 8, 8, 1)}, open_backend=False)
    found = sio.PredictedInstance.from_numpy(np.ones((4, 2)), skeleton=skeleton)
    frame = sio.LabeledFrame(video=video, frame_idx=0, instances=[found])
    return sio.Labels([frame], videos=[video], skeletons=[skeleton])


def test_labels_name_symmetries_in_the_order_of_the_nodes(labels: sio.Labels, tmp_path: Path) -> None:
    write_labels(labels, tmp_path / "a.slp")
    with h5py.File(tmp_path / "a.slp") as file:
        metadata = json.loads(np.bytes_(file["metadata"].attrs["json"]))
    pairs = [(link["source"], link["target"]) for link in metadata["skeletons"][0]["links"]]
    assert pairs == [(1, 0), (1, 2), (0, 3)]
    read = sio.load_slp(str(tmp_path / "a.slp"), open_videos=False).skeletons[0]
    assert [{node.name for node in own.nodes} for own in read.symmetries] == [{"b", "c"}, {"a", "d"}]
    assert [(edge.source.name, edge.destination.name) for edge in read.edges] == [("b", "a")]


def test_the_analysis_does_too(labels: sio.Labels, tmp_path: Path) -> None:
    (path,) = write_format(labels, tmp_path / "a.slp", "analysis_h5")
    with h5py.File(path) as file:
        assert json.loads(str(file.attrs["skeleton_symmetries"])) == [["b", "c"], ["a", "d"]]
