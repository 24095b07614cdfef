import re
from pathlib import Path
from typing import Any

import pytest
from factories import make_labels
from omegaconf import DictConfig, OmegaConf

from sleap_nn.config.training_job_config import TrainingJobConfig, verify_training_cfg
from sleap_nn.config_generator import ConfigGenerator
from sleap_nn.config_generator.pipelines import PIPELINES
from sleap_nn.data.labels import load_labels
from sleap_nn.errors import ConfigError, InputOverwrittenError
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.fixture
def two(generator_labels: Path) -> ConfigGenerator:
    return ConfigGenerator.from_slp(generator_labels / "two.pkg.slp")


def head_of(config: DictConfig) -> Any:
    return next(head for head in config.model_config.head_configs.values() if head is not None)


def test_without_setters_everything_is_as_recommended(two: ConfigGenerator, generator_labels: Path) -> None:
    config, advice = two.auto().build(), two.recommend()
    assert advice.pipeline.recommended == "bottomup"
    assert config.model_config.head_configs.bottomup is not None
    assert config.data_config.train_labels_path == [str(generator_labels / "two.pkg.slp")]
    assert config.model_config.backbone_config.unet.filters_rate == 2.0
    assert config.trainer_config.save_ckpt
    assert config.data_config.preprocessing.crop_size is None
    assert advice.pipeline.reason in config.description
    one = ConfigGenerator.from_slp(generator_labels / "one.pkg.slp").build()
    assert one.model_config.head_configs.single_instance is not None


def test_every_setter_sets_its_keys(two: ConfigGenerator) -> None:
    two.auto("top").backbone("unet_large_rf").batch_size(3).max_epochs(7).learning_rate(0.002).input_scale(0.75)
    two.output_stride(4).sigma(3.5).scale_augmentation(0.5, 2).augmentation(False).early_stopping(patience=3)
    config = two.validation_fraction(0.3).build()
    geometric, head = config.data_config.augmentation_config.geometric, head_of(config)
    assert (geometric.rotation_min, geometric.rotation_max) == (-180, 180)
    assert (geometric.scale_min, geometric.scale_max) == (0.5, 2)
    assert config.model_config.backbone_config.unet.filters == 24
    loaders = config.trainer_config.train_data_loader, config.trainer_config.val_data_loader
    assert [loader.batch_size for loader in loaders] == [3, 3]
    assert config.trainer_config.max_epochs == 7
    assert config.trainer_config.optimizer.lr == 0.002
    assert config.data_config.preprocessing.scale == 0.75
    assert (head.confmaps.output_stride, head.pafs.output_stride, head.confmaps.sigma) == (4, 8, 3.5)
    assert not config.data_config.use_augmentations_train
    stopping = config.trainer_config.early_stopping
    assert (stopping.stop_training_on_plateau, stopping.patience) == (True, 3)
    assert config.data_config.validation_fraction == 0.3


def test_what_is_set_wins_over_auto_in_any_order(two: ConfigGenerator) -> None:
    assert two.rotation(-90, 45) is two
    config = two.early_stopping(False).batch_size("auto").pipeline("centroid").auto("side").build()
    geometric = config.data_config.augmentation_config.geometric
    assert (geometric.rotation_min, geometric.rotation_max) == (-90, 45)
    assert not config.trainer_config.early_stopping.stop_training_on_plateau
    assert config.trainer_config.train_data_loader.batch_size == "auto"
    assert config.model_config.head_configs.centroid is not None


def test_setters_of_pairs(two: ConfigGenerator) -> None:
    two.pipeline("topdown").anchor_part("neck").crop_size(80).input_scale(0.5)
    centroid, instance = two.build_centroid(), two.build_centered_instance()
    assert head_of(centroid).confmaps.anchor_part == head_of(instance).confmaps.anchor_part == "neck"
    assert centroid.data_config.preprocessing.scale == instance.data_config.preprocessing.scale == 0.5
    assert (centroid.data_config.preprocessing.crop_size, instance.data_config.preprocessing.crop_size) == (None, 80)
    assert two.build() == instance
    assert two.pipeline("multi_class_topdown").build_centered_instance().model_config.head_configs.multi_class_topdown


