import signal

import pytest
from click.testing import CliRunner

from sleap_nn import system_info
from sleap_nn.cli.main import cli


def test_sigterm_is_obeyed_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_info, "get_startup_info_string", lambda: signal.raise_signal(signal.SIGTERM))
    result = CliRunner().invoke(cli, ["train", "config.yaml"])
    assert result.exit_code == 75
    assert result.output.endswith("Stopped by SIGTERM.\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
