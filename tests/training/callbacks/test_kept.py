import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from factories import make_labels
from lightning.pytorch.callbacks import ModelCheckpoint

from sleap_nn.networks.model_dir import read_checkpoint
from sleap_nn.training.callbacks.kept import KeptWeights, ranked_names
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.mark.parametrize(
    ("mode", "expected"), [("min", ["best-v2", "best", "best-v1"]), ("max", ["best", "best-v2", "best-v1"])]
)
def test_names_follow_the_scores(mode: str, expected: list[str]) -> None:
    scores = {"/run/best.ckpt": 3.0, "/run/best-v1.ckpt": 1.0, "/run/best-v2.ckpt": 2.0}
    assert list(map(ranked_names(scores, mode).get, scores)) == [f"/run/{name}.ckpt" for name in expected]


def test_of_equal_scores_the_first_stays_first() -> None:
    scores = {"/run/best.ckpt": float("-inf"), "/run/best-v1.ckpt": float("-inf")}
    for mode in ("min", "max"):
        assert ranked_names(scores, mode) == {path: path for path in scores}
    assert ranked_names({}, "min") == {}


def checkpoint(folder: Path, **scores: float) -> ModelCheckpoint:
    """Return a callback that has kept files, whose content is their score."""
    made = ModelCheckpoint(folder, monitor="val/loss", mode="max", save_top_k=len(scores))
    for name, score in scores.items():
        path = folder / f"{name.replace('_', '-')}.ckpt"
        path.write_text(str(score))
        made.best_k_models[str(path)] = torch.tensor(score)
    made.best_model_path = max(made.best_k_models, key=lambda path: float(made.best_k_models[path]))
    made.kth_best_model_path = min(made.best_k_models, key=lambda path: float(made.best_k_models[path]))
    return made


def test_files_and_records_change_places_together(tmp_path: Path) -> None:
    kept = checkpoint(tmp_path, best=1.0, best_v1=3.0, best_v2=2.0)
    KeptWeights(kept, None).on_train_epoch_end(cast(Any, SimpleNamespace(is_global_zero=True)), cast(Any, None))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "best.ckpt": "3.0",
        "best-v1.ckpt": "2.0",
        "best-v2.ckpt": "1.0",
    }
    assert {Path(path).read_text() for path, score in kept.best_k_models.items() if score == 3} == {"3.0"}
    assert Path(kept.best_model_path).name == "best.ckpt"
    assert Path(kept.kth_best_model_path).name == "best-v2.ckpt"


def test_other_processes_leave_the_files_alone(tmp_path: Path) -> None:
    kept = checkpoint(tmp_path, best=1.0, best_v1=3.0)
    KeptWeights(kept, None).on_train_epoch_end(cast(Any, SimpleNamespace(is_global_zero=False)), cast(Any, None))
    assert (tmp_path / "best.ckpt").read_text() == "1.0"
    assert Path(kept.best_model_path).name == "best.ckpt"


@pytest.mark.parametrize("scores", [[3.0, 1.0, 2.0, 0.5, 9.0], [3.0, 2.0, 1.0]], ids=["last is worst", "last is best"])
@pytest.mark.parametrize("top_k", [1, 2, -1])
def test_a_run_keeps_its_best_and_its_newest_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, top_k: int, scores: list[float]
) -> None:
    make_labels(4, path=tmp_path / "labels.pkg.slp")
    trainer = ModelTrainer(
        {
            "data_config": {"train_labels_path": [str(tmp_path / "labels.pkg.slp")]},
            "model_config": {
                "backbone_config": {"unet": {"filters": 2, "max_stride": 4}},
                "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
            },
            "trainer_config": {
                "max_epochs": len(scores),
                "min_train_steps_per_epoch": 1,
                "train_steps_per_epoch": 1,
                "save_ckpt": True,
                "ckpt_dir": str(tmp_path),
                "run_name": "run",
                "trainer_accelerator": "cpu",
                "model_ckpt": {"save_top_k": top_k, "save_last": True},
            },
        }
    )
    watched = ModelCheckpoint._monitor_candidates

    def scripted(self: ModelCheckpoint, engine: Any) -> dict[str, torch.Tensor]:
        return watched(self, engine) | {"val/loss": torch.tensor(scores[engine.current_epoch])}

    monkeypatch.setattr(ModelCheckpoint, "_monitor_candidates", scripted)
    trainer.train()
    run = tmp_path / "run"
    ranked = sorted(range(len(scores)), key=scores.__getitem__)[: None if top_k == -1 else top_k]
    names = ["best.ckpt", *(f"best-v{rank}.ckpt" for rank in range(1, len(ranked)))]
    assert {path.name for path in run.glob("best*.ckpt")} == set(names)
    assert [read_checkpoint(run / name)["epoch"] for name in names] == ranked
    assert read_checkpoint(run / "last.ckpt")["epoch"] == len(scores) - 1
    with (run / "training_log.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == len(scores) + 1
