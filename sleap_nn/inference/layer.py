"""`Layer`: from an array to raw results, the part of a predictor without filters and labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from torch import Tensor

from sleap_nn.data.sources import ArrayFrames
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.raw_outputs import OutputForm
from sleap_nn.inference.select import Selection
from sleap_nn.structures.predictions import Predictions

Stream = Callable[[Selection], Iterable[Predictions]]


class Layer:
    """Predicts on arrays; results are in px of the image given."""

    def __init__(self, stream: Stream, form: OutputForm, keep: frozenset[str], device: str = "cpu") -> None:
        """Take what a predictor gives.

        Args:
            stream: Gives the unfiltered instances of every frame, with `Predictions.raw`.
            form: How results are laid out.
            keep: What they hold besides points.
            device: Where the networks run.
        """
        self._stream = stream
        self._form = form
        self._keep = keep
        self._device = device

    def predict(self, image: np.ndarray | Tensor) -> Outputs:
        """Return the raw results of one image or a batch.

        Args:
            image: uint8, (H, W), (H, W, C), (C, H, W), (B, H, W, C) or (B, C, H, W).

        Raises:
            TypeError: It is no array or tensor.
            DataError: It has another shape or type.
        """
        if not isinstance(image, np.ndarray | Tensor):
            raise TypeError(f"The image is a {type(image).__name__}; give an array or a tensor.")
        found = list(self._stream(Selection(ArrayFrames(_one_picture(image)))))
        outputs = self._form.outputs(found, self._keep)
        outputs.frame_indices = outputs.video_indices = None
        return outputs

    __call__ = predict

    def warmup(self, sample_shape: tuple[int, ...] | None = None) -> None:
        """Predict once on a black image, so that a device has chosen its kernels; a CPU has nothing to choose.

        Args:
            sample_shape: Shape of an image, see `predict`; None: the size to which frames are matched, or 256 px.
        """
        if self._device != "cpu":
            self.predict(np.zeros(self._form.sample_shape if sample_shape is None else sample_shape, np.uint8))


def raw_batches(
    found: Iterable[Predictions], form: OutputForm, keep: frozenset[str], batch_size: int
) -> Iterator[Outputs]:
    """Yield raw results, one for every `batch_size` frames."""
    batch: list[Predictions] = []
    for frame in found:
        batch.append(frame)
        if len(batch) == batch_size:
            yield form.outputs(batch, keep)
            batch = []
    if batch:
        yield form.outputs(batch, keep)


def _one_picture(image: np.ndarray | Tensor) -> np.ndarray | Tensor | list[np.ndarray | Tensor]:
    """Return three axes as one picture, and other shapes as they are: of a layer, they are never many grey ones."""
    return [image] if image.ndim == 3 else image
