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

from sleap_nn.errors import ConfigError
from sleap_nn.heads.base import Head
from sleap_nn.structures.sample import Batch
from sleap_nn.tasks.base import Task
from sleap_nn.viz import (
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

if TYPE_CHECKING:
    from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
    from sleap_nn.data.labels import Labels

_SMALLEST_SIDE = 300
_LARGEST_SIDE = 640
_SHEET_WIDTH = 2000
_WITHOUT_CLASS: Color = (190, 190, 190)
_ANCHOR: Color = (255, 255, 255)


def preview(
    config: TrainingJobConfig | DictConfig | dict[str, Any] | str | Path,
    output: str | Path,
    num_samples: int = 16,
    train_labels: Sequence[Labels] | None = None,
    val: bool = False,
) -> Path:
    """Draw augmented network inputs with their labels and targets, without training.

    Args:
        config: The configuration, or the path of its YAML file.
        output: PNG file to write.
        num_samples: How many samples are drawn; the same frame can be drawn more than once, augmented anew.
        train_labels: Labels to draw from, in place of the files of the configuration.
        val: Draw from the validation set, which is not augmented, in place of the training set.

    Returns:
        The file.

    Raises:
        ConfigError: The configuration is wrong or contradicts the labels, or no samples are asked for.
        DataError: The labels cannot be used.
        MissingFileError: The configuration, a labels file or a video is not there.
        OutputError: The picture cannot be written.
    """
    from sleap_nn.training.model_trainer import ModelTrainer

    if num_samples < 1:
        raise ConfigError(f"num_samples is {num_samples}; a preview needs at least 1.")
    trainer = ModelTrainer(config, train_labels)
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
    image = batch.image[index].permute(1, 2, 0).numpy()
    enlarge = max(1, round(_SMALLEST_SIDE / max(image.shape[:2])))
    shrink = -(-max(image.shape[:2]) // _LARGEST_SIDE)
    labelled = draw_labels(task, batch, index, enlarge)
    panels = [draw_target(task, head, image, targets[head.name][index].numpy(), enlarge) for head in task.heads]
    captions = [_caption(batch, index, enlarge, shrink), *(f"{head.name}{_stride(head)}" for head in task.heads)]
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
    image = batch.image[index].permute(1, 2, 0).numpy()
    hollow = DrawStyle(hollow=True, upscale=upscaling)
    drawn = image
    layers = [(batch, DrawStyle(upscale=upscaling))]
    if batch.mixed is not None and batch.mix_weights is not None and batch.mix_weights[index] > 0:
        layers.insert(0, (batch.mixed, hollow))
    drawn = upscale(image, upscaling)
    for layer, style in layers:
        drawn = _on_enlarged(drawn, layer.points[index].numpy(), task.skeleton.edges, _colors(task, layer, index), style)
    if task.one_point:
        drawn = _on_enlarged(drawn, batch.anchors[index][:, None].numpy(), (), [_ANCHOR], hollow)
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
        shares = [(name, share, color) for name, share, color in zip(task.classes, target, _cycle(task), strict=True)]
        named = [(name if share == 1 else f"{name} {share:.2f}", color) for name, share, color in shares if share > 0]
        named = named if named else [("no class", _WITHOUT_CLASS)]
        return write_lines(upscale(image, upscaling), [name for name, _ in named], [color for _, color in named])
    if head.name == "pafs":
        return draw_fields(image, target, head.output_stride, upscaling=upscaling)
    if head.name == "class_maps":
        return draw_class_maps(image, target, head.output_stride, task.classes, upscaling=upscaling)
    return draw_confidence_maps(image, target, head.output_stride, upscaling=upscaling)
