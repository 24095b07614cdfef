import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from predicting import own_a_worker, start

from sleap_nn.stages import grouping_pool
from sleap_nn.tasks.base import DecodeSettings


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended may wait for somebody to ask how."""
    with suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    """They would stay forever, with their memory and whatever reads what the command says."""
    owner, place = start(own_a_worker, tmp_path / "worker"), tmp_path / "worker"
    deadline = time.monotonic() + 60
    while not place.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    worker = int(place.read_text())
    assert is_alive(worker)
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        assert not is_alive(worker)
    finally:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_every_worker_waits_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    monkeypatch.setattr(grouping_pool, "_end_with_parent", waiting.set)
    monkeypatch.setattr(grouping_pool, "_assembler", None)
    grouping_pool._set_up(cast(Any, None), DecodeSettings())
    assert waiting.wait(5)
