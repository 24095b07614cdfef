"""Milliseconds a frame of every stage of a prediction, and its speed against the bare forward pass.

``python -m benchmarks.stages VIDEO MODEL [MODEL]`` from the root of the repository. Frames are read ahead of the
network in another thread, so the stages together may take longer than the prediction. All functions take turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import median_seconds, print_table
from sleap_nn.inference.chain import Pace, unfiltered
from sleap_nn.inference.load import load_models
from sleap_nn.inference.select import Selection, select_frames
from sleap_nn.inference.settings import StageSettings
from sleap_nn.stages.stage import Prepared, Runtime, Stage, run_stages
from sleap_nn.stages.stream import flattened
from sleap_nn.structures.sample import Frame


def recorded(stages: Sequence[Stage], batches: Sequence[Sequence[Prepared]]) -> list[list[Tensor]]:
    """Return the inputs that each network reads when the stages run, as uint8 batches."""
    inputs: list[list[Tensor]] = [[] for _ in stages]

    def recording(runtime: Runtime, own: list[Tensor]) -> Runtime:
        def run(images: Tensor) -> object:
            own.append(images)
            return runtime(images)

        return run  # pyright: ignore[reportReturnType]

    watched = [replace(stage, runtime=recording(stage.runtime, own)) for stage, own in zip(stages, inputs, strict=True)]
    for batch in batches:
        run_stages(watched, batch)
    return inputs


def forward(stage: Stage, inputs: Sequence[Tensor]) -> None:
    """Run a network alone."""
    with torch.inference_mode():
        for images in inputs:
            stage.runtime(images)


def measure(stages: Sequence[Stage], selection: Selection, batch_size: int, rounds: int) -> None:
    """Print the table of one chain of models."""
    frames: list[Frame] = [selection.frames.read(key) for key in selection.frames.keys]
    read = [frames[i : i + batch_size] for i in range(0, len(frames), batch_size)]
    batches = [stages[0].prepare_all(several) for several in read]
    inputs = recorded(stages, batches)
    functions: dict[str, Callable[[], object]] = {
        "read frames": lambda: [selection.frames.read(key) for key in selection.frames.keys],
        "make inputs": lambda: [stages[0].prepare_all(several) for several in read],
        **{
            f"network of {stage.task.name}": lambda stage=stage, own=own: forward(stage, own)
            for stage, own in zip(stages, inputs, strict=True)
        },
        "networks, maps and grouping": lambda: [run_stages(stages, batch) for batch in batches],
        "all, as predicted": lambda: list(flattened(unfiltered(stages, selection, Pace(batch_size, 32)), len(frames))),
    }
    seconds = dict(zip(functions, median_seconds(list(functions.values()), rounds), strict=True))
    bare = sum(value for name, value in seconds.items() if name.startswith("network of "))
    whole = seconds["all, as predicted"]
    seconds["bare forward pass"] = bare
    rows = [
        [name, 1000 * value / len(frames), len(frames) / value, value / whole, bare / value]
        for name, value in seconds.items()
    ]
    names = " + ".join(stage.task.name for stage in stages)
    title = f"{names}, {len(frames)} frames, batches of {batch_size}, {torch.get_num_threads()} threads"
    print_table(title, ["", "ms a frame", "frames/s", "share of all", "speed of forward"], rows)


def main() -> None:
    """Measure one chain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    models = load_models(options.models, StageSettings(), device=options.device, precision=options.precision)
    selection = select_frames(options.video, range(options.frames))
    measure([model.stage for model in models], selection, options.batch_size, options.rounds)


if __name__ == "__main__":
    main()
