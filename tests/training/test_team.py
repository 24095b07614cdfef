"""Several processes that train together do what one would do with all their samples, and end together."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from factories import make_labels
from ranks import Act, Ended, fit_together, free_port, srun_environment, torchrun_environment

from sleap_nn.data.labels import load_labels, write_labels
from sleap_nn.networks import model_dir
from sleap_nn.training.checkpoints import Position
from sleap_nn.training.model_trainer import ModelTrainer
from sleap_nn.training.run_folder import resume_config

EPOCHS, STEPS, BATCH = 3, 8, 2
"""Steps are those of all processes together."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("distributed")
    make_labels(9, path=made / "labels.pkg.slp")
    return made


AUGMENTATION = {"geometric": {"rotation_p": 1.0}, "intensity": {"gaussian_noise_p": 0.5}}


def settings(folder: Path, name: str, data: dict[str, Any] | None = None, **trainer: Any) -> dict[str, Any]:
    return {
        "data_config": {
            "train_labels_path": [str(folder / "labels.pkg.slp")],
            "validation_fraction": 0.4,
            "augmentation_config": AUGMENTATION,
            **(data or {}),
        },
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 2.0, "output_stride": 4}}},
        },
        "trainer_config": {
            "max_epochs": EPOCHS,
            "train_steps_per_epoch": STEPS,
            "min_train_steps_per_epoch": 1,
            "train_data_loader": {"batch_size": BATCH},
            "val_data_loader": {"batch_size": BATCH},
            "save_ckpt": True,
            "ckpt_dir": "models",
            "run_name": name,
            "trainer_accelerator": "cpu",
            "precision": "32",
            "enable_progress_bar": False,
            **trainer,
        },
    }


def fit(folder: Path, name: str, acts: dict[int, Act] | None = None, **trainer: Any) -> list[Ended]:
    """Fit in two processes, of which only the first is told what; return how they ended."""
    return fit_together(folder, [settings(folder, name, **trainer), None], acts)


def fit_alone(folder: Path, name: str, **trainer: Any) -> Path:
    """Fit in this process and return the run folder."""
    alone = {"ckpt_dir": str(folder / "models"), **trainer}
    ModelTrainer(settings(folder, name, **alone)).train()
    return folder / "models" / name


