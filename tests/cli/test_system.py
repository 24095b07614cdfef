from click.testing import CliRunner

from sleap_nn.cli import cli


def test_system_reports_tables_and_checks():
    result = CliRunner().invoke(cli, ["system"])
    assert result.exit_code == 0
    for words in ("System Information", "Accelerator", "Precision", "Package Versions", "pytorch-lightning"):
        assert words in result.stdout
    assert result.stdout.splitlines()[-1] in ("-- No GPU available (using CPU)", "OK PyTorch can use GPU")


def test_system_has_no_options():
    assert CliRunner().invoke(cli, ["system", "--device", "cpu"]).exit_code == 2
