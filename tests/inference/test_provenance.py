import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sleap_io as sio
import torch

import sleap_nn
from sleap_nn.inference.provenance import build_inference_provenance, merge_provenance, system_entries

STARTED = datetime(2026, 1, 11, 14, 22, 33, 5)

# The keys of a prediction without tracking; `filename` is added when the labels are saved.
KEYS = {
    "inference_start_timestamp": str,
    "inference_end_timestamp": str,
    "inference_runtime_seconds": float,
    "sleap_nn_version": str,
    "sleap_io_version": str,
    "model_paths": list,
    "model_type": str,
    "source_file": str,
    "source_labels": str,
    "input_provenance": dict,
    "frame_selection": dict,
    "inference_config": dict,
    "device": str,
    "cli_args": dict,
    "system_info": dict,
}


def complete(tmp_path: Path) -> dict:
    labels = sio.Labels(provenance={"filename": "labels.slp", "sleap_version": "1.4.1"})
    return build_inference_provenance(
        started=STARTED,
        ended=STARTED + timedelta(seconds=1.5),
        model_paths=[tmp_path / "models" / "run", "models/other"],
        model_type="single_instance",
        source=tmp_path / "sub" / ".." / "labels.slp",
        source_labels=labels,
        frame_selection={"method": "all", "frames_processed": 5, "frames_total": 5},
        inference_config={"peak_threshold": 0.0, "scale": None, "batch_size": 4},
        device="cuda:0",
        cli_args={"frames": [1, 2], "device": None},
    )


def test_all_documented_keys_are_there_with_their_types(tmp_path: Path) -> None:
    record = complete(tmp_path)
    assert {key: type(value) for key, value in record.items()} == KEYS


def test_it_can_be_stored_as_json(tmp_path: Path) -> None:
    record = complete(tmp_path)
    assert json.loads(json.dumps(record)) == record


def test_times_are_iso_8601_with_microseconds(tmp_path: Path) -> None:
    record = complete(tmp_path)
    assert record["inference_start_timestamp"] == "2026-01-11T14:22:33.000005"
    assert datetime.fromisoformat(record["inference_end_timestamp"]) == STARTED + timedelta(seconds=1.5)
    assert record["inference_runtime_seconds"] == 1.5
    whole = build_inference_provenance(started=STARTED.replace(microsecond=0))
    assert whole["inference_start_timestamp"] == "2026-01-11T14:22:33.000000"


def test_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = complete(tmp_path)
    here = tmp_path.resolve().as_posix()
    assert record["model_paths"] == [f"{here}/models/run", f"{here}/models/other"]
    assert record["source_file"] == record["source_labels"] == f"{here}/labels.slp"


def test_a_video_has_no_source_labels() -> None:
    record = build_inference_provenance(source="clip.mp4")
    assert record["source_file"].endswith("/clip.mp4")
    assert not {"source_labels", "input_provenance"} & set(record)


def test_what_is_not_known_is_left_out_and_zero_is_not() -> None:
    record = build_inference_provenance()
    assert set(record) == {"sleap_nn_version", "sleap_io_version", "inference_config", "system_info"}
    assert record["sleap_nn_version"] == sleap_nn.__version__
    assert record["sleap_io_version"] == sio.__version__
    options = build_inference_provenance(inference_config={"peak_threshold": 0.0, "scale": None, "tracking": False})
    assert options["inference_config"] == {"peak_threshold": 0.0, "tracking": False}


def test_the_record_shares_nothing_with_what_it_was_made_of() -> None:
    labels, options = sio.Labels(provenance={"a": 1}), {"method": "all"}
    record = build_inference_provenance(source_labels=labels, frame_selection=options, cli_args=options)
    for key in ("input_provenance", "frame_selection", "cli_args"):
        record[key]["added"] = True
    assert labels.provenance == {"a": 1}
    assert options == {"method": "all"}


@pytest.mark.parametrize(("num_gpus", "mps", "accelerator"), [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda")])
def test_system_entries(monkeypatch: pytest.MonkeyPatch, num_gpus: int, mps: bool, accelerator: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: num_gpus > 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", "12.6")
    entries = system_entries()
    assert list(entries) == [
        "python_version",
        "platform",
        "pytorch_version",
        "cuda_version",
        "accelerator",
        "gpu_count",
        "gpus",
    ]
    assert entries["accelerator"] == accelerator
    assert entries["gpus"] == [f"GPU {i}" for i in range(num_gpus)]
    assert entries["gpu_count"] == num_gpus
    assert entries["cuda_version"] == ("12.6" if num_gpus else None)
    assert entries["pytorch_version"] == torch.__version__
    json.dumps(entries)


def test_merging_changes_neither_side() -> None:
    base, additional = {"a": 1, "b": 2}, {"b": 3, "c": 4}
    assert merge_provenance(base, additional) == {"a": 1, "b": 3, "c": 4}
    assert merge_provenance(base, additional, overwrite=False) == {"a": 1, "b": 2, "c": 4}
    assert (base, additional) == ({"a": 1, "b": 2}, {"b": 3, "c": 4})
