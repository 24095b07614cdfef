"""The verb `preview`: a picture of what a network would be trained on, before it is trained.

Samples come from the data set of `ModelTrainer`, so that they show what the network sees: size match, crop, scale and
augmentation included. Drawing itself is in `sleap_nn.viz`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from sleap_nn.data.video_names import image_files
from sleap_nn.errors import ConfigError
from sleap_nn.heads.base import Head
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.base import Task
from sleap_nn.viz import (
    HOLLOW,
    PALETTE,
    Color,
    DrawStyle,
    contact_sheet,
    downscale,
    draw_class_maps,
    draw_confidence_maps,
    draw_fields,
    draw_instances,
    save_png,
    upscale,
    write_lines,
)
from sleap_nn.whole_files import check_ending, check_output

if TYPE_CHECKING:
    from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
    from sleap_nn.data.labels import Labels
    from sleap_nn.data.video_paths import VideoPaths

_SMALLEST_SIDE = 320
_LARGEST_SIDE = 640
_SHEET_WIDTH = 2200
_WITHOUT_CLASS: Color = (190, 190, 190)
_ANCHOR: Color = (255, 255, 255)
_RING = DrawStyle(hollow=True, size=6.0)
_MAP_COLORS = (*PALETTE[1:], PALETTE[0])  # the first stands out from grey, for models with a single map


def preview(
    config: TrainingJobConfig | DictConfig | dict[str, Any] | str | Path,
    output: str | Path,
    num_samples: int = 16,
    train_labels: Sequence[Labels] | None = None,
    val: bool = False,
    video_paths: VideoPaths | None = None,
) -> Path:
    """Draw augmented network inputs with their labels and targets, without training.

    Args:
        config: The configuration, or the path of its YAML file.
        output: PNG file to write.
        num_samples: How many samples are drawn; the same frame can be drawn more than once, augmented anew.
        train_labels: Labels to draw from, in place of the files of the configuration.
        val: Draw from the validation set, which is not augmented, in place of the training set.
        video_paths: Where the videos of the labels are now, if not where the labels say.

    Returns:
        The file.

    Raises:
        ConfigError: The configuration is wrong or contradicts the labels, or no samples are asked for.
        DataError: The labels cannot be used.
        MissingFileError: The configuration, a labels file or a video is not there.
        OutputError: The picture cannot be written.
        InputOverwrittenError: It is one of the images that the samples are made of.
        UsageError: Its name does not end in ``.png``.
    """
    from sleap_nn.training.model_trainer import ModelTrainer

    if num_samples < 1:
        raise ConfigError(f"num_samples is {num_samples}; a preview needs at least 1.")
    check_ending(Path(output), (".png",))
    trainer = ModelTrainer(config, train_labels, video_paths=video_paths)
    data = trainer.data
    check_output(Path(output), image_files([*data.train.set.videos, *data.val.set.videos]), "file (.png)")
    batch, targets = trainer.draw_samples(num_samples, train=not val)
    save_png(output, sample_sheet(trainer.task, batch, targets))
    return Path(output)


def sample_sheet(task: Task, batch: Batch, targets: Mapping[str, Tensor]) -> np.ndarray:
    """Draw the samples of a batch, each as its input with labels and one picture for every head.

    Args:
        task: Names the heads, edges and classes.
        batch: The samples.
        targets: Target of every head by its name, as `Task.encode` returns it.

    Returns:
        An RGB uint8 image.
    """
    rows = [_sample_row(task, batch, targets, index) for index in range(len(batch))]
    return contact_sheet(rows, columns=max(1, _SHEET_WIDTH // rows[0].shape[1]), gap=10)


def _sample_row(task: Task, batch: Batch, targets: Mapping[str, Tensor], index: int) -> np.ndarray:
    """Draw one sample: its input, and beside it the targets of every head."""
    image = _image(batch, index)
    enlarge = -(-_SMALLEST_SIDE // max(image.shape[:2]))
    shrink = -(-max(image.shape[:2]) // _LARGEST_SIDE)
    labelled = draw_labels(task, batch, index, enlarge)
    panels = [draw_target(task, head, image, targets[head.name][index].numpy(), enlarge) for head in task.heads]
    captions = [_caption(batch, index, enlarge, shrink), *(_title(head) for head in task.heads)]
    return contact_sheet([downscale(panel, shrink) for panel in (labelled, *panels)], 1 + len(panels), captions, gap=2)


def draw_labels(task: Task, batch: Batch, index: int, upscaling: int = 1) -> np.ndarray:
    """Draw the labelled points and edges of one sample on its input.

    Instances have the colours of their classes if the task has classes. Points of a sample that is mixed in are rings,
    and so are the anchors of a task that finds one point an animal.

    Args:
        task: Names the edges and classes.
        batch: The samples, on the CPU.
        index: Which sample.
        upscaling: Whole factor by which the input is enlarged.

    Returns:
        RGB uint8 image.
    """
    drawn = upscale(_image(batch, index), upscaling)
    if batch.mixed is not None and batch.mix_weights is not None and batch.mix_weights[index] > 0:
        places = _enlarged(batch.mixed.points[index], upscaling)
        drawn = draw_instances(drawn, places, task.skeleton.edges, _colors(task, batch.mixed, index), style=HOLLOW)
    places = _enlarged(batch.points[index], upscaling)
    drawn = draw_instances(drawn, places, task.skeleton.edges, _colors(task, batch, index))
    if task.one_point:
        drawn = draw_instances(drawn, _enlarged(batch.anchors[index][:, None], upscaling), (), [_ANCHOR], style=_RING)
    return drawn


def draw_target(task: Task, head: Head, image: np.ndarray, target: np.ndarray, upscaling: int = 1) -> np.ndarray:
    """Paint the target of one head over the input it belongs to.

    Args:
        task: Names the classes.
        head: What the target is for; a kind of map without a picture of its own is drawn as confidence maps.
        image: (height, width, channels) uint8, the input.
        target: (channels, h, w) maps, or (classes,) numbers.
        upscaling: Whole factor by which the input is enlarged.

    Returns:
        RGB uint8 image.
    """
    if target.ndim == 1:
        lines, colors = _class_lines(task.classes, target)
        return write_lines(upscale(image, upscaling), lines, colors)
    if head.name == "pafs":
        return draw_fields(image, target, head.output_stride, upscaling=upscaling)
    if head.name == "class_maps":
        return draw_class_maps(image, target, head.output_stride, task.classes, upscaling=upscaling)
    return draw_confidence_maps(image, target, head.output_stride, _MAP_COLORS, upscaling=upscaling)


def _image(batch: Batch, index: int) -> np.ndarray:
    """Return the input of a sample as (height, width, channels)."""
    return batch.image[index].permute(1, 2, 0).numpy()


def _enlarged(points: Tensor, factor: int) -> np.ndarray:
    """Return where points lie after `viz.upscale`."""
    return points.numpy() * factor + (factor - 1) / 2


def _colors(task: Task, batch: Batch, index: int) -> list[Color]:
    """Return the colour of every instance of a sample."""
    if not task.classes:
        return list(PALETTE)
    return [_WITHOUT_CLASS if i < 0 else PALETTE[i % len(PALETTE)] for i in batch.class_ids[index].tolist()]


def _class_lines(classes: Sequence[str], shares: np.ndarray) -> tuple[list[str], list[Color]]:
    """Return the names of the classes of an animal and their colours; shares other than 1 are written as well."""
    found = np.flatnonzero(shares > 0).tolist()
    if not found:
        return ["no class"], [_WITHOUT_CLASS]
    lines = [classes[i] if shares[i] == 1 else f"{classes[i]} {shares[i]:.2f}" for i in found]
    return lines, [PALETTE[i % len(PALETTE)] for i in found]


def _title(head: Head) -> str:
    """Return what the picture of a target shows."""
    return f"{head.name}, stride {head.output_stride}" if head.reads == "map" else head.name


def _caption(batch: Batch, index: int, enlarge: int, shrink: int) -> str:
    """Return the size of a sample, the scale of its picture, and which frame it is."""
    height, width = batch.image.shape[2:]
    scale = f"x{enlarge}" if shrink == 1 else f"x1/{shrink}"
    key = batch.keys[index]
    share = 0.0 if batch.mix_weights is None else float(batch.mix_weights[index])
    mixed = f", mixup {share:.0%}" if share > 0 else ""
    return f"{width}x{height} px {scale}, frame {key.video}:{key.frame}{mixed}"
