import dataclasses

import pytest

from sleap_nn.config.data_config import (
    AugmentationConfig,
    DataConfig,
    GeometricConfig,
    IdentityConfig,
    IntensityConfig,
    PreprocessingConfig,
    SplitConfig,
    TilingConfig,
)
from sleap_nn.errors import ConfigError

INTENSITY = {
    "uniform_noise_min": 0.0, "uniform_noise_max": 0.04, "uniform_noise_p": 0.0,
    "gaussian_noise_mean": 0.0, "gaussian_noise_std": 0.02, "gaussian_noise_p": 0.0, "contrast_min": 0.9,
    "contrast_max": 1.1, "contrast_p": 0.0, "brightness_min": 0.9, "brightness_max": 1.1,
    "brightness_p": 0.0, "motion_blur_min": 2.0, "motion_blur_max": 7.0, "motion_blur_p": 0.0, "defocus_min": 0.5,
    "defocus_max": 2.0, "defocus_p": 0.0,
}  # fmt: skip
GEOMETRIC = {
    "rotation_min": -15.0, "rotation_max": 15.0, "rotation_p": 1.0, "scale_min": 0.9, "scale_max": 1.1,
    "scale_p": 1.0, "translate_width": 0.0, "translate_height": 0.0, "translate_p": None, "affine_p": 0.0,
    "erase_scale_min": 0.0001, "erase_scale_max": 0.01, "erase_ratio_min": 1.0, "erase_ratio_max": 1.0,
    "erase_p": 0.0, "mixup_lambda_min": 0.01, "mixup_lambda_max": 0.05, "mixup_p": 0.0, "flip_p": 0.0,
    "random_crop_size": None, "random_crop_focus": 0.75,
}  # fmt: skip
TILING = {
    "enabled": False, "tile_size": None, "overlap": None, "min_overlap_fraction": 0.25,
    "blend": "gaussian", "sigma_scale": 0.125, "tile_batch_size": None, "accumulator_device": "auto",
    "cpu_thresh": 0.4, "sampling": "foreground", "tile_fg_fraction": 0.5, "samples_per_frame": None,
    "center_jitter": 0.5, "min_visible_keypoints": 1, "steps_per_epoch": None, "full_frame_pass": False,
}  # fmt: skip
PREPROCESSING = {
    "ensure_rgb": False, "ensure_grayscale": False, "max_height": None, "max_width": None, "scale": 1.0,
    "crop_size": None, "min_crop_size": 100, "crop_padding": None, "tiling": TILING, "crop_mode": "fixed",
    "crop_bbox_aspect": "square", "crop_bbox_padding": 0.1, "crop_bbox_min_size": None, "burn_in": False,
    "background_fill": "black", "crop_centering": "auto",
}  # fmt: skip
DATA = {
    "train_labels_path": None, "val_labels_path": None, "validation_fraction": 0.1,
    "use_same_data_for_val": False, "test_file_path": None, "provider": "LabelsReader",
    "user_instances_only": True, "data_pipeline_fw": "torch_dataset", "cache_img_path": None,
    "use_existing_imgs": False, "delete_cache_imgs_after_training": True, "parallel_caching": True,
    "cache_workers": 0, "preprocessing": PREPROCESSING, "use_augmentations_train": True,
    "augmentation_config": {"intensity": None, "geometric": GEOMETRIC}, "use_negative_frames": False,
    "negative_loss_weight": 1.0, "skeletons": None, "identity": None, "split": None,
    "centroids_from_masks": None, "bbox_source": "auto", "bbox_padding": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (IntensityConfig, INTENSITY),
        (GeometricConfig, GEOMETRIC),
        (AugmentationConfig, {"intensity": None, "geometric": None}),
        (TilingConfig, TILING),
        (PreprocessingConfig, PREPROCESSING),
        (DataConfig, DATA),
        (
            IdentityConfig,
            {"tracks_are_proofread": False, "track_names_are_global": False, "detections_deduplicated": True},
        ),
        (
            SplitConfig,
            {"split_by": "auto", "n_folds": None, "fold": 0, "seed": None, "block_gap": 30, "block_length": None},
        ),
    ],
)
def test_keys_and_defaults(cls, defaults):
    assert dataclasses.asdict(cls()) == defaults


