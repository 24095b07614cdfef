"""The training guide, walked from top to bottom: its commands, snippets and options do what they promise.

The blocks stand here as users write them; paths are moved below a temporary folder and trainings shortened, nothing
else. Where the guide itself is at hand, a test makes sure that none of its blocks is missing here.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sleap_io as sio
import yaml
from click.testing import CliRunner
from factories import make_labels, make_video
from guide_snippets import DEVICES, GUIDE, WANDB, repaired

import sleap_nn.train
from sleap_nn.cli import cli
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import TrainingCollapsedError
from sleap_nn.networks import model_dir
from sleap_nn.training.model_trainer import ModelTrainer

NOT_RUN = {"uv run sleap-nn train ..."}
"""A prefix for an installation with uv, not a command of ours."""

SHORT = {"max_epochs": 1, "min_train_steps_per_epoch": 1, "train_steps_per_epoch": 1}
NOTHING_LEARNT = 3
"""Exit code of a training that is too short to find anything; all artifacts are written before it."""


class Project:
    """A folder in which the paths of the guide exist, and in which its commands run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_dir = root / "path" / "to" / "config_dir"
        self.config_dir.mkdir(parents=True)
        self.models = root / "models"

    def place(self, text: str) -> str:
        """Move the guide's folders below the root; old paths, which labels hold, stay as they are."""
        return re.sub(r"/(path/to/|new/)", lambda found: f"{self.root}/{found[1]}", text)

    def write_config(self, name: str = "config", model_type: str = "single_instance", **changes: Any) -> Path:
        """Write a configuration of a quick training."""
        content = {
            "data_config": {"train_labels_path": ["labels.pkg.slp"]} | changes.pop("data_config", {}),
            "model_config": {
                "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
                "head_configs": {model_type: {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            },
            "trainer_config": {
                "trainer_accelerator": "cpu",
                "save_ckpt": True,
                "ckpt_dir": str(self.models),
                "enable_progress_bar": False,
                **SHORT,
            }
            | changes.pop("trainer_config", {}),
        }
        path = self.config_dir / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    def run(self, block: str) -> list[Path]:
        """Run the commands of a shell block in this process; return the run folders they made, oldest first."""
        before = set(self.models.glob("*"))
        for command in commands(self.place(block)):
            program, *arguments = shlex.split(command)
            assert program == "sleap-nn"
            result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
            assert result.exit_code in (0, NOTHING_LEARNT), result.output
        made = set(self.models.glob("*")) - before
        return sorted(made, key=lambda path: path.stat().st_mtime_ns)


def commands(block: str) -> list[str]:
    """Return the commands of a shell block: continued lines joined, comments left out."""
    joined = re.sub(r"\\\s*\n\s*", " ", block)
    return [line for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


def saved(run: Path) -> TrainingJobConfig:
    return TrainingJobConfig.load(run / model_dir.CONFIG)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    make_labels(6, path=tmp_path / "labels.pkg.slp")
    return Project(tmp_path)


TRAIN = "sleap-nn train --config-name config --config-dir /path/to/config_dir"

OVERRIDES = """
# Train on list of .slp files
sleap-nn train -c config -d /path/to/config_dir/ "data_config.train_labels_path=[labels.pkg.slp,labels.pkg.slp]"

# Change batch size
sleap-nn train -c config -d /path/to/config_dir/ trainer_config.train_data_loader.batch_size=8 \
trainer_config.val_data_loader.batch_size=8 "data_config.train_labels_path=[labels.pkg.slp]"

# Set number of GPUs to be used
sleap-nn train -c config -d /path/to/config_dir/ trainer_config.trainer_devices=1 \
"data_config.train_labels_path=[labels.pkg.slp]"

# Change learning rate
sleap-nn train -c config -d /path/to/config_dir/ trainer_config.optimizer.lr=5e-4 \
"data_config.train_labels_path=[labels.pkg.slp]"
"""

TOP_DOWN = """
# Train centroid model
sleap-nn train \
    -d /path/to/config_dir/ \
    -c centroid_unet \
    "data_config.train_labels_path=[labels.pkg.slp]"

# Train centered instance model
sleap-nn train \
    -d /path/to/config_dir/ \
    -c centered_instance_unet \
    "data_config.train_labels_path=[labels.pkg.slp]"
"""

VIDEO_PATHS = """
# Single video
sleap-nn train -c config -d /path/to/config_dir \
    --video-paths /new/path/to/video.mp4

# Multiple videos (specify multiple times)
sleap-nn train -c config -d /path/to/config_dir \
    --video-paths /new/path/to/video1.mp4 \
    --video-paths /new/path/to/video2.mp4
"""

VIDEO_PATH_MAP = """
# Single mapping
sleap-nn train -c config -d /path/to/config_dir \
    --video-path-map /old/path/video.mp4 /new/path/video.mp4

# Multiple mappings (specify multiple times)
sleap-nn train -c config -d /path/to/config_dir \
    --video-path-map /old/path/video1.mp4 /new/path/video1.mp4 \
    --video-path-map /old/path/video2.mp4 /new/path/video2.mp4
"""

PREFIX_MAP = """
# Replace prefix for all matching videos
sleap-nn train -c config -d /path/to/config_dir \
    --prefix-map /old/server/data /new/local/data
"""

RESUME = """
sleap-nn train \
    -c config \
    -d /path/to/config_dir/ \
    trainer_config.resume_ckpt_path=/path/to/prv_trained/checkpoint.ckpt \
    "data_config.train_labels_path=[labels.pkg.slp]"
"""

MODEL_TRAINER = """
from omegaconf import OmegaConf
from sleap_nn.training.model_trainer import ModelTrainer

# load config
config = OmegaConf.load("config.yaml")

# create trainer instance
trainer = ModelTrainer.get_model_trainer_from_config(config=config)

# start training
trainer.train()
"""

CUSTOM_LABELS = """
from omegaconf import OmegaConf
import sleap_io as sio
from sleap_nn.training.model_trainer import ModelTrainer

# create `sio.Labels` objects
train_labels = sio.load_slp("train.slp")
val_labels = sio.load_slp("val.slp")

# load config
config = OmegaConf.load("config.yaml")

# create trainer instance
trainer = ModelTrainer.get_model_trainer_from_config(config=config, train_labels=[train_labels], val_labels=[val_labels])

# start training
trainer.train()
"""  # noqa: E501 - a line of the guide

WITHOUT_CONFIG = """
from sleap_nn.train import train

train(
    train_labels_path=["labels.slp"],
    backbone_config="unet_medium_rf",
    head_configs="bottomup",
    save_ckpt=True,
)
"""

AUGMENTATION_BY_NAME = """
from sleap_nn.train import train

train(
    train_labels_path=["labels.slp"], # or list of labels
    backbone_config="unet_medium_rf",
    head_configs="bottomup",
    save_ckpt=True,
    use_augmentations_train=True,
    intensity_aug="uniform_noise",
    geometric_aug=["rotation", "scale"]
)
"""

BLOCKS = (
    TRAIN,
    OVERRIDES,
    TOP_DOWN,
    VIDEO_PATHS,
    VIDEO_PATH_MAP,
    PREFIX_MAP,
    RESUME,
    MODEL_TRAINER,
    CUSTOM_LABELS,
    WITHOUT_CONFIG,
    AUGMENTATION_BY_NAME,
    WANDB,
    *DEVICES.values(),
)


def words(block: str) -> list[str]:
    """Return a block without its layout: a wrapped line counts as one."""
    return re.sub(r"\\\s*\n", " ", block).split()


@pytest.mark.skipif(not GUIDE.is_file(), reason=f"the guide is not at {GUIDE}")
def test_no_block_of_the_guide_is_missing_here() -> None:
    fenced = re.findall(
        r"^[ ]*```\w+[^\n]*\n(.*?)^[ ]*```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(fenced) == len(BLOCKS)
    known = [words(block) for block in BLOCKS]
    assert [block for block in fenced if words(block) not in known and block.strip() not in NOT_RUN] == []


def test_training_from_a_configuration_leaves_the_artifacts_named(project: Project) -> None:
    project.write_config()
    (run,) = project.run(TRAIN)
    assert {"initial_config.yaml", "training_config.yaml", "best.ckpt", "training_log.csv"} <= {
        p.name for p in run.iterdir()
    }
    for split in ("train", "val"):
        assert len(sio.load_slp(str(run / f"labels_gt.{split}.0.slp"))) > 0
    header = (run / "training_log.csv").read_text().splitlines()[0].split(",")
    assert {"train/loss", "val/loss", "train/time", "val/time", "learning_rate"} <= set(header)
    assert saved(run).model_config.total_params is not None


def test_overrides_reach_the_run(project: Project) -> None:
    project.write_config()
    two_files, batch, devices, rate = map(saved, project.run(OVERRIDES))
    assert two_files.data_config.train_labels_path == ["labels.pkg.slp", "labels.pkg.slp"]
    assert batch.trainer_config.train_data_loader.batch_size == batch.trainer_config.val_data_loader.batch_size == 8
    assert devices.trainer_config.trainer_devices == 1
    assert rate.trainer_config.optimizer.lr == 5e-4


def test_a_top_down_model_is_two_trainings(project: Project) -> None:
    make_labels(6, num_animals=2, path=project.root / "labels.pkg.slp")
    project.write_config("centroid_unet", "centroid")
    project.write_config("centered_instance_unet", "centered_instance")
    names = [saved(run).model_config.head_configs.which_oneof_attrib_name() for run in project.run(TOP_DOWN)]
    assert names == ["centroid", "centered_instance"]


def labels_of_lost_videos(path: Path, stored: list[str]) -> None:
    """Write labels without images that say they belong to videos which are not there."""
    template = make_labels(6)
    videos = [sio.Video(name, backend_metadata={"shape": (100, 64, 64, 1)}) for name in stored]
    frames = [
        sio.LabeledFrame(video=video, frame_idx=index, instances=list(frame.instances))
        for video in videos
        for index, frame in enumerate(template.labeled_frames)
    ]
    labels = sio.Labels(frames, videos=videos, skeletons=template.skeletons, tracks=template.tracks)
    labels.save(str(path), embed=False, verbose=False)


def remapped(project: Project, block: str, stored: list[str], new: list[str]) -> None:
    """Train on labels of lost videos, and see that the run refers to the new ones and the user's file stays."""
    source = project.root / "lost.slp"
    labels_of_lost_videos(source, stored)
    project.write_config(data_config={"train_labels_path": [str(source)]})
    targets = [project.place(name) for name in new]
    for target in targets:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        make_video(target, num_frames=8)
    before = source.read_bytes()
    (run,) = project.run(block)
    used = [sio.load_slp(str(run / f"labels_gt.{split}.0.slp"), open_videos=False).videos for split in ("train", "val")]
    assert {str(video.filename) for videos in used for video in videos} == set(targets)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("block", "number", "stored", "new"),
    [
        (VIDEO_PATHS, 0, ["/lost/a.mp4"], ["/new/path/to/video.mp4"]),
        (VIDEO_PATHS, 1, ["/lost/a.mp4", "/lost/b.mp4"], ["/new/path/to/video1.mp4", "/new/path/to/video2.mp4"]),
        (VIDEO_PATH_MAP, 0, ["/old/path/video.mp4"], ["/new/path/video.mp4"]),
        (
            VIDEO_PATH_MAP,
            1,
            ["/old/path/video1.mp4", "/old/path/video2.mp4"],
            ["/new/path/video1.mp4", "/new/path/video2.mp4"],
        ),
        (
            PREFIX_MAP,
            0,
            ["/old/server/data/experiment1/video.mp4", "/old/server/data/experiment2/video.mp4"],
            ["/new/local/data/experiment1/video.mp4", "/new/local/data/experiment2/video.mp4"],
        ),
    ],
)
def test_videos_are_found_where_they_are_now(
    project: Project, block: str, number: int, stored: list[str], new: list[str]
) -> None:
    remapped(project, commands(block)[number], stored, new)


def test_only_one_kind_of_remapping_at_a_time(project: Project) -> None:
    config = project.write_config()
    both = ["--video-paths", "a.mp4", "--prefix-map", "/old", "/new"]
    result = CliRunner().invoke(cli, ["train", str(config), *both])
    assert result.exit_code == 2
    assert "--video-paths" in result.output
    assert "--prefix-map" in result.output


def execute(snippet: str) -> dict[str, Any]:
    """Run a Python snippet as a script would."""
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet, "snippet", "exec"), names)  # the text is a constant of this file
    return names


def test_model_trainer_from_a_file(project: Project) -> None:
    config = project.write_config()
    config.rename(project.root / "config.yaml")
    trainer = execute(MODEL_TRAINER)["trainer"]
    assert isinstance(trainer, ModelTrainer)
    assert trainer.run_dir is not None
    assert (trainer.run_dir / "best.ckpt").exists()


def test_model_trainer_with_labels_in_memory(project: Project) -> None:
    make_labels(4, path=project.root / "train.slp")
    make_labels(3, seed=1, path=project.root / "val.slp")
    config = project.write_config(data_config={"train_labels_path": None})
    config.rename(project.root / "config.yaml")
    trainer = execute(CUSTOM_LABELS)["trainer"]
    assert [len(labels) for labels in (*trainer.train_labels, *trainer.val_labels)] == [4, 3]


@pytest.fixture
def shortened(monkeypatch: pytest.MonkeyPatch) -> list[TrainingJobConfig]:
    """Shorten what `train` starts, and keep the configurations it made."""
    seen: list[TrainingJobConfig] = []
    run_training: Callable[..., Any] = sleap_nn.train.run_training

    def short(config: TrainingJobConfig) -> None:
        seen.append(config)
        for name, value in SHORT.items():
            setattr(config.trainer_config, name, value)
        config.trainer_config.trainer_accelerator = "cpu"
        with pytest.raises(TrainingCollapsedError):
            run_training(config)

    monkeypatch.setattr(sleap_nn.train, "run_training", short)
    return seen


@pytest.mark.parametrize("snippet", [WITHOUT_CONFIG, AUGMENTATION_BY_NAME])
def test_training_without_a_configuration(project: Project, shortened: list[TrainingJobConfig], snippet: str) -> None:
    make_labels(4, path=project.root / "labels.slp", embed=False, num_animals=2)
    execute(snippet)
    (config,) = shortened
    unet = config.model_config.backbone_config.unet
    assert unet is not None
    assert (unet.filters, unet.filters_rate, unet.max_stride) == (32, 2, 16)
    (run,) = project.root.glob("*.bottomup.n=4")
    header = (run / "training_log.csv").read_text().splitlines()[0].split(",")
    assert {"train/confmaps_loss", "val/confmaps_loss", "train/paf_loss", "val/paf_loss"} <= set(header)
    augmentation = config.data_config.augmentation_config
    assert augmentation is not None
    if snippet == AUGMENTATION_BY_NAME:
        assert augmentation.intensity is not None
        assert augmentation.geometric is not None
        chances = {name: value for part in vars(augmentation).values() for name, value in vars(part).items()}
        assert {name for name, value in chances.items() if name.endswith("_p") and value} == {
            "uniform_noise_p",
            "rotation_p",
            "scale_p",
        }


def test_wandb_is_logged_to(project: Project) -> None:
    pytest.importorskip("wandb")
    settings = yaml.safe_load(WANDB)["trainer_config"]
    settings["wandb_config"] |= {
        "wandb_mode": "offline",
        "project": "guide",
        "api_key": "0123456789abcdef" * 2 + "01234567",
    }
    settings["wandb_config"] |= {"save_viz_imgs_wandb": True, "viz_boxes": True, "viz_masks": True}
    project.write_config(trainer_config=settings)
    (run,) = project.run(TRAIN)
    wandb = saved(run).trainer_config.wandb
    assert (wandb.viz_enabled, wandb.viz_box_size, wandb.viz_confmap_threshold) == (True, 5.0, 0.1)
    assert not wandb.api_key
    assert list(project.root.rglob("offline-run-*"))
    for path in project.root.rglob("*"):
        if path.is_file() and project.config_dir not in path.parents:
            assert b"0123456789abcdef0123456789abcdef" not in path.read_bytes(), path


def test_drawings_are_made_and_kept_on_demand(project: Project) -> None:
    drawn = {"visualize_preds_during_training": True}
    for keep in (False, True):
        project.write_config(trainer_config=drawn | {"keep_viz": keep, "run_name": f"keep_{keep}"})
        (run,) = project.run(TRAIN)
        assert (run / "viz").exists() == keep
    assert {path.name for path in (project.models / "keep_True" / "viz").iterdir()} == {
        "train.0000.png",
        "validation.0000.png",
    }


def test_weights_of_an_earlier_model_are_the_start(project: Project) -> None:
    project.write_config()
    (first,) = project.run(TRAIN)
    weights = str(first / "best.ckpt")
    start = {"pretrained_backbone_weights": weights, "pretrained_head_weights": weights}
    content = yaml.safe_load((project.config_dir / "config.yaml").read_text())
    content["model_config"] |= start
    trainer = ModelTrainer(content)
    network, saved_weights = trainer._network(), model_dir.load_weights(Path(weights))
    assert all(np.array_equal(tensor, saved_weights[name]) for name, tensor in network.state_dict().items())


def test_training_is_resumed(project: Project) -> None:
    project.write_config(trainer_config={"model_ckpt": {"save_last": True}})
    (first,) = project.run(TRAIN)
    target = Path(project.place("/path/to/prv_trained/checkpoint.ckpt"))
    target.parent.mkdir()
    (first / "last.ckpt").rename(target)
    project.write_config(trainer_config={"max_epochs": 2})
    (second,) = project.run(RESUME)
    assert [row.split(",")[0] for row in (second / "training_log.csv").read_text().splitlines()] == ["epoch", "1"]


def test_devices_are_chosen_automatically(project: Project) -> None:
    project.write_config(trainer_config=yaml.safe_load(DEVICES["automatic"])["trainer_config"])
    CliRunner().invoke(cli, shlex.split(project.place(TRAIN))[1:], catch_exceptions=False)
    config = saved(project.root / "models" / "multi_gpu_training_1")
    assert config.trainer_config.run_name == "multi_gpu_training_1"


@pytest.mark.parametrize("kind", ["number", "indices"])
def test_devices_that_are_not_here_are_refused_in_a_sentence(project: Project, kind: str) -> None:
    project.write_config(trainer_config=yaml.safe_load(repaired(DEVICES[kind]))["trainer_config"])
    result = CliRunner().invoke(cli, shlex.split(project.place(TRAIN))[1:], catch_exceptions=False)
    import torch

    if torch.cuda.device_count() >= 4:
        pytest.skip("there are enough GPUs here")
    assert result.exit_code == 1
    assert result.output.count("Error:") == 1
    assert not project.models.exists()


@pytest.mark.parametrize("framework", ["torch_dataset_cache_img_memory", "torch_dataset_cache_img_disk"])
def test_cached_images_with_workers(project: Project, framework: str) -> None:
    loaders = {"train_data_loader": {"num_workers": 1}, "val_data_loader": {"num_workers": 1}}
    project.write_config(data_config={"data_pipeline_fw": framework}, trainer_config=loaders)
    (run,) = project.run(TRAIN)
    assert (run / "best.ckpt").exists()
