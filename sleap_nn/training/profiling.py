"""Where training time goes: the engine's profilers, with their output in the run folder."""

from __future__ import annotations

import logging
from pathlib import Path

from lightning.pytorch.profilers import AdvancedProfiler, PassThroughProfiler, Profiler, PyTorchProfiler, SimpleProfiler

from sleap_nn.log import logger

FILE = "profile"


def make_profiler(name: str | None, folder: Path | None, shared: bool = False) -> Profiler | None:
    """Return a profiler by its name in the configuration, None for none.

    ``simple`` sums up the time of every step of the loop, ``advanced`` that of every function, ``pytorch`` that of
    every operation, with a trace for a timeline viewer; ``passthrough`` measures nothing.

    Args:
        name: ``simple``, ``advanced``, ``pytorch``, ``passthrough`` or None.
        folder: Where ``fit-profile.txt`` is written; None prints it.
        shared: Whether several processes train, of which the first one is measured; the file then is
            ``fit-profile-0.txt``.
    """
    if name is None:
        return None
    file = None if folder is None else FILE
    if folder is None:
        logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # past the silence of `engine.quiet`
    elif name != "passthrough":
        logger.info("Where the time goes will be in %s.", folder / f"fit-{FILE}{'-0' if shared else ''}.txt")
    if name == "simple":
        return SimpleProfiler(folder, file)
    if name == "advanced":
        return AdvancedProfiler(folder, file)
    if name == "pytorch":
        return PyTorchProfiler(folder, file, export_to_chrome=folder is not None, acc_events=True)
    return PassThroughProfiler()
