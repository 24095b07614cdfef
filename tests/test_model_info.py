from pathlib import Path

import pytest
from click.testing import CliRunner

from sleap_nn.cli import cli
from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.model_info import print_model_info

CONFIG = {"model_config": {"backbone_config": {"unet": {}}, "head_configs": {"centroid": {"confmaps": {}}}}}


def test_the_tables_of_the_command_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TrainingJobConfig.from_cfg(CONFIG).save(tmp_path / "training_config.yaml")
    print_model_info(tmp_path)
    printed = capsys.readouterr().out
    assert "Model type" in printed
    assert CliRunner().invoke(cli, ["info", str(tmp_path)]).stdout == printed


def test_what_cannot_be_read_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        print_model_info(tmp_path / "none")
    assert ended.value.code == 1
    assert "does not exist" in capsys.readouterr().err
