import math

import pytest
import torch

from sleap_nn.training.averages import EpochAverages


def values(**numbers: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(number) for name, number in numbers.items()}


def test_means_are_weighted_by_the_samples() -> None:
    averages = EpochAverages()
    averages.add(values(loss=1.0, accuracy=0.5), 3)
    averages.add(values(loss=5.0, accuracy=math.nan), 1)
    assert averages.means() == {"loss": 2.0, "accuracy": 0.5}
    assert averages.weights() == {"loss": 4.0, "accuracy": 3.0}


def test_groups_have_their_own_weights() -> None:
    averages = EpochAverages()
    for loss, positive, count in ((1.0, 2.0, 1), (1.0, 4.0, 3), (1.0, math.nan, 0)):
        averages.add(values(loss=loss), 4)
        averages.add(values(loss_positive=positive), count)
    assert averages.means() == {"loss": 1.0, "loss_positive": 3.5}
    assert averages.weights() == {"loss": 12.0, "loss_positive": 4.0}


def test_what_never_counted_has_no_mean() -> None:
    averages = EpochAverages()
    averages.add(values(loss=1.0, accuracy=math.nan), 2)
    averages.add(values(loss_negative=7.0), 0)
    means = averages.means()
    assert means.pop("loss") == 1.0
    assert all(math.isnan(value) for value in means.values())
    assert list(means) == ["accuracy", "loss_negative"]


def test_a_new_epoch_starts_empty() -> None:
    averages = EpochAverages()
    averages.add(values(loss=1.0), 2)
    averages.reset()
    assert averages.means() == averages.weights() == {}


def test_an_interrupted_epoch_goes_on_from_its_state() -> None:
    whole, first = EpochAverages(), EpochAverages()
    for average in (whole, first):
        average.add(values(loss=0.1), 3)
        average.add(values(loss_positive=math.nan), 0)
    second = EpochAverages()
    second.load_state_dict(first.state_dict())
    for average in (whole, second):
        average.add(values(loss=0.7), 2)
        average.add(values(loss_positive=0.3), 1)
    assert whole.means() == second.means()
    assert whole.means() == pytest.approx({"loss": 0.34, "loss_positive": 0.3})


def test_gradients_are_not_kept() -> None:
    averages = EpochAverages()
    averages.add({"loss": torch.tensor(1.0, requires_grad=True)}, 1)
    (group,) = averages.state_dict()["groups"]
    assert not group["sums"].requires_grad
