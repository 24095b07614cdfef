import ast
import inspect

import pytest

from sleap_nn.compat import config_keys
from sleap_nn.compat.config_keys import (
    KEY_ALIASES,
    alias_of,
    aliases_in,
    canonical,
    canonical_keywords,
    canonical_path,
    centroid_source_name,
    digits_as_number,
    monitor_name,
    one_item_list,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"wandb_config": {"project": "p"}}, {"wandb": {"project": "p"}}),
        ({"trainer_steps_per_epoch": 7}, {"train_steps_per_epoch": 7}),
        ({"batch_size": 8}, {"train_data_loader": {"batch_size": 8}, "val_data_loader": {"batch_size": 8}}),
        (
            {"batch_size": 8, "val_data_loader": {"num_workers": 2}},
            {"train_data_loader": {"batch_size": 8}, "val_data_loader": {"num_workers": 2, "batch_size": 8}},
        ),
        (
            {"wandb_config": {"name": "n"}, "wandb": {"project": "p"}},
            {"wandb": {"project": "p", "name": "n"}},
        ),
        ({"wandb_config": {"name": "n"}, "wandb": {"name": "n"}}, {"wandb": {"name": "n"}}),
        ({"max_epochs": 3}, {"max_epochs": 3}),
    ],
)
def test_aliases_become_the_keys_they_stand_for(written, meant):
    assert canonical({"trainer_config": written, "name": "x"}) == {"trainer_config": meant, "name": "x"}


def test_canonical_changes_nothing_that_it_was_given():
    tree = {"trainer_config": {"batch_size": 2, "train_data_loader": {"shuffle": False}}}
    canonical(tree)
    assert tree == {"trainer_config": {"batch_size": 2, "train_data_loader": {"shuffle": False}}}


@pytest.mark.parametrize(
    "tree", [{}, {"trainer_config": None}, {"trainer_config": 3}, {"data_config": {"batch_size": 3}}]
)
def test_trees_without_aliases_stay_as_they_are(tree):
    assert canonical(tree) == tree


@pytest.mark.parametrize(
    ("trainer", "named"),
    [
        ({"batch_size": 2, "train_data_loader": {"batch_size": 4}}, "train_data_loader.batch_size"),
        ({"trainer_steps_per_epoch": 2, "train_steps_per_epoch": 4}, "train_steps_per_epoch"),
        ({"wandb_config": {"name": "a"}, "wandb": {"name": "b"}}, "wandb.name"),
        ({"wandb_config": {"name": "a"}, "wandb": None}, "trainer_config.wandb"),
    ],
)
def test_an_alias_and_its_key_with_different_values_are_refused(trainer, named):
    with pytest.raises(ValueError, match=named):
        canonical({"trainer_config": trainer})


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("trainer_config.wandb_config.project", ("trainer_config.wandb.project",)),
        ("trainer_config.wandb_config", ("trainer_config.wandb",)),
        ("trainer_config.wandb_configs", ("trainer_config.wandb_configs",)),
        ("trainer_config.batch_size", KEY_ALIASES["trainer_config.batch_size"]),
        ("data_config.provider", ("data_config.provider",)),
    ],
)
def test_paths(path, paths):
    assert canonical_path(path) == paths


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"geometric_aug": "scale"}, {"geometry_aug": "scale"}),
        ({"geometric_aug": "scale", "geometry_aug": "rotation"}, {"geometry_aug": "scale"}),
        ({"geometric_aug": None, "geometry_aug": "flip"}, {"geometry_aug": "flip"}),
        ({"geometric_aug": "flip", "geometry_aug": "flip"}, {"geometry_aug": "flip"}),
        (
            {"trainer_devices": 1, "init_weights": "xavier"},
            {"trainer_num_devices": 1, "init_weight": "xavier"},
        ),
        ({"seed": 3}, {"seed": 3}),
    ],
)
def test_other_keywords_of_train(given, meant):
    assert canonical_keywords(given, {"geometry_aug": "rotation"}) == meant


def test_two_names_of_one_keyword_with_different_values_are_refused():
    with pytest.raises(ValueError, match="geometric_aug and geometry_aug"):
        canonical_keywords({"geometric_aug": "scale", "geometry_aug": "flip"}, {"geometry_aug": "rotation"})


@pytest.mark.parametrize(
    ("convert", "given", "meant"),
    [
        (one_item_list, "a.slp", ["a.slp"]),
        (one_item_list, ["a.slp"], ["a.slp"]),
        (one_item_list, None, None),
        (digits_as_number, "2", 2),
        (digits_as_number, "auto", "auto"),
        (digits_as_number, "-1", "-1"),
        (digits_as_number, 3, 3),
        (monitor_name, "val_loss", "val/loss"),
        (monitor_name, "train_loss", "train/loss"),
        (monitor_name, "val/loss", "val/loss"),
        (monitor_name, ["val_loss"], ["val_loss"]),
        (centroid_source_name, "anchor", "computed"),
        (centroid_source_name, "user", "user"),
        (centroid_source_name, None, None),
    ],
)
def test_values(convert, given, meant):
    assert convert(given) == meant


def test_the_module_imports_nothing_of_the_package():
    imported = [
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(inspect.getsource(config_keys)))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert imported == ["collections.abc", "typing"]


def test_aliases_are_found():
    tree = {"trainer_config": {"wandb_config": None, "batch_size": 2, "max_epochs": 1}}
    assert aliases_in(tree) == ["trainer_config.wandb_config", "trainer_config.batch_size"]
    assert aliases_in({"trainer_config": 3}) == []


def test_the_alias_of_a_path():
    assert alias_of("trainer_config.wandb_config") == "trainer_config.wandb_config"
    assert alias_of("trainer_config.wandb_config.entity") == "trainer_config.wandb_config"
    assert alias_of("trainer_config.wandb_configuration") is None
    assert alias_of("trainer_config.wandb.entity") is None
