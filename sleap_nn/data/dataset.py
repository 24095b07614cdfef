"""`PoseDataset`: labelled frames become samples, drawn by (row, draw)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from sleap_nn.data.augment import Augmenter
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame, LabelSet
from sleap_nn.data.sources import FrameSource
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Sample
from sleap_nn.tasks.base import Task


class Draw(NamedTuple):
    """One request to the dataset.

    Attributes:
        row: Position in the dataset.
        number: Running number of the draw; with the seed it decides the augmentation.
    """

    row: int
    number: int


@dataclass(frozen=True)
class _Row:
    """One training example before its pixels are read."""

    frame: LabeledFrame
    region: Region


class PoseDataset(Dataset):
    """Samples of a task; the only dataset.

    A sample depends on the row, the seed and the number of the draw, never on the worker that makes it.
    """

    def __init__(
        self,
        labels: LabelSet,
        source: FrameSource,
        task: Task,
        spec: InputSpec,
        augmenter: Augmenter | None = None,
        seed: int = 0,
    ) -> None:
        """Lay out the rows.

        Raises:
            DataError: A labelled frame does not fit the task.
        """
        self._source = source
        self._spec = spec
        self._augmenter = augmenter
        self._seed = seed
        self._mirrored = task.skeleton.mirrored_order()
        self.rows = [_Row(frame, Region(anchor)) for frame in labels.frames for anchor in task.anchors(frame.points)]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, draw: Draw | int) -> Sample:
        """Make one sample; a plain row number draws it for the first time."""
        row_number, number = draw if isinstance(draw, tuple) else (draw, 0)
        row = self.rows[row_number]
        augmentation = None
        if self._augmenter is not None:
            augmentation = self._augmenter.draw(np.random.default_rng((self._seed, number, row_number)))
        frame = self._source.read(row.frame.key)
        image, transform = self._spec.read(frame, row.region, augmentation)
        points = row.frame.points
        if augmentation is not None and augmentation.mirrored:
            points = points[:, self._mirrored]
        points = visible_inside(transform(points), image.shape[1], image.shape[2])
        return Sample(row.frame.key, image, points, row.frame.class_ids, transform)

    def close_files(self) -> None:
        """Close what the source holds open, so that worker processes can start and open their own."""
        self._source.close()


def visible_inside(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return points (..., 2) in input px with those outside an image of (height, width) set to NaN."""
    x, y = points[..., 0], points[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.where(inside[..., None], points, np.nan).astype(np.float32)
