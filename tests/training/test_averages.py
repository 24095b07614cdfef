import math

import pytest
import torch

from sleap_nn.training import averages
from sleap_nn.training.averages import EpochAverages


def added(*batches: tuple[float, float, float]) -> EpochAverages:
    """Return averages of (loss, accuracy, number of samples)."""
    made = EpochAverages()
    for loss, accuracy, weight in batches:
        made.add({"loss": torch.tensor(loss), "accuracy": torch.tensor(accuracy)}, weight)
    return made


def test_means_weigh_samples_and_leave_out_what_is_undefined() -> None:
    made = added((1.0, 0.5, 3), (2.0, math.nan, 1))
    assert made.means() == {"loss": 1.25, "accuracy": 0.5}
    assert added((1.0, math.nan, 2)).means() == {"loss": 1.0}
    assert EpochAverages().means() == {}


def test_a_batch_that_only_keeps_step_with_others_counts_for_nothing() -> None:
    assert added((1.0, 0.5, 2), (9.0, math.nan, 0)).means() == {"loss": 1.0, "accuracy": 0.5}
    assert added((9.0, 0.5, 0)).means() == {}


def test_a_reset_forgets() -> None:
    made = added((1.0, 0.5, 3))
    made.reset()
    assert made.means() == {}


def test_a_saved_state_goes_on() -> None:
    again = EpochAverages()
    again.load_state_dict(added((1.0, 0.5, 3)).state_dict())
    again.add({"loss": torch.tensor(3.0), "accuracy": torch.tensor(1.0)}, 1)
    assert again.means() == {"loss": 1.5, "accuracy": 0.625}


def test_each_process_goes_on_with_its_own_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [added((1.0, 0.5, 3)), added((2.0, 1.0, 1))]
    sums = [part.state_dict()["sums"][0] for part in parts]
    monkeypatch.setattr(averages, "gathered", lambda value: sums)
    state = parts[0].state_dict()
    for number, part in enumerate(parts):
        again = EpochAverages()
        again.load_state_dict(state, number, 2)
        assert again.means() == part.means()


@pytest.mark.parametrize("num_parts", [1, 3])
def test_another_number_of_processes_goes_on_with_the_sum(monkeypatch: pytest.MonkeyPatch, num_parts: int) -> None:
    sums = [added((1.0, 0.5, 3)).state_dict()["sums"][0], added((2.0, 1.0, 1)).state_dict()["sums"][0]]
    monkeypatch.setattr(averages, "gathered", lambda value: sums)
    state = added((0.0, 0.0, 1)).state_dict()
    again = [EpochAverages() for _ in range(num_parts)]
    for number, part in enumerate(again):
        part.load_state_dict(state, number, num_parts)
    assert again[0].means() == {"loss": 1.25, "accuracy": 0.625}
    assert all(part.means() == {} for part in again[1:])
