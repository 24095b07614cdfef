"""One logger for the package: ``YYYY-MM-DD HH:MM:SS | text``, information from rank 0 only.

Importing this module attaches no handler; commands call `configure` once.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

logger = logging.getLogger("sleap_nn")

_SIGN_OF_LIFE = "sign_of_life"
_MARK = "\x02"


def rank() -> int:
    """Return the local rank of this process from ``LOCAL_RANK``, -1 without one."""
    return int(os.environ.get("LOCAL_RANK", "-1"))


def speaks(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this process is the first of a training on several devices, or alone; others only report errors."""
    of_step = ("SLURM_PROCID",) if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1 else ()
    for name in ("RANK", *of_step, "LOCAL_RANK"):
        if name in environment:
            return int(environment[name]) <= 0
    return True


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send log lines to one stream, replacing what an earlier call set up.

    Args:
        stream: Where lines go; None means the standard output of the moment.
        level: Lowest level shown in the first process; others show errors only.
    """
    handler = logging.StreamHandler(sys.stdout if stream is None else stream)
    handler.setFormatter(logging.Formatter("%(asctime)s | %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logger.handlers[:] = [handler]
    logger.setLevel(level if speaks() else logging.ERROR)
    logger.propagate = False


def relay(level: int) -> None:
    """Send log lines to standard output in the form from which another process makes them again with `relayed`."""
    configure(sys.stdout, level)
    logger.handlers[0].setFormatter(logging.Formatter(f"{_MARK}%(levelno)d{_MARK}%(message)s"))


def relayed(line: str) -> bool:
    """Log a line that another process sent by `relay`; False if it is none."""
    if not line.startswith(_MARK):
        return False
    _, level, message = line.rstrip("\n").split(_MARK, 2)
    logger.log(int(level), "%s", message)
    return True


def redirect_logs_to_stderr() -> None:
    """Move log lines to standard error, so that standard output carries results only."""
    configure(sys.stderr)


@contextmanager
def quiet() -> Iterator[None]:
    """Show errors and signs of life only, for work that repeats what was said before."""
    logger.filters.insert(0, _is_worth_saying)  # before those that take a line for said
    try:
        yield
    finally:
        logger.filters.remove(_is_worth_saying)


def say_alive(line: str) -> None:
    """Log a sign of life, which quiet work gives as well."""
    logger.info("%s", line, extra={_SIGN_OF_LIFE: True})


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Tell whether quiet work shows a line."""
    return record.levelno >= logging.ERROR or _SIGN_OF_LIFE in record.__dict__
