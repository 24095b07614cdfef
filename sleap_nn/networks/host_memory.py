"""Memory of the host between two passes of a network: kept, instead of given back and asked for again."""

from __future__ import annotations

import ctypes
import os
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8
"""Parameters of ``mallopt`` in ``malloc.h`` of the GNU C library."""
_MOST = 2**31 - 1
_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"


@cache
def keep_host_memory() -> bool:
    """Let this process keep the memory of maps on the processor from one pass to the next; return whether it does.

    The GNU C library hands every large block back to the system when it is freed. The next pass asks for the same
    blocks, and the system clears them page by page, which takes as long as the convolutions. After this call blocks are
    kept and used again, by all threads, as the areas of their own cannot hold large ones, and PyTorch asks for large
    pages. The peak of memory grows by a few per cent, and is given back when the process ends. Has no effect where
    another library allocates, and none where the user has set how.
    """
    if any(name in os.environ for name in _BY_USER):
        return False
    os.environ.setdefault(_HUGE_PAGES, "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # Another C library; on Windows there is no handle of the program.
        return False
    return all([mallopt(_MMAP_THRESHOLD, _MOST), mallopt(_TRIM_THRESHOLD, _MOST), mallopt(_MOST_ARENAS, 1)])
