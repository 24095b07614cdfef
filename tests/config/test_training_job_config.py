import copy
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from guide_snippets import DEVICES, WANDB, repaired
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ValidationError

from sleap_nn.config.data_config import DataConfig
from sleap_nn.config.model_config import BackboneConfig, HeadConfig, ModelConfig, UNetLargeRFConfig
from sleap_nn.config.training_job_config import TrainingJobConfig, check_must_be_set, verify_training_cfg
from sleap_nn.config.utils import get_model_type_from_cfg
from sleap_nn.errors import ConfigError, MissingFileError, OutputError
from sleap_nn.version import __version__

MODEL = {"backbone_config": {"unet": {"filters": 16}}, "head_configs": {"single_instance": {}}}


def job(**parts):
    return {"model_config": MODEL, **parts}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        """
name: mice
data_config:
  train_labels_path: [labels.slp]
model_config:
  backbone_config: {unet: {filters: 16}}
  head_configs:
    single_instance:
      confmaps: {sigma: 2.5, output_stride: 2}
trainer_config:
  max_epochs: 20
  run_name: ${name}_run
  model_ckpt: {monitor: val_loss}
""",
        encoding="utf-8",
    )
    return path


def load(file, *overrides):
    return TrainingJobConfig.load(file, overrides)


def test_a_file_is_completed_converted_and_resolved(file):
    config = load(file)
    assert config.data_config == DataConfig(train_labels_path=["labels.slp"])
    assert config.model_config.backbone_config.unet.filters_rate == 1.5
    assert config.trainer_config.run_name == "mice_run"
    assert config.trainer_config.model_ckpt.monitor == "val/loss"
    assert config.trainer_config.lr_scheduler.reduce_lr_on_plateau.patience == 5
    assert TrainingJobConfig.load(str(file)) == config


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("trainer_config.max_epochs=3", "trainer_config.max_epochs", 3),
        ("trainer_config.optimizer.lr=5e-4", "trainer_config.optimizer.lr", 5e-4),
        ("+trainer_config.seed=1", "trainer_config.seed", 1),
        ("++trainer_config.seed=null", "trainer_config.seed", None),
        ("~trainer_config.max_epochs", "trainer_config.max_epochs", 100),
        ("~data_config.train_labels_path", "data_config.train_labels_path", None),
        ("data_config.train_labels_path=[a.pkg.slp,b.slp]", "data_config.train_labels_path", ["a.pkg.slp", "b.slp"]),
        ("data_config.train_labels_path=été 1.slp", "data_config.train_labels_path", ["été 1.slp"]),
        (r"data_config.train_labels_path=C:\data\x.slp", "data_config.train_labels_path", [r"C:\data\x.slp"]),
        ("data_config.preprocessing.scale=1", "data_config.preprocessing.scale", 1.0),
        ("trainer_config.lr_scheduler=null", "trainer_config.lr_scheduler", None),
        ("trainer_config.precision=32", "trainer_config.precision", "32"),
        ("trainer_config.run_name=007", "trainer_config.run_name", "007"),
        ("trainer_config.run_name=a, b=c", "trainer_config.run_name", "a, b=c"),
        ("trainer_config.run_name=", "trainer_config.run_name", ""),
        ("description=it's ~ {all} text", "description", "it's ~ {all} text"),
        ("trainer_config.wandb_config.project=p q", "trainer_config.wandb.project", "p q"),
        ("trainer_config.trainer_steps_per_epoch=9", "trainer_config.train_steps_per_epoch", 9),
        ("trainer_config.batch_size=9", "trainer_config.val_data_loader.batch_size", 9),
        ("trainer_config.trainer_devices='1'", "trainer_config.trainer_devices", 1),
        ("trainer_config.seed=${trainer_config.max_epochs}", "trainer_config.seed", 20),
        ("trainer_config.lr_scheduler.step_lr.gamma=0.5", "trainer_config.lr_scheduler.step_lr.step_size", 10),
        ("model_config.backbone_config.unet.filters=8", "model_config.backbone_config.unet.filters", 8),
    ],
)
def test_overrides(file, override, path, value):
    assert OmegaConf.select(load(file, override).to_sleap_nn_cfg(), path) == value


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("trainer_config.max_epoch=3", ConfigKeyError, "did you mean trainer_config.max_epochs?"),
        ("+batch_size=3", ConfigKeyError, "did you mean trainer_config.train_data_loader.batch_size?"),
        ("~trainer_config.max_epoch", ConfigKeyError, "Unknown key 'max_epoch' in trainer_config"),
        ("trainer_config.train_data_loader.pin_memory=true", ConfigKeyError, "in trainer_config.train_data_loader;"),
        ("data_config.skeletons.0.name=x", ConfigKeyError, "Unknown key"),
        ("trainer_config.max_epochs=many", ValidationError, "trainer_config.max_epochs must be a whole number"),
        ("data_config.preprocessing.scale=[1]", ValidationError, "data_config.preprocessing.scale must be a number"),
        ("trainer_config.wandb=null", ValidationError, "trainer_config.wandb must be a section of keys, not null"),
        ("trainer_config=3", ValidationError, "trainer_config must be a section of keys, not 3"),
        ("data_config.preprocessing.scale=-1", ConfigError, "data_config.preprocessing.scale must be above 0"),
        ("data_config.data_pipeline_fw=litdata", ConfigError, "data_config.data_pipeline_fw must be one of"),
        ("trainer_config.optimizer_name=SGD", ConfigError, "trainer_config.optimizer_name must be one of Adam, AdamW"),
        ("data_config.bbox_source=masks", ConfigError, "data_config.bbox_source"),
        ("model_config.backbone_config.swint={}", ConfigError, "model_config.backbone_config: Only one attribute"),
        ("model_config.head_configs.bottomup={}", ConfigError, "model_config.head_configs: Only one attribute"),
        ("model_config.head_configs.single_instance=null", ConfigError, "head_configs: At least one attribute"),
        ("~model_config.backbone_config.unet", ConfigError, "backbone_config: At least one attribute"),
        ("~model_config", ConfigError, "No model config found!"),
        ("trainer_config.seed=${nothing}", ConfigError, "trainer_config.seed: "),
        ("data_config.train_labels_path=[a", ConfigError, "Cannot read '[a'"),
        ("trainer_config.max_epochs", ConfigError, "is not of the form key=value"),
    ],
)
def test_refused_overrides(file, override, error, message):
    with pytest.raises(ConfigError) as caught:
        load(file, override)
    assert isinstance(caught.value, error)
    assert isinstance(caught.value, ValueError)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("none.yaml", None, MissingFileError, "no configuration file 'none.yaml'"),
        ("c.yaml", "", ConfigError, "No model config found!"),
        ("c.yaml", "model_config:", ConfigError, "No model config found!"),
        ("c.yaml", "model_config: {}", ConfigError, "At least one attribute"),
        ("c.yaml", "model_config: {backbone_config: {unet: }}", ConfigError, "write unet: {} for one with its"),
        ("c.yaml", "model_config: {}\ntrainer_config:", ConfigError, "keys, not null; leave an empty section out."),
        ("c.yaml", "model_config: 3", ConfigError, "model_config must be a section of keys"),
        ("c.yaml", "model_config: {}\n1: x", ConfigError, "Unknown key '1' at the top level"),
        ("c.json", "{}", ConfigError, "No model config found!"),
        ("c.json", "{", ConfigError, "is not valid JSON"),
        ("c.json", "[]", ConfigError, "is not a JSON object but a list"),
        (
            "c.json",
            '{"data": {}, "model": {}}',
            ConfigError,
            r"c\.json' cannot be carried over: model.backbone is none",
        ),
        ("c.yaml", "trainer_config:\nckpt_dir: models\n  run_name: x", ConfigError, "is not valid YAML"),
    ],
)
def test_refused_files(tmp_path, name, text, error, message):
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        load(tmp_path / name)


