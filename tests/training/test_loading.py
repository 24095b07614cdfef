import pytest

from sleap_nn.training.loading import device_steps


@pytest.mark.parametrize(
    ("steps", "num_devices", "each"), [(200, 1, 200), (200, 4, 50), (7, 2, 4), (9, 2, 4), (1, 4, 1), (3, 8, 1)]
)
def test_steps_are_divided_over_devices(steps: int, num_devices: int, each: int) -> None:
    assert device_steps(steps, num_devices) == each