@pytest.mark.parametrize(
    ("cls", "key", "good", "bad"),
    [
        (IntensityConfig, "uniform_noise_min", [0, 0.04], [-0.1, 0.05]),
        (IntensityConfig, "uniform_noise_max", [0, 1], [-0.1, 1.1]),
        (IntensityConfig, "contrast_min", [0, 1.1], [-0.1, 1.2]),
        (IntensityConfig, "brightness_max", [0.9, 2], [0.8, 2.1]),
        *[(IntensityConfig, f"{name}_p", [0, 1], [-0.1, 1.1]) for name in ("uniform_noise", "gaussian_noise")],
        *[(IntensityConfig, f"{name}_p", [0, 1], [-0.1, 1.1]) for name in ("contrast", "brightness")],
        (GeometricConfig, "rotation_min", [-180, 15], [-181, 16]),
        (GeometricConfig, "rotation_max", [-15, 180], [-16, 181]),
        (GeometricConfig, "scale_min", [0.1, 1.1], [0, 1.2]),
        (GeometricConfig, "translate_width", [0, 2], [-0.1]),
        *[(GeometricConfig, f"{name}_p", [None, 0, 1], [-0.1, 1.1]) for name in ("rotation", "scale", "translate")],
        *[(GeometricConfig, f"{name}_p", [0, 1], [-0.1, 1.1, None]) for name in ("affine", "erase", "mixup", "flip")],
        (PreprocessingConfig, "scale", [0.1, 1, 2], [0, -1, [1.0], None]),
        (PreprocessingConfig, "max_height", [1, None], [0, -1, 1.5]),
        (PreprocessingConfig, "min_crop_size", [0, None], [-1]),
        (TilingConfig, "sigma_scale", [0.1, 1], [0, 1.1]),
        (TilingConfig, "tile_fg_fraction", [0, 0.9], [-0.1, 1]),
        (TilingConfig, "blend", ["pyramid", "constant"], ["linear"]),
        (DataConfig, "validation_fraction", [0, 0.5], [-0.1, 1]),
        (DataConfig, "test_file_path", [None, "a.slp", ["a.slp", "b.mp4"]], [3, 1.5, {"a": 1}, [["a"]]]),
        (DataConfig, "train_labels_path", [None, ["a.slp"]], [[["a"]], {"a": 1}]),
        (
            DataConfig,
            "data_pipeline_fw",
            ["torch_dataset_cache_img_disk"],
            ["litdata", "torch_dataset_cache", None],
        ),
        (DataConfig, "provider", ["LabelsReader"], ["VideoReader"]),
        (DataConfig, "negative_loss_weight", [0.5], [0, -1]),
        (DataConfig, "bbox_source", ["masks"], ["boxes"]),
        (DataConfig, "augmentation_config", [None, {"intensity": {}}], [True, [1]]),
        (SplitConfig, "split_by", ["auto", "frame", "video", "time_block", "identity"], ["fold", None]),
        (SplitConfig, "n_folds", [None, 2], [1, 0]),
        (SplitConfig, "seed", [None, 0], [-1]),
        (SplitConfig, "block_gap", [1], [0, None]),
        (SplitConfig, "block_length", [None, 1], [0]),
        (DataConfig, "split", [None, {"split_by": "video"}, {"n_folds": 3, "fold": 2}], [True, {"folds": 3}]),
        (DataConfig, "skeletons", [None, [], [{"nodes": []}]], ["a", [1]]),
    ],
)
def test_ranges(cls, key, good, bad):
    for value in good:
        cls(**{key: value})
    for value in bad:
        with pytest.raises(ConfigError, match=rf"{cls.__name__}.*{key}"):
            cls(**{key: value})


def test_a_fold_must_exist():
    assert SplitConfig(n_folds=4, fold=3).fold == 3
    with pytest.raises(ConfigError, match=r"fold must be below n_folds \(4\).*not 4"):
        SplitConfig(n_folds=4, fold=4)
    with pytest.raises(ConfigError, match="fold is 1, which needs n_folds"):
        SplitConfig(fold=1)


def test_a_single_path_is_a_list_of_one():
    data = DataConfig(train_labels_path="a.slp", val_labels_path="b.slp")
    assert (data.train_labels_path, data.val_labels_path) == (["a.slp"], ["b.slp"])


def test_validate_scale_is_the_check_of_scale():
    preprocessing = PreprocessingConfig(scale=0.5)
    preprocessing.validate_scale()
    vars(preprocessing)["scale"] = -0.5
    with pytest.raises(ConfigError, match=r"scale must be above 0, not -0\.5"):
        preprocessing.validate_scale()
