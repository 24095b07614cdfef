"""Frames a second, start-up and memory of whole `predict` commands, side by side with another release's command.

``python -m benchmarks.commands VIDEO MODEL [MODEL] --other "/path/to/venv/bin/sleap-nn"`` from the root of the
repository. Both commands read the same models and the same frames, on the same device, with the same options, and take
turns; each runs over a few and over many frames, so that the difference is the speed without the start, and the rest is
the start. What the commands print is not read: the frames are counted in what they write.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import print_table
from sleap_nn.data.labels import load_labels


@dataclass(frozen=True)
class Run:
    """One run of a command."""

    seconds: float
    processor_seconds: float
    peak_mib: float
    num_instances: int


def run_once(command: list[str], arguments: list[str], output: Path) -> Run:
    """Run a command to its end and count what it found; ends this program where the command fails."""
    output.unlink(missing_ok=True)
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([*command, *arguments, "-o", str(output)], stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            log.seek(0)
            sys.exit(f"{shlex.join(command)} ended with code {process.returncode}: {log.read().decode()[-2000:]}")
    labels = load_labels(output, open_videos=False)
    found = sum(len(frame.instances) for frame in labels.labeled_frames)
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, found)


def median(runs: list[Run], field: str) -> float:
    """Return the median of one field."""
    return statistics.median(float(vars(run)[field]) for run in runs)


def main() -> None:
    """Measure both commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--other", required=True, help="command of the other release")
    parser.add_argument("--verb", default="track", help="verb that both commands know")
    parser.add_argument("--frames", type=int, nargs=2, default=[20, 160], help="few and many frames")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="further options for both commands")
    parser.add_argument("--own-options", default="", help="options that only this command knows")
    options = parser.parse_args()
    commands = {"this": [sys.executable, "-m", "sleap_nn.cli"], "other": shlex.split(options.other)}
    shared = [options.verb, "-i", options.video, "--device", "cpu", *shlex.split(options.options)]
    shared += [word for model in options.models for word in ("-m", model)]
    runs: dict[tuple[str, int], list[Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for num_frames in options.frames:
                for name, command in commands.items():
                    own = shlex.split(options.own_options) if name == "this" else []
                    arguments = [*shared, *own, "--frames", f"0-{num_frames - 1}"]
                    run = run_once(command, arguments, Path(folder) / f"{name}.slp")
                    runs.setdefault((name, num_frames), []).append(run)
    few, many = options.frames
    rows: list[list[object]] = []
    for name in commands:
        short, long = runs[name, few], runs[name, many]
        rate = (many - few) / (median(long, "seconds") - median(short, "seconds"))
        cpu = (many - few) / (median(long, "processor_seconds") - median(short, "processor_seconds"))
        start = median(short, "seconds") - few / rate
        found = long[-1].num_instances
        rows.append([name, rate, cpu, start, median(long, "seconds"), median(long, "peak_mib"), found])
    ratios = ["ratio", *(rows[0][i] / rows[1][i] for i in range(1, 7))]  # pyright: ignore[reportOperatorIssue]
    header = ["command", "frames/s", "frames/cpu s", "start s", f"s for {many}", "peak MiB", "instances"]
    print_table(f"{Path(options.video).name}, {len(options.models)} model(s)", header, [*rows, ratios])


if __name__ == "__main__":
    main()
