"""Which video of one label file is which video of another, from what the files say about them.

Pure: the descriptions are made from sleap-io videos in `pairs`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from sleap_nn.log import logger


class VideoFile(NamedTuple):
    """Where images lie: one file, or the images of a sequence; for images in a package also the dataset."""

    paths: tuple[str, ...]
    dataset: str | None = None


@dataclass(frozen=True)
class VideoDescription:
    """What a label file knows about a video.

    Attributes:
        files: The video itself first, then what it was made from, up to the original.
        size: (height, width) in px, None if unknown.
        num_frames: Frames of the original, None if unknown.
        crop: Part of the original that the video shows, None for all of it.
    """

    files: tuple[VideoFile, ...]
    size: tuple[int, int] | None = None
    num_frames: int | None = None
    crop: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """Path of the video, or of the first image of a sequence."""
        return self.files[0].paths[0]


def match_videos(truth: Sequence[VideoDescription], predicted: Sequence[VideoDescription]) -> list[list[int]]:
    """Find, for each video of the truth, the same video among those of the predictions.

    The same file is a match, also when it is what both were made from. Files that have moved are matched by
    as many trailing path components as it takes to tell them apart. Videos left over match if there is one on
    each side, or by the number of frames and the size if that is unambiguous; both are logged.

    Returns:
        For each video of the truth, indices of the predicted videos that are the same video: usually one,
        several if the predictions list a video twice, none if it was not found.
    """
    matches = [[j for j, p in enumerate(predicted) if _same_video(t, p)] for t in truth]
    _add_unique_pairs(matches, truth, predicted, _common_path_parts)
    by_name = [list(found) for found in matches]
    if len(truth) == len(predicted) == 1:
        _add_unique_pairs(matches, truth, predicted, _may_be_same)
    _add_unique_pairs(matches, truth, predicted, _same_shape)
    for i, found in enumerate(matches):
        if found != by_name[i]:
            logger.warning(
                "%s and %s have different names; they are taken for the same video because of their size.",
                truth[i].name,
                predicted[found[0]].name,
            )
    return matches


def _add_unique_pairs(
    matches: list[list[int]],
    truth: Sequence[VideoDescription],
    predicted: Sequence[VideoDescription],
    score: Callable[[VideoDescription, VideoDescription], int],
) -> None:
    """Match videos left over whose score is the single best for both of them, until there are none."""
    while True:
        rows = [i for i, found in enumerate(matches) if not found]
        taken = {j for found in matches for j in found}
        columns = [j for j in range(len(predicted)) if j not in taken]
        if not rows or not columns:
            return
        scores = np.array([[score(truth[i], predicted[j]) for j in columns] for i in rows], np.int64)
        pairs = np.argwhere(_single_best(scores) & _single_best(scores.T).T)
        if len(pairs) == 0:
            return
        for row, column in pairs:
            matches[rows[row]] = [columns[column]]


def _single_best(scores: Int[np.ndarray, "rows columns"]) -> np.ndarray:
    """Mark the largest positive entry of each row that has only one such entry."""
    best = (scores == scores.max(axis=1, keepdims=True)) & (scores > 0)
    return best & (best.sum(axis=1, keepdims=True) == 1)


def _same_video(a: VideoDescription, b: VideoDescription) -> bool:
    return a.crop == b.crop and any(
        _datasets_agree(x, y) and _normal(x) == _normal(y) for x in a.files for y in b.files
    )


def _common_path_parts(a: VideoDescription, b: VideoDescription) -> int:
    """Count trailing path components that agree, 0 if not even the file names do."""
    if not _may_be_same(a, b):
        return 0
    return max(_common_tail(x, y) for x in a.files for y in b.files)


def _common_tail(a: VideoFile, b: VideoFile) -> int:
    parts_a, parts_b = ([PurePosixPath(_posix(path)).parts for path in file.paths] for file in (a, b))
    names_a, names_b = ([parts[-1:] for parts in file] for file in (parts_a, parts_b))
    if not _datasets_agree(a, b) or names_a != names_b:
        return 0
    agree = [x == y for x, y in zip(parts_a[0][::-1], parts_b[0][::-1], strict=False)]
    return agree.index(False) if False in agree else len(agree)


def _same_shape(a: VideoDescription, b: VideoDescription) -> bool:
    known = a.size is not None and a.num_frames is not None
    return known and (a.size, a.num_frames, a.crop) == (b.size, b.num_frames, b.crop)


def _may_be_same(a: VideoDescription, b: VideoDescription) -> bool:
    """Tell whether nothing known about the pictures speaks against two videos being the same."""
    return a.crop == b.crop and (a.size is None or b.size is None or a.size == b.size)


def _datasets_agree(a: VideoFile, b: VideoFile) -> bool:
    return a.dataset is None or b.dataset is None or a.dataset == b.dataset


def _normal(file: VideoFile) -> tuple[str, ...]:
    """Resolve links and relative parts, so that two spellings of a path are equal."""
    return tuple(os.path.normcase(Path(_posix(path)).resolve()) for path in file.paths)


def _posix(path: str) -> str:
    """Write a path with slashes: label files travel between operating systems."""
    return path.replace("\\", "/")
