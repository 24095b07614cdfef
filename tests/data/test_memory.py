import multiprocessing
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from other_process import write_byte

from sleap_nn.data.memory import SharedBytes, available_memory, linux_memory


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_another_process_writes_is_seen(method: str) -> None:
    memory = SharedBytes(5, between_processes=True)
    memory.array()[1] = 7
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=write_byte, args=(memory, index, 10 + index)) for index in (2, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert memory.array().tolist() == [0, 7, 12, 0, 14]


def test_a_pickled_copy_is_the_same_memory() -> None:
    memory = SharedBytes(3, between_processes=True)
    copy: SharedBytes = pickle.loads(pickle.dumps(memory))
    copy.array()[2] = 9
    assert memory.array().tolist() == [0, 0, 9]


def test_memory_of_one_process_starts_empty_elsewhere() -> None:
    memory = SharedBytes(3, between_processes=False)
    memory.array()[:] = 5
    copy: SharedBytes = pickle.loads(pickle.dumps(memory))
    assert copy.array().tolist() == [0, 0, 0]
    assert memory.array().tolist() == [5, 5, 5]


def test_an_array_outlives_its_owner() -> None:
    array = SharedBytes(4, between_processes=True).array()
    array[:] = np.arange(4)
    assert array.tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="the place of memory usage is Linux")
def test_bytes_that_nobody_wrote_take_no_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = resident()
    memory = SharedBytes(2**32, between_processes=True)
    memory.array()[2**31] = 1
    assert resident() - before < 2**24


def test_this_machine_has_memory() -> None:
    available = available_memory()
    assert available is None or available > 2**20


def machine(folder: Path, groups: str, files: dict[str, str]) -> int | None:
    """Return the memory of a machine with 8 GB, whose process is in these groups."""
    described = {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 8000000 kB\n", "proc/self/cgroup": groups}
    for name, text in (described | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return linux_memory(folder / "proc", folder / "sys")


def test_without_limits_the_machine_decides(tmp_path: Path) -> None:
    assert machine(tmp_path, "0::/\n", {}) == 8_192_000_000
    unlimited = {"sys/job/memory.max": "max\n", "sys/job/memory.current": "5\n"}
    assert machine(tmp_path, "0::/job\n", unlimited) == 8_192_000_000
    assert linux_memory(tmp_path / "none", tmp_path / "none") is None


def test_the_limit_of_a_job_counts_without_droppable_files(tmp_path: Path) -> None:
    limits = {
        "sys/slurm/job/memory.max": "3000\n",
        "sys/slurm/job/memory.current": "1000\n",
        "sys/slurm/job/memory.stat": "anon 600\ninactive_file 400\n",
    }
    assert machine(tmp_path, "0::/slurm/job/step\n", limits) == 2400
    outer = {"sys/slurm/memory.max": "1500\n", "sys/slurm/memory.current": "1400\n"}
    assert machine(tmp_path, "0::/slurm/job/step\n", limits | outer) == 100


def test_older_control_groups_count_too(tmp_path: Path) -> None:
    limits = {
        "sys/memory/job/memory.limit_in_bytes": "3000\n",
        "sys/memory/job/memory.usage_in_bytes": "1000\n",
        "sys/memory/job/memory.stat": "total_inactive_file 5\n",
        "sys/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/memory/memory.usage_in_bytes": "1000\n",
    }
    assert machine(tmp_path, "5:cpu,cpuacct:/job\n4:memory:/job\n", limits) == 2005


def test_a_container_that_does_not_know_its_own_path_has_its_limit(tmp_path: Path) -> None:
    limits = {"sys/memory.max": "3000\n", "sys/memory.current": "1000\n"}
    assert machine(tmp_path, "0::/docker/0123\n", limits) == 2000
