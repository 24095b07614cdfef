import pytest

from sleap_nn.training.callbacks.wandb_keys import epoch_values, old_values, picture_keys


def test_values_have_todays_names() -> None:
    values = {"train/loss": 1.0, "learning_rate": 0.5, "train/samples_per_sec": 3.0}
    assert epoch_values(values) == {"train/loss": 1.0, "train/lr": 0.5, "train/samples_per_sec": 3.0}


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("train/loss", ["train_loss"]),
        ("val/loss", ["val_loss"]),
        ("train/time", ["train_time"]),
        ("val/time", ["val_time"]),
        ("learning_rate", ["learning_rate", "lr-AdamW"]),
        ("train/confmaps_loss", ["train_confmap_loss"]),
        ("val/confmaps_loss", ["val_confmap_loss"]),
        ("train/paf_loss", ["train_paf_loss"]),
        ("val/classmap_loss", ["val_classmap_loss"]),
        ("train/classvector_loss", ["train_classvector_loss"]),
        ("train/confmaps/nose", ["nose"]),
        ("train/confmaps/tail/tip", ["tail/tip"]),
        ("train/confmaps/loss", []),
        ("train/confmaps/epoch", []),
        ("train/class_accuracy", []),
        ("train/steps_per_sec", []),
        ("eval/val/mOKS", []),
    ],
)
def test_values_that_had_another_name_are_there_twice(name: str, old: list[str]) -> None:
    assert old_values({name: 0.5}, "AdamW") == dict.fromkeys(old, 0.5)


def test_pictures_have_both_names() -> None:
    assert picture_keys("val", "predictions") == ("viz/val/predictions", "val_predictions")
    assert picture_keys("train", "predictions", "_boxes") == ("viz/train/predictions_boxes", "train_predictions_boxes")
