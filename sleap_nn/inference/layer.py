"""`Layer`: from an array to raw results, the part of a predictor without filters and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sleap_nn.data.sources import ArrayFrames
from sleap_nn.errors import DataError, ModelError
from sleap_nn.inference.chain import Pace, unfiltered
from sleap_nn.inference.loaded_model import LoadedModel
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.raw_outputs import OutputForm
from sleap_nn.inference.runtime import Backend
from sleap_nn.inference.select import Selection
from sleap_nn.stages.raw import EARLIER_CONFMAPS
from sleap_nn.stages.stage import Stage
from sleap_nn.stages.stream import flattened
from sleap_nn.structures.predictions import Predictions


class Layer:
    """Loaded models and what raw results of them hold; called with an array, it predicts on it, in px of the array.

    Attributes:
        models: The models, in the order in which they run.
        keep: What raw results hold besides points, see `raw_outputs.kept_names`.
        batch_size: Images in one pass of the network.
    """

    def __init__(self, models: Sequence[LoadedModel], keep: frozenset[str] = frozenset(), batch_size: int = 4) -> None:
        """Take models that `load_models` returned; the arguments are the attributes."""
        self.models = tuple(models)
        self.keep = keep
        self.batch_size = batch_size

    def predict(self, image: np.ndarray | Tensor) -> Outputs:
        """Return the raw results of one image or a batch.

        Args:
            image: uint8, or floats of 0 to 255, (H, W), (H, W, C), (C, H, W), (B, H, W, C) or (B, C, H, W).

        Raises:
            TypeError: It is no array or tensor.
            DataError: It has another shape or type, or there is none.
            ConfigError: The models read crops about animals that something else has to find.
        """
        if not isinstance(image, np.ndarray | Tensor):
            raise TypeError(f"The image is a {type(image).__name__}; give an array or a tensor.")
        selection = Selection(ArrayFrames(_one_picture(_as_integers(image))))
        if not len(selection.frames):
            raise DataError(f"The batch has the shape {tuple(image.shape)} and holds no image; give at least one.")
        batches = unfiltered(self.stages(self.keep), selection, Pace(self.batch_size, 2 * self.batch_size))
        outputs = self.form.outputs(list(flattened(batches, len(selection.frames))), self.keep)
        outputs.frame_indices = outputs.video_indices = None
        return outputs

    __call__ = predict

    def warmup(self, sample_shape: tuple[int, ...] | None = None) -> None:
        """Predict once on a black image, so that a device has chosen its kernels; a CPU has nothing to choose.

        Args:
            sample_shape: Shape of an image, see `predict`; None: the size to which frames are matched, or 256 px.
        """
        if self.device != "cpu":
            self.predict(np.zeros(self.form.sample_shape if sample_shape is None else sample_shape, np.uint8))

    @property
    def backend(self) -> Backend:
        """What executes the networks."""
        return Backend([model.stage.runtime for model in self.models])

    @property
    def centroid_layer(self) -> Layer:
        """The model that finds centroids, as a layer of its own."""
        return self._only("centroid_layer", [model for model in self.models if model.stage.task.one_point])

    @property
    def centered_instance_layer(self) -> Layer:
        """The model that reads crops, as a layer of its own."""
        return self._only("centered_instance_layer", [m for m in self.models if m.stage.task.view == "crop"])

    @property
    def device(self) -> str:
        """Where the networks run."""
        return self.models[-1].device

    @property
    def form(self) -> OutputForm:
        """How raw results are laid out."""
        stage = self.models[-1].stage
        slots = self.models[0].stage.settings.max_instances if stage.task.one_point or len(self.models) > 1 else None
        return OutputForm(stage.task, stage.spec, len(self.models) > 1, slots)

    def stages(self, keep: frozenset[str] | None) -> list[Stage]:
        """Return what runs, in order.

        Args:
            keep: What `Predictions.raw` holds; None for nothing.
        """
        stages = [model.stage for model in self.models]
        if keep is not None and EARLIER_CONFMAPS in keep and len(stages) > 1:
            stages[0] = replace(stages[0], keep=frozenset({"confmaps"}))
        stages[-1] = replace(stages[-1], keep=keep)
        return stages

    def _only(self, name: str, found: Sequence[LoadedModel]) -> Layer:
        """Return some of the models as a layer.

        Raises:
            ModelError: There are none.
        """
        if not found:
            given = ", ".join(model.model_type for model in self.models)
            raise ModelError(f"There is no {name} for a {given} model; use the layer itself.")
        return Layer(found, self.keep, self.batch_size)


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


def _as_integers(image: np.ndarray | Tensor) -> np.ndarray:
    """Return an image as an array in main memory, floating-point numbers of 0 to 255 as uint8.

    Raises:
        DataError: The numbers are fractions of 1.
    """
    if isinstance(image, Tensor):
        image = (image.float() if image.dtype == torch.bfloat16 else image).detach().cpu()  # NumPy has no bfloat16
    array = np.asarray(image)
    if array.dtype.kind != "f":
        return array
    numbers = np.nan_to_num(array)
    if 0 < numbers.max(initial=0) <= 1 and (numbers % 1).any():
        raise DataError("The image has values of 0 to 1, which are black on the scale of 0 to 255; give 255 * image.")
    return np.clip(np.rint(numbers), 0, 255).astype(np.uint8)


def _one_picture(image: np.ndarray) -> np.ndarray | list[np.ndarray]:
    """Return three axes as one picture, and other shapes as they are: of a layer, they are never many grey ones."""
    return [image] if image.ndim == 3 else image
