"""`Team`: the processes of one training: what they agree on, how they exchange it, and how they end together.

The first process decides whatever must be the same for all (seed, split, configuration, run folder) and publishes it
in a key-value store; the others take it over. Gradients travel through the process group, which exists only while the
network is fitted. A process that stands alone is a team of one, for which all of this does nothing.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.distributed.rendezvous import rendezvous

from sleap_nn.errors import DistributedError, UserError
from sleap_nn.training.lifeline import Failure, Lifeline, read_failure
from sleap_nn.training.place import Place, torchrun_variables

TIMEOUT = timedelta(hours=12)
"""How long a collective operation may wait for a process that works alone; dead ones are noticed by the lifeline."""
JOIN_TIMEOUT = timedelta(minutes=10)
"""How long the processes wait for each other at the start."""
LEAVE_TIMEOUT = 30.0
"""Seconds that the first process, which may hold the store, waits for the others at the end."""
HANDOVER = "SLEAP_NN_HANDOVER"
"""Variable that names the folder in which `training.launch` and its processes exchange files."""
_POLL = 0.05
_COMMUNICATION = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")


class Team:
    """The processes of a training.

    Attributes:
        place: Where this one stands.
    """

    def __init__(self, place: Place, store: Store | None = None, lifeline: Lifeline | None = None) -> None:
        """Join; without a store this process stands alone."""
        self.place = place
        self._store = store
        self._lifeline = lifeline
        self._guards = 0
        self._has_left = False

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self._store is None

    @property
    def is_first(self) -> bool:
        """Whether this process decides, writes and speaks for all."""
        return self.place.rank == 0

    @property
    def num_started(self) -> int | None:
        """Number of processes that a launcher started on this machine, None for a process that stands alone."""
        return None if self.is_alone else self.place.local_size

    def decides(self, key: str) -> bool:
        """Tell whether this process makes a decision: it is the first, and its launcher has not made it already."""
        return self._store is None or (self.is_first and not self._store.check([key]))

    def publish(self, key: str, decision: Any) -> None:
        """Tell the other processes a decision, which JSON must be able to keep."""
        if self._store is not None:
            self._store.set(key, json.dumps(decision))

    def take(self, key: str) -> Any:
        """Wait for a decision that another process publishes, and return it.

        Raises:
            SystemExit: The training has ended elsewhere.
        """
        assert self._store is not None and self._lifeline is not None
        while not self._store.check([key]):
            failure = self._lifeline.failure()
            if failure is not None:
                raise SystemExit(failure.exit_code)
            time.sleep(_POLL)
        return json.loads(self._store.get(key))

    def agree(self, key: str, decide: Callable[[], Any]) -> Any:
        """Return a decision, the same in all processes; `decide` is called where it is made."""
        if not self.decides(key):
            return self.take(key)
        decision = decide()
        self.publish(key, decision)
        return decision

    @contextmanager
    def fetched(self, path: Path | None) -> Iterator[Path | None]:
        """Give a file of the first process to all; on other machines that is a copy, removed at the end.

        All processes call this together, while the process group is open.
        """
        if path is None or self.place.num_machines == 1:
            yield path
            return
        content: list[Any] = [path.read_bytes() if self.is_first else None]
        dist.broadcast_object_list(content, src=0)
        if self.place.is_beside_first:
            yield path
            return
        with TemporaryDirectory(prefix="sleap_nn_") as folder:
            copy = Path(folder) / path.name
            copy.write_bytes(content[0])
            yield copy

    @contextmanager
    def process_group(self, device: torch.device) -> Iterator[None]:
        """Open the process group in which tensors of a device travel, and close it at the end."""
        if self._store is None:
            yield
            return
        on_gpu = device.type == "cuda"
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpu else "gloo",  # what processes agree on makes no GPU wait
            store=PrefixStore("group", self._store),
            rank=self.place.rank,
            world_size=self.place.size,
            timeout=TIMEOUT,
            device_id=device if on_gpu else None,
        )
        yield
        dist.destroy_process_group()  # not after an error: it would wait for processes that are gone

    def leave(self) -> None:
        """End the training of this process; the others may go on or be done as well."""
        global _team
        if self._store is None or self._lifeline is None or self._has_left:
            return
        self._lifeline.stop()
        self._store.add("left", 1)
        deadline = time.monotonic() + LEAVE_TIMEOUT
        while self.is_first and self._store.add("left", 0) < self.place.size and time.monotonic() < deadline:
            time.sleep(_POLL)
        self._has_left = True
        _team = None

    @contextmanager
    def guard(self) -> Iterator[Team]:
        """Make a failure in any process end all of them, and only the first one of them speak.

        Raises:
            SystemExit: Another process has failed, and has said so.
            DistributedError: Another process is gone without a word.
        """
        self._guards += 1
        try:
            yield self
        except BaseException as error:
            if self._guards > 1 or self._lifeline is None or isinstance(error, SystemExit):
                raise
            lost = _lost_contact(error)
            mine = Failure.from_exception(lost if lost is not None else error, self.place.rank)
            first = self._lifeline.report(mine)
            if first != mine and not self._has_left:
                raise SystemExit(first.exit_code) from None
            if lost is not None:
                raise lost from None
            raise
        finally:
            self._guards -= 1


def current_team() -> Team:
    """Return the team of this process; the first call joins it.

    Raises:
        DistributedError: The others do not come.
    """
    global _team
    if _team is None:
        _team = _join()
    return _team


_team: Team | None = None
_connections: list[Store] = []
"""The store of this process, kept until it ends: the others may need it longer than this one."""
_num_joined = 0


def _join() -> Team:
    """Meet the other processes that the environment names.

    Raises:
        DistributedError: They do not come, or machines have unequally many.
    """
    global _num_joined
    place = Place.from_environment(os.environ)
    if place.size == 1:
        return Team(place)
    if place.size % place.local_size:
        raise DistributedError(
            f"{place.size} processes are to train together, {place.local_size} of them on this machine; start equally "
            "many on every machine."
        )
    os.environ.update(torchrun_variables(os.environ))
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        if not _connections:
            store, _, _ = next(rendezvous("env://", timeout=JOIN_TIMEOUT))
            _connections.append(store)
        second = TCPStore(address, port, is_master=False, timeout=JOIN_TIMEOUT, wait_for_workers=False)
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise DistributedError(
            f"Process {place.rank} of {place.size} ({socket.gethostname()}) could not meet the others at "
            f"{address}:{port} ({str(error).splitlines()[0]}); check that all were started and that the address and "
            "port can be reached."
        ) from error
    prefix = _prefix(_num_joined, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    _num_joined += 1
    lifeline = Lifeline(
        PrefixStore(prefix, second),
        place.rank,
        place.size,
        holds_store=place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True),
        is_spokesman=place.local_rank == 0 and HANDOVER not in os.environ,
    )
    lifeline.start()
    return Team(place, PrefixStore(prefix, _connections[0]), lifeline)


class HostedStore:
    """The store of a training, held by a process that takes no part in it.

    Attributes:
        port: Port on this machine where the processes find it.
    """

    def __init__(self, decisions: Mapping[str, Any]) -> None:
        """Open it, with what has been decided."""
        server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.port = server.port
        self._store = PrefixStore(_prefix(0), server)
        for key, decision in decisions.items():
            self._store.set(key, json.dumps(decision))

    def decision(self, key: str) -> Any:
        """Return what a process has published, None if nothing."""
        return json.loads(self._store.get(key)) if self._store.check([key]) else None

    def failure(self) -> Failure | None:
        """Return what failed first, None if nothing."""
        return read_failure(self._store)


def _prefix(number: int, attempt: str = "0") -> str:
    """Return what the keys of the n-th training of processes start with; torchrun may start them several times."""
    return f"sleap_nn/{attempt}/{number}"


def _lost_contact(error: BaseException) -> UserError | None:
    """Return what to say about an error of the communication, None for another one."""
    is_communication = isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError)
        and not isinstance(error, UserError)
        and any(word in str(error) for word in _COMMUNICATION)
    )
    if not is_communication:
        return None
    return DistributedError(
        "Another process of the training is gone without a word (killed, out of memory, or its machine is lost)."
    )