def assert_well(ended: list[Ended]) -> None:
    assert [one.exit_code for one in ended] == [0] * len(ended), "\n".join(one.output for one in ended)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def log_of(run: Path) -> list[dict[str, str]]:
    with (run / "training_log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.endswith("/time")} for row in csv.DictReader(file)]


def losses_of(run: Path) -> list[float]:
    return [float(row[name]) for row in log_of(run) for name in ("train/loss", "val/loss")]


def state_of(run: Path) -> dict[str, Any]:
    return model_dir.read_checkpoint(run / model_dir.RESUME)


def gradients_of(run: Path) -> list[torch.Tensor]:
    """Return the gradients of the only step of a run: the first moment of Adam is a tenth of them."""
    (optimizer,) = state_of(run)["optimizer_states"]
    return [10 * state["exp_avg"] for state in optimizer["state"].values()]


def same(a: Any, b: Any) -> bool:
    """Compare nested states bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def assert_same_run(first: Path, second: Path) -> None:
    assert log_of(first) == log_of(second)
    states = [state_of(run) for run in (first, second)]
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "position"):
        assert same(states[0][key], states[1][key]), key


@pytest.fixture(scope="module")
def with_empty_frames(folder: Path) -> dict[str, Any]:
    """Return settings of labels in which samples count unequally: a third of the frames shows no animal."""
    labels = load_labels(folder / "labels.pkg.slp")
    for frame in labels.labeled_frames[::3]:
        frame.instances, frame.is_negative = [], True
    write_labels(labels, folder / "negatives.slp")
    negatives = {"use_negative_frames": True, "negative_loss_weight": 0.25}
    return {"train_labels_path": [str(folder / "negatives.slp")], **negatives}


@pytest.fixture(scope="module")
def one_step(folder: Path, with_empty_frames: dict[str, Any]) -> Path:
    """Return the folder of a run of one process with one step."""
    step = {"max_epochs": 1, "train_steps_per_epoch": 1, "train_data_loader": {"batch_size": 2 * BATCH}}
    return fit_alone(folder, "one_step", data=with_empty_frames, **step)


@pytest.mark.parametrize(
    ("strategy", "act"),
    [("ddp", None), ("ddp_find_unused_parameters_true", Act(0, "no memory")), ("fsdp", None)],
)
def test_two_processes_make_the_step_of_one_with_twice_the_batch(
    folder: Path, with_empty_frames: dict[str, Any], one_step: Path, strategy: str, act: Act | None
) -> None:
    more = {"data": with_empty_frames, "max_epochs": 1, "train_steps_per_epoch": 2}
    ended = fit(folder, strategy, None if act is None else {1: act}, trainer_strategy=strategy, **more)
    assert_well(ended)
    assert ended[1].output.count("no memory") == (act is not None)
    whole, parts = one_step, folder / "machine0" / "models" / strategy
    ours, theirs = ({name: float(value or "nan") for name, value in log_of(run)[0].items()} for run in (parts, whole))
    assert theirs["train/n_negative"] > 0
    assert ours == pytest.approx(theirs, abs=1e-5, nan_ok=True)
    for own, expected in zip(gradients_of(parts), gradients_of(whole), strict=True):
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-4)
    weights = [model_dir.load_weights(run / model_dir.WEIGHTS) for run in (parts, whole)]
    assert list(weights[0]) == list(weights[1])
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-5, rtol=1e-4)


PLATEAU = {"lr_scheduler": {"reduce_lr_on_plateau": {"patience": 0, "threshold": 10.0, "factor": 0.5}}}
"""A learning rate that depends on the losses of all epochs before."""


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """Return the folder of a run of two processes."""
    ended = fit(folder, "whole", seed=7, **PLATEAU)
    assert_well(ended)
    assert ended[0].output.count("Epoch ") == EPOCHS
    assert "shared by 2 processes" in ended[0].output
    assert ended[1].output == ""
    first, second = (torch.load(folder / f"machine{rank}" / "weights.pt", weights_only=True) for rank in (0, 1))
    assert same(first, second)
    return folder / "machine0" / "models" / "whole"


@pytest.fixture(scope="module")
def stopped(folder: Path, whole: Path) -> Path:
    """Return the folder of the same run, of which the second process was told to stop within the second epoch."""
    ended = fit(folder, "stopped", {1: Act(STEPS * BATCH // 2 + 3, "SIGTERM")}, seed=7, **PLATEAU)
    assert [one.exit_code for one in ended] == [75, 75], ended
    assert sorted(one.output.count("Training was interrupted") for one in ended) == [0, 1]
    run = folder / "machine0" / "models" / "stopped"
    assert Position.read(run / model_dir.RESUME) == Position(1, 2, 7, 2 * BATCH)
    shutil.copytree(run, folder / "copy")
    return run


def test_the_first_process_writes_for_all(folder: Path, whole: Path) -> None:
    assert not (folder / "machine1" / "models").exists()
    assert [row["epoch"] for row in log_of(whole)] == [str(epoch) for epoch in range(EPOCHS)]
    (optimizer,) = state_of(whole)["optimizer_states"]
    assert {int(state["step"]) for state in optimizer["state"].values()} == {EPOCHS * STEPS // 2}
    assert (whole / "labels_gt.val.0.slp").exists()
    assert f"train_steps_per_epoch: {STEPS}" in (whole / "training_config.yaml").read_text()


def test_a_run_that_was_stopped_goes_on_exactly(folder: Path, whole: Path, stopped: Path) -> None:
    assert_well(fit_together(folder, [resume_config(stopped), None]))
    assert_same_run(whole, stopped)


def test_a_run_goes_on_with_another_number_of_processes(folder: Path, stopped: Path) -> None:
    run = folder / "copy"
    trainer = ModelTrainer(resume_config(run))
    trainer.train()
    assert [row["epoch"] for row in log_of(run)] == [str(epoch) for epoch in range(EPOCHS)]
    assert trainer.trainer is not None
    # 4 + 2 steps of two processes, 4 of one for the rest of the epoch, and the 8 of the last one.
    assert trainer.trainer.global_step == 4 + 2 + 4 + STEPS


def test_divided_weights_and_their_optimizer_can_be_resumed(folder: Path) -> None:
    more = {"max_epochs": 2, "train_steps_per_epoch": 4, **PLATEAU}
    ended = fit(folder, "divided", {0: Act(2 * BATCH + 1, "SIGINT")}, trainer_strategy="fsdp", **more)
    assert [one.exit_code for one in ended] == [75, 75], ended
    run = folder / "machine0" / "models" / "divided"
    assert Position.read(run / model_dir.RESUME).batch == 1
    assert_well(fit_together(folder, [resume_config(run), None]))
    alone = {**more, "train_steps_per_epoch": 2, "train_data_loader": {"batch_size": 2 * BATCH}}
    undivided = fit_alone(folder, "undivided", **alone)
    assert [row["learning_rate"] for row in log_of(run)] == [row["learning_rate"] for row in log_of(undivided)]
    assert losses_of(run) == pytest.approx(losses_of(undivided), abs=1e-4)


def test_the_first_process_decides_evaluates_and_draws_while_the_others_wait(folder: Path) -> None:
    config = settings(
        folder,
        "rich",
        {"data_pipeline_fw": "torch_dataset_cache_img_disk", "parallel_caching": False},
        train_data_loader={"batch_size": "auto"},
        val_data_loader={"batch_size": "auto"},
        eval={"enabled": True},
        visualize_preds_during_training=True,
        keep_viz=True,
        ema_decay=0.9,
        max_epochs=2,
        train_steps_per_epoch=4,
        accumulate_grad_batches=2,
    )
    assert_well(fit_together(folder, [config, None], {1: Act(0, "little memory")}))
    run = folder / "machine0" / "models" / "rich"
    saved = yaml.safe_load((run / "training_config.yaml").read_text())
    assert saved["trainer_config"]["train_data_loader"]["batch_size"] == 4
    assert all(row["eval/val/oks_voc_mAP"] for row in log_of(run))
    assert len(list((run / "viz").iterdir())) == 4
    assert not (run / "frame_cache").exists()
    assert not (folder / "machine1" / "models").exists()


def test_a_stop_does_not_wait_for_the_evaluation_of_the_first_process(folder: Path) -> None:
    more = {"eval": {"enabled": True}, "max_epochs": 50, "train_steps_per_epoch": 4}
    ended = fit(folder, "evaluated", {1: Act(1, "stop in evaluation")}, **more)
    assert [one.exit_code for one in ended] == [75, 75], ended
    run = folder / "machine0" / "models" / "evaluated"
    assert Position.read(run / model_dir.RESUME) == Position(1, 0, 42, 2 * BATCH)
    assert [row["epoch"] for row in log_of(run)] == ["0"]


def test_all_stop_when_the_validation_loss_of_all_rises(folder: Path) -> None:
    stopping = {"early_stopping": {"patience": 1, "min_delta": 10.0}, "max_epochs": 50}
    assert_well(fit(folder, "early", seed=None, **stopping))  # the first process draws the seed, and the split
    assert len(log_of(folder / "machine0" / "models" / "early")) == 2


def test_a_time_limit_stops_all_that_srun_started(folder: Path) -> None:
    port = free_port()
    environments = [srun_environment(rank, 2, port) for rank in range(2)]
    config = settings(folder, "limit", max_time=1e-4, max_epochs=50, train_steps_per_epoch=40)
    ended = fit_together(folder, [config, None], None, environments)
    assert_well(ended)
    assert "shared by 2 processes" in ended[0].output
    assert ended[1].output == ""
    run = folder / "machine0" / "models" / "limit"
    assert len(log_of(run)) == 1
    assert (run / model_dir.WEIGHTS).exists()


@pytest.mark.parametrize(
    ("act", "codes", "message"),
    [
        (Act(9, "DataError"), [1, 1], "Error: It went wrong."),
        (Act(9, "RuntimeError"), [1, 1], "RuntimeError: It went wrong."),
        (Act(9, "SIGKILL"), [1, -9], "Error: Another process of the training is gone without a word"),
    ],
)
def test_a_failure_of_one_ends_all_with_one_message(folder: Path, act: Act, codes: list[int], message: str) -> None:
    ended = fit_together(folder, [settings(folder, act.what, max_epochs=1000), None], {1: act}, timeout=30)
    assert [one.exit_code for one in ended] == codes
    printed = "".join(one.output for one in ended)
    assert printed.count(message) == 1
    assert printed.count("Traceback") == (act.what == "RuntimeError")
    assert printed.count("Error") == 1 if act.what != "RuntimeError" else 2


def test_a_mistake_in_the_configuration_is_told_once(folder: Path) -> None:
    ended = fit_together(folder, [settings(folder, "wrong", max_epochs=0), None], timeout=30)
    assert [one.exit_code for one in ended] == [1, 1]
    assert ended[0].output.count("max_epochs") == 1
    assert ended[1].output == ""


def test_machines_share_nothing_but_the_network(folder: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, "apart", save_ckpt=True)
    config["data_config"]["train_labels_path"] = ["labels.pkg.slp"]  # every machine has its own copy
    for machine in range(2):
        (tmp_path / f"machine{machine}").mkdir()
        make_labels(9, path=tmp_path / f"machine{machine}" / "labels.pkg.slp")
    port = free_port()
    environments = [torchrun_environment(rank, 2, port, num_machines=2) for rank in range(2)]
    acts = {0: Act(STEPS * BATCH // 2 + 3, "SIGTERM")}
    ended = fit_together(tmp_path, [config, None], acts, environments)
    assert [one.exit_code for one in ended] == [75, 75], ended
    assert names_in(tmp_path / "machine1") == ["labels.pkg.slp", "output.txt"]
    config["trainer_config"]["resume_ckpt_path"] = "models/apart"
    port = free_port()
    environments = [torchrun_environment(rank, 2, port, num_machines=2) for rank in range(2)]
    assert_well(fit_together(tmp_path, [config, None], None, environments))
    assert names_in(tmp_path / "machine1") == ["labels.pkg.slp", "output.txt", "weights.pt"]
    assert len(log_of(tmp_path / "machine0" / "models" / "apart")) == EPOCHS


def test_machines_with_other_labels_are_found_out(tmp_path: Path) -> None:
    config = settings(tmp_path, "other")
    config["data_config"]["train_labels_path"] = ["labels.pkg.slp"]
    for machine in range(2):
        (tmp_path / f"machine{machine}").mkdir()
        make_labels(9, path=tmp_path / f"machine{machine}" / "labels.pkg.slp", seed=machine)
    ended = fit_together(tmp_path, [config, None], timeout=30)
    assert [one.exit_code for one in ended] == [1, 1]
    assert "copies of the same labels files" in ended[1].output
