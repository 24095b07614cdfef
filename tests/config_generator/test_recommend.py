from dataclasses import replace
from typing import Any

import pytest
from factories import make_labels

from sleap_nn.config_generator import DatasetStats, analyze_labels, recommend_config, recommend_pipeline
from sleap_nn.errors import ConfigError


@pytest.fixture(scope="module")
def stats() -> DatasetStats:
    """Return the facts of two animals of 50 px on images of 96 px, with edges and tracks."""
    return analyze_labels(make_labels(3, height=64, width=96, num_animals=2))


@pytest.mark.parametrize(
    ("facts", "pipeline", "reason"),
    [
        ({"max_instances": 1}, "single_instance", "more than one animal"),
        ({"max_instances": 1, "node_names": ("a",), "edges": ()}, "single_instance", "more than one animal"),
        ({"node_names": ("a",), "edges": ()}, "centroid", "a single node"),
        ({"largest_share": 0.19}, "topdown", "takes 19% of its image"),
        ({"largest_share": 0.2}, "bottomup", "takes 20% of its image"),
        ({"largest_share": 0.5, "edges": ()}, "topdown", "no edges"),
    ],
)
def test_the_pipeline(stats: DatasetStats, facts: dict[str, Any], pipeline: str, reason: str) -> None:
    advice = recommend_pipeline(replace(stats, **facts))
    assert advice.recommended == pipeline
    assert reason in advice.reason


def test_other_pipelines_that_the_labels_allow(stats: DatasetStats) -> None:
    assert recommend_pipeline(stats).alternatives == (
        "centroid",
        "topdown",
        "multi_class_bottomup",
        "multi_class_topdown",
    )
    assert recommend_pipeline(replace(stats, edges=(), track_names=())).alternatives == ("centroid",)


@pytest.mark.parametrize(
    ("facts", "backbone"),
    [
        ({"largest_box": 200, "width": 1024}, "unet_medium_rf"),
        ({"largest_box": 201}, "unet_large_rf"),
        ({"width": 1025}, "unet_large_rf"),
    ],
)
def test_the_backbone(stats: DatasetStats, facts: dict[str, Any], backbone: str) -> None:
    assert recommend_config(replace(stats, **facts)).backbone == backbone


@pytest.mark.parametrize(
    ("side", "scale", "batch_size"),
    [(512, 1.0, 8), (513, 1.0, 4), (1024, 1.0, 4), (1025, 0.5, 2), (2048, 0.5, 2), (2049, 0.25, 2)],
)
def test_scale_and_batch_size_by_the_size_of_images(
    stats: DatasetStats, side: int, scale: float, batch_size: int
) -> None:
    advice = recommend_config(replace(stats, height=side))
    assert (advice.frame.input_scale, advice.frame.batch_size) == (scale, batch_size)
    assert (advice.crop.input_scale, advice.crop.batch_size) == (1.0, 8)


@pytest.mark.parametrize(("box", "sigma"), [(100, 2.5), (101, 5.0), (250, 5.0), (251, 7.5)])
def test_sigma_by_the_size_of_animals(stats: DatasetStats, box: float, sigma: float) -> None:
    advice = recommend_config(replace(stats, largest_box=box))
    assert advice.frame.sigma == advice.crop.sigma == sigma
    assert recommend_config(replace(stats, largest_box=box, width=3000)).frame.sigma == 2.5  # of a quarter of it


def test_rotation_by_the_view(stats: DatasetStats) -> None:
    assert recommend_config(stats, "top").rotation == (-180, 180)
    assert recommend_config(stats, "side").rotation == (-15, 15)
    for apparent, view in ((None, "side"), ("side", "side"), ("top", "top")):
        assert recommend_config(replace(stats, apparent_view=apparent)).view == view
    assert recommend_config(replace(stats, apparent_view="top"), "side").view == "side"
    with pytest.raises(ConfigError, match="no view 'below'; choose one of side, top"):
        recommend_config(stats, "below")


def test_few_frames_are_kept_in_memory(stats: DatasetStats) -> None:
    assert recommend_config(stats).keep_frames_in_memory
    assert not recommend_config(replace(stats, num_frames=10**6)).keep_frames_in_memory
