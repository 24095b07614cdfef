import math
from typing import Any

import pytest
import torch

from sleap_nn.training import averages
from sleap_nn.training.averages import EpochAverages


def values(**numbers: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(number) for name, number in numbers.items()}


def test_means_are_weighted_by_the_samples() -> None:
    made = EpochAverages()
    made.add(values(loss=1.0, accuracy=0.5), 3)
    made.add(values(loss=5.0, accuracy=math.nan), 1)
    assert made.means() == {"loss": 2.0, "accuracy": 0.5}
    assert made.weights() == {"loss": 4.0, "accuracy": 3.0}


def test_groups_have_their_own_weights() -> None:
    made = EpochAverages()
    for loss, positive, count in ((1.0, 2.0, 1), (1.0, 4.0, 3), (1.0, math.nan, 0)):
        made.add(values(loss=loss), 4)
        made.add(values(loss_positive=positive), count)
    assert made.means() == {"loss": 1.0, "loss_positive": 3.5}
    assert made.weights() == {"loss": 12.0, "loss_positive": 4.0}


def test_what_never_counted_has_no_mean() -> None:
    made = EpochAverages()
    made.add(values(loss=1.0, accuracy=math.nan), 2)
    made.add(values(loss_negative=7.0), 0)
    means = made.means()
    assert means.pop("loss") == 1.0
    assert all(math.isnan(value) for value in means.values())
    assert list(means) == ["accuracy", "loss_negative"]


def test_a_new_epoch_starts_empty() -> None:
    made = EpochAverages()
    made.add(values(loss=1.0), 2)
    made.reset()
    assert made.means() == made.weights() == {}


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
    made = EpochAverages()
    made.add({"loss": torch.tensor(1.0, requires_grad=True)}, 1)
    ((group,),) = made.state_dict()["groups"]
    assert not group[1].requires_grad


def added(*batches: tuple[float, float]) -> EpochAverages:
    """Return averages of (loss, number of samples), of which those with a loss above 1 show animals."""
    made = EpochAverages()
    for loss, weight in batches:
        made.add(values(loss=loss), weight)
        made.add(values(loss_positive=loss if loss > 1 else math.nan), weight if loss > 1 else 0)
    return made


def test_a_batch_that_only_keeps_step_with_others_counts_for_nothing() -> None:
    assert added((2.0, 2), (9.0, 0)).means() == {"loss": 2.0, "loss_positive": 2.0}


def joined(monkeypatch: pytest.MonkeyPatch, *parts: EpochAverages) -> dict[str, Any]:
    """Return the state that processes with these averages save together."""
    states = [part.state_dict()["groups"][0] for part in parts]
    monkeypatch.setattr(averages, "gathered", lambda own: states)
    return parts[0].state_dict()


def test_each_process_goes_on_with_its_own_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [added((1.0, 3), (3.0, 1)), added((2.0, 1))]
    state = joined(monkeypatch, *parts)
    for number, part in enumerate(parts):
        again = EpochAverages()
        again.load_state_dict(state, number, 2)
        assert again.means() == part.means()
        assert again.weights() == part.weights()


@pytest.mark.parametrize("num_parts", [1, 3])
def test_another_number_of_processes_goes_on_with_the_sum(monkeypatch: pytest.MonkeyPatch, num_parts: int) -> None:
    state = joined(monkeypatch, added((1.0, 3)), added((2.0, 1)))
    again = [EpochAverages() for _ in range(num_parts)]
    for number, part in enumerate(again):
        part.load_state_dict(state, number, num_parts)
    assert again[0].means() == {"loss": 1.25, "loss_positive": 2.0}
    assert again[0].weights() == {"loss": 4.0, "loss_positive": 1.0}
    assert all(part.means() == {} for part in again[1:])
