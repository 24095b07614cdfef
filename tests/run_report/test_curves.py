from pathlib import Path

import numpy as np
import pytest
from run_folders import config_of

from sleap_nn.run_report.curves import history_charts
from sleap_nn.run_report.history import History


def make_history(**columns: list[float]) -> History:
    arrays = {name.replace("__", "/"): np.array(values, float) for name, values in columns.items()}
    return History(np.arange(len(next(iter(arrays.values())))), arrays)


def titles(history: History) -> list[str]:
    return [chart.title for chart in history_charts(history, None)]


def test_only_what_was_logged_is_drawn():
    assert titles(make_history(train__loss=[2, 1])) == ["Loss"]
    assert titles(make_history(learning_rate=[2, 1])) == ["Learning rate"]
    assert titles(make_history(train__time=[2, 1])) == []


def test_every_part_of_a_training_has_its_chart():
    history = make_history(
        train__loss=[2, 1],
        val__loss=[2, 1],
        train__confmaps_loss=[2, 1],
        val__paf_loss=[2, 1],
        train__odd_loss=[2, 1],
        val__class_accuracy=[0, 1],
        eval__val__mOKS=[0, 1],
        eval__val__distance__p50=[9, 5],
        eval__val__centroid_recall=[0, 1],
        eval__val__centroid_dist_p95=[9, 5],
        learning_rate=[1, 1],
    )
    assert titles(history) == [
        "Loss",
        "Loss of the confidence maps",
        "Loss of the part affinity fields",
        "odd_loss",
        "Identity right",
        "Scores on the validation frames",
        "Errors on the validation frames",
        "Centroids of the validation frames",
        "Errors of the centroids",
        "Learning rate",
    ]


@pytest.mark.parametrize(("monitor", "mode", "best"), [("val/loss", "min", 1), ("eval/val/mOKS", "max", 2)])
def test_the_epoch_that_was_kept_is_marked(monitor: str, mode: str, best: int):
    history = make_history(train__loss=[3, 2, 1], val__loss=[3, 1, 2], eval__val__mOKS=[0, 0.1, 0.2])
    config = config_of("centroid", Path("labels.slp"))
    config.trainer_config.model_ckpt.monitor, config.trainer_config.model_ckpt.mode = monitor, mode
    assert f"best epoch: {best}<" in history_charts(history, config)[0].svg
    assert "best epoch: 1<" in history_charts(history, None)[0].svg
