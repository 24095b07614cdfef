"""`PreprocInfo`: how the frames of a batch became network input."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PreprocInfo:
    """How frames became network input; input px / `input_scale` / `eff_scale` are px of the frame.

    Attributes:
        original_size: (height, width) of the frame, (0, 0) if unknown.
        processed_size: (height, width) of the network input.
        eff_scale: (B,) factors of the size match.
        input_scale: The resize factor after it.
        output_stride: Input px of a cell of the confidence maps.
        pad_amount: (height, width) of the black rim at the bottom and right.
        crop_offsets: (B * I, 2) top-left corners of crops, None for whole frames.
    """

    original_size: tuple[int, int] = (0, 0)
    processed_size: tuple[int, int] = (0, 0)
    eff_scale: Tensor = field(default_factory=lambda: torch.ones(1))
    input_scale: float = 1.0
    output_stride: int = 1
    pad_amount: tuple[int, int] = (0, 0)
    crop_offsets: Tensor | None = None
