"""COCO keypoints by sleap-io, with the images beside the file, and the names of tracks."""

from __future__ import annotations

import json
from pathlib import Path

from sleap_io.io.coco import convert_labels
from sleap_io.model.labels import Labels

from sleap_nn.data.label_export.frames import ExportedFrames


def write(frames: ExportedFrames, place: Path) -> None:
    """Write ``labels.json`` and the folder of images."""
    folder = place / frames.image_folder
    sizes = [size for _, size in frames.write_images(folder)]
    labels = Labels(
        [frame.labels for frame in frames.frames],
        videos=list(frames.labels.videos),
        skeletons=[frames.skeleton],
        tracks=list(frames.labels.tracks),
    )
    content = convert_labels(labels, [f"{folder.name}/{frame.name}" for frame in frames.frames])
    for image, (height, width) in zip(content["images"], sizes, strict=True):
        image |= {"height": height, "width": width}
    content["tracks"] = [{"id": number, "name": track.name} for number, track in enumerate(labels.tracks, 1)]
    (place / "labels.json").write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
