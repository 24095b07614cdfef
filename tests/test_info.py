import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sleap_nn.cli import cli
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.errors import ConfigError, MissingFileError
from sleap_nn.evaluation.metrics_files import write_metrics
from sleap_nn.info import Table, info, size_text

SKELETON = {
    "nodes": [{"name": "nose"}, {"name": "tail"}],
    "edges": [{"source": {"name": "nose"}, "destination": {"name": "tail"}}],
    "symmetries": [],
    "name": "mouse",
}
CONFIG = {
    "data_config": {"train_labels_path": ["/long/" + "x" * 60 + ".slp"], "skeletons": [SKELETON]},
    "model_config": {
        "backbone_config": {"unet": {"filters": 8, "max_stride": 16}},
        "head_configs": {
            "bottomup": {
                "confmaps": {"part_names": ["nose", "tail"], "sigma": 2.5, "output_stride": 2},
                "pafs": {"sigma": 50.0, "output_stride": 4},
            }
        },
        "total_params": 33_599,
    },
    "trainer_config": {"run_name": "first", "max_epochs": 7, "lr_scheduler": {"step_lr": {"step_size": 3}}},
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    TrainingJobConfig.from_cfg(CONFIG).save(tmp_path / "training_config.yaml")
    (tmp_path / ".hidden").touch()
    (tmp_path / "best.ckpt").write_bytes(bytes(12_345))
    return tmp_path


def values(tables: list[Table]) -> dict[str, str]:
    return {f"{table.title}/{name}": value for table in tables for name, value in table.rows}


def test_model_data_and_training(run: Path) -> None:
    found = values(info(run))
    assert found["Model Info/Model type"] == "Bottomup"
    assert found["Model Info/Backbone"] == "UNet (8 filters, 1.5x rate, stride 16)"
    assert found["Model Info/Head"] == "ConfMaps (sigma=2.5, output_stride=2, 2 parts, PAFs (sigma=50, stride=4))"
    assert found["Model Info/Total parameters"] == "33.6K"
    assert found["Model Info/Skeleton"] == "2 nodes, 1 edge"
    assert found["Model Info/Nodes"] == "nose, tail"
    assert found["Data/Training data"] == "..." + "x" * 43 + ".slp"
    assert found["Data/Preprocessing"] == "scale=1.0, no crop"
    assert found["Training/LR scheduler"] == "StepLR (step=3, gamma=0.1)"
    assert found["Files/best.ckpt"] == "12.3 KB"
    assert "Files/.hidden" not in found


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"cosine_annealing_warmup": {"warmup_epochs": 2}, "step_lr": {}}, "CosineAnnealingWarmup (warmup_epochs=2)"),
        ({"linear_warmup_linear_decay": {}}, "LinearWarmupLinearDecay (warmup_epochs=5)"),
        ({}, "ReduceLROnPlateau (factor=0.5, patience=5)"),
        ({"reduce_lr_on_plateau": None}, "None"),
        (None, "None"),
    ],
)
def test_the_schedule_is_the_one_that_acts_beside_the_default(
    tmp_path: Path, sections: dict[str, dict] | None, text: str
) -> None:
    trainer = {**CONFIG["trainer_config"], "lr_scheduler": sections}
    TrainingJobConfig.from_cfg({**CONFIG, "trainer_config": trainer}).save(tmp_path / "training_config.yaml")
    assert values(info(tmp_path))["Training/LR scheduler"] == text


@pytest.mark.parametrize(
    "header", ["epoch,train/loss,val/loss,learning_rate", "epoch,train_loss,val_loss,learning_rate"]
)
def test_results_of_every_spelling_of_the_log(run: Path, header: str) -> None:
    (run / "training_log.csv").write_text(f"{header}\n0,,0.5,\n1,0.25,0.125,0.001\n2,0.2,0.25,0.0005000000237487257\n")
    found = values(info(run))
    assert found["Training Results/Epochs trained"] == "3"
    assert found["Training Results/Final train loss"] == "0.200000"
    assert found["Training Results/Best val loss"] == "0.125000 (epoch 1)"
    assert found["Training Results/Final LR"] == "0.0005000000237487257"


def test_a_configuration_alone(run: Path) -> None:
    assert [table.title for table in info(run / "training_config.yaml")] == ["Model Info", "Data", "Training"]
    result = CliRunner().invoke(cli, ["info", str(run)])
    assert result.exit_code == 0
    assert "UNet (8 filters, 1.5x rate, stride 16)" in result.stdout


def test_no_version_of_sleap_nn_wrote_a_profile_of_sleap(tmp_path: Path) -> None:
    golden = json.loads((Path(__file__).parent / "golden" / "legacy_config_mapping.json").read_text())
    (tmp_path / "training_config.json").write_text(json.dumps(golden["legacy"]))
    model = dict(info(tmp_path / "training_config.json")[0].rows)
    assert model["Model type"]
    assert "sleap-nn version" not in model


def test_metrics_of_the_first_split_that_has_some_never_of_the_test_set(run: Path) -> None:
    poses = {"mOKS": {"mOKS": 0.5}, "distance_metrics": {"avg": 1.234, "p50": 1.0}, "voc_metrics": {"oks_voc.mAP": 0.1}}
    write_metrics(poses, run / "metrics.test.0.npz")
    assert not any(table.title.startswith("Evaluation") for table in info(run))
    write_metrics(poses, run / "metrics.train.0.npz")
    (table,) = [table for table in info(run) if table.title.startswith("Evaluation")]
    assert table.title == "Evaluation Metrics (train)"
    assert dict(table.rows) == {
        "mOKS": "0.5000", "mAP (OKS)": "0.1000", "mAR (OKS)": "N/A", "Avg distance (px)": "1.23",
        "Median distance (px)": "1.00", "P95 distance (px)": "N/A", "mPCK": "N/A", "PCK@5": "N/A", "PCK@10": "N/A",
        "Vis. precision": "N/A", "Vis. recall": "N/A",
    }  # fmt: skip
    centroids = {"detection_metrics": {"precision": 1.0, "recall": 0.5}, "distance_metrics": {"avg": 2.0}}
    write_metrics(centroids, run / "metrics.val.0.npz")
    (table,) = [table for table in info(run) if table.title.startswith("Evaluation")]
    assert table.title == "Evaluation Metrics (val)"
    assert dict(table.rows) == {"Precision": "1.0000", "Recall": "0.5000", "Avg distance (px)": "2.00"}


def test_weights_stand_for_their_folder(run: Path) -> None:
    assert info(run / "best.ckpt") == info(run)


def test_what_cannot_be_described(tmp_path: Path) -> None:
    (tmp_path / "labels.slp").touch()
    with pytest.raises(ConfigError, match=r"labels\.slp is no configuration"):
        info(tmp_path / "labels.slp")
    with pytest.raises(MissingFileError, match="does not exist"):
        info(tmp_path / "none")
    with pytest.raises(MissingFileError, match=r"has no training_config\.yaml"):
        info(tmp_path)
    (tmp_path / "config.yaml").write_text("model_config: {}")
    with pytest.raises(ConfigError):
        info(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (2_500_000, "2.5 MB"), (3 * 10**9, "3.0 GB")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text
