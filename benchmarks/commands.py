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


@dataclass(frozen=True)
class Comparison:
    """What is run, and how often.

    Attributes:
        other: The command of the other release, as words.
        frames: Few and many frames.
        rounds: How often each command runs over each number of frames.
        verb: A verb that both commands know.
        options: Further options for both commands.
        own_options: Options that only this command knows.
    """

    other: list[str]
    frames: tuple[int, int] = (20, 160)
    rounds: int = 3
    verb: str = "track"
    options: tuple[str, ...] = ()
    own_options: tuple[str, ...] = ()

    def rows(self, video: str, models: list[str]) -> list[list[float]]:
        """Return the figures of this command, of the other one, and their ratios, as `HEADER` names them."""
        commands = {"this": [sys.executable, "-m", "sleap_nn.cli"], "other": self.other}
        shared = [self.verb, "-i", video, "--device", "cpu", *self.options]
        shared += [word for model in models for word in ("-m", model)]
        runs: dict[tuple[str, int], list[Run]] = {}
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(self.rounds):
                for num_frames in self.frames:
                    for name, command in commands.items():
                        own = self.own_options if name == "this" else ()
                        arguments = [*shared, *own, "--frames", f"0-{num_frames - 1}"]
                        run = run_once(command, arguments, Path(folder) / f"{name}.slp")
                        runs.setdefault((name, num_frames), []).append(run)
        this, other = (self._figures(runs[name, self.frames[0]], runs[name, self.frames[1]]) for name in commands)
        return [this, other, [own / theirs for own, theirs in zip(this, other, strict=True)]]

    def _figures(self, short: list[Run], long: list[Run]) -> list[float]:
        few, many = self.frames
        rate = (many - few) / (median(long, "seconds") - median(short, "seconds"))
        cpu = (many - few) / (median(long, "processor_seconds") - median(short, "processor_seconds"))
        start = median(short, "seconds") - few / rate
        return [rate, cpu, start, median(long, "seconds"), median(long, "peak_mib"), long[-1].num_instances]


HEADER = ["frames/s", "frames/cpu s", "start s", "s for many", "peak MiB", "instances"]


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
    comparison = Comparison(
        shlex.split(options.other),
        tuple(options.frames),
        options.rounds,
        options.verb,
        tuple(shlex.split(options.options)),
        tuple(shlex.split(options.own_options)),
    )
    rows = comparison.rows(options.video, options.models)
    named = [[name, *row] for name, row in zip(("this", "other", "ratio"), rows, strict=True)]
    print_table(f"{Path(options.video).name}, {len(options.models)} model(s)", ["command", *HEADER], named)


if __name__ == "__main__":
    main()
