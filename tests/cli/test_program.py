import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, sys, threading, time
import click
from sleap_nn.cli import program

def late():
    time.sleep(0.3)
    print("thread", end=" ")

def command(prog_name):
    import torch
    atexit.register(lambda: print("registered", end=" "))
    threading.Thread(target=late).start()
    print("done", end=" ")
    {ending}

program.cli = command
program.run()
"""


def run(ending: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM.format(ending=ending)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(75)", 75, ""),
        ("sys.exit('what is wrong')", 1, "what is wrong"),
        ("raise ZeroDivisionError", 1, "ZeroDivisionError"),
    ],
)
def test_the_end_is_quick_but_complete(ending: str, code: int, error: str) -> None:
    """Threads end, registered functions are called, output is written, and the exit code is kept."""
    ended = run(ending)
    assert ended.returncode == code
    assert ended.stdout == "done thread registered "
    assert error in ended.stderr
    assert bool(ended.stderr) == bool(error)


def test_libraries_are_not_unloaded() -> None:
    """An object that lives until the interpreter is taken apart is never deleted."""
    ending = "sys.keeper = type('Keeper', (), {'__del__': lambda self: print('unloaded')})(); sys.exit()"
    assert "unloaded" not in run(ending).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    command = [sys.executable, "-c", PROGRAM.format(ending="sys.exit()")]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered, timeout=120, check=False)
    assert ended.returncode == 120
