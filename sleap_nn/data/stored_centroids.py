"""Centroids that a user stored in labels, in the form in which labels and predictions are compared."""

from __future__ import annotations

import numpy as np
from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels

from sleap_nn.data.label_table import subset
from sleap_nn.data.labels import user_centroids
from sleap_nn.data.skeletons import main_skeleton


def centroids_as_instances(labels: Labels, node: int) -> Labels:
    """Return labels whose frames with stored centroids hold these, and no others: as in `LabelSet.from_labels`.

    Args:
        labels: They stay as they are.
        node: Node of the skeleton that is put at each centroid; the others are missing.
    """
    skeleton = main_skeleton(labels)
    whole = subset(labels, range(len(labels.labeled_frames)))
    for position, frame in enumerate(whole.labeled_frames):
        stored = user_centroids(frame)
        if skeleton is not None and stored:
            points = np.full((len(stored), len(skeleton.nodes), 2), np.nan)
            points[:, node] = [(centroid.x, centroid.y) for centroid in stored]
            instances = [Instance.from_numpy(own, skeleton=skeleton) for own in points]
            whole.labeled_frames[position] = LabeledFrame(frame.video, frame.frame_idx, instances)
    return whole
