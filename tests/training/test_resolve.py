from copy import deepcopy
from dataclasses import replace
from datetime import datetime

import pytest

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.training.resolve import LabelFacts, resolve

NOW = datetime(2026, 1, 11, 14, 22, 33)
FACTS = LabelFacts(
    skeleton=Skeleton(("a", "b"), edges=((0, 1),)),
    num_train=18,
    num_frames=20,
    frame_sizes=((100, 140), (120, 90)),
    channels=3,
)


def config(**trainer: object) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "model_config": {
                "backbone_config": {"unet": {"max_stride": 8}},
                "head_configs": {"single_instance": {"confmaps": {"output_stride": 2}}},
            },
            "trainer_config": trainer,
        }
    )


def test_everything_open_is_filled_and_the_input_is_left_alone() -> None:
    given = config()
    before = deepcopy(given)
    resolved = resolve(given, FACTS, NOW)
    assert given == before
    preprocessing = resolved.data_config.preprocessing
    assert (preprocessing.max_height, preprocessing.max_width) == (120, 140)
    unet = resolved.model_config.backbone_config.unet
    assert (unet.in_channels, unet.output_stride, unet.max_stride) == (3, 2, 8)
    assert resolved.model_config.head_configs.single_instance.confmaps.part_names == ["a", "b"]
    assert resolved.trainer_config.run_name == "260111_142233.single_instance.n=20"
    assert resolved.data_config.skeletons[0]["nodes"] == [{"name": "a"}, {"name": "b"}]


def test_resolving_twice_changes_nothing() -> None:
    once = resolve(config(), FACTS, NOW)
    assert resolve(once, FACTS, datetime(2030, 1, 1)) == once


@pytest.mark.parametrize(("given", "expected"), [((None, 200), (120, 140)), ((300, 200), (300, 200))])
def test_one_open_side_opens_both(given: tuple, expected: tuple) -> None:
    job = config()
    job.data_config.preprocessing.max_height, job.data_config.preprocessing.max_width = given
    preprocessing = resolve(job, FACTS, NOW).data_config.preprocessing
    assert (preprocessing.max_height, preprocessing.max_width) == expected


@pytest.mark.parametrize(
    ("ensure", "frames", "expected"),
    [("ensure_rgb", 1, 3), ("ensure_grayscale", 3, 1), (None, 1, 1), (None, 3, 3)],
)
def test_channels_follow_the_preprocessing_then_the_images(ensure: str, frames: int, expected: int) -> None:
    job = config()
    if ensure == "ensure_rgb":
        job.data_config.preprocessing.ensure_rgb = True
    elif ensure == "ensure_grayscale":
        job.data_config.preprocessing.ensure_grayscale = True
    resolved = resolve(job, replace(FACTS, channels=frames), NOW)
    assert resolved.model_config.backbone_config.unet.in_channels == expected


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, 200),
        ({"min_train_steps_per_epoch": 1}, 5),
        ({"min_train_steps_per_epoch": 1, "train_steps_per_epoch": 3}, 3),
        ({"min_train_steps_per_epoch": 7, "train_steps_per_epoch": 3}, 7),
        ({"min_train_steps_per_epoch": 1, "train_data_loader": {"batch_size": 18}}, 1),
    ],
)
def test_steps_of_an_epoch(trainer: dict, expected: int) -> None:
    assert resolve(config(**trainer), FACTS, NOW).trainer_config.train_steps_per_epoch == expected


def test_part_names_must_be_those_of_the_labels() -> None:
    job = config()
    job.model_config.head_configs.single_instance.confmaps.part_names = ["b", "a"]
    with pytest.raises(ConfigError, match=r"part_names is \[b, a\].*\[a, b\]"):
        resolve(job, FACTS, NOW)


def test_a_head_stride_beyond_the_bottleneck_deepens_the_backbone() -> None:
    job = config()
    job.model_config.head_configs.single_instance.confmaps.output_stride = 16
    unet = resolve(job, FACTS, NOW).model_config.backbone_config.unet
    assert (unet.max_stride, unet.output_stride) == (16, 16)


def test_a_name_that_leads_out_of_the_folder_of_runs_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="run_name"):
        resolve(config(run_name="../../run"), FACTS, NOW)


def with_random_crop(head: str, size: int, **data: object) -> TrainingJobConfig:
    job = config()
    heads = {head: {"confmaps": {"output_stride": 2}}}
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"augmentation_config": {"geometric": {"random_crop_size": size}}, **data},
            "model_config": {"backbone_config": {"unet": {"max_stride": 8}}, "head_configs": heads},
            "trainer_config": job.trainer_config,
        }
    )


def random_crop(job: TrainingJobConfig) -> int | None:
    augmentation = resolve(job, FACTS, NOW).data_config.augmentation_config
    assert augmentation is not None
    assert augmentation.geometric is not None
    return augmentation.geometric.random_crop_size


@pytest.mark.parametrize(
    ("given", "scale", "expected"),
    [(64, 1.0, 64), (61, 1.0, 64), (133, 1.0, 136), (137, 1.0, None), (64, 0.5, 64), (70, 0.5, None)],
)
def test_random_crops_fit_the_backbone_and_the_frame(given: int, scale: float, expected: int | None) -> None:
    assert random_crop(with_random_crop("centroid", given, preprocessing={"scale": scale})) == expected


def test_a_model_that_reads_crops_takes_no_random_crops() -> None:
    with pytest.raises(ConfigError, match="random_crop_size is 64, but a centered_instance model"):
        random_crop(with_random_crop("centered_instance", 64))
    unused = with_random_crop("centered_instance", 64, use_augmentations_train=False, preprocessing={"crop_size": 64})
    assert random_crop(unused) == 64
