from datetime import datetime
from typing import Any

import pytest

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.crop_size import Extent
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.training.hints import idle_movements, random_crop_hint
from sleap_nn.training.resolve import LabelFacts, resolve


def resolved(scale: float = 1.0, **data: Any) -> TrainingJobConfig:
    facts = LabelFacts(Skeleton(("a",)), num_train=8, num_frames=8, frame_sizes=((480, 640),), channels=1)
    config = TrainingJobConfig.from_cfg(
        {
            "data_config": {"preprocessing": {"scale": scale}, **data},
            "model_config": {
                "backbone_config": {"unet": {"max_stride": 16}},
                "head_configs": {"centroid": {"confmaps": {"output_stride": 2}}},
            },
        }
    )
    return resolve(config, facts, datetime(2026, 11, 26))


def animals(side: float, count: int = 40, frame_size: tuple[int, int] = (480, 640)) -> list[Extent]:
    return [Extent(side, frame_size, "")] * count


@pytest.mark.parametrize(
    ("side", "scale", "expected"),
    [(50, 1.0, "size=128 training steps would be about 18 times"), (100, 0.5, "size=128 ")],
)
def test_small_animals_in_large_frames_call_for_random_crops(side: float, scale: float, expected: str) -> None:
    hint = random_crop_hint(animals(side), resolved(scale))
    assert hint is not None
    assert expected in hint


def test_a_single_stray_label_and_the_size_match_are_seen_through() -> None:
    stray = random_crop_hint([*animals(50), *animals(900, count=1)], resolved())
    assert stray == random_crop_hint(animals(50), resolved())
    assert random_crop_hint(animals(100, frame_size=(960, 1280)), resolved()) == random_crop_hint(
        animals(50), resolved()
    )


@pytest.mark.parametrize(
    ("found", "data"),
    [
        (animals(200), {}),
        (animals(0), {}),
        ([], {}),
        (animals(50), {"use_augmentations_train": False}),
        (animals(50), {"augmentation_config": {"geometric": {"random_crop_size": 96}}}),
    ],
    ids=["large", "points", "none", "without augmentation", "already"],
)
def test_otherwise_nothing_is_said(found: list[Extent], data: dict[str, Any]) -> None:
    assert random_crop_hint(found, resolved(**data)) is None


@pytest.mark.parametrize(
    ("geometric", "said"),
    [
        ({"translate_width": 0.2}, "Images are not shifted"),
        ({"translate_height": 0.1, "affine_p": 1.0}, "Images are not shifted"),
        ({"translate_width": 0.2, "translate_p": 1.0}, None),
        ({"translate_width": 0.2, "translate_p": 0.0}, None),
        ({"translate_width": 0.2, "affine_p": 1.0, "rotation_p": None, "scale_p": None}, None),
        ({"affine_p": 1.0}, "affine_p has no effect while rotation_p and scale_p are set"),
        ({"affine_p": 1.0, "rotation_p": None}, "affine_p has no effect while scale_p is set"),
        ({}, None),
        (None, None),
    ],
)
def test_movements_that_never_take_place_are_named(geometric: dict[str, Any] | None, said: str | None) -> None:
    data = {"augmentation_config": {"geometric": geometric}}
    sentence = idle_movements(resolved(**data).data_config)
    assert sentence is None if said is None else said in str(sentence)
    assert idle_movements(resolved(use_augmentations_train=False, **data).data_config) is None
