import copy
import json
from pathlib import Path

import pytest

from sleap_nn.compat.sleap_json import is_profile, translate
from sleap_nn.config.training_job_config import TrainingJobConfig

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "legacy_config_mapping.json").read_text())

INTENDED = {
    # The rule of 0.3.5: an effect that is off in the profile is off.
    "data_config.augmentation_config.geometric.scale_p": 0.0,
    "data_config.augmentation_config.geometric.affine_p": 0.0,
    # Profiles count grey values from 0 to 255, today's options from 0 to 1.
    "data_config.augmentation_config.intensity.gaussian_noise_mean": 5 / 255,
    "data_config.augmentation_config.intensity.gaussian_noise_std": 1 / 255,
    "trainer_config.run_name": "run1",
    "trainer_config.zmq.publish_port": None,
}
"""What the golden result of an earlier version has otherwise, and what the profile means."""


def profile(**changes) -> dict:
    """Return the golden profile with values at dotted paths replaced; ``__`` stands for a dot."""
    tree = copy.deepcopy(GOLDEN["legacy"])
    for path, value in changes.items():
        *sections, name = path.split("__")
        place = tree
        for section in sections:
            place = place[section]
        place[name] = value
    return tree


def flat(tree: dict, prefix: str = "") -> dict:
    """Return dotted path -> value."""
    leaves = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key: value}
    return leaves


def rounded(value: object) -> object:
    return round(value, 12) if isinstance(value, float) else value


def outcomes(tree: dict) -> dict[str, str]:
    return {note.key: note.outcome for note in translate(tree).notes}


def test_the_golden_profile() -> None:
    config = TrainingJobConfig.from_cfg(translate(GOLDEN["legacy"]).tree)
    expected = flat(GOLDEN["mapped_0.3.3"]) | INTENDED
    found = flat(config.public_tree())
    expected["sleap_nn_version"] = found["sleap_nn_version"]
    assert {name: rounded(value) for name, value in found.items()} == {
        name: rounded(value) for name, value in expected.items()
    }


def test_every_key_of_the_profile_is_accounted_for() -> None:
    set_keys = {key for key, value in flat(GOLDEN["legacy"]).items() if value is not None}
    found = outcomes(GOLDEN["legacy"])
    assert set(found) == set_keys - {"data.labels.skeletons"}
    assert "unknown" not in found.values()
    assert outcomes(profile(optimization__epochs_of_glory=3))["optimization.epochs_of_glory"] == "unknown"


def test_the_profile_is_not_changed() -> None:
    before = profile()
    translate(before)
    assert before == GOLDEN["legacy"]


@pytest.mark.parametrize(
    ("parts", "name"),
    [(("a_", "b", "_c"), "a_b_c"), (("", "b", None), "b"), ((None, None, None), None), (("a", None, None), "a")],
)
def test_the_name_of_a_run_is_put_together(parts: tuple, name: str | None) -> None:
    prefix, run_name, suffix = parts
    tree = translate(
        profile(outputs__run_name_prefix=prefix, outputs__run_name=run_name, outputs__run_name_suffix=suffix)
    ).tree
    assert tree["trainer_config"]["run_name"] == name


@pytest.mark.parametrize("flag", ["rotate", "scale", "uniform_noise", "gaussian_noise", "contrast", "brightness"])
@pytest.mark.parametrize("is_on", [True, False])
def test_effects_are_on_where_the_profile_says_so(flag: str, is_on: bool) -> None:
    tree = translate(profile(**{f"optimization__augmentation_config__{flag}": is_on})).tree
    augmentation = flat(tree["data_config"]["augmentation_config"])
    name = {"rotate": "geometric.rotation_p", "scale": "geometric.scale_p"}.get(flag, f"intensity.{flag}_p")
    assert augmentation[name] == float(is_on)


def test_only_horizontal_flips_are_carried_over() -> None:
    changed = profile(optimization__augmentation_config__flip_horizontal=False)
    assert translate(changed).tree["data_config"]["augmentation_config"]["geometric"]["flip_p"] == 0.0
    assert outcomes(changed)["optimization.augmentation_config.flip_horizontal"] == "dropped"


def test_without_a_plateau_rule_the_learning_rate_stays() -> None:
    tree = translate(profile(optimization__learning_rate_schedule__reduce_on_plateau=False)).tree
    assert tree["trainer_config"]["lr_scheduler"] == {"reduce_lr_on_plateau": None}


def test_weights_to_start_from_serve_backbone_and_heads() -> None:
    model = translate(profile(model__base_checkpoint="old/best_model.h5")).tree["model_config"]
    assert model["pretrained_backbone_weights"] == model["pretrained_head_weights"] == "old/best_model.h5"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({"single_instance": {"part_names": ["a"], "sigma": 2.0, "output_stride": 4}}, "single_instance"),
        ({"centroid": {"anchor_part": None, "sigma": 2.0, "output_stride": 4}}, "centroid"),
        (
            {
                "multi_instance": {
                    "confmaps": {"part_names": ["a", "b"], "sigma": 2.0, "output_stride": 2, "offset_refinement": True},
                    "pafs": {"edges": [["a", "b"]], "output_stride": 4},
                }
            },
            "bottomup",
        ),
        (
            {
                "multi_class_topdown": {
                    "confmaps": {"anchor_part": "a", "part_names": ["a"], "sigma": 2.0, "output_stride": 2},
                    "class_vectors": {"classes": ["x"], "num_fc_layers": 3, "output_stride": 16},
                }
            },
            "multi_class_topdown",
        ),
    ],
)
def test_heads(head: dict, expected: str) -> None:
    config = TrainingJobConfig.from_cfg(translate(profile(model__heads=head)).tree)
    assert config.model_config.head_configs.which_oneof_attrib_name() == expected
    section = config.model_config.head_configs.which_oneof()
    assert section.confmaps.sigma == 2.0
    if expected == "bottomup":
        assert (section.pafs.sigma, section.pafs.edges) == (15.0, [["a", "b"]])
    if expected == "multi_class_topdown":
        assert (section.class_vectors.num_fc_layers, section.class_vectors.num_fc_units) == (3, 1024)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__backbone": {"unet": None, "leap": {"filters": 8}}}, "model.backbone is leap; only unet"),
        ({"model__backbone": {}}, "model.backbone is none"),
        ({"model__heads": {}}, "model.heads sets no head"),
        ({"model__heads": {"centroid": {}, "single_instance": {}}}, "centroid, single_instance; exactly one"),
        ({"model__heads": {"tail_wag": {}}}, "'tail_wag'"),
    ],
)
def test_what_cannot_be_carried_over_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        translate(profile(**changes))


def test_other_files_are_no_profiles() -> None:
    assert is_profile(GOLDEN["legacy"])
    assert not is_profile({"data_config": {}, "model_config": {}})
    with pytest.raises(ValueError, match="no training profile"):
        translate({"data": {}})
