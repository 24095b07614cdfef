"""YOLO pose: ``data.yaml``, ``images/train`` and ``labels/train`` with a folder for each video."""

from __future__ import annotations

from pathlib import Path

import yaml
from sleap_io.io.ultralytics import write_label_file

from sleap_nn.data.label_export.frames import ExportedFrames
from sleap_nn.data.labels import skeleton_of


def write(frames: ExportedFrames, place: Path) -> None:
    """Write the data set; all frames are in its split ``train``."""
    for frame, size in frames.write_images(place / "images" / "train"):
        path = place / "labels" / "train" / frame.name.with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_label_file(path, frame.labels, frames.skeleton, size)
    skeleton = skeleton_of(frames.labels)
    mirrored = list(range(len(skeleton.node_names)))
    for a, b in skeleton.symmetries:
        mirrored[a], mirrored[b] = b, a
    about = {
        "train": "images/train",
        "names": {0: "animal"},
        "kpt_shape": [len(skeleton.node_names), 3],
        "flip_idx": mirrored,
        "skeleton": [list(edge) for edge in skeleton.edges],
        "node_names": list(skeleton.node_names),
        "kpt_names": {0: list(skeleton.node_names)},
    }
    (place / "data.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")
