from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from factories import make_labels
from omegaconf import OmegaConf

from sleap_nn.cli import cli, config_dialogue
from sleap_nn.config.training_job_config import TrainingJobConfig

Dialogue = Callable[..., Result]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "mice.slp"
    make_labels(4, height=64, width=96, num_animals=2, path=path, embed=False)
    return path


@pytest.fixture
def dialogue(monkeypatch: pytest.MonkeyPatch) -> Dialogue:
    """Return the command with answers, one a line, as if there were a terminal."""
    monkeypatch.setattr(config_dialogue, "is_terminal", lambda: True)
    return lambda *args, answers: CliRunner().invoke(cli, ["config", *map(str, args)], input="\n".join([*answers, ""]))


def test_return_takes_what_is_recommended(labels: Path, dialogue: Dialogue) -> None:
    path = labels.with_name("mice_config.yaml")
    result = dialogue(labels, answers=[""] * 7)
    assert (result.exit_code, result.stdout) == (0, f"Saved config to: {path}\n")
    asked = TrainingJobConfig.load(path)
    CliRunner().invoke(cli, ["config", str(labels), "--auto"])
    auto = TrainingJobConfig.load(path)
    assert asked.model_config == auto.model_config
    assert asked.data_config == auto.data_config
    assert asked.trainer_config == auto.trainer_config
    assert "* bottomup" in result.stderr
    assert "- single_instance" in result.stderr
    assert f"sleap-nn train {path}" in result.stderr


def test_every_answer_acts(labels: Path, dialogue: Dialogue, tmp_path: Path) -> None:
    answers = ["topdown", "top", "unet", "0.5", "3", "20", "neck", str(tmp_path / "pair.yaml")]
    result = dialogue(answers=["nowhere.slp", f"'{labels}'", *answers])
    assert result.exit_code == 0
    assert "nowhere.slp does not exist" in result.stderr
    paths = [tmp_path / "pair_centroid.yaml", tmp_path / "pair_centered_instance.yaml"]
    assert result.stdout == f"Saved centroid config to: {paths[0]}\nSaved instance config to: {paths[1]}\n"
    for path in paths:
        config = TrainingJobConfig.load(path)
        assert config.data_config.augmentation_config is not None
        assert config.data_config.augmentation_config.geometric is not None
        assert config.data_config.augmentation_config.geometric.rotation_max == 180
        assert config.model_config.backbone_config.unet is not None
        assert config.model_config.backbone_config.unet.filters_rate == 1.5
        assert config.data_config.preprocessing.scale == 0.5
        assert config.trainer_config.train_data_loader.batch_size == 3
        assert config.trainer_config.max_epochs == 20
        assert config.model_config.head_configs.which_oneof().confmaps.anchor_part == "neck"


def test_wrong_answers_are_asked_for_again(labels: Path, dialogue: Dialogue, tmp_path: Path) -> None:
    answers = ["topdwon", "bottomup", "below", "side", "resnet", "", "-1", "1", "0", "2", "many", "5"]
    result = dialogue(labels, "-o", tmp_path / "config.yaml", answers=answers)
    assert result.exit_code == 0
    assert TrainingJobConfig.load(tmp_path / "config.yaml").trainer_config.max_epochs == 5
    assert result.stderr.count("Error: ") == 6


def test_options_are_answers(labels: Path, dialogue: Dialogue) -> None:
    result = dialogue(labels, "--pipeline", "centroid", "--view", "top", "--show-yaml", answers=[""] * 5)
    config = TrainingJobConfig.from_cfg(OmegaConf.create(result.stdout))
    assert config.model_config.head_configs.centroid is not None
    assert "Which models" not in result.stderr
    assert "the camera" not in result.stderr


def test_a_pipeline_that_the_labels_do_not_allow_is_asked_for_again(dialogue: Dialogue, tmp_path: Path) -> None:
    labels = make_labels(4, num_animals=2, path=tmp_path / "plain.slp", embed=False)
    for frame in labels.labeled_frames:
        for instance in frame.instances:
            instance.track = None
    labels.tracks = []
    labels.save(str(tmp_path / "no_tracks.slp"), embed=False, verbose=False)
    answers = ["multi_class_bottomup", "bottomup", *[""] * 6]
    result = dialogue(tmp_path / "no_tracks.slp", answers=answers)
    assert result.exit_code == 0
    assert "The labels have no tracks" in result.stderr


def test_a_file_that_is_there_is_kept_unless_the_user_says_so(labels: Path, dialogue: Dialogue, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("mine")
    answers = [*[""] * 6, "n", str(tmp_path / "new.yaml")]
    assert dialogue(labels, "-o", tmp_path / "old.yaml", answers=answers).exit_code == 0
    assert (tmp_path / "old.yaml").read_text() == "mine"
    assert (tmp_path / "new.yaml").exists()
    dialogue(labels, "-o", tmp_path / "old.yaml", answers=[*[""] * 6, "y"])
    assert (tmp_path / "old.yaml").read_text() == (tmp_path / "new.yaml").read_text()


def test_a_file_that_training_does_not_take_is_asked_for_again(
    labels: Path, dialogue: Dialogue, tmp_path: Path
) -> None:
    answers = [*[""] * 6, str(tmp_path / "new.txt"), str(tmp_path / "new.yaml")]
    result = dialogue(labels, answers=answers)
    assert result.exit_code == 0
    assert "new.txt does not end in .yaml" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new.yaml"]


def test_the_end_of_input_ends_the_dialogue(labels: Path, dialogue: Dialogue, tmp_path: Path) -> None:
    result = dialogue(labels, "-o", tmp_path / "config.yaml", answers=["bottomup"])
    assert result.exit_code == 1
    assert result.stderr.endswith("Aborted.\n")
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nothing_is_asked(labels: Path) -> None:
    result = CliRunner().invoke(cli, ["config", str(labels)], input="bottomup\n")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Questions need a terminal, and there is none; add --auto")
    assert f"sleap-nn config {labels} --auto" in result.stderr
