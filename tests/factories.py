"""Small labels, videos and points for tests, drawn by the synthetic animals."""

from pathlib import Path

import numpy as np
from sleap_io.model.instance import Instance, Track
from sleap_io.model.labeled_frame import LabeledFrame
from sleap_io.model.labels import Labels
from sleap_io.model.skeleton import Skeleton
from sleap_io.model.video import Video

from sleap_nn.data.synthetic import FRAME_STEP, Scene, synthetic_labels, synthetic_skeleton, write_video


def make_skeleton() -> Skeleton:
    """Return the skeleton of the synthetic animals: 9 nodes, 8 edges, 2 symmetries."""
    return synthetic_skeleton()


def make_scene(height: int = 64, width: int = 64, num_animals: int = 1, seed: int = 0, channels: int = 1) -> Scene:
    """Return a small scene in which nothing hides the animals but each other."""
    return Scene(num_animals, height, width, seed, channels, num_obstacles=0)


def make_labels(
    num_frames: int = 8,
    height: int = 64,
    width: int = 64,
    num_animals: int = 1,
    seed: int = 0,
    embed: bool = True,
    path: str | Path | None = None,
    channels: int = 1,
    num_clips: int = 1,
) -> Labels:
    """Return labels with tracks, read back from `path`; without a path they have no images.

    `embed` stores images in the file (`.pkg.slp`), otherwise clips lie beside it.
    """
    scene = make_scene(height, width, num_animals, seed, channels)
    if path is not None:
        return synthetic_labels(path, scene, num_frames, num_clips, embed)
    times = [FRAME_STEP * index for index in range(num_frames)]
    video = Video("missing.mp4", backend_metadata={"shape": (times[-1] + 1, height, width, channels)})
    skeleton, tracks = make_skeleton(), [Track(f"animal_{index}") for index in range(num_animals)]
    frames = [
        LabeledFrame(
            video=video,
            frame_idx=t,
            instances=[
                Instance.from_numpy(points, skeleton=skeleton, track=track)
                for points, track in zip(scene.labelled_points(t), tracks, strict=True)
            ],
        )
        for t in times
    ]
    return Labels(frames, videos=[video], skeletons=[skeleton], tracks=tracks)


def make_video(
    path: str | Path,
    num_frames: int = 6,
    height: int = 64,
    width: int = 64,
    num_animals: int = 1,
    seed: int = 0,
    channels: int = 1,
) -> Path:
    """Write a short H.264 video and return its path."""
    write_video(path, make_scene(height, width, num_animals, seed, channels), num_frames)
    return Path(path)


def make_image(height: int = 48, width: int = 64, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return a random image (height, width, channels) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def make_points(
    num_instances: int = 2,
    num_nodes: int = 4,
    height: int = 48,
    width: int = 64,
    hidden_fraction: float = 0.0,
    seed: int = 0,
) -> np.ndarray:
    """Return random points (I, N, 2) float32 inside a frame, some of them NaN."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, (width - 1, height - 1), (num_instances, num_nodes, 2)).astype(np.float32)
    points[rng.random((num_instances, num_nodes)) < hidden_fraction] = np.nan
    return points
