"""How long a user waits before anything happens; at most 0.05 s for the import and 0.3 s for the help."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments",
    [["-c", "pass"], ["-c", "import sleap_nn"], ["-m", "sleap_nn.cli", "--help"]],
    ids=["python", "import", "help"],
)
def test_start_up(benchmark, arguments):
    command = [sys.executable, *arguments]
    benchmark.pedantic(
        subprocess.run, args=(command,), kwargs={"stdout": subprocess.DEVNULL}, rounds=7, warmup_rounds=1
    )
