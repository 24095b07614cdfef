import pytest
from omegaconf import DictConfig, OmegaConf

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.config.utils import (
    check_output_strides,
    get_backbone_type_from_cfg,
    get_model_type_from_cfg,
    get_output_strides_from_heads,
    resolve_model_dir,
)
from sleap_nn.errors import ConfigError, MissingFileError


def job(backbone, head):
    return {"model_config": {"backbone_config": backbone, "head_configs": head}}


@pytest.mark.parametrize("make", [dict, OmegaConf.create, lambda tree: TrainingJobConfig(**tree)])
def test_active_entries(make):
    config = make(job({"unet": {}}, {"bottomup": {}}))
    assert get_model_type_from_cfg(config) == "bottomup"
    assert get_backbone_type_from_cfg(config) == "unet"


def test_active_entries_must_exist():
    with pytest.raises(ConfigError, match=r"model_config\.head_configs: At least one attribute"):
        get_model_type_from_cfg(TrainingJobConfig())
    with pytest.raises(ConfigError, match="Only one attribute"):
        get_backbone_type_from_cfg(job({"unet": {}, "swint": {}}, {}))


@pytest.mark.parametrize(
    ("head", "strides"),
    [
        ({"single_instance": {"confmaps": {"output_stride": 2}}}, [2]),
        ({"bottomup": {"confmaps": {"output_stride": 2}, "pafs": {"output_stride": 4}}, "centroid": None}, [2, 4]),
        ({"multi_class_topdown": {"confmaps": {"output_stride": 4}}}, [4, 1]),
    ],
)
def test_strides_of_heads(head, strides):
    config = TrainingJobConfig(**job({"unet": {}}, head))
    assert get_output_strides_from_heads(config.model_config.head_configs) == strides
    assert get_output_strides_from_heads(config.to_sleap_nn_cfg().model_config.head_configs) == strides


@pytest.mark.parametrize(
    ("backbone", "head", "output_stride", "max_stride"),
    [
        ({"unet": {}}, {"single_instance": {"confmaps": {"output_stride": 4}}}, 4, 16),
        ({"unet": {"max_stride": 8}}, {"single_instance": {"confmaps": {"output_stride": 16}}}, 16, 16),
        ({"unet": {}}, {"bottomup": {"confmaps": {"output_stride": 2}, "pafs": {"output_stride": 8}}}, 2, 16),
        ({"convnext": {"stem_patch_stride": 4}}, {"centroid": {"confmaps": {"output_stride": 2}}}, 2, 64),
        ({"swint": {"max_stride": 8}}, {"centroid": {"confmaps": {"output_stride": 2}}}, 2, 32),
        ({"unet": {}}, {"multi_class_topdown": {"confmaps": {"output_stride": 4}}}, 1, 16),
    ],
)
def test_strides_of_the_backbone_follow_the_heads(backbone, head, output_stride, max_stride):
    tree = job(backbone, head)
    fitted = check_output_strides(tree)
    assert isinstance(fitted, DictConfig)
    entry = fitted.model_config.backbone_config[next(iter(backbone))]
    assert (entry.output_stride, entry.max_stride) == (output_stride, max_stride)
    assert tree == job(backbone, head)


def test_class_vectors_read_the_bottleneck():
    config = TrainingJobConfig(**job({"unet": {"max_stride": 32}}, {"multi_class_topdown": {}}))
    fitted = check_output_strides(config)
    assert fitted.model_config.head_configs.multi_class_topdown.class_vectors.output_stride == 32
    assert config.model_config.head_configs.multi_class_topdown.class_vectors.output_stride == 1


def test_model_folders(tmp_path):
    (tmp_path / "best.ckpt").write_bytes(b"")
    assert resolve_model_dir(tmp_path) == str(tmp_path)
    assert resolve_model_dir(str(tmp_path / "best.ckpt")) == str(tmp_path)
    with pytest.raises(MissingFileError, match="no model folder"):
        resolve_model_dir(tmp_path / "other")
