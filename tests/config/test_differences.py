from sleap_nn.config.differences import Difference, differences
from sleap_nn.config.training_job_config import TrainingJobConfig

MODEL = {"backbone_config": {"unet": {}}, "head_configs": {"single_instance": {}}}


def config(**trainer: object) -> TrainingJobConfig:
    return TrainingJobConfig.from_cfg({"model_config": MODEL, "trainer_config": trainer})


def keys(found: list[Difference]) -> dict[str, tuple[object, object]]:
    return {difference.key: (difference.value, difference.reference) for difference in found}


def test_a_model_that_is_only_chosen_differs_by_its_sections():
    assert keys(differences(config())) == {
        "model_config.backbone_config.unet": ({}, None),
        "model_config.head_configs.single_instance": ({}, None),
    }


def test_values_are_named_with_their_defaults_in_the_order_of_declaration():
    found = keys(differences(config(max_epochs=7, optimizer={"lr": 0.5}, early_stopping={"patience": 3})))
    changed = {key: value for key, value in found.items() if key.startswith("trainer_config")}
    assert list(changed.items()) == [
        ("trainer_config.max_epochs", (7, 100)),
        ("trainer_config.optimizer.lr", (0.5, 1e-4)),
        ("trainer_config.early_stopping.patience", (3, 10)),
    ]


def test_a_section_that_is_absent_by_default_is_compared_with_its_own_defaults():
    job = TrainingJobConfig.from_cfg({"model_config": MODEL | {"backbone_config": {"unet": {"filters": 5}}}})
    assert keys(differences(job))["model_config.backbone_config.unet.filters"] == (5, 32)


def test_a_section_that_was_taken_away_is_named():
    assert keys(differences(config(lr_scheduler=None)))["trainer_config.lr_scheduler"] == (None, {})


def test_the_other_configuration_may_be_given():
    a, b = config(max_epochs=7, seed=1), config(max_epochs=8, seed=1)
    assert keys(differences(a, b)) == {"trainer_config.max_epochs": (7, 8)}
    assert differences(a, a) == []


def test_secrets_and_versions_are_left_out():
    trainer = {"wandb": {"api_key": "0123", "project": "p"}}
    job = TrainingJobConfig.from_cfg({"model_config": MODEL, "trainer_config": trainer, "sleap_nn_version": "0.0"})
    found = differences(job)
    assert "trainer_config.wandb.project" in keys(found)
    assert "0123" not in str(found)
    assert "sleap_nn_version" not in keys(found)
