"""The program ``sleap-nn``: the command group, and a quick end of its process."""

import atexit
import os
import sys

from sleap_nn.cli.main import cli

_NOT_WRITTEN = 120
"""Exit code of Python where standard output cannot be written to the end."""


def run() -> None:
    """Run the command that was asked for, and end the process.

    Once PyTorch is loaded, unloading its libraries takes half a second or more after everything is done, which is a
    fifth of a short prediction. The process ends without it. As always, threads are waited for, and what was registered
    to be done at the end is done before.
    """
    status = 1

    def leave() -> None:
        if "torch" in sys.modules:
            os._exit(status if _flushed() else status or _NOT_WRITTEN)

    atexit.register(leave)  # The first to be registered is the last to be called.
    try:
        cli(prog_name="sleap-nn")
    except SystemExit as end:
        status = _exit_code(end.code)
        raise


def _exit_code(code: object) -> int:
    """Return the exit code of a process that ends with `SystemExit`: a text is printed and means failure."""
    if code is None:
        return 0
    return code if isinstance(code, int) else 1


def _flushed() -> bool:
    """Write what is left of the output, and tell whether that was possible."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: it was closed before the program began
            stream.flush()
    except (OSError, ValueError):
        return False
    return True
