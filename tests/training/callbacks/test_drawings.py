import dataclasses

import numpy as np
import pytest

from sleap_nn.training.callbacks.drawings import CLASS_MAPS, PAFS, PREDICTIONS, Drawing, DrawingSink


def test_a_drawing_cannot_be_changed() -> None:
    empty = np.zeros((0, 2, 2), np.float32)
    drawing = Drawing(
        stage="val",
        kind=PREDICTIONS,
        picture=np.zeros((4, 4, 3), np.uint8),
        image=np.zeros((4, 4, 1), np.uint8),
        maps=np.zeros((2, 2, 2), np.float32),
        points_true=empty,
        points_pred=empty,
        scores_pred=empty[..., 0],
        node_names=("nose", "tail"),
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        drawing.stage = "train"  # pyright: ignore[reportAttributeAccessIssue]


def test_kinds_are_the_names_that_files_and_services_use() -> None:
    assert (PREDICTIONS, PAFS, CLASS_MAPS) == ("predictions", "pafs", "class_maps")


def test_a_sink_must_take_drawings() -> None:
    with pytest.raises(TypeError, match="abstract"):
        DrawingSink()  # pyright: ignore[reportAbstractUsage]
