"""`Drawing`, one prediction of the running training as pictures and numbers, and `DrawingSink`, where drawings go."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

PREDICTIONS = "predictions"
PAFS = "pafs"
CLASS_MAPS = "class_maps"


@dataclass(frozen=True, eq=False)
class Drawing:
    """What the network made of one sample.

    Attributes:
        stage: The split that the sample is from: ``train`` or ``val``.
        kind: What is drawn: ``predictions``, ``pafs`` or ``class_maps``.
        picture: The rendered drawing, RGB.
        image: The network input.
        maps: Confidence maps in 0..1, one for each node (at its own, usually smaller, size).
        points_true: Labelled points in input px, NaN where not visible.
        points_pred: Predicted points in input px, NaN where not found.
        scores_pred: Scores of the predicted points, NaN where not found.
        node_names: Names of the N nodes.
    """

    stage: str
    kind: str
    picture: UInt8[np.ndarray, "height width 3"]
    image: UInt8[np.ndarray, "input_height input_width channels"]
    maps: Float[np.ndarray, "nodes map_height map_width"]
    points_true: Float[np.ndarray, "instances nodes 2"]
    points_pred: Float[np.ndarray, "found nodes 2"]
    scores_pred: Float[np.ndarray, "found nodes"]
    node_names: tuple[str, ...]


class DrawingSink(ABC):
    """Takes the drawings of an epoch; a folder, a web service, a log."""

    @abstractmethod
    def add(self, epoch: int, drawings: list[Drawing]) -> None:
        """Keep the drawings made after an epoch.

        Args:
            epoch: Number of the epoch, from 0.
            drawings: Those of both stages and all kinds.
        """
