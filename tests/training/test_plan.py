import json
from pathlib import Path
from typing import Any

import pytest
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.data.video_paths import VideoPaths
from sleap_nn.errors import MissingFileError
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.plan import Plan, decide, fingerprint
from sleap_nn.training.split_record import FileSplit, SplitRecord
from sleap_nn.training.training_data import TrainingData


def config(path: Path | None = None, **trainer: Any) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": None if path is None else [str(path)], "validation_fraction": 0.4},
            "model_config": {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {}}},
            "trainer_config": trainer,
        }
    )


SPLIT = SplitRecord("frame", 3, (FileSplit("a.slp", (("v", 0), ("v", 1)), (("v", 2),)),), {"fraction": 0.4})


@pytest.mark.parametrize("resume", [None, Path("models/run/resume.ckpt")])
@pytest.mark.parametrize("paths", [None, VideoPaths(prefix_map=(("/a", "/b"),), required=False)])
def test_a_plan_survives_json(resume: Path | None, paths: VideoPaths | None) -> None:
    job = config(max_time=1.5, wandb={"api_key": "secret"}, seed=None)
    plan = Plan(config(seed=None), job, 7, resume, Position(2, 3, 7, 8), SPLIT, paths)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_another_process_reads_the_same_labels_divided_in_the_same_way(tmp_path: Path) -> None:
    make_labels(9, path=tmp_path / "a.pkg.slp")
    initial = config(tmp_path / "a.pkg.slp", seed=None)  # the division is drawn
    plan, data, _ = decide(initial, (None, None), None)
    arrived = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    again = arrived.read_again((None, None), with_tests=True)
    assert fingerprint(again) == fingerprint(data)
    assert again.record == data.record


def test_only_the_first_process_needs_the_test_files(tmp_path: Path) -> None:
    make_labels(9, path=tmp_path / "a.pkg.slp")
    make_labels(3, path=tmp_path / "test.pkg.slp", seed=2)
    initial = config(tmp_path / "a.pkg.slp")
    initial.data_config.test_file_path = str(tmp_path / "test.pkg.slp")
    plan, _, _ = decide(initial, (None, None), None)
    (tmp_path / "test.pkg.slp").unlink()
    assert plan.read_again((None, None), with_tests=False).test_labels == {}
    with pytest.raises(MissingFileError):
        plan.read_again((None, None), with_tests=True)


def test_the_fingerprint_tells_labels_and_their_division_apart(tmp_path: Path) -> None:
    make_labels(9, path=tmp_path / "a.pkg.slp")
    make_labels(9, path=tmp_path / "b.pkg.slp", seed=1)

    def read(name: str, seed: int) -> str:
        return fingerprint(TrainingData.from_config(config(tmp_path / name, seed=seed)))

    assert read("a.pkg.slp", 1) == read("a.pkg.slp", 1)
    assert len({read("a.pkg.slp", 1), read("a.pkg.slp", 2), read("b.pkg.slp", 1)}) == 3
