from pathlib import Path

import pytest
import torch

from sleap_nn.config_generator import ConfigGenerator, estimate_memory
from sleap_nn.errors import ConfigError


def test_an_estimate(generator_labels: Path) -> None:
    generator = ConfigGenerator.from_slp(generator_labels / "two.pkg.slp").pipeline("bottomup")
    state = torch.random.get_rng_state()
    need = generator.batch_size(2).memory_estimate()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (need.model_type, need.batch_size, need.image_shape) == ("bottomup", 2, (1, 64, 96))
    assert need.total_gpu_gb == need.weights_gb + need.activations_gb
    assert need.frames_gb == 6 * 64 * 96 / 1e9
    assert str(need).endswith("MB on a GPU for 2 sample(s) of 96 x 64 px with 1 channel(s), in the bottomup model")
    twice = generator.batch_size(4).memory_estimate()
    assert twice.activations_gb == pytest.approx(2 * need.activations_gb)
    assert twice.weights_gb == need.weights_gb
    assert generator.batch_size("auto").memory_estimate().batch_size == 1
    smaller = generator.input_scale(0.5).memory_estimate()
    assert smaller.image_shape == (1, 32, 48)


def test_of_a_pair_the_larger_counts(generator_labels: Path) -> None:
    generator = ConfigGenerator.from_slp(generator_labels / "two.pkg.slp").pipeline("topdown").crop_size(128)
    needs = [estimate_memory(generator.stats, config) for config in (generator.build_centroid(), generator.build())]
    assert [need.image_shape for need in needs] == [(1, 64, 96), (1, 128, 128)]
    assert generator.memory_estimate() == needs[1]


def test_a_configuration_that_does_not_fit_the_labels_is_refused(generator_labels: Path) -> None:
    generator = ConfigGenerator.from_slp(generator_labels / "two.pkg.slp").pipeline("bottomup")
    config = generator.build()
    config.data_config.preprocessing.crop_size = 64
    with pytest.raises(ConfigError, match="a bottomup model reads whole frames"):
        estimate_memory(generator.stats, config)
