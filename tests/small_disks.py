"""Writing files in a process that cannot write large ones, which is what a full disk is to it."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sleap_io as sio

from sleap_nn.data.label_formats import write_format
from sleap_nn.errors import OutputError
from sleap_nn.inference.output import save_labels
from sleap_nn.inference.slp_writer import SlpHead, write_slp
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.viz import write_overlay_video

NUM_FRAMES = 1500


def write_all_that_is_too_large(video: Path, kind: str) -> None:
    """Write a kind of file with less and less room, and end with the number of times that this was no clean failure."""
    write, folder = _writer(video, kind), video.parent
    write(folder / "whole.slp")
    (whole,) = folder.glob("whole.*")
    size = whole.stat().st_size
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    before, unclean = sorted(folder.iterdir()), 0
    for limit in (int(size * share) for share in (0.0, 0.001, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        try:
            write(folder / "part.slp")
        except OutputError as error:
            unclean += "File too large" not in str(error)
        else:
            unclean += 1
        unclean += sorted(folder.iterdir()) != before
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    write(folder / "part.slp")
    sys.exit(unclean)


def _writer(video: Path, kind: str) -> Callable[[Path], object]:
    """Return what writes such a file, for an output of a name."""
    skeleton = sio.Skeleton([f"node{i}" for i in range(9)])
    if kind == "stream":
        head = SlpHead(skeleton, [sio.Video.from_filename(str(video))], (), {})
        return lambda path: write_slp(path, _frames(), head)
    if kind == "video":
        noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
        return lambda path: write_overlay_video(path.with_suffix(".mp4"), noise, 10)
    opened = sio.Video.from_filename(str(video))
    count = len(opened) if kind == "embedded" else NUM_FRAMES
    instances = [sio.PredictedInstance.from_numpy(np.full((9, 2), float(i)), skeleton=skeleton) for i in range(count)]
    frames = [sio.LabeledFrame(video=opened, frame_idx=i, instances=[found]) for i, found in enumerate(instances)]
    labels = sio.Labels(frames, videos=[opened], skeletons=[skeleton])
    if kind in ("embedded", "labels"):
        return lambda path: save_labels(labels, path, embed=kind == "embedded")
    return lambda path: write_format(labels, path, kind)


def _frames() -> list[Predictions]:
    """Return predictions."""
    rng = np.random.default_rng(0)
    return [
        Predictions(
            key=FrameKey(0, number),
            points=rng.normal(size=(3, 9, 2)).astype(np.float32),
            point_scores=rng.random((3, 9)).astype(np.float32),
            scores=rng.random(3).astype(np.float32),
        )
        for number in range(NUM_FRAMES)
    ]
