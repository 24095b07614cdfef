from typing import Any

import pytest

from sleap_nn.config.availability import check_available
from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking, in_effect
from sleap_nn.errors import ConfigError, UsageError


@pytest.mark.parametrize("name", ["post_connect_single_breaks", "tracking_pre_cull_to_target", "use_kalman"])
def test_what_needs_the_number_of_animals_takes_it_from_max_instances(name: str) -> None:
    config = TrackerConfig(**{name: True if name != "tracking_pre_cull_to_target" else 1})
    assert complete_tracking(config, max_instances=3).tracking_target_instance_count == 3
    with pytest.raises(ConfigError, match=f"^{name} needs the number of animals"):
        complete_tracking(config)


def test_the_number_itself_wins_over_max_instances() -> None:
    config = TrackerConfig(use_kalman=True, tracking_target_instance_count=2)
    assert complete_tracking(config, max_instances=5).tracking_target_instance_count == 2


def test_max_instances_says_nothing_where_it_is_not_needed() -> None:
    assert complete_tracking(TrackerConfig(), max_instances=5) == TrackerConfig()


def test_joining_breaks_limits_the_tracks() -> None:
    config = TrackerConfig(post_connect_single_breaks=True)
    assert complete_tracking(config, max_instances=4).max_tracks == 4


def test_the_filter_is_content_with_a_largest_number_of_tracks() -> None:
    assert complete_tracking(TrackerConfig(use_kalman=True, max_tracks=3)).max_tracks == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use_kalman": True, "use_flow": True}, "exclude each other"),
        ({"features": "image", "use_flow": True}, "nothing to do"),
        ({"tracker": "global", "use_flow": True}, "^use_flow has no effect with tracker=global"),
        ({"tracker": "global", "scoring_method": "iou"}, "^scoring_method has no effect"),
        ({"tracker": "global", "features": "bboxes"}, "^features has no effect"),
    ],
)
def test_options_that_contradict_each_other(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        complete_tracking(TrackerConfig(**settings), max_instances=2)


@pytest.mark.parametrize("settings", [{"features": "masks"}, {"scoring_method": "mask_iou"}])
def test_masks_are_not_tracked_yet(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not available yet"):
        check_available(TrackerConfig(**settings))


def test_what_was_chosen_on_purpose() -> None:
    assert not TrackerConfig().was_chosen("features")
    assert TrackerConfig(features_explicit=True).was_chosen("features")
    assert TrackerConfig(features="bboxes").was_chosen("features")
    assert not TrackerConfig(features="bboxes", features_explicit=False).was_chosen("features")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"features": "bboxes"}, ("bboxes", "iou")),
        ({"features": "centroids"}, ("centroids", "euclidean_dist")),
        ({"scoring_method": "iou"}, ("bboxes", "iou")),
        ({"scoring_method": "euclidean_dist"}, ("keypoints", "euclidean_dist")),
        ({"features": "bboxes", "scoring_method": "cosine_sim"}, ("bboxes", "cosine_sim")),
    ],
)
def test_what_is_left_open_suits_what_was_chosen(chosen: dict[str, Any], expected: tuple[str, str]) -> None:
    explicit = {f"{name}_explicit": name in chosen for name in ("features", "scoring_method")}
    used = in_effect(complete_tracking(TrackerConfig(**chosen, **explicit)), num_nodes=3)
    assert (used.features, used.scoring_method) == expected


def test_what_cannot_be_compared_is_refused_at_once() -> None:
    config = TrackerConfig(
        features="keypoints", scoring_method="iou", features_explicit=True, scoring_method_explicit=True
    )
    with pytest.raises(UsageError, match="iou does not compare keypoints; choose oks or cosine_sim"):
        complete_tracking(config)


def test_a_largest_number_of_tracks_needs_a_memory_for_each() -> None:
    assert in_effect(TrackerConfig(max_tracks=3), 2).candidates_method == "local_queues"
    used = in_effect(complete_tracking(TrackerConfig(use_kalman=True), max_instances=4), 2)
    assert (used.candidates_method, used.max_tracks) == ("local_queues", 4)
    assert in_effect(TrackerConfig(), 2) == TrackerConfig()


def test_a_node_that_is_not_there_cannot_be_followed() -> None:
    config = TrackerConfig(use_kalman=True, max_tracks=2, kf_node_indices=[0, 3])
    assert in_effect(config, 4).kf_node_indices == [0, 3]
    with pytest.raises(ConfigError, match=r"^kf_node_indices names node 3, but the skeleton has 3 node\(s\)"):
        in_effect(config, 3)
