import pytest
import torch

from sleap_nn import system_check
from sleap_nn.system_check import SelfTest, run_self_test


def test_cpu_agrees_with_its_float64_reference():
    test = run_self_test("cpu")
    assert test.passed
    assert 0 < test.difference < 1e-5
    assert test.difference < test.bf16_difference < 0.1
    assert test.bf16_speed > 0


def test_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    system_check._network_and_image(batch_size=1)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(("difference", "passed"), [(0.0, True), (0.004, True), (0.006, False), (float("nan"), False)])
def test_only_a_small_difference_passes(difference, passed):
    assert SelfTest("cuda", difference, 0.0, 1.0).passed is passed


def test_wrong_results_are_noticed(monkeypatch):
    monkeypatch.setattr(system_check, "_timed_forward", lambda network, image: (network(image) * 1.01, 1.0))
    assert not run_self_test("cpu").passed