def test_files_for_other_purposes_may_set_what_does_not_exist_yet(file):
    override = "data_config.bbox_source=masks"
    assert TrainingJobConfig.load(file, [override], require_available=False).data_config.bbox_source == "masks"
    config = TrainingJobConfig.from_cfg(job(data_config={"bbox_source": "masks"}), require_available=False)
    with pytest.raises(ConfigError, match=r"bbox_source.*not available yet"):
        TrainingJobConfig.from_cfg(config)


@pytest.mark.parametrize(
    "make",
    [
        lambda tree, path: tree,
        lambda tree, path: OmegaConf.create(tree),
        lambda tree, path: TrainingJobConfig.from_cfg(tree),
        lambda tree, path: TrainingJobConfig.from_cfg(tree).to_sleap_nn_cfg(),
        lambda tree, path: verify_training_cfg(tree),
        lambda tree, path: OmegaConf.merge(OmegaConf.structured(TrainingJobConfig), tree),
        lambda tree, path: path.write_text(yaml.safe_dump(tree)) and path,
        lambda tree, path: path.write_text(yaml.safe_dump(tree)) and str(path),
    ],
)
def test_every_description_gives_the_same_configuration(make, tmp_path):
    tree = job(trainer_config={"max_epochs": 7, "ckpt_dir": "a b"})
    before = copy.deepcopy(tree)
    config = TrainingJobConfig.from_cfg(make(tree, tmp_path / "c.yaml"))
    assert config == TrainingJobConfig.from_cfg(tree)
    assert config.trainer_config.max_epochs == 7
    assert tree == before


