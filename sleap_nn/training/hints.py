"""Advice at the start of a run, where the configuration leaves out something that its labels call for."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from sleap_nn.config.backbone_config import bottleneck_stride
from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.crop_size import Extent
from sleap_nn.training.resolve import frame_area, share_of_frame

_BODY_LENGTHS = 2.5
"""Side of a random crop: room for an animal, its neighbour and what is around them."""
_FEWEST_TIMES = 3
"""Times a frame must be larger than that for crops to be worth a word."""


def random_crop_hint(animals: Sequence[Extent], config: TrainingJobConfig) -> str | None:
    """Return a sentence about random crops where whole frames with small animals are trained on, else None.

    Args:
        animals: The training instances.
        config: The resolved configuration of a model that looks for several animals in whole frames. Where one is
            looked for, its points are the highest peaks of a frame, so that the background matters more than speed.
    """
    data, preprocessing = config.data_config, config.data_config.preprocessing
    sides = [animal.matched(preprocessing) for animal in animals]
    length = float(np.quantile(sides, 0.95)) * preprocessing.scale if sides else 0.0
    if not data.use_augmentations_train or share_of_frame(config) < 1 or length <= 1:
        return None
    stride = bottleneck_stride(config.model_config.backbone_config.which_oneof())
    side = ceil(_BODY_LENGTHS * length / stride) * stride
    times = int(frame_area(preprocessing) / side**2)
    if times < _FEWEST_TIMES:
        return None
    return (
        "Animals are small in their frames: with data_config.augmentation_config.geometric.random_crop_size="
        f"{side} training steps would be about {times} times as fast."
    )


def idle_movements(config: DataConfig) -> str | None:
    """Return a sentence about movements of training images that are asked for and never take place, else None."""
    geometric = None if config.augmentation_config is None else config.augmentation_config.geometric
    if geometric is None or not config.use_augmentations_train:
        return None
    place = "data_config.augmentation_config.geometric"
    probabilities = {name: vars(geometric)[name] for name in ("rotation_p", "scale_p", "translate_p")}
    own = [name for name, probability in probabilities.items() if probability is not None]
    together = not own and geometric.affine_p > 0
    shift = max(geometric.translate_width, geometric.translate_height)
    if shift > 0 and geometric.translate_p is None and not together:
        return (
            f"Images are not shifted: {place}.translate_width and translate_height have no effect while translate_p is "
            "null; set translate_p, to 1.0 for example."
        )
    if geometric.affine_p > 0 and own:
        return (
            f"{place}.affine_p has no effect while {' and '.join(own)} {'is' if len(own) == 1 else 'are'} set; set all "
            "of rotation_p, scale_p and translate_p to null, or leave affine_p out."
        )
    return None
