"""What a stage keeps beside the instances when raw results are asked for: maps, crops and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sleap_nn.structures.predictions import Detection, Raw
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks.parts import found_anything

CROPS, GRAPH, IMAGE = "crops", "paf_graph", "image"
EARLIER_CONFMAPS = "earlier_confmaps"
"""The confidence maps of the stage that found what this one reads."""
_GRAPH_PARTS = ("edges", "sources", "destinations", "scores")


def raw_of_frame(
    detection: Detection, maps: Mapping[str, np.ndarray], transform: Transform, keep: frozenset[str]
) -> Raw:
    """Return what is kept of a whole frame.

    Args:
        detection: What was found, frame px.
        maps: Head name -> activated map.
        transform: Frame px to input px.
        keep: Names of the heads whose maps are kept, and `GRAPH` for the scored pairs of peaks.
    """
    kept = {name: values for name, values in maps.items() if name in keep}
    kept["transform"] = transform.matrix
    if GRAPH in keep and "edges" in detection.extras:
        kept |= {f"graph_{name}": detection.extras[name] for name in _GRAPH_PARTS}
        kept |= {"graph_peaks": detection.points, "graph_peak_scores": detection.scores}
        kept["graph_nodes"] = detection.extras["node"]
    return Raw(kept)


def with_earlier(raw: Raw, earlier: Raw | None) -> Raw:
    """Return what is kept of a frame together with the confidence maps that an earlier stage has kept of it."""
    if earlier is None or "confmaps" not in earlier.maps:
        return raw
    return replace(raw, maps={**raw.maps, EARLIER_CONFMAPS: earlier.maps["confmaps"]})


def with_size(raw: Raw, frame: Frame) -> Raw:
    """Return what is kept of a frame together with its (height, width)."""
    return replace(raw, maps={**raw.maps, "frame_size": np.array(frame.size, np.float32)})


def with_image(raw: Raw, frame: Frame, image: np.ndarray, transform: Transform) -> Raw:
    """Return what is kept of a frame together with its image and sizes.

    Args:
        raw: What is kept else.
        frame: The frame.
        image: (C, H, W) uint8: the input of a model of whole frames, the size-matched frame of a model of crops.
        transform: Frame px to px of the image.
    """
    sized = with_size(raw, frame)
    return replace(sized, maps={**sized.maps, IMAGE: image, "transform": transform.matrix})


def raw_of_crops(
    detections: Sequence[Detection],
    regions: Sequence[Region],
    images: Sequence[np.ndarray],
    transforms: Sequence[Transform],
    keep: frozenset[str],
) -> Raw:
    """Return what is kept of the crops of a frame: of those in which anything was found, one an instance.

    Args:
        detections: What was found in each, frame px; maps that are kept are among its extras.
        regions: Where each was read.
        images: (C, h, w) uint8, the inputs.
        transforms: Frame px to input px.
        keep: Names of the heads whose maps are kept, and `CROPS` for the images.
    """
    found = [i for i, detection in enumerate(detections) if found_anything(detection)]
    kept = {
        "anchors": np.array([regions[i].centre for i in found], np.float32).reshape(-1, 2),
        "anchor_scores": np.array([regions[i].score for i in found], np.float32),
        "crop_transforms": np.array([transforms[i].matrix for i in found]).reshape(-1, 2, 3),
    }
    if CROPS in keep and found:
        kept[CROPS] = np.stack([images[i] for i in found])
    for name in keep:
        own = [detections[i].extras.get(f"map_{name}") for i in found]
        if own and own[0] is not None:
            kept[name] = np.stack(own)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return Raw({}, kept)