def test_the_configuration_is_a_new_object():
    config = TrainingJobConfig.from_cfg(job())
    again = TrainingJobConfig.from_cfg(config)
    again.trainer_config.max_epochs = 3
    assert config.trainer_config.max_epochs == 100


def test_classes_of_users_give_a_configuration():
    config = TrainingJobConfig(
        model_config=ModelConfig(
            backbone_config=BackboneConfig(unet=UNetLargeRFConfig()), head_configs=HeadConfig(single_instance={})
        )
    )
    cfg = OmegaConf.structured(config)
    cfg.trainer_config.max_epochs = 5
    assert TrainingJobConfig.from_cfg(cfg).model_config.backbone_config.unet.max_stride == 32
    assert get_model_type_from_cfg(cfg) == "single_instance"


def test_verified_configurations_are_complete_and_typed():
    cfg = verify_training_cfg(job())
    assert isinstance(cfg, DictConfig)
    assert cfg.trainer_config.early_stopping.patience == 10
    with pytest.raises(ConfigAttributeError):
        cfg.trainer_config.nothing = 1
    with pytest.raises(ValidationError):
        cfg.trainer_config.max_epochs = "many"


@pytest.mark.parametrize(
    ("tree", "error", "message"),
    [
        ({"model_config": MODEL, "extra": 1}, ConfigKeyError, "'extra' at the top level"),
        (job(trainer_config={"seed": "x"}), ValidationError, "trainer_config.seed must be a whole number or null"),
        ({}, ConfigError, "At least one attribute"),
        (job(trainer_config={"batch_size": 2, "val_data_loader": {"batch_size": 4}}), ConfigError, "different values"),
    ],
)
def test_verifying_refuses_what_is_wrong(tree, error, message):
    with pytest.raises(error, match=message):
        verify_training_cfg(tree)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({}, "model_config.backbone_config: At least one attribute must be set; choose one of unet, convnext"),
        (None, "At least one attribute"),
        ({"backbone_config": {"unet": {}}}, "model_config.head_configs: At least one attribute"),
        ({"backbone_config": {"unet": {}, "swint": {}}}, "Only one attribute may be set, but unet and swint are"),
    ],
)
def test_backbone_and_model_type_must_be_set(model, message):
    for config in ({"model_config": model}, OmegaConf.create({"model_config": model})):
        with pytest.raises(ConfigError, match=message):
            check_must_be_set(config)
    check_must_be_set(TrainingJobConfig.from_cfg(job()))


def test_saved_files_load_back_equal(file, tmp_path):
    config = load(file, "trainer_config.ema_decay=0.9", "data_config.skeletons=[{name: a, nodes: [{name: b}]}]")
    path = tmp_path / "deep" / "folder" / "saved.yaml"
    config.save(path)
    assert TrainingJobConfig.load(path) == config


ODD_TEXTS = [
    "", " ", "a: b", "# no comment", "5e-4", "007", "null", "~", "true", "on", "2024-01-01", "1_000", ".inf", "[a]",
    "{a}", "- a", "'", '"', "a\tb", "a\nb", "trailing ",
    "été 日本語 😀", r"C:\data\x.slp", "%x", "@x", "&x", "*x", "!x",
    "|", ">", "x" * 300,
]  # fmt: skip


def test_odd_texts_survive_saving(tmp_path):
    config = TrainingJobConfig.from_cfg(job(data_config={"train_labels_path": ODD_TEXTS}))
    config.save(tmp_path / "c.yaml")
    assert TrainingJobConfig.load(tmp_path / "c.yaml").data_config.train_labels_path == ODD_TEXTS


