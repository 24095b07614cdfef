import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import sys
import torch
from sleap_nn.networks.host_memory import keep_host_memory

print(keep_host_memory() if sys.argv[1] == "kept" else None)
big = torch.zeros(64 * 2**20)
del big
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    big = torch.ones(16 * 2**20)
    del big
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(kept: str, **environment: str) -> tuple[str, int]:
    """Return what the function said, and how many pages the system had to give for what was freed before."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "THP_", "GLIBC_"))}
    command = [sys.executable, "-c", SCRIPT, kept]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    answer, faults = done.stdout.split()
    return answer, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this system has another C library")
def test_freed_memory_is_used_again_and_not_fetched_anew() -> None:
    (_, usual), (answer, kept) = run("usual"), run("kept")
    assert answer == "True"
    assert usual > 10_000
    assert kept < usual / 20


def test_who_has_set_the_allocator_keeps_it() -> None:
    answer, _ = run("kept", MALLOC_TRIM_THRESHOLD_="131072")
    assert answer == "False"
