import math

import pytest

from sleap_nn.training.collapse import (
    NOTHING_FOUND,
    REMEDIES,
    HeadStrength,
    early_warnings,
    final_warnings,
    find_collapse,
    poor_on_train_text,
)


def bottomup(confmaps: float, pafs: float) -> tuple[HeadStrength, ...]:
    return (HeadStrength("confmaps", "confidence maps", confmaps), HeadStrength("pafs", "part affinity fields", pafs))


def classes(confmaps: float, vectors: float) -> tuple[HeadStrength, ...]:
    return (
        HeadStrength("confmaps", "confidence maps", confmaps),
        HeadStrength("class_vectors", "class vectors", vectors),
    )


def test_the_remedies_name_the_settings() -> None:
    for key in ("foreground_weight", "sigma", "output_stride", "preprocessing.scale", "optimizer.lr", "epochs"):
        assert key in REMEDIES


def test_a_healthy_network_is_no_news() -> None:
    assert early_warnings(bottomup(0.8, 0.6), 5) == []
    assert final_warnings(bottomup(0.8, 0.6)) == []
    assert final_warnings(classes(0.8, 0.6), 2, 0.9) == []
    for num_found in (1, None):
        assert find_collapse(bottomup(0.8, 0.6), num_found) is None


def test_flat_maps_are_named_first() -> None:
    (text,) = early_warnings(bottomup(0.0312, 0.01), 5)
    assert text == (
        "After 5 epochs the highest value of the confidence maps is 0.031 of 1: they have not risen. " + REMEDIES
    )
    assert final_warnings(bottomup(0.03, 0.01)) == []


def test_a_flat_head_beside_a_good_one_is_named() -> None:
    (text,) = early_warnings(bottomup(0.93, 0.021), 5)
    assert text == (
        "After 5 epochs the part affinity fields are still flat (0.021 of 1), while the confidence maps reach 0.93. "
        "Try a larger pafs.loss_weight, or more epochs."
    )
    (text,) = final_warnings(classes(0.93, 0.02), 2, 0.5)
    assert text.startswith(
        "Training ended with flat class vectors (0.020 of 1) beside confidence maps that reach 0.93."
    )
    assert "class_vectors.loss_weight" in text


@pytest.mark.parametrize(
    ("num_classes", "accuracy", "is_news"),
    [(2, 0.55, True), (2, 0.62, False), (4, 0.3, True), (4, 0.5, False), (2, None, False), (1, 1.0, False)],
)
def test_identities_that_are_guessed_are_named(num_classes: int, accuracy: float | None, is_news: bool) -> None:
    found = final_warnings(classes(0.9, 0.9), num_classes, accuracy)
    assert len(found) == is_news
    assert not is_news or f"right in {accuracy:.0%} of the validation" in found[0]


@pytest.mark.parametrize("num_found", [1, 500])
@pytest.mark.parametrize("height", [0.0, 0.1, 0.9, math.nan])
def test_a_network_that_finds_something_is_accepted(height: float, num_found: int) -> None:
    assert find_collapse(bottomup(height, 0.0), num_found) is None


def test_a_network_that_finds_nothing_is_of_no_use_whatever_is_known() -> None:
    start = "it finds no instance on the very frames it was trained on"
    assert find_collapse((), 0) == (start, REMEDIES)
    assert find_collapse(bottomup(math.nan, math.nan), 0) == (start, REMEDIES)
    assert find_collapse(bottomup(0.15, 0.5), 0) == (
        f"{start}; the highest value of its confidence maps is 0.150, and 0.2 makes a point",
        REMEDIES,
    )
    assert find_collapse(bottomup(0.85, 0.03), 0) == (
        f"{start}; its confidence maps reach 0.85 in validation, but its part affinity fields are flat (0.030 of 1)",
        "Try a larger pafs.loss_weight, or more epochs.",
    )
    assert find_collapse(bottomup(0.85, 0.9), 0) == (
        f"{start}; its confidence maps reach 0.85 in validation",
        NOTHING_FOUND,
    )


@pytest.mark.parametrize(("height", "is_refused"), [(0.0, True), (0.199, True), (0.2, False), (1.0, False)])
def test_without_predictions_the_maps_decide(height: float, is_refused: bool) -> None:
    found = find_collapse(bottomup(height, 0.5), None)
    assert (found is not None) == is_refused
    assert found is None or found.reason.endswith(f"is {height:.3f}, and 0.2 makes a point")


def test_without_any_knowledge_there_is_no_verdict() -> None:
    assert find_collapse((), None) is None
    assert find_collapse(bottomup(math.nan, math.nan), None) is None
    assert early_warnings((), 5) == final_warnings(()) == []


@pytest.mark.parametrize(
    ("found", "labelled", "similarity", "start"),
    [
        (3, 100, 0.9, "Of 100 labelled training instances only 3 were found."),
        (3, 100, None, "Of 100 labelled training instances only 3 were found."),
        (100, 100, 0.01, "On the training frames predicted points lie far from the labelled ones (mOKS 0.010)"),
        (100, 100, None, None),
        (20, 100, 0.1, None),
        (100, 100, math.nan, None),
    ],
)
def test_hardly_anything_on_the_training_frames(
    found: int, labelled: int, similarity: float | None, start: str | None
) -> None:
    text = poor_on_train_text(found, labelled, similarity)
    assert (text is None) == (start is None)
    assert text is None or text.startswith(str(start))