def test_saved_files_hold_canonical_keys_and_no_login(tmp_path):
    trainer = {"wandb_config": {"api_key": "secret", "project": "p"}, "batch_size": 2}
    config = TrainingJobConfig.from_cfg(job(trainer_config=trainer, sleap_nn_version="0.1.0"))
    assert config.sleap_nn_version == "0.1.0"
    config.save(tmp_path / "c.yaml")
    saved = yaml.safe_load((tmp_path / "c.yaml").read_text(encoding="utf-8"))
    assert saved["trainer_config"]["wandb"]["api_key"] == ""
    assert saved["trainer_config"]["wandb"]["project"] == "p"
    assert saved["trainer_config"]["train_data_loader"]["batch_size"] == 2
    assert not {"wandb_config", "batch_size"} & set(saved["trainer_config"])
    assert saved["sleap_nn_version"] == __version__
    assert config.trainer_config.wandb.api_key == "secret"
    assert config.public_tree() == saved
    assert config.to_yaml() == (tmp_path / "c.yaml").read_text(encoding="utf-8")
    assert TrainingJobConfig.from_cfg(job()).public_tree()["trainer_config"]["wandb"]["api_key"] is None


def test_keys_that_other_readers_refuse_are_saved_only_where_they_are_set(tmp_path):
    config = TrainingJobConfig.from_cfg(job(trainer_config={"max_time": 5}))
    config.save(tmp_path / "c.yaml")
    saved = yaml.safe_load((tmp_path / "c.yaml").read_text(encoding="utf-8"))
    assert saved["trainer_config"]["max_time"] == 5
    assert "ema_decay" not in saved["trainer_config"]
    assert "identity" not in saved["data_config"]
    assert "bbox_ssd" not in saved["model_config"]["head_configs"]
    assert saved["model_config"]["head_configs"]["centroid"] is None


def test_files_that_cannot_be_written_are_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        TrainingJobConfig().save(tmp_path / "file" / "c.yaml")


def test_old_files_without_newer_keys_load():
    config = TrainingJobConfig.from_cfg(job(sleap_nn_version="0.0.1", trainer_config={"seed": None}))
    assert dataclasses.asdict(config.trainer_config) | {"seed": 42} == dataclasses.asdict(
        TrainingJobConfig().trainer_config
    )


@pytest.mark.parametrize("snippet", [WANDB, *DEVICES.values()], ids=["wandb", *DEVICES])
def test_snippets_of_the_training_guide(snippet):
    cfg = verify_training_cfg(job(**yaml.safe_load(repaired(snippet))))
    assert cfg.trainer_config.wandb.viz_box_size == 5.0
    numbers = {DEVICES["number"]: 4, DEVICES["indices"]: 2}
    assert cfg.trainer_config.trainer_devices == numbers.get(snippet)
    assert cfg.trainer_config.trainer_device_indices == ([0, 2] if snippet == DEVICES["indices"] else None)
    assert cfg.trainer_config.trainer_strategy == ("ddp" if snippet in numbers else "auto")


@pytest.mark.parametrize("snippet", ["data_config: {bbox_source: masks}"])
def test_snippets_whose_behaviour_comes_later_are_read_but_refused_for_training(snippet):
    tree = job(**yaml.safe_load(snippet))
    TrainingJobConfig.from_cfg(tree, require_available=False)
    with pytest.raises(ConfigError, match="is not available yet"):
        verify_training_cfg(tree)


def test_hydra_is_imported_only_when_overrides_are_read():
    code = (
        "import sys; from sleap_nn.config.training_job_config import TrainingJobConfig as T; "
        f"T.from_cfg({job()!r}); print('hydra' in sys.modules, 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert result.stdout.split() == ["False", "False"]


def test_other_names_of_keys_are_said_in_one_line_wherever_they_stand(file, caplog):
    caplog.set_level("INFO", logger="sleap_nn")
    overrides = ["trainer_config.wandb_config.entity=lab", "trainer_config.batch_size=2", "trainer_config.max_epochs=3"]
    config = TrainingJobConfig.load(file, overrides)
    assert config.trainer_config.wandb.entity == "lab"
    assert config.trainer_config.val_data_loader.batch_size == 2
    notices = [record.getMessage() for record in caplog.records if "Other names of keys" in record.getMessage()]
    assert notices == [
        "Other names of keys in the configuration: read trainer_config.wandb_config as trainer_config.wandb; read "
        "trainer_config.batch_size as trainer_config.train_data_loader.batch_size and "
        "trainer_config.val_data_loader.batch_size."
    ]
    caplog.clear()
    TrainingJobConfig.load(file, ["trainer_config.wandb.entity=lab"])
    assert caplog.records == []