def test_only_what_reads_whole_frames_is_scaled_by_itself() -> None:
    generator = ConfigGenerator.from_labels(make_labels(3, height=64, width=1200, num_animals=2)).pipeline("topdown")
    assert generator.build_centroid().data_config.preprocessing.scale == 0.5
    assert generator.build_centered_instance().data_config.preprocessing.scale == 1.0
    assert generator.build().data_config.train_labels_path is None


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda g: g.auto("below"), "no view 'below'; choose one of side, top"),
        (lambda g: g.pipeline("bbox_ssd"), "no pipeline 'bbox_ssd'; choose one of single_instance, centroid, "),
        (lambda g: g.backbone("resnet"), "no backbone 'resnet'"),
        (lambda g: g.anchor_part("wing"), "no node 'wing'; choose one of snout, "),
        (lambda g: g.crop_size(64).build(), "crop_size is 64, but a bottomup pipeline reads whole frames"),
        (lambda g: g.anchor_part("neck").to_yaml(), "anchor_part is 'neck', but a bottomup pipeline has no centroids"),
        (lambda g: g.build_centroid(), "The bottomup pipeline has no centroid model"),
        (
            lambda g: g.pipeline("centroid").build_centered_instance(),
            "centroid pipeline has no centered_instance model",
        ),
        (lambda g: g.batch_size(0).build(), "batch_size"),
        (lambda g: g.output_stride(3).build(), "output_stride"),
        (lambda g: g.rotation(10, -10).build(), "rotation"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(two: ConfigGenerator, step: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        step(two)


def test_yaml_and_files(two: ConfigGenerator, tmp_path: Path) -> None:
    assert two.save(tmp_path / "config.yaml") is two
    assert (tmp_path / "config.yaml").read_text() == two.to_yaml()
    two.pipeline("topdown").save(tmp_path / "new" / "pair.yaml")
    paths = two.paths(tmp_path / "new" / "pair.yaml")
    assert [path.name for path in paths] == ["pair_centroid.yaml", "pair_centered_instance.yaml"]
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    first, second = (path.read_text() for path in paths)
    assert two.to_yaml() == f"# === CENTROID CONFIG ===\n{first}\n# === CENTERED INSTANCE CONFIG ===\n{second}"
    assert verify_training_cfg(str(paths[0])) == two.build_centroid()


def test_labels_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "labels.slp"
    make_labels(2, path=path, embed=False)
    before = path.read_bytes()
    with pytest.raises(InputOverwrittenError, match="would overwrite the labels"):
        ConfigGenerator.from_slp(path).save(path)
    assert path.read_bytes() == before


def test_labels_in_memory_name_their_file_if_it_is_there(generator_labels: Path) -> None:
    path = generator_labels / "one.pkg.slp"
    config = ConfigGenerator.from_labels(load_labels(path)).build()
    assert config.data_config.train_labels_path == [str(path)]
    labels = make_labels(2)
    labels.provenance["filename"] = "gone.slp"
    assert ConfigGenerator.from_labels(labels).build().data_config.train_labels_path is None


def test_the_summary_says_what_and_why(two: ConfigGenerator) -> None:
    text = two.auto("top").summary()
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert two.recommend().pipeline.reason in lines["Pipeline"]
    assert "rotation -180 to 180 degrees" in lines["Model bottomup"]
    assert str(two.memory_estimate()) in lines["Memory"]
    changed = two.pipeline("topdown").augmentation(False).summary()
    assert "topdown: as set" in changed
    assert "no augmentation" in changed
    assert {"Model centroid", "Model centered_instance"} <= {line.split("  ")[0] for line in changed.splitlines()}


@pytest.mark.parametrize(("name", "entry"), [("convnext_small", "convnext"), ("swint", "swint")])
def test_other_backbones(two: ConfigGenerator, name: str, entry: str) -> None:
    assert two.backbone(name).build().model_config.backbone_config[entry] is not None


DOCS = Path(__file__).parents[2] / "docs" / "config_generator.md"
EXAMPLES = dict(re.findall(r"^### (\w+)$.*?^```yaml\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.M | re.S))


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_the_examples_of_the_docs_are_what_is_written(pipeline: str, two: ConfigGenerator) -> None:
    example = OmegaConf.create(EXAMPLES[pipeline])
    config = OmegaConf.create(two.pipeline(pipeline).to_yaml().rpartition("CONFIG ===\n")[2])
    assert OmegaConf.merge(config, example) == config


MODELS = [("topdown", 0), *((pipeline, -1) for pipeline in PIPELINES if pipeline != "centroid")]


@pytest.mark.parametrize(("pipeline", "index"), MODELS)
def test_what_is_generated_trains(pipeline: str, index: int, generator_labels: Path, tmp_path: Path) -> None:
    labels = generator_labels / ("one.pkg.slp" if pipeline == "single_instance" else "two.pkg.slp")
    generator = ConfigGenerator.from_slp(labels).auto().pipeline(pipeline).batch_size(1).max_epochs(1)
    path = generator.save(tmp_path / "config.yaml").paths(tmp_path / "config.yaml")[index]
    overrides = [
        "model_config.backbone_config.unet.filters=4",
        "trainer_config.min_train_steps_per_epoch=1",
        "trainer_config.train_steps_per_epoch=2",
        "trainer_config.trainer_accelerator=cpu",
        "trainer_config.enable_progress_bar=false",
        "trainer_config.save_ckpt=false",
    ]
    trainer = ModelTrainer(TrainingJobConfig.load(path, overrides))
    trainer.train()
    assert trainer.model_type == PIPELINES[pipeline][index]
    assert trainer.trainer is not None
    assert trainer.trainer.global_step == 2
