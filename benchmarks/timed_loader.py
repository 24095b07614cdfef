"""Run a console script and write down how long each batch took to come from its loader, and to reach its network.

``PYTHON timed_loader.py LOG SCRIPT ARGUMENT...`` with the interpreter of the release that is measured; it needs nothing
but PyTorch. Every line of the log is a batch: its size, the seconds that the program waited for it, and those from then
to the first convolution. Loaders without worker processes make the batch in the first time; what is done with a whole
batch before the network sees it is in the second. Nothing else of the program is looked at or changed.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.utils.data import dataloader


def _num_samples(batch: Any) -> int:
    """Return the length of the first tensor in a batch, 0 without one."""
    if isinstance(batch, torch.Tensor):
        return len(batch)
    entries = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return next((count for entry in entries if (count := _num_samples(entry))), 0)


def main() -> None:
    """Run the script."""
    path, script, *arguments = sys.argv[1:]
    torch.set_num_threads(1)
    following: Any = dataloader._BaseDataLoaderIter.__next__
    convolve = functional.conv2d
    batch: tuple[int, float, float] | None = None
    with Path(path).open("w", buffering=1) as log:

        def timed(loader: Any) -> Any:
            nonlocal batch
            start = time.perf_counter()
            values = following(loader)
            end = time.perf_counter()
            batch = _num_samples(values), end - start, end
            return values

        def noticed(*args: Any, **keywords: Any) -> Any:
            nonlocal batch
            if batch is not None:
                size, waited, end = batch
                log.write(f"{size} {waited:.9f} {time.perf_counter() - end:.9f}\n")
                batch = None
            return convolve(*args, **keywords)

        functional.conv2d = noticed
        setattr(dataloader._BaseDataLoaderIter, "__next__", timed)  # noqa: B010 - a type checker calls it final
        sys.argv = [script, *arguments]
        (entry,) = entry_points(group="console_scripts", name=script)
        entry.load()()


if __name__ == "__main__":
    main()
