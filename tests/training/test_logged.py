import pytest

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.tasks import TASKS
from sleap_nn.tasks.base import Task
from sleap_nn.training.logged import check_monitor, log_columns

SKELETON = Skeleton(("nose", "tail"), edges=((0, 1),))
CLASSES = {"classes": ["a", "b"]}


def job(model_type: str = "single_instance", negatives: bool = False, **trainer: object) -> TrainingJobConfig:
    parts = {"multi_class_bottomup": {"class_maps": CLASSES}, "multi_class_topdown": {"class_vectors": CLASSES}}
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": ["a.slp"], "use_negative_frames": negatives},
            "model_config": {
                "backbone_config": {"unet": {}},
                "head_configs": {model_type: parts.get(model_type, {})},
            },
            "trainer_config": trainer,
        }
    )


def task(config: TrainingJobConfig) -> Task:
    heads = config.model_config.head_configs
    return TASKS[str(heads.which_oneof_attrib_name())].from_config(heads.which_oneof(), SKELETON)


def columns(config: TrainingJobConfig) -> list[str]:
    return log_columns(task(config), config)


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("single_instance", "train/confmaps/nose train/confmaps/tail"),
        ("centered_instance", "train/confmaps/nose train/confmaps/tail"),
        ("centroid", ""),
        ("bottomup", "train/confmaps_loss train/paf_loss val/confmaps_loss val/paf_loss"),
        (
            "multi_class_bottomup",
            "train/confmaps_loss train/classmap_loss train/class_accuracy "
            "val/confmaps_loss val/classmap_loss val/class_accuracy",
        ),
        (
            "multi_class_topdown",
            "train/confmaps/nose train/confmaps/tail train/confmaps_loss train/classvector_loss train/class_accuracy "
            "val/confmaps_loss val/classvector_loss val/class_accuracy",
        ),
    ],
)
def test_columns_of_every_model_type(model_type: str, expected: str) -> None:
    assert columns(job(model_type)) == expected.split()


def test_columns_of_negative_frames() -> None:
    added = columns(job("bottomup", negatives=True))[4:]
    assert added[:8] == [
        "train/n_positive",
        "train/n_negative",
        "train/loss_positive",
        "train/loss_negative",
        "train/loss_positive_unweighted",
        "train/loss_negative_unweighted",
        "train/confmaps_loss_positive",
        "train/confmaps_loss_negative",
    ]
    assert added[8:10] == ["train/paf_loss_positive", "train/paf_loss_negative"]
    assert added[10:] == [name.replace("train/", "val/") for name in added[:10]]


def test_columns_of_metrics() -> None:
    assert columns(job(eval={"enabled": True}))[2:] == [
        "eval/val/mOKS",
        "eval/val/oks_voc_mAP",
        "eval/val/oks_voc_mAR",
        "eval/val/distance/avg",
        "eval/val/distance/p50",
        "eval/val/distance/p95",
        "eval/val/distance/p99",
        "eval/val/mPCK",
        "eval/val/PCK_5",
        "eval/val/PCK_10",
        "eval/val/visibility_precision",
        "eval/val/visibility_recall",
    ]
    statistics = [f"dist_{name}" for name in ("avg", "median", "p90", "p95", "max")]
    measures = [*statistics, "precision", "recall", "f1", "n_tp", "n_fp", "n_fn"]
    assert columns(job("centroid", eval={"enabled": True})) == [f"eval/val/centroid_{name}" for name in measures]


@pytest.mark.parametrize(
    "config",
    [
        job(),
        job(model_ckpt={"monitor": "train/loss"}),
        job(model_ckpt={"monitor": "val_loss"}),
        job("bottomup", model_ckpt={"monitor": "val/paf_loss"}),
        job(negatives=True, model_ckpt={"monitor": "val/loss_negative"}),
        job(model_ckpt={"monitor": "eval/val/mOKS", "mode": "max"}, eval={"enabled": True}),
    ],
)
def test_what_is_logged_may_decide(config: TrainingJobConfig) -> None:
    check_monitor(task(config), config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (job(model_ckpt={"monitor": "accuracy"}), "this run logs train/loss, val/loss, train/confmaps/nose, "),
        (job(model_ckpt={"monitor": "val/los"}), "perhaps val/loss is meant; this run logs "),
        (job(model_ckpt={"monitor": "eval/val/mOKS"}), "set trainer_config.eval.enabled=true to have it logged."),
        (job("centroid", model_ckpt={"monitor": "eval/val/mOKS"}, eval={"enabled": True}), "eval/val/centroid_f1"),
        (job("bottomup", model_ckpt={"monitor": "val/classmap_loss"}), "'val/classmap_loss', which is not logged"),
        (
            job(max_epochs=3, model_ckpt={"monitor": "eval/val/mPCK"}, eval={"enabled": True, "frequency": 4}),
            "with eval.frequency=4 none of the 3 epochs is evaluated; lower it.",
        ),
    ],
)
def test_what_is_not_logged_is_refused_with_what_is(config: TrainingJobConfig, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_monitor(task(config), config)
    assert message in str(caught.value)
