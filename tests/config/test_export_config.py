import pytest

from sleap_nn.config.export_config import ExportConfig
from sleap_nn.config.inference_config import InferenceConfig
from sleap_nn.errors import ConfigError


def test_what_predictions_have_as_well_is_the_same_there() -> None:
    export, prediction = ExportConfig(), InferenceConfig(model_paths=["run"])
    assert export.n_line_points == prediction.n_points
    assert export.max_edge_length_ratio == prediction.max_edge_length_ratio
    assert export.dist_penalty_weight == prediction.dist_penalty_weight


@pytest.mark.parametrize(
    "name",
    [
        "input_scale",
        "input_height",
        "crop_size",
        "n_line_points",
        "max_instances",
        "max_peaks_per_node",
        "max_batch_size",
    ],
)
@pytest.mark.parametrize("value", [0, 10**9])
def test_sizes_without_use_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*{value}"):
        ExportConfig(**{name: value})
