"""Reads the file of an offline run of Weights & Biases: a LevelDB log of protobuf records."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
FULL, LAST = 1, 4


def payloads(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log; one may be spread over several blocks."""
    position, parts = 7, []
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        length, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        if position + 7 + length > len(data):
            return
        parts.append(data[position + 7 : position + 7 + length])
        position += 7 + length
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []


def read_run(folder: Path, timeout: float = 60.0) -> dict[str, Any]:
    """Return what an ended run in the folder ``wandb`` logged.

    The process that writes the file may still be at it for so many seconds.

    Keys: ``id``, ``name``, ``project``, ``entity``, ``group``, ``config``, ``metrics`` (name or pattern -> x axis),
    ``history`` (one dict a step), ``summary``, ``exit_code``.
    """
    (path,) = folder.glob("*run-*/*.wandb")
    deadline = time.monotonic() + timeout
    while (run := _read(path))["exit_code"] is None and time.monotonic() < deadline:
        time.sleep(0.2)
    return run


def _read(path: Path) -> dict[str, Any]:
    from wandb.proto import wandb_internal_pb2

    run: dict[str, Any] = {"metrics": {}, "history": [], "summary": {}, "exit_code": None}
    for payload in payloads(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run |= {"id": record.run.run_id, "name": record.run.display_name, "project": record.run.project}
            run |= {"entity": record.run.entity, "group": record.run.run_group}
            run["config"] = values(record.run.config.update)
        elif kind == "metric":
            run["metrics"][record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif kind == "history":
            run["history"].append(values(record.history.item))
        elif kind == "summary":
            run["summary"] |= values(record.summary.update)
        elif kind == "exit":
            run["exit_code"] = record.exit.exit_code
    return run


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
