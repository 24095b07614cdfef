import json
from pathlib import Path
from typing import Any

import pytest
from factories import make_labels

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.plan import Plan, fingerprint, with_seed
from sleap_nn.training.training_data import TrainingData


def config(path: Path | None = None, **trainer: Any) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg(
        {
            "data_config": {"train_labels_path": None if path is None else [str(path)], "validation_fraction": 0.4},
            "model_config": {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {}}},
            "trainer_config": trainer,
        }
    )


@pytest.mark.parametrize("resume", [None, Path("models/run/resume.ckpt")])
def test_a_plan_survives_json(resume: Path | None) -> None:
    job = config(max_time=1.5, wandb={"api_key": "secret"}, seed=None)
    plan = Plan(config(seed=None), job, 7, resume, Position(2, 3, 7, 8))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.seeded.trainer_config.seed == 7
    assert plan.initial.trainer_config.seed is None


def test_the_fingerprint_tells_labels_and_their_division_apart(tmp_path: Path) -> None:
    make_labels(9, path=tmp_path / "a.pkg.slp")
    make_labels(9, path=tmp_path / "b.pkg.slp", seed=1)

    def read(name: str, seed: int) -> str:
        return fingerprint(TrainingData.from_config(with_seed(config(tmp_path / name), seed)))

    assert read("a.pkg.slp", 1) == read("a.pkg.slp", 1)
    assert len({read("a.pkg.slp", 1), read("a.pkg.slp", 2), read("b.pkg.slp", 1)}) == 3
