"""`Place`: where a process stands among those that train together, as torchrun, srun or `training.launch` tell it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

_FIRST_PORT, _NUM_PORTS = 15000, 20000


@dataclass(frozen=True)
class Place:
    """The place of one process.

    Attributes:
        rank: Number of the process, from 0; the first one decides and writes.
        size: Number of processes.
        local_rank: Number among the processes of this machine.
        local_size: Number of processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Place:
        """Read the place; a process that nothing has started as one of several stands alone."""
        found = torchrun_variables(environment)
        if not found:
            return cls()
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        return cls(*(int(found[name]) for name in names))

    @property
    def num_machines(self) -> int:
        """Number of machines, all with equally many processes."""
        return self.size // self.local_size

    @property
    def is_beside_first(self) -> bool:
        """Whether the first process is on the same machine."""
        return self.rank == self.local_rank


def torchrun_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that torchrun sets, translated from those of srun where these are there.

    Args:
        environment: Variables of the process.

    Returns:
        The variables by name; empty for a process that stands alone.
    """
    if {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        found = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", **environment}
    elif {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_JOB_ID"} <= environment.keys():
        found = _from_srun(environment)
    else:
        return {}
    if int(found["WORLD_SIZE"]) == 1:
        return {}
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {name: found[name] for name in names if name in found}


def _from_srun(environment: Mapping[str, str]) -> dict[str, str]:
    """Translate the variables of a process that srun started; a port follows from the number of the job."""
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", "127.0.0.1"))
    node = int(environment.get("SLURM_NODEID", "0"))
    tasks = _tasks_per_node(environment.get("SLURM_STEP_TASKS_PER_NODE", environment["SLURM_STEP_NUM_TASKS"]))
    port = _FIRST_PORT + int(environment["SLURM_JOB_ID"]) % _NUM_PORTS
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "LOCAL_RANK": environment.get("SLURM_LOCALID", "0"),
        "LOCAL_WORLD_SIZE": str(tasks[node]),
        "GROUP_RANK": str(node),
        "MASTER_ADDR": environment.get("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes)),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }


def _tasks_per_node(text: str) -> list[int]:
    """Read how many tasks the nodes have, written as ``2(x3),1``: 2, 2, 2, 1."""
    counts = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        counts += [int(count)] * int(times or 1)
    return counts
