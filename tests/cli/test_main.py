import subprocess
import sys
import types

import click
import pytest
from click.testing import CliRunner

from sleap_nn import errors
from sleap_nn.cli import cli
from sleap_nn.cli.main import COMMANDS
from sleap_nn.cli.options import Command
from sleap_nn.version import __version__

HEAVY = ("torch", "lightning", "sleap_io", "numpy", "cv2", "omegaconf", "pydantic", "rich", "matplotlib")


@pytest.fixture
def add_command(monkeypatch):
    """List a command of the test under the name "fake"; its body is the function given."""

    def add(function):
        module = types.ModuleType("fake_command")
        module.command = click.command("fake", cls=Command)(function)
        monkeypatch.setitem(sys.modules, "fake_command", module)
        monkeypatch.setitem(COMMANDS, "fake", ("fake_command:command", "A command of the tests."))

    return add


def invoke(*args):
    return CliRunner().invoke(cli, list(args), prog_name="sleap-nn")


def test_help_lists_every_command_without_importing_heavy_packages():
    program = (
        "import sys\n"
        "from sleap_nn.cli import cli\n"
        "try: cli(['--help'], prog_name='sleap-nn')\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"print('imported', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in answer.stdout for name in COMMANDS)
    assert answer.stdout.splitlines()[-1] == "imported []"


def test_every_command_can_be_imported_and_shows_examples():
    for name in COMMANDS:
        for flag in ("-h", "--help"):
            result = invoke(name, flag)
            assert result.exit_code == 0, f"{name}: {result.output}"
            assert f"Usage: sleap-nn {name}" in result.output
            assert "Examples:\n" in result.output, name


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_exits_0(flag):
    result = invoke(flag)
    assert result.exit_code == 0
    assert "Exit codes:" in result.stdout


def test_no_command_prints_the_list_and_exits_2():
    result = invoke()
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize("flag", ["-v", "--version"])
def test_version_is_one_line(flag):
    result = invoke(flag)
    assert (result.exit_code, result.stdout) == (0, f"sleap-nn {__version__}\n")


def test_module_is_the_same_program():
    answer = subprocess.run([sys.executable, "-m", "sleap_nn.cli", "-v"], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout) == (0, f"sleap-nn {__version__}\n")


def test_unknown_command_names_the_nearest():
    result = invoke("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'. Did you mean 'train'?" in result.stderr


def test_unknown_command_without_a_near_name_lists_all():
    result = invoke("xyzzy")
    assert result.exit_code == 2
    assert ", ".join(COMMANDS) in result.stderr


def test_unknown_option_names_the_nearest():
    result = invoke("system", "--hepl")
    assert result.exit_code == 2
    assert "--help" in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.ConfigError("The key is wrong."), 1),
        (errors.MissingFileError("There is no file a.slp."), 1),
        (errors.TrainingCollapsedError("The network finds nothing."), 3),
    ],
)
def test_user_errors_are_one_line(add_command, error, exit_code):
    def command():
        raise error

    add_command(command)
    result = invoke("fake")
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr == f"Error: {error}\n"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, click.Abort])
def test_interrupts_are_reported_in_one_word(add_command, interrupt):
    def command():
        raise interrupt

    add_command(command)
    result = invoke("fake")
    assert (result.exit_code, result.stderr) == (1, "Aborted.\n")


def test_defects_keep_their_traceback(add_command):
    def command():
        raise KeyError("a defect")

    add_command(command)
    result = invoke("fake")
    assert result.exit_code == 1
    assert isinstance(result.exception, KeyError)


def test_closed_pipe_is_quiet():
    program = f"{sys.executable} -m sleap_nn.cli --help"
    answer = subprocess.run(["bash", "-c", f"{program} | true"], capture_output=True, text=True)
    assert answer.stderr == ""
