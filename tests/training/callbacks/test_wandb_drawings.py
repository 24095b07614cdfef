from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import wandb

from sleap_nn.config.trainer_config import WandBConfig
from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.wandb_drawings import (
    TABLE_COLUMNS,
    WandbDrawings,
    box_groups,
    class_mask,
    enlarged,
)

NAMES = ("nose", "tail")


def drawing(stage: str = "val", kind: str = "predictions") -> Drawing:
    """Return a drawing of a 20 x 40 input: two labelled points, one found, one beyond the edge."""
    maps = np.zeros((2, 5, 10), np.float32)
    maps[0, 1, 2], maps[1, 4, 9] = 0.9, 0.05
    return Drawing(
        stage=stage,
        kind=kind,
        picture=np.full((20, 40, 3), 7, np.uint8),
        image=np.arange(800, dtype=np.uint8).reshape(20, 40, 1),
        maps=maps,
        points_true=np.array([[[9.5, 4.5], [19.5, 9.5]]]),
        points_pred=np.array([[[39.5, 0.0], [np.nan, np.nan]]]),
        scores_pred=np.array([[0.934, np.nan]]),
        node_names=NAMES,
    )


class Run:
    """A run that keeps what it is given."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def log(self, values: dict[str, Any]) -> None:
        self.logs.append(values)


def logged(drawings: list[Drawing], **settings: Any) -> dict[str, Any]:
    run = Run()
    WandbDrawings(run, WandBConfig(save_viz_imgs_wandb=True, **settings)).add(5, drawings)
    (log,) = run.logs
    return log


def test_every_variant_is_an_option_and_has_both_names() -> None:
    log = logged([drawing()], viz_boxes=True, viz_masks=True)
    expected = {
        f"{start}{variant}"
        for start in ("viz/val/predictions", "val_predictions")
        for variant in ("", "_boxes", "_masks")
    }
    assert set(log) == {"epoch", *expected}
    assert log["epoch"] == 5
    assert log["viz/val/predictions"] is log["val_predictions"]
    assert set(logged([drawing()], viz_enabled=False, viz_boxes=True)) == {
        "epoch", "viz/val/predictions_boxes", "val_predictions_boxes",
    }  # fmt: skip
    assert set(logged([drawing()])) == {"epoch", "viz/val/predictions", "val_predictions"}


def test_other_maps_have_no_boxes_or_masks() -> None:
    log = logged([drawing("train", "pafs"), drawing("val", "class_maps")], viz_boxes=True, viz_masks=True)
    assert set(log) == {
        "epoch", "viz/train/pafs", "train_pafs", "viz/val/class_maps", "val_class_maps",
    }  # fmt: skip


def test_the_pictures_are_those_that_were_drawn() -> None:
    log = logged([drawing()], viz_boxes=True)
    assert np.array_equal(np.asarray(log["val_predictions"].image), drawing().picture)
    assert log["val_predictions_boxes"].image.size == (40 * 26, 20 * 26)


def test_without_anything_to_show_nothing_is_logged() -> None:
    for drawings, settings in (([], {"log_viz_table": True}), ([drawing()], {"viz_enabled": False})):
        run = Run()
        WandbDrawings(run, WandBConfig(**settings)).add(0, drawings)
        assert run.logs == []


def test_boxes_are_around_points_in_shares_of_the_picture() -> None:
    groups = box_groups(drawing(), size=4.0)
    nose, tail = groups["ground_truth"]["box_data"]
    assert nose == {
        "position": {"minX": 8 / 40, "maxX": 12 / 40, "minY": 3 / 20, "maxY": 7 / 20},
        "class_id": 0,
        "box_caption": "GT: nose",
    }
    assert (tail["class_id"], tail["box_caption"]) == (1, "GT: tail")
    (found,) = groups["predictions"]["box_data"]
    assert found == {
        "position": {"minX": 38 / 40, "maxX": 1.0, "minY": 0.0, "maxY": 2.5 / 20},
        "class_id": 0,
        "box_caption": "nose (0.93)",
        "scores": {"confidence": 0.934},
    }
    assert groups["predictions"]["class_labels"] == groups["ground_truth"]["class_labels"] == {0: "nose", 1: "tail"}


def test_boxes_are_such_as_the_service_takes() -> None:
    image = wandb.Image(enlarged(drawing().image), boxes=box_groups(drawing(), 5.0))
    assert set(image._boxes) == {"ground_truth", "predictions"}


def test_the_side_of_a_box_is_an_option() -> None:
    log = logged([drawing()], viz_boxes=True, viz_box_size=8.0)
    (first, _) = log["val_predictions_boxes"]._boxes["ground_truth"]._val
    assert first["position"]["maxX"] - first["position"]["minX"] == pytest.approx(8 / 40)


def test_a_mask_names_the_node_with_the_largest_value() -> None:
    mask = class_mask(drawing().maps, 0.1, (20, 40))
    assert mask.shape == (20, 40)
    assert (mask == 1).sum() == 16
    assert mask[4:8, 8:12].all()
    assert set(np.unique(mask)) == {0, 1}
    assert set(np.unique(class_mask(drawing().maps, 0.04, (20, 40)))) == {0, 1, 2}


def test_a_mask_fits_a_picture_of_any_size() -> None:
    mask = class_mask(drawing().maps, 0.1, (7, 13))
    assert mask.shape == (7, 13)
    assert (mask == 1).any()


def test_the_threshold_of_masks_is_an_option() -> None:
    for threshold, classes in ((0.02, {0, 1, 2}), (0.95, {0})):
        log = logged([drawing()], viz_masks=True, viz_confmap_threshold=threshold)
        mask = log["val_predictions_masks"]._masks["confidence_maps"]._val["mask_data"]
        assert set(np.unique(mask)) == classes


@pytest.mark.parametrize(
    ("shape", "factor"), [((20, 40, 1), 26), ((512, 600, 3), 1), ((511, 600, 1), 2), ((300, 9, 3), 57)]
)
def test_small_images_are_enlarged_by_whole_numbers(shape: tuple[int, int, int], factor: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    large = enlarged(image)
    assert large.shape == (shape[0] * factor, shape[1] * factor, 3)
    assert np.array_equal(large[::factor, ::factor, 0], image[:, :, 0])
    assert np.array_equal(large[factor - 1 :: factor, factor - 1 :: factor, 2], image[:, :, -1])


def test_tables_hold_all_drawings_and_those_of_a_stage() -> None:
    drawings = [drawing("train"), drawing("val"), replace(drawing("val", "pafs"), scores_pred=np.full((1, 2), np.nan))]
    log = logged(drawings, log_viz_table=True)
    table = log["predictions_table"]
    assert table.columns == TABLE_COLUMNS
    assert [row[:3] + row[4:] for row in table.data] == [
        [5, "train", "predictions", 2, 1, 0.934],
        [5, "val", "predictions", 2, 1, 0.934],
        [5, "val", "pafs", 2, 1, None],
    ]
    assert len(log["predictions_table_train"].data) == 1
    assert len(log["predictions_table_val"].data) == 2
    assert not any(name.startswith("predictions_table") for name in logged(drawings))
