import signal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sleap_nn import system_info
from sleap_nn.cli import cli


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args), prog_name="sleap-nn")


@pytest.mark.parametrize("command", ["train", "preview"])
@pytest.mark.parametrize("first", ["labels.slp", "models/run", "config", "trainer_config.max_epochs=1"])
def test_arguments_without_a_configuration_are_not_passed_over_in_silence(command: str, first: str) -> None:
    result = run(command, first, "config.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: sleap-nn {command}")
    assert result.stderr.startswith(f"Nothing was done: {first!r} is no configuration file")
    assert run(command).stderr == ""


@pytest.mark.parametrize("command", ["train", "preview"])
def test_what_is_no_override_is_wrong_usage(command: str) -> None:
    result = run(command, "config.yaml", "trainer_config.max_epochs", "=5")
    assert result.exit_code == 2
    assert "'trainer_config.max_epochs' is no override" in result.stderr


def test_a_run_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run("train", "--resume", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert f"Error: The run folder {tmp_path / 'none'} does not exist; give the folder" in result.stderr


def test_sigterm_is_obeyed_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_info, "get_startup_info_string", lambda: signal.raise_signal(signal.SIGTERM))
    result = CliRunner().invoke(cli, ["train", "config.yaml"])
    assert result.exit_code == 75
    assert result.output.endswith("Stopped by SIGTERM.\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
