"""`PoseDataset`: labelled frames become samples, drawn by (row, draw)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from sleap_nn.data.augment import Augmentation, Augmenter, blend
from sleap_nn.data.input_spec import InputSpec
from sleap_nn.data.labels import LabeledFrame, LabelSet
from sleap_nn.data.sources import FrameSource
from sleap_nn.errors import DataError
from sleap_nn.structures.region import Region
from sleap_nn.structures.sample import Frame, Mixed, Sample
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
    """One training example before its pixels are read.

    Attributes:
        frame: Where it comes from; a frame without instances is a negative example.
        region: What is read of it, None for a square anywhere in the frame.
        instances: Which instances are its targets.
    """

    frame: LabeledFrame
    region: Region | None
    instances: slice


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
        seed: int | None = 0,
        negative_weight: float = 1.0,
    ) -> None:
        """Lay out the rows.

        Args:
            labels: What is learned.
            source: Where its frames are read.
            task: Says what a row is: a frame, or an instance.
            spec: What the network reads.
            augmenter: Random changes, None for none.
            seed: Of all that is random; with None every draw of a row is the same, as validation needs it.
            negative_weight: How much frames without animals count in the loss.

        Raises:
            DataError: A labelled frame does not fit the task.
        """
        self._source = source
        self._task = task
        self._spec = spec
        self._augmenter = augmenter
        self._seed = seed
        self._negative_weight = negative_weight
        self._mirrored = task.skeleton.mirrored_order()
        self.rows = [row for frame in labels.frames for row in _rows(task, frame)]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __getitem__(self, draw: Draw | int) -> Sample:
        """Make one sample; a plain row number draws it for the first time."""
        row_number, number = draw if isinstance(draw, tuple) else (draw, 0)
        rng = np.random.default_rng(row_number if self._seed is None else (self._seed, number, row_number))
        augmentation = None if self._augmenter is None else self._augmenter.draw(rng)
        sample = self._read(self.rows[row_number], augmentation, rng)
        if augmentation is None or augmentation.mixed == 0:
            return sample
        partner = self.rows[int(augmentation.partner * len(self.rows))]
        second = self._read(partner, self._augmenter.draw(rng) if self._augmenter is not None else None, rng)
        if second.image.shape != sample.image.shape:
            return sample
        return mix(sample, second, augmentation.mixed)

    def _read(self, row: _Row, augmentation: Augmentation | None, rng: np.random.Generator) -> Sample:
        """Read the pixels of a row and move its points with them."""
        frame = self._source.read(row.frame.key)
        region = _anywhere(frame, rng) if row.region is None else row.region
        labelled = row.frame.points[row.instances]
        if augmentation is not None and augmentation.mirrored:
            labelled = labelled[:, self._mirrored]
        stored = row.frame.centroids
        anchors = self._task.anchors(labelled) if stored is None else stored[row.instances]
        window = None if augmentation is None else augmentation.window
        focus = None if window is None else window.focus(anchors[:, None] if self._task.one_point else labelled)
        if row.region is not None and row.region.centre is not None:
            x, y = anchors[0].tolist()  # of an animal that is mirrored, the other node of a pair
            region = Region((x, y))
        image, transform = self._spec.read(frame, region, augmentation, focus)
        placed = transform(np.concatenate([labelled, anchors[:, None]], axis=1))
        placed = visible_inside(placed, *self._spec.content_size(frame, augmentation))
        return Sample(
            key=row.frame.key,
            image=image,
            points=placed[:, :-1],
            anchors=placed[:, -1],
            class_ids=row.frame.class_ids[row.instances],
            transform=transform,
            weight=self._negative_weight if row.frame.is_negative else 1.0,
            is_negative=row.frame.is_negative,
        )

    def close_files(self) -> None:
        """Close what the source holds open, so that worker processes can start and open their own."""
        self._source.close()


def visible_inside(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return points (..., 2) in input px with those outside an image of (height, width) set to NaN."""
    x, y = points[..., 0], points[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return np.where(inside[..., None], points, np.nan).astype(np.float32)


def mix(sample: Sample, second: Sample, weight: float) -> Sample:
    """Return a sample with a second one shining through (Zhang et al., "mixup", ICLR 2018); targets mix alike.

    Args:
        sample: The first.
        second: Another of the same input size.
        weight: Share of the second, 0 to 1.
    """
    return replace(sample, image=blend(sample.image, second.image, weight), mixed=Mixed(second, weight))


def _rows(task: Task, frame: LabeledFrame) -> list[_Row]:
    """Return the training examples in a frame.

    Raises:
        DataError: The frame holds more animals than the task knows how to learn from.
    """
    count = len(frame.points)
    if task.max_labelled is not None and count > task.max_labelled:
        raise DataError(
            f"Frame {frame.key.frame} of video {frame.key.video} has {count} labelled animals, but a {task.name} "
            f"model learns from at most {task.max_labelled}; keep one instance in every frame, or train a model "
            "type for several animals."
        )
    if task.view == "frame":
        return [_Row(frame, Region(), slice(None))]
    if count == 0:
        return [_Row(frame, None, slice(0, 0))]
    anchors = task.anchors(frame.points)
    return [_Row(frame, Region((float(x), float(y))), slice(i, i + 1)) for i, (x, y) in enumerate(anchors)]


def _anywhere(frame: Frame, rng: np.random.Generator) -> Region:
    """Return a region about a random pixel of a frame."""
    height, width = frame.size
    return Region((float(rng.uniform(0, width - 1)), float(rng.uniform(0, height - 1))))
