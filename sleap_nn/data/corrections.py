"""Predictions that a user has corrected: such a frame holds an animal twice, as it was predicted and as it is."""

from __future__ import annotations

from sleap_io.model.instance import Instance
from sleap_io.model.labeled_frame import LabeledFrame


def animals(frame: LabeledFrame) -> list[Instance]:
    """Return the instances of a frame, each animal once: those of a user, then the predictions beside them.

    A prediction is corrected if an instance of a user was made from it, or has its track. sleap-io looks at either, but
    not at both, and so gives a correction and its prediction where tracks were made after it.
    """
    drawn = list(frame.user_instances)
    if not drawn:
        return list(frame.instances)
    sources = {id(instance.from_predicted) for instance in drawn}
    tracks = {id(instance.track) for instance in drawn if instance.track is not None}
    others = (i for i in frame.predicted_instances if id(i) not in sources and id(i.track) not in tracks)
    return [*drawn, *others]
