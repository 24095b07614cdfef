"""Labels of other programs, written by hand as those programs write them: with images whose pixels tell them apart."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from sleap_io.model.labels import Labels

NODES = ("snout", "left", "right")
SIZE = (40, 60)
"""Height and width of the images."""


def write_image(path: Path, value: int = 0, size: tuple[int, int] = SIZE) -> Path:
    """Write a grey image of one brightness."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(size, value, np.uint8))
    return path


def write_table(
    path: Path,
    rows: Sequence[tuple[Sequence[str], Sequence[Any]]],
    animals: Sequence[str] = (),
    nodes: Sequence[str] = NODES,
    values: Sequence[str] = ("x", "y"),
) -> Path:
    """Write a table; a row is the cells that name its image, and its values."""
    columns = [(a, n, v) for a in (animals or [""]) for n in nodes for v in values]
    index = len(rows[0][0])
    head = [["scorer", *[""] * (index - 1), *["me"] * len(columns)]]
    if animals:
        head.append(["individuals", *[""] * (index - 1), *(a for a, _, _ in columns)])
    head.append(["bodyparts", *[""] * (index - 1), *(n for _, n, _ in columns)])
    head.append(["coords", *[""] * (index - 1), *(v for _, _, v in columns)])
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*head, *([*name, *cells] for name, cells in rows)])
    return path


def write_dlc(folder: Path, videos: Sequence[str] = ("a", "b"), num_images: int = 3) -> Path:
    """Write a DeepLabCut project whose point (x, y) of node k in image i of video v is (10 v + i, k)."""
    for v, video in enumerate(videos):
        place = folder / "labeled-data" / video
        rows = []
        for i in range(num_images):
            write_image(place / f"img{i:03d}.png", 50 * v + i)
            cells = [value for k in range(len(NODES)) for value in (10 * v + i, k)]
            rows.append((["labeled-data", video, f"img{i:03d}.png"], cells))
        write_table(place / "CollectedData_me.csv", rows)
    about = {
        "Task": "test",
        "scorer": "me",
        "bodyparts": list(NODES),
        "video_sets": {f"/videos/{video}.mp4": {"crop": "0, 60, 0, 40"} for video in videos},
        "skeleton": [["snout", "left"], ["snout", "tail"]],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(about))
    return folder


def coco_content(num_images: int = 3) -> dict[str, Any]:
    """Return COCO keypoints: the points of image i are at (i, k), the last one of them not visible."""
    height, width = SIZE
    return {
        "images": [
            {"id": 100 - i, "file_name": f"img{i}.png", "height": height, "width": width} for i in range(num_images)
        ],
        "annotations": [
            {
                "id": i,
                "image_id": 100 - i,
                "category_id": 7,
                "keypoints": [i, 0, 2, i, 1, 1, 0, 0, 0],
                "num_keypoints": 2,
                "bbox": [0, 0, 1, 1],
                "segmentation": {"counts": [0], "size": [10**6, 10**6]},
                "track_id": 0,
            }
            for i in range(num_images)
        ],
        "categories": [
            {"id": 3, "name": "box"},
            {"id": 7, "name": "mouse", "keypoints": list(NODES), "skeleton": [[1, 2], [1, 3]]},
        ],
    }


def write_coco(folder: Path, content: dict[str, Any] | None = None, images: str = "images") -> Path:
    """Write a COCO file and its images."""
    own = coco_content() if content is None else content
    for i, entry in enumerate(own["images"]):
        write_image(folder / images / entry["file_name"], i)
    path = folder / "labels.json"
    path.write_text(json.dumps(own))
    return path


def write_yolo(
    folder: Path, shape: Sequence[int] = (3, 3), splits: Sequence[str] = ("train", "val"), num_images: int = 2
) -> Path:
    """Write a YOLO data set in the layout of Ultralytics; the last node is not visible."""
    for s, split in enumerate(splits):
        for i in range(num_images):
            write_image(folder / "images" / split / f"{split}{i}.png", 10 * s + i)
            points = [(0.1 * (i + 1), 0.5, 2.0), (0.25, 0.25, 1), (0, 0, 0)]
            values = [str(v) for point in points for v in point[: shape[1]]]
            path = folder / "labels" / split / f"{split}{i}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"0 0.5 0.5 0.1 0.1 {' '.join(values)}\n")
    about = {split: f"images/{split}" for split in splits}
    (folder / "data.yaml").write_text(
        yaml.safe_dump(about | {"names": ["mouse"], "kpt_shape": list(shape), "kpt_names": {0: list(NODES)}})
    )
    return folder


def brightness(labels: Labels) -> list[int]:
    """Return what the image of each frame is, which tells whether it is the right one."""
    return [int(frame.video[frame.frame_idx].flat[0]) for frame in labels]


def xs(labels: Labels) -> list[float]:
    """Return the x of the first node of the first animal of each frame."""
    return [float(frame.instances[0].numpy()[0, 0]) for frame in labels]
